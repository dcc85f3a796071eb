"""What this machine offers: CPUs within affinity and quota, devices, and their names."""

import sys
from pathlib import Path

import pytest

from vecml import device
from vecml.device import available_devices, device_name, usable_cpus
from vecml.environment import describe


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
