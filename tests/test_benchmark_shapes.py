"""The bench's peers answer as the reference does; modes are found and told; launches follow from widths."""

import math
import mmap
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import peers_expert
from benchmarks.enough import HALF_WIDTH, MOST_LAUNCHES, extended, launches_needed, within
from benchmarks.memory_counts import PageFaults, huge_page_facts
from benchmarks.modes import modes_of, split
from benchmarks.page import Ratio, Row, table
from benchmarks.peers import CPP, PEERS, PeerEngine, make_model, open_peer, wrong_labels
from benchmarks.shapes import _fastest, _modes, as_figures
from tests.made_comparison import comparison_of
from vecml.comparison.compare import Job, write_files
from vecml.comparison.comparison import Comparison
from vecml.config import Setting
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured

BY_COLUMN = ("torch by column", CPP)


@pytest.mark.parametrize("widths", [(10, 32, 2), (7, 13, 9, 3)])
@pytest.mark.parametrize("name", BY_COLUMN)
@pytest.mark.parametrize("rows", [1, 255, 1_030])
def test_what_a_specialist_writes_labels_as_the_reference_does(name: str, widths: tuple[int, ...], rows: int) -> None:
    known, model = PEERS[name], make_model(widths)
    if (reason := known.absent()) is not None:
        pytest.skip(reason)
    x_FN = np.random.default_rng(5).standard_normal((widths[0], rows), dtype=np.float32)
    label_N = np.full(rows, -1)
    peer = PeerEngine(name).load(model, Setting(name, layout="columns", threads=2, block_rows=300))
    peer.labels(x_FN, label_N)
    assert wrong_labels(model, x_FN, label_N) == 0
    label_N[0] = (label_N[0] + 1) % widths[-1]
    assert wrong_labels(model, x_FN, label_N) == 1
    assert np.float32(1e-40) * np.float32(1) > 0, "the peer made this process round subnormal numbers to zero"


def test_labels_that_are_no_class_are_wrong() -> None:
    model = make_model((4, 8, 3))
    x_FN = np.random.default_rng(5).standard_normal((4, 5), dtype=np.float32)
    assert wrong_labels(model, x_FN, np.array([-1, 3, 7, -5, 99])) == 5


def test_without_a_compiler_the_kernel_is_absent_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert PEERS[CPP].absent() == "no C++ compiler: neither g++ nor clang++ is on the path"


def test_without_its_package_a_peer_is_absent_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_expert, "FOLDER", tmp_path)
    assert PEERS["LiteRT with XNNPACK"].absent() == "ai-edge-litert==2.3.0: not installed"


def test_the_kernel_is_compared_even_where_it_is_slow() -> None:
    rates = {name: (None, rate) for name, rate in (("a", 9.0), ("b", 8.0), ("c", 7.0), ("d", 6.0), (CPP, 1.0))}
    assert _fastest(rates) == ["a", "b", "c", CPP]
    assert _fastest({**rates, CPP: (None, 10.0)}) == [CPP, "a", "b", "c"]
    del rates[CPP]
    assert _fastest(rates) == ["a", "b", "c", "d"]


def test_a_peer_s_arm_counts_page_faults_and_is_held_to_the_reference(tmp_path: Path) -> None:
    model = make_model((6, 8, 3))
    setting = Setting("torch by column", layout="columns", threads=1, block_rows=100)
    x_FN = np.random.default_rng(2).standard_normal((6, 1_000), dtype=np.float32)
    write_files(Job(model, x_FN), {"peer": setting}, tmp_path)
    work = open_peer({"folder": str(tmp_path), "setting": _fields(setting)})
    work.open()
    for _ in range(3):
        work.call()
        work.answer()
    facts = work.finish()
    assert facts["wrong"] == 0
    assert facts["rows"] == 1_000
    assert facts["page_faults"][0] is None
    assert len(facts["page_faults"]) == 3
    assert facts["huge_pages"] in ("always", "madvise", "never", None)


def _fields(setting: Setting) -> dict[str, Any]:
    return {name: getattr(setting, name) for name in setting.__dataclass_fields__}


