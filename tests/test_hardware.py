"""The one reader of /proc and /sys, on machines laid out as files; `tests/test_environment.py` has whole machines."""

from pathlib import Path

import pytest

from vecml import hardware
from vecml.environment import describe
from vecml.hardware import Cache, affinity_cpus, cache, cpu_model, cpu_quota

MIB = 1 << 20


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "400000 100000"}, 4),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu.max": "100 0"}, None),
        ({"cpu.max": "0 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_where_the_own_group_cannot_be_read_the_roots_limit_holds(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(lay_out(tmp_path / "sys/fs/cgroup", files).parents[2]) == quota


def test_a_system_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert affinity_cpus() == 2
    monkeypatch.delattr(hardware.os, "sched_getaffinity")
    monkeypatch.setattr(hardware.os, "cpu_count", lambda: 6)
    assert affinity_cpus() == 6
    monkeypatch.setattr(hardware.os, "cpu_count", lambda: None)
    assert affinity_cpus() is None


def test_the_first_cpus_name(tmp_path: Path) -> None:
    text = "processor\t: 0\nmodel name\t: Some CPU @ 3.00GHz\n\nprocessor\t: 1\nmodel name\t: Other\n"
    assert cpu_model(lay_out(tmp_path, {"proc/cpuinfo": text})) == "Some CPU @ 3.00GHz"


def index(number: int, **files: str) -> dict[str, str]:
    return {f"sys/devices/system/cpu/cpu0/cache/index{number}/{name}": text for name, text in files.items()}


class TestCache:
    def test_each_level_with_who_shares_it(self, tmp_path: Path) -> None:
        root = lay_out(
            tmp_path,
            {
                **index(0, level="1", type="Instruction", size="64K", shared_cpu_list="0"),
                **index(1, level="1", type="Data", size="48K", shared_cpu_list="0"),
                **index(2, level="2", type="Unified", size="2048K", shared_cpu_list="0,4"),
                **index(3, level="3", type="Unified", size="105M", shared_cpu_list="0-3,8-11"),
            },
        )
        assert [cache(level, root) for level in (1, 2, 3)] == [
            Cache(48 << 10, 1),
            Cache(2 * MIB, 2),
            Cache(105 * MIB, 8),
        ]
        assert describe(root).l2_bytes == 2 * MIB

    @pytest.mark.parametrize(
        ("text", "sharers"), [("0", 1), ("0-3", 4), ("0-1,8-9", 4), ("0,2,4", 3), ("", 1), ("none", 1), ("3-0", 1)]
    )
    def test_a_kernel_list_of_cpus_is_counted(self, tmp_path: Path, text: str, sharers: int) -> None:
        found = cache(2, lay_out(tmp_path, index(0, level="2", type="Unified", size="1M", shared_cpu_list=text)))
        assert found == Cache(MIB, sharers)

    @pytest.mark.parametrize(("answer", "expected"), [(3 * MIB, Cache(3 * MIB, 1)), (0, None), (-1, None)])
    def test_else_the_c_library_is_asked_for_level_2(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: int, expected: Cache | None
    ) -> None:
        monkeypatch.setattr(hardware.os, "sysconf", lambda _: answer)
        root = lay_out(tmp_path, {**index(0, level="2", size="unknown"), **index(1, level="2")})
        assert cache(2, root) == expected
        assert describe(root).l2_bytes == (expected and expected.size_bytes)
        assert cache(1, root) is cache(3, root) is None

    def test_a_system_that_does_not_know_the_name(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def unknown(name: str) -> int:
            raise ValueError(name)

        monkeypatch.setattr(hardware.os, "sysconf", unknown)
        assert cache(2, tmp_path) is None

    def test_a_mac_answers_for_its_fast_cores(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        facts = {"hw.perflevel0.l2cachesize": "12582912", "hw.perflevel0.cpusperl2": "4", "hw.l1dcachesize": "65536"}
        monkeypatch.setattr(hardware, "sysctl", facts.get)
        assert cache(2, tmp_path) == Cache(12 * MIB, 4)
        assert cache(1, tmp_path) == Cache(64 << 10, 1)
