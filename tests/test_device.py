"""A config is resolved for this machine: devices, threads, precision; and what is not there is named."""

import sys
from pathlib import Path

import pytest

from vecml import device
from vecml.config import PipelineConfig, Setting
from vecml.device import available_devices, check_threads, device_name, resolve_setting, usable_cpus
from vecml.environment import describe
from vecml.errors import DeviceUnavailableError, SettingError


@pytest.fixture
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "usable_cpus", lambda: 4)


def offer(monkeypatch: pytest.MonkeyPatch, *devices: str) -> None:
    monkeypatch.setattr(device, "available_devices", lambda: ("cpu", *devices))


def test_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch, four_cpus: None) -> None:
    offer(monkeypatch)
    assert resolve_setting(PipelineConfig()) == Setting(
        engine="torch", device="cpu", precision="float32", layout="columns", threads=4, block_rows=None
    )
    asked = PipelineConfig(engine="numpy", precision="float64", layout="rows", threads=3, block_rows=1_000)
    assert resolve_setting(asked) == Setting(
        engine="numpy", device="cpu", precision="float64", layout="rows", threads=3, block_rows=1_000
    )


@pytest.mark.parametrize(
    ("there", "engine", "expected"),
    [
        ((), "torch", "cpu"),
        (("cuda",), "torch", "cuda"),
        (("mps",), "torch", "mps"),
        (("cuda", "mps"), "torch", "cuda"),
        (("cuda",), "numpy", "cpu"),
        (("cuda",), "row_loop", "cpu"),
    ],
)
def test_auto_takes_an_accelerator_for_an_engine_that_knows_one(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], engine: str, expected: str
) -> None:
    offer(monkeypatch, *there)
    assert resolve_setting(PipelineConfig(engine=engine)).device == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "wanted", "message"),
    [
        ((), "cuda", "--device cuda: this machine offers cpu"),
        (("mps",), "cuda", "--device cuda: this machine offers cpu, mps"),
        (("cuda",), "mps", "--device mps: this machine offers cpu, cuda"),
    ],
)
def test_a_device_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], wanted: str, message: str
) -> None:
    offer(monkeypatch, *there)
    with pytest.raises(DeviceUnavailableError) as caught:
        resolve_setting(PipelineConfig(device=wanted))  # type: ignore[arg-type]
    assert caught.value.message == message
    assert caught.value.hint == "leave --device out to take what there is"
    assert resolve_setting(PipelineConfig(device="cpu")).device == "cpu"


def test_an_engine_that_does_not_know_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "cuda")
    with pytest.raises(SettingError) as caught:
        resolve_setting(PipelineConfig(engine="numpy", device="cuda"))
    assert caught.value.message == "--device cuda: engine numpy runs on the cpu"
    assert caught.value.hint == "--engine torch"


def test_only_the_question_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_devices", lambda: pytest.fail("torch would be imported"))
    resolve_setting(PipelineConfig(device="cpu"))
    resolve_setting(PipelineConfig(engine="numpy"))


def test_the_reference_has_float64_and_refuses_nothing_else_quietly() -> None:
    assert resolve_setting(PipelineConfig(engine="row_loop")).precision == "float64"
    assert resolve_setting(PipelineConfig(engine="row_loop", precision="float64")).precision == "float64"
    assert resolve_setting(PipelineConfig(engine="row_loop", precision="bfloat16")).precision == "bfloat16"
    assert resolve_setting(PipelineConfig(engine="numpy")).precision == "float32"


@pytest.mark.parametrize(("cpus", "text"), [(2, "2 CPUs"), (1, "1 CPU")])
def test_more_threads_than_cpus(monkeypatch: pytest.MonkeyPatch, cpus: int, text: str) -> None:
    monkeypatch.setattr(device, "usable_cpus", lambda: cpus)
    for refuse in (lambda: check_threads(9_999), lambda: resolve_setting(PipelineConfig(threads=9_999, device="cpu"))):
        with pytest.raises(SettingError) as caught:
            refuse()
        assert caught.value.message == f"--threads 9999: this machine offers {text}"
        assert caught.value.hint == f"--threads {cpus}, or leave it out to take them all"
    check_threads(cpus)
    check_threads(None)


@pytest.mark.parametrize(("quota", "expected"), [(None, 8), (4.0, 4), (1.5, 1), (0.5, 1), (99.0, 8)])
def test_affinity_and_quota(monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int) -> None:
    monkeypatch.setattr(device.hardware, "affinity_cpus", lambda: 8)
    monkeypatch.setattr(device.hardware, "cpu_quota", lambda root: quota)
    assert usable_cpus() == expected


def test_the_quota_of_a_slice_counts_as_it_does_in_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {
        "proc/self/cgroup": "0::/job.slice\n",
        "sys/fs/cgroup/job.slice/cpu.max": "150000 100000",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(device.hardware, "affinity_cpus", lambda: 16)
    assert usable_cpus(tmp_path) == 1
    assert describe(tmp_path).cpu_quota == 1.5


def test_where_the_system_cannot_count_there_is_one_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device.hardware, "affinity_cpus", lambda: None)
    assert usable_cpus(tmp_path) == 1


def test_devices_are_those_that_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert available_devices() == ("cpu",)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert available_devices() == ("cpu", "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    assert device_name("cuda", 1) == "GPU 1"


def test_without_torch_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert available_devices() == ("cpu",)


def test_the_cpu_has_the_name_that_the_record_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_name("mps") == f"{device_name('cpu')} GPU"
    monkeypatch.setattr(device.hardware, "cpu_model", lambda root=None: "Some CPU @ 3.00GHz")
    assert device_name("cpu") == describe().cpu_model == "Some CPU @ 3.00GHz"
    monkeypatch.setattr(device.hardware, "cpu_model", lambda: None)
    monkeypatch.setattr(device.platform, "machine", lambda: "riscv64")
    assert device_name("cpu") == "riscv64"