def test_fresh_memory_shows_as_page_faults() -> None:
    pytest.importorskip("resource")
    counted = PageFaults()
    counted.block_ended()
    counted.block_ended()
    with mmap.mmap(-1, 1 << 25) as fresh:  # pages that are new for certain, which an array's need not be
        fresh[:] = b"1" * (1 << 25)
    counted.block_ended()
    _, still, touched = counted.by_block
    assert still is not None
    assert touched is not None
    assert touched > still
    assert set(huge_page_facts()) == {"huge_page_bytes", "huge_pages"}


@dataclass(frozen=True)
class Made:
    """An arm whose launches take so many milliseconds a call, with so many page faults."""

    milliseconds: tuple[float, ...]
    faults: tuple[int, ...]

    def arm(self, blocks: int = 12) -> ArmMeasurement:
        random = np.random.default_rng(1)
        launches = range(len(self.milliseconds))
        launch = tuple(number for number in launches for _ in range(blocks))
        seconds = tuple(self.milliseconds[number] / 1e3 * 50 * math.exp(random.normal(0, 0.02)) for number in launch)
        return ArmMeasurement(
            "peer",
            "arm",
            2,
            0,
            Blocks(launch=launch, calls=(50,) * len(launch), seconds=seconds),
            tuple(
                ArmLaunch(number, 0.003, 0.1, 5, 1.0, facts={"page_faults": [None] + [50 * self.faults[number]] * 11})
                for number in launches
            ),
        )


def test_launches_with_and_without_page_faults_are_two_modes() -> None:
    slow, fast = 40.0, 25.0
    made = Made((fast, slow, fast, fast, slow, fast, slow, fast), (0, 7_800, 0, 0, 7_800, 0, 7_800, 0))
    modes = modes_of(made.arm(), 1_000_000)
    assert modes is not None
    assert modes.of == "launches"
    assert modes.slow.rows_per_s == pytest.approx(25e6, rel=0.02)
    assert modes.fast.rows_per_s == pytest.approx(40e6, rel=0.02)
    assert (modes.slow.share, modes.fast.share) == (3 / 8, 5 / 8)
    assert (modes.slow.faults_per_call, modes.fast.faults_per_call) == (7_800, 0)
    assert "7,800 page faults a call" in str(modes)


def test_one_speed_is_one_mode() -> None:
    random = np.random.default_rng(4)
    made = Made(tuple(25 * math.exp(random.normal(0, 0.05)) for _ in range(10)), (0,) * 10)
    assert modes_of(made.arm(), 1_000_000) is None


def test_blocks_that_change_within_launches_are_told_apart_from_launches() -> None:
    arm = Made((25.0,) * 8, (0,) * 8).arm()
    seconds = tuple(value * (1.5 if index % 2 else 1) for index, value in enumerate(arm.blocks.seconds))
    modes = modes_of(replace(arm, blocks=replace(arm.blocks, seconds=seconds)), 1_000_000)
    assert modes is not None
    assert modes.of == "blocks"


def test_normal_values_have_two_modes_as_rarely_as_the_test_says() -> None:
    found = sum(split(np.random.default_rng([6, seed]).normal(0, 0.5, 12)) is not None for seed in range(400))
    assert found <= 12  # 4 expected at 1 %; more than 12 has a chance of 3 in 10,000


def test_the_launches_follow_from_the_widest_interval() -> None:
    assert launches_needed({"a": HALF_WIDTH}, 8) == 8
    assert launches_needed({}, 8) == 8
    assert 20 <= launches_needed({"a": HALF_WIDTH / 2, "b": 2 * HALF_WIDTH}, 8) <= 36
    assert launches_needed({"b": 20 * HALF_WIDTH}, 8) == MOST_LAUNCHES
    assert within(1.0, 1.2)
    assert not within(1.0, 1.22)


