"""The most memory that a process has had resident: by the kernel's own count of the program, else by what there is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from vecml import child
from vecml.measure.memory import peak_rss_bytes

STATUS = "Name:\tpython\nVmPeak:\t  999999 kB\nVmHWM:\t   12345 kB\nVmRSS:\t    1000 kB\n"


def root_with(folder: Path, status: str | None) -> Path:
    (folder / "proc/self").mkdir(parents=True)
    if status is not None:
        (folder / "proc/self/status").write_text(status)
    return folder


def no_resource_module(patch: pytest.MonkeyPatch, memory_info: Callable[[object], object]) -> None:
    patch.setitem(sys.modules, "resource", None)
    patch.setattr(psutil, "Process", type("Process", (), {"memory_info": memory_info}))


def rusage(patch: pytest.MonkeyPatch, peak: int) -> None:
    import resource

    patch.setattr(resource, "getrusage", lambda _: type("Usage", (), {"ru_maxrss": peak}))


def test_the_programs_own_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rusage(monkeypatch, 999_999)  # that of whoever started it
    assert peak_rss_bytes(root_with(tmp_path, STATUS)) == 12_345 * 1_024


@pytest.mark.parametrize("status", [None, "", "Name:\tkernel thread\n", "VmHWM:\t many kB\n"])
@pytest.mark.parametrize(("platform", "unit"), [("linux", 1_024), ("darwin", 1)])
def test_without_it_the_systems_count_in_its_own_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str | None, platform: str, unit: int
) -> None:
    pytest.importorskip("resource")
    rusage(monkeypatch, 777)
    monkeypatch.setattr(sys, "platform", platform)
    assert peak_rss_bytes(root_with(tmp_path, status)) == 777 * unit


def test_a_system_that_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resource")
    rusage(monkeypatch, 0)
    assert peak_rss_bytes(tmp_path) is None


@pytest.mark.parametrize("peak", [123_456, None])
def test_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peak: int | None) -> None:
    no_resource_module(monkeypatch, lambda _: type("Memory", (), {"peak_wset": peak}))
    assert peak_rss_bytes(tmp_path) == peak


def test_no_resource_module_and_no_such_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_resource_module(monkeypatch, lambda _: object())
    assert peak_rss_bytes(tmp_path) is None


def test_no_resource_module_and_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> object:
        raise psutil.AccessDenied

    no_resource_module(monkeypatch, refuse)
    assert peak_rss_bytes(tmp_path) is None


def test_here_it_is_more_than_what_was_held() -> None:
    held = bytearray(b"x") * (64 << 20)
    peak = peak_rss_bytes()
    assert peak is not None
    assert len(held) < peak < 1 << 44


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere a child's count begins with its parent's")
def test_a_small_process_of_a_large_one_is_small() -> None:
    held = bytearray(b"x") * (256 << 20)
    program = "from vecml.measure.memory import peak_rss_bytes; print(peak_rss_bytes())"
    said = subprocess.run(
        [sys.executable, "-c", program], env=child.environment(), check=True, capture_output=True, text=True
    )
    assert int(said.stdout) < len(held)
