"""Facts, keys, commit and process identity: on this machine, and on others laid out as files."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecml import environment
from vecml.environment import Environment, describe, git_commit, known_conflicts

HERE = Environment(
    cpu_model="AMD EPYC 9354",
    architecture="x86_64",
    instruction_sets=("avx", "avx2"),
    logical_cpus=64,
    physical_cpus=32,
    usable_cpus=16,
    cpu_quota=None,
    memory_bytes=67_000_000_000,
    l1d_bytes=32_768,
    l2_bytes=1_048_576,
    l3_bytes=33_554_432,
    gpus=("NVIDIA H200",),
    os_name="Linux",
    kernel="6.8.0",
    python="3.12.1",
    vecml="0.1.0",
    numpy="2.4.6",
    torch="2.13.0",
    scipy="1.17.1",
    onnxruntime="1.32.0",
    openvino=None,
    halide="21.0.0",
    mlflow="3.17.2",
    prefect="3.8.8",
    pyarrow="25.0.1",
    blas="openblas 0.3.31",
    gpu_driver="570.1",
)
IN_MACHINE_KEY = {
    "cpu_model": "AMD EPYC 7763",
    "architecture": "aarch64",
    "instruction_sets": ("avx",),
    "logical_cpus": 32,
    "physical_cpus": None,
    "usable_cpus": 15,
    "cpu_quota": 1.5,
    "memory_bytes": 134_000_000_000,
    "l1d_bytes": 49_152,
    "l2_bytes": 524_288,
    "l3_bytes": None,
    "gpus": (),
}
IN_SOFTWARE_KEY = {
    "os_name": "Darwin",
    "python": "3.12.2",
    "vecml": "0.2.0",
    "numpy": "2.5.0",
    "torch": "2.13.0+cpu",
    "scipy": None,
    "onnxruntime": None,
    "openvino": "2026.4.1",
    "halide": "22.0.0",
    "blas": "mkl 2025",
    "gpu_driver": None,
}
IN_NO_KEY = {"kernel": "6.9.0", "mlflow": "4.0", "prefect": None, "pyarrow": "26", "memory_bytes": 66_990_000_000}


def keys(environment: Environment) -> tuple[str, str, str]:
    return environment.machine_key, environment.software_key, environment.environment_key


def test_every_fact_is_in_a_key_or_named_here_as_in_none() -> None:
    assert {field.name for field in dataclasses.fields(Environment)} == {
        *IN_MACHINE_KEY,
        *IN_SOFTWARE_KEY,
        *IN_NO_KEY,
    }


@pytest.mark.parametrize(("name", "value"), IN_MACHINE_KEY.items())
def test_another_machine_has_another_machine_key(name: str, value: object) -> None:
    other = dataclasses.replace(HERE, **{name: value})
    assert other.machine_key != HERE.machine_key
    assert other.software_key == HERE.software_key
    assert other.environment_key != HERE.environment_key


@pytest.mark.parametrize(("name", "value"), IN_SOFTWARE_KEY.items())
def test_another_library_has_another_software_key(name: str, value: object) -> None:
    other = dataclasses.replace(HERE, **{name: value})
    assert other.machine_key == HERE.machine_key
    assert other.software_key != HERE.software_key
    assert other.environment_key != HERE.environment_key


@pytest.mark.parametrize(("name", "value"), IN_NO_KEY.items())
def test_what_only_records_or_wavers_is_in_no_key(name: str, value: object) -> None:
    assert keys(dataclasses.replace(HERE, **{name: value})) == keys(HERE)


def test_another_protocol_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(HERE)
    monkeypatch.setattr(environment, "PROTOCOL_VERSION", 3)
    assert keys(HERE)[:2] == before[:2]
    assert HERE.environment_key != before[2]


def test_keys_stay_what_they_were_in_an_earlier_version() -> None:
    # Written down: a key that changes cuts every series of results in two. Change them with PROTOCOL_VERSION only.
    assert keys(HERE) == ("b181c7db530769d5", "dd25444ea37d0534", "f95b0d4a64b649b4")


def test_this_machine_describes_itself_the_same_twice_and_in_another_process() -> None:
    here = describe()
    assert here == describe()
    program = "from vecml.environment import describe; print(describe().environment_key)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here.environment_key


def test_keys_do_not_change_with_load() -> None:
    before = describe()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        held = bytearray(64 << 20)
        held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
        assert describe() == before
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_this_machine_is_described() -> None:
    import numpy as np

    here = describe()
    assert here.numpy == np.__version__
    assert here.python == ".".join(map(str, sys.version_info[:3]))
    assert here.usable_cpus is not None
    assert here.logical_cpus is not None
    assert 1 <= here.usable_cpus <= here.logical_cpus
    assert here.memory_bytes is not None
    assert here.memory_bytes > 1 << 28
    assert here.blas


def test_json_has_every_fact_and_the_keys() -> None:
    content = json.loads(json.dumps(HERE.to_json_dict()))
    assert content["machine_key"] == HERE.machine_key
    assert content["environment_key"] == HERE.environment_key
    assert content["protocol_version"] == environment.PROTOCOL_VERSION
    facts = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in content.items()}
    assert Environment(**{field.name: facts[field.name] for field in dataclasses.fields(Environment)}) == HERE


def test_versions_are_those_of_python_and_the_packages() -> None:
    assert HERE.versions == {
        name: getattr(HERE, name)
        for name in (
            *("python", "vecml", "numpy", "torch", "scipy", "onnxruntime", "openvino", "halide"),
            *("mlflow", "prefect", "pyarrow"),
        )
    }
    assert describe().versions["numpy"] is not None


def test_describing_imports_nothing_heavy() -> None:
    program = (
        "import sys; from vecml.environment import describe, known_conflicts\n"
        "from vecml.identity import is_alive, process_identity\n"
        "describe(), known_conflicts(), is_alive(process_identity())\n"
        "print([m for m in ('torch', 'scipy', 'mlflow', 'prefect', 'pyarrow', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


X86_CPUINFO = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8488C
cpu MHz\t\t: {mhz}
flags\t\t: fpu sse4_1 avx avx2 fma avx512f avx512_bf16 amx_tile avx512vl
bogomips\t: {bogomips}

processor\t: 1
model name\t: another
"""
ARM_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm sve sve2
CPU implementer\t: 0x41
CPU part\t: 0xd4f
CPU revision\t: 1
"""


def cache(index: int, level: int, kind: str, size: str) -> dict[str, str]:
    folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
    return {f"{folder}/level": f"{level}\n", f"{folder}/type": f"{kind}\n", f"{folder}/size": f"{size}\n"}


def test_an_x86_machine(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "proc/cpuinfo": X86_CPUINFO.format(mhz=2400, bogomips=4800),
            **cache(0, 1, "Data", "48K"),
            **cache(1, 1, "Instruction", "32K"),
            **cache(2, 2, "Unified", "2048K"),
            **cache(3, 3, "Unified", "105M"),
            "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H200\nIRQ: 1\n",
            "proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: \t\t NVIDIA H200\nIRQ: 2\n",
            "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release"
            " Build\nGCC version:  gcc version 13.3.0\n",
        },
    )
    found = describe(root)
    assert found.cpu_model == "Intel(R) Xeon(R) Platinum 8488C"
    assert found.instruction_sets == ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
    assert (found.l1d_bytes, found.l2_bytes, found.l3_bytes) == (48 << 10, 2 << 20, 105 << 20)
    assert found.gpus == ("NVIDIA H200", "NVIDIA H200")
    assert found.gpu_driver == "570.133.20"


def test_live_frequency_and_bogomips_are_in_no_key(tmp_path: Path) -> None:
    slow = describe(lay_out(tmp_path / "slow", {"proc/cpuinfo": X86_CPUINFO.format(mhz=800.1, bogomips=4799.9)}))
    fast = describe(lay_out(tmp_path / "fast", {"proc/cpuinfo": X86_CPUINFO.format(mhz=3900.7, bogomips=4801.3)}))
    assert slow == fast


def test_an_arm_machine(tmp_path: Path) -> None:
    found = describe(lay_out(tmp_path, {"proc/cpuinfo": ARM_CPUINFO}))
    assert found.cpu_model == "Arm implementer 0x41 part 0xd4f revision 1"
    assert found.instruction_sets == ("neon", "sve")


def test_nothing_readable_is_none_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr("psutil.cpu_count", refuse)
    monkeypatch.setattr("psutil.virtual_memory", refuse)
    monkeypatch.setattr("os.sched_getaffinity", refuse, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: None)
    monkeypatch.setattr("numpy.show_config", lambda mode: {})
    monkeypatch.setattr("platform.processor", lambda: "")
    found = describe(tmp_path / "absent")
    for name in ("cpu_model", "logical_cpus", "physical_cpus", "usable_cpus", "cpu_quota", "memory_bytes", "l1d_bytes"):
        assert getattr(found, name) is None
    assert (found.blas, found.gpus, found.instruction_sets) == (None, (), ())
    assert all(len(key) == 16 for key in keys(found))


def test_files_that_make_no_sense_are_none(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "proc/cpuinfo": "\0\n:::\nflags",
            "proc/self/cgroup": "\nnonsense\n0::/\n::\n",
            "sys/fs/cgroup/cpu.max": "lots of it",
            "proc/driver/nvidia/version": "none",
            **cache(0, 1, "Data", "big"),
        },
    )
    (root / "sys/devices/system/cpu/cpu0/cache/index1").mkdir()
    found = describe(root)
    assert (found.cpu_quota, found.l1d_bytes, found.gpu_driver) == (None, None, None)


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", f"{V2}/a/b/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b\n", f"{V2}/a/b/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/a\n", f"{V2}/a/cpu.max": "max 100000", f"{V2}/cpu.max": "50000 100000"}, 0.5),
        ({"proc/self/cgroup": "0::/a\n", f"{V2}/a/cpu.max": "300000 100000", f"{V2}/cpu.max": "200000 100000"}, 2.0),
        ({"proc/self/cgroup": "0::/../host/path\n", f"{V2}/cpu.max": "200000 100000"}, 2.0),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/1\n0::/\n",
                f"{V1}/docker/1/cpu.cfs_quota_us": "250000",
                f"{V1}/docker/1/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({"proc/self/cgroup": "3:cpuset:/\n", "sys/fs/cgroup/cpuset/cpu.max": "1 2"}, None),
        ({}, None),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert describe(lay_out(tmp_path, files)).cpu_quota == quota


@pytest.mark.parametrize(
    ("fastapi", "prefect", "says"),
    [
        ("0.150.0", "3.8.8", None),
        ("0.151.0", "3.8.8", "422"),
        ("0.154.9", "3.8.8", "422"),
        ("0.155.0", "3.8.8", "no flow starts"),
        ("1.0.0rc1", "3.8.9", "no flow starts"),
        ("0.160", "3.9.0", None),
        ("0.160", None, None),
        (None, "3.8.8", None),
        ("unknown", "3.8.8", None),
    ],
)
def test_known_conflicts_say_what_and_what_to_do(fastapi: str | None, prefect: str | None, says: str | None) -> None:
    found = known_conflicts({"fastapi": fastapi, "prefect": prefect})
    if says is None:
        assert found == []
    else:
        (line,) = found
        assert f"fastapi {fastapi} with prefect {prefect}" in line
        assert says in line
        assert "install 'fastapi>=0.139,<0.151'" in line


def test_what_is_installed_here_has_no_conflict() -> None:
    assert known_conflicts() == []


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("one")
    (folder / ".gitignore").write_text(".venv/\n")
    run_git(folder, "init", "-q")
    run_git(folder, "add", ".")
    run_git(folder, "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "first")
    return folder


def run_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_git_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = run_git(repository, "rev-parse", "HEAD")
    assert git_commit(repository) == git_commit(repository / "sub") == commit
    (repository / "new").write_text("not tracked")
    assert git_commit(repository) == commit
    (repository / "sub" / "file").write_text("two")
    assert git_commit(repository / "sub") == f"{commit}+dirty"
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert git_commit(repository) == f"{commit}+dirty"


def test_a_package_installed_below_a_checkout_is_not_part_of_it(repository: Path) -> None:
    installed = repository / ".venv" / "lib" / "vecml"
    installed.mkdir(parents=True)
    assert git_commit(installed) is None


def test_a_repository_cannot_have_a_program_started(repository: Path, tmp_path: Path) -> None:
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    monitor.chmod(0o755)
    run_git(repository, "config", "core.fsmonitor", str(monitor))
    assert git_commit(repository) is not None
    assert not (tmp_path / "started").exists()


def test_no_commit(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert git_commit(empty) is None
    run_git(empty, "init", "-q")
    assert git_commit(empty) is None
    assert git_commit(tmp_path / "absent") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(repository) is None
