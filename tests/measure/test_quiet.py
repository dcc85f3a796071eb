"""Waiting for quiet: on a fake clock exactly, and on simulated machines with what it does to verdicts."""

from dataclasses import dataclass, replace

import pytest

from tests.measure.fake_machine import PLAN, Machine, arms, rounds_by_launch, run
from vecml.measure import coordinator, quiet
from vecml.measure.context import Counters
from vecml.measure.coordinator import Progress
from vecml.measure.pairs import disturbance
from vecml.measure.proof import Tally, simulate
from vecml.measure.records import Plan
from vecml.measure.simulation import Contention, Noise

BUDGET = replace(PLAN, launches=3, budget_seconds=80.0, rounds=40)


@dataclass
class Shared(Machine):
    """Others use a CPU of two in these stretches, from and until so many seconds after the beginning."""

    others: tuple[tuple[float, float], ...] = ()
    usable_cpus: int = 2

    def counters(self) -> Counters | None:
        foreign = sum(max(0.0, min(self.now - 1_000.0, end) - begin) for begin, end in self.others)
        return Counters(self.now, self.now + foreign, 0.0, 0.0, self.now, self.usable_cpus)


def test_on_a_quiet_machine_it_never_waits() -> None:
    machine = Shared()
    found = run(machine, [arms("a", "null", "b")], BUDGET)
    assert found.waited_seconds == 0.0
    assert not any(stage == "rest" for _, stage, _ in machine.log)


def test_it_waits_before_the_rounds_until_others_have_left() -> None:
    machine = Shared(others=((0.0, 6.0),))
    told: list[Progress] = []
    found = run(machine, [arms("a", "null", "b")], BUDGET, tell=told.append)
    assert 0.0 < found.waited_seconds <= 4.0  # a quarter of a fifth of the budget
    assert "waiting" in {one.doing for one in told}
    assert not any(disturbance(seen, 2) for seen in found.windows)


def test_it_waits_between_rounds_and_takes_that_from_the_rounds() -> None:
    machine = Shared(others=((10.0, 13.0),))
    found = run(machine, [arms("a", "null", "b")], BUDGET)
    quiet_found = run(Shared(), [arms("a", "null", "b")], BUDGET)
    assert 0.0 < found.waited_seconds <= 4.0
    assert found.seconds <= 80.0 + 1.0
    assert sum(disturbance(seen, 2) is not None for seen in found.windows) <= 2
    first, undisturbed = (rounds_by_launch(one.arms[0])[0] for one in (found, quiet_found))
    assert PLAN.fewest_rounds <= len(first) < len(undisturbed)
    assert all(seen.seconds < 3.0 for seen in found.windows)  # what was waited is in no window


def test_where_they_never_leave_it_gives_up_soon() -> None:
    machine = Shared(others=((0.0, 1e6),))
    found = run(machine, [arms("a", "null", "b")], BUDGET)
    assert 0.0 < found.waited_seconds <= quiet.WAIT_SHARE / 2 * 80.0
    assert found.launches == 3
    assert found.seconds <= 80.0 + 1.0


def test_all_waits_together_have_a_bound() -> None:
    coming_and_going = tuple((float(begin), begin + 2.5) for begin in range(0, 400, 4))
    found = run(Shared(others=coming_and_going), [arms("a", "null", "b")], BUDGET)
    assert found.waited_seconds <= quiet.WAIT_SHARE * 80.0


def test_arms_that_have_room_do_not_wait() -> None:
    found = run(Shared(others=((0.0, 1e6),), usable_cpus=3), [arms("a", "null", "b")], BUDGET)
    assert found.waited_seconds == 0.0


def test_without_a_budget_nothing_waits() -> None:
    found = run(Shared(others=((0.0, 1e6),)), [arms("a", "null", "b")], PLAN)
    assert found.waited_seconds == 0.0


# ---- what it does to verdicts ----

SOME = 40
LONG = Plan(launches=5, budget_seconds=60.0, rounds=24)
COMING = Contention(there_seconds=3.0, gone_seconds=6.0)


def counted(monkeypatch: pytest.MonkeyPatch, share: float, planted: float, cpus: tuple[int, int]) -> Tally:
    monkeypatch.setattr(quiet, "WAIT_SHARE", share)
    return simulate(SOME, Noise(), planted=planted, contention=COMING, cpus=cpus, plan=LONG)


@pytest.mark.parametrize("cpus", [(2, 2), (1, 2)])
def test_waiting_never_turns_a_direction_round(monkeypatch: pytest.MonkeyPatch, cpus: tuple[int, int]) -> None:
    without, waiting = (counted(monkeypatch, share, 0.3, cpus) for share in (0.0, quiet.WAIT_SHARE))
    assert waiting.wrong + waiting.wrong_while_busy <= without.wrong + without.wrong_while_busy == 0
    assert waiting.busy + waiting.invalid <= without.busy + without.invalid
    assert waiting.found >= without.found - 2


def test_waiting_makes_no_false_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = counted(monkeypatch, quiet.WAIT_SHARE, 0.0, (2, 2))
    assert tally.alarms <= 6  # a twentieth of forty, and three standard errors
    assert tally.wrong == 0


def test_waiting_for_fast_blocks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation: a launch's rounds are made again until they look good, which no counter knows anything of."""
    whole = coordinator._Coordinator._rounds

    def until_they_look_good(self, turns, crew, group):  # type: ignore[no-untyped-def]
        for _ in range(6):
            for turn in turns:
                columns = turn.tally.columns
                kept = [place for place, launch in enumerate(columns["launch"]) if launch != self._done]
                for name, values in columns.items():
                    columns[name] = [values[place] for place in kept]
            whole(self, turns, crew, group)
            took = {turn.tally.arm.name: sum(turn.tally.columns["seconds"][-9:]) for turn in turns}
            if took["b"] < took["a"]:
                break

    monkeypatch.setattr(coordinator._Coordinator, "_rounds", until_they_look_good)
    tally = simulate(SOME, Noise(), plan=Plan(launches=5, budget_seconds=None, rounds=9))
    assert tally.alarms > 6