def test_the_page_names_peers_what_is_absent_and_modes() -> None:
    ratio = Ratio(4.0, 3.9, 4.1, "faster")
    row = Row(
        "10-32-2",
        1_000,
        {"vecml": 2e8},
        {"notebook": replace(ratio, value=40.0), "plain torch": ratio, CPP: replace(ratio, value=1.5)},
        0.8,
        {},
        {"plain torch": 2e7, CPP: 1e8},
        None,
        absent={"LiteRT with XNNPACK": "not installed"},
        modes={CPP: "two modes by launches: slow; fast", "plain torch": "3 page faults a call"},
    )
    text = table([row], "halide", 2)
    assert f"| 1.5 (3.9 to 4.1) | {CPP} | 1.5 (3.9 to 4.1) | 0.80 |" in text
    assert "Held against: plain torch (" in text
    assert "LiteRT with XNNPACK is absent: not installed." in text
    assert f"10-32-2, {CPP}: two modes by launches: slow; fast." in text
    assert "3 page faults" not in text


def _launch_by_launch(spread: float) -> Comparison:
    """A comparison in whose launches `peer` is faster and slower by turns."""
    made = comparison_of({"vecml": 0.01, "peer": 0.02})
    arms = []
    for arm in made.measured.arms:
        factors = [math.exp(spread * (-1) ** launch) for launch in arm.blocks.launch]
        seconds = tuple(value * factor for value, factor in zip(arm.blocks.seconds, factors, strict=True))
        arms.append(replace(arm, blocks=replace(arm.blocks, seconds=seconds)) if arm.name == "peer" else arm)
    return replace(made, measured=replace(made.measured, arms=tuple(arms)))


@pytest.mark.parametrize(
    ("spread", "most_seconds", "calls"),
    [
        (0.0, 1_000.0, [(5, False)]),  # narrow at once
        (0.15, 1_000.0, [(5, False), (20, True)]),  # as many as the interval needs
        (0.15, 70.0, [(5, False), (7, True)]),  # as many as there is time for, at 10 s each
        (0.15, 50.0, [(5, False)]),
    ],
)
def test_a_comparison_goes_on_until_its_intervals_are_narrow(
    spread: float, most_seconds: float, calls: list[tuple[int, bool]]
) -> None:
    now, asked = 0.0, []

    def compare(launches: int, resumed: Measured | None) -> Comparison:
        nonlocal now
        done = 0 if resumed is None else resumed.launches
        now += 10.0 * (launches - done)
        asked.append((launches, resumed is not None))
        return _launch_by_launch(spread)

    extended(compare, most_seconds, 5, clock=lambda: now)
    assert [resumed for _, resumed in asked] == [resumed for _, resumed in calls]
    assert all(abs(count - expected) <= 8 for (count, _), (expected, _) in zip(asked, calls, strict=True)), asked
    assert now <= max(most_seconds, 50.0)


def test_the_figures_of_a_shape_tell_what_every_arm_was_seen_to_do() -> None:
    compared = comparison_of({"vecml": 0.01, "notebook": 0.4, "plain torch": 0.02}, page_faults=[None] + [50] * 29)
    told = _modes(compared)
    assert told["plain torch"] == "10 page faults a call"  # five calls a block
    ratio = Ratio(2.0, 1.9, 2.1, "faster")
    row = Row(
        "10-32-2",
        1_000,
        {"vecml": 2e8, "notebook": 5e6, "plain torch": 1e8},
        {"notebook": replace(ratio, value=40.0, low=39.0, high=41.0), "plain torch": ratio},
        0.8,
        {"plain torch": 4_096},
        {"plain torch": 1e8, CPP: 9e7},
        ratio,
        absent={"LiteRT with XNNPACK": "not installed"},
        modes=told,
        launches=12,
    )
    lines = [str(figure) for figure in as_figures((10, 32, 2), row)]
    assert any("times plain torch" in line and "blocks of 4,096; 10 page faults a call" in line for line in lines)
    assert any(f"{CPP}, in the search alone" in line for line in lines)
    assert any("LiteRT with XNNPACK, absent" in line and "not installed" in line for line in lines)
    assert any("12 launches" in line for line in lines)
