"""`vecml doctor`: the machine's limits as they are known, measured when it is asked, and kept."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vecml import cache
from vecml.cli.app import main
from vecml.device import usable_cpus
from vecml.environment import describe
from vecml.measure import limits, lock
from vecml.measure.limits import Limits, cached_limits, keep_limits

FOUND = Limits(
    {"float32/1": 95.54e9, "float32/16": 1_234.5e9, "float64/1": 40e9},
    copy_bytes_per_s={"16": 28.9e9, "2": 20e9, "1": 17.1e9},
    read_bytes_per_s={"1": 18e9},
)
SHOWN = {
    "GEMM float32": "95.5 GFLOP/s with 1 thread, 1,234.5 with 16 threads",
    "GEMM float64": "40.0 GFLOP/s with 1 thread",
    "read": "18.0 GB/s with 1 thread",
    "copy": "17.1 GB/s with 1 thread, 20.0 with 2 threads, 28.9 with 16 threads",
}


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, list[object]]]:
    """`doctor(flags)`: what the command prints, and the arguments of each measurement; the cache is empty at first."""
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    measured: list[object] = []

    def measure(*arguments: object) -> Limits:
        measured.append(arguments)
        return FOUND

    monkeypatch.setattr(limits, "measure_limits", measure)
    monkeypatch.setattr(lock, "lock_path", lambda: tmp_path / "lock")  # a real measurement may run meanwhile

    def run(*flags: str) -> tuple[str, list[object]]:
        monkeypatch.setattr(sys, "argv", ["vecml", "doctor", *flags])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
        return capsys.readouterr().out, measured

    return run


def section(text: str) -> dict[str, str]:
    return json.loads(text)["limits"]


def test_what_was_never_measured_is_said_so(doctor: Callable[..., tuple[str, list[object]]]) -> None:
    text, measured = doctor("--json")
    assert section(text) == {"measured": "not yet: vecml doctor --limits measures them"}
    assert not measured
    assert cached_limits(describe().machine_key) is None


def test_what_is_known_is_shown_and_not_measured(doctor: Callable[..., tuple[str, list[object]]]) -> None:
    keep_limits(describe().machine_key, FOUND)
    text, measured = doctor("--json")
    how = "earlier, by the best of many calls; vecml doctor --limits measures anew"
    assert section(text) == {**SHOWN, "measured": how}
    assert not measured


def test_measured_anew_they_replace_what_was_known(doctor: Callable[..., tuple[str, list[object]]]) -> None:
    key = describe().machine_key
    keep_limits(key, Limits({"float32/1": 1.0, "float32/3": 1.0}, {"3": 1.0}))
    text, measured = doctor("--limits", "--json")
    assert measured == [(tuple(dict.fromkeys((1, usable_cpus()))), ("float64", "float32", "bfloat16", "float16"))]
    got = section(text)
    how = got.pop("measured")
    assert got == SHOWN
    assert how.startswith(
        "now, by the best of the calls of 0.3 s each: products of square matrices of 512, 1,024, 2,048"
    )
    assert "not kept" not in how
    assert cached_limits(key) == FOUND


def test_as_a_table(doctor: Callable[..., tuple[str, list[object]]]) -> None:
    text, _ = doctor("--limits")
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index("Limits")
    for line, (name, value) in zip(lines[start + 1 :], SHOWN.items(), strict=False):
        assert line.split("  ", 1)[0] == name
        assert line.endswith(value)


def test_a_cache_that_cannot_be_written_is_said(
    doctor: Callable[..., tuple[str, list[object]]], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    text, _ = doctor("--limits", "--json")
    assert section(text).pop("measured").endswith("; not kept: the cache folder cannot be written")


def test_the_gate_is_the_default_until_the_machine_is_qualified(
    doctor: Callable[..., tuple[str, list[object]]],
) -> None:
    said = json.loads(doctor("--json")[0])["measuring"]
    assert said == {"A/A gate": "5.0 %, the default: vecml qualify measures this machine's"}
    cache.write(
        "gate", describe().machine_key, {"launch_sd": 0.021, "gates": {"3": 0.04, "5": 0.031}, "created": "2026-11-25"}
    )
    assert json.loads(doctor("--json")[0])["measuring"] == {
        "A/A gate": "4.0 % with 3 launches, 3.1 % with 5 launches (qualified 2026-11-25)",
        "noise": "2.1 % from launch to launch of the same code",
    }


def test_without_the_extras_it_says_which_one_an_engine_needs_and_complains_of_nothing(
    doctor: Callable[..., tuple[str, list[object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("onnxruntime", "openvino", "halide"):
        monkeypatch.setitem(sys.modules, library, None)
    found = json.loads(doctor("--json")[0])
    engines = found["engines"]
    assert engines["onnxruntime"] == "onnxruntime is not installed: pip install 'vecml[onnx]'"
    assert engines["openvino"] == "openvino is not installed: pip install 'vecml[openvino]'"
    assert engines["halide"] == "halide is not installed: pip install 'vecml[halide]'"
    assert {engines[name] for name in ("row_loop", "numpy", "torch")} == {"ready"}
    assert found["conflicts"] == {"known": "none"}
