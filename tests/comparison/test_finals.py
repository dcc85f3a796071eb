"""The finalists of a sitting get fresh launches within the budget, and what is told of them is of these alone."""

import json
import math
from contextlib import nullcontext
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.made_comparison import comparison_of
from vecml.comparison import sitting
from vecml.comparison.budget import FINALS_SHARE, Budget, make_budget
from vecml.comparison.comparison import Comparison, Load, families, figures
from vecml.comparison.document import from_json, to_json
from vecml.comparison.sitting import Sitting, sit
from vecml.errors import MeasureError
from vecml.measure.claim import claim_of
from vecml.measure.coordinator import WorkerError, measure
from vecml.measure.records import Arm, ArmMeasurement, Plan, Reading
from vecml.measure.simulation import CALL_SECONDS, Contention, Machine, Noise, SimulatedCrew
from vecml.progress import listening
from vecml.record import parent_metrics
from vecml.report.comparison import as_text, note, sentence

QUIET = Noise(block=0.002, tail_chance=0.0, drift=0.0, step_chance=0.0, position=0.0, process=0.002)
COSTS = {"numpy": CALL_SECONDS, "torch": CALL_SECONDS / 2, "halide": CALL_SECONDS / 4}


def budget_of(seconds: float, reserved: float = FINALS_SHARE) -> Budget:
    return Budget(Plan(budget_seconds=seconds, rounds=20), "made", None, "default", reserved=reserved)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Everything that sits is measured on this machine, whose clock is its own."""
    made = Machine(QUIET, Random(1), dict(COSTS))
    monkeypatch.setattr(sitting, "only_measurement", lambda _waiting, **_more: nullcontext())
    monkeypatch.setattr(sitting, "load_now", lambda: Load(None, None))
    monkeypatch.setattr(
        sitting,
        "measure",
        lambda groups, plan, _source, **more: measure(groups, plan, made, clock=made.clock, random=Random(2), **more),
    )
    return made


def sat(budget: Budget, faults: dict[str, str] | None = None, cpus: int = 1) -> Sitting:
    arms = [Arm("numpy", "", role="baseline", cpus=cpus), Arm("numpy (null arm)", "", role="null", cpus=cpus)]
    arms += [Arm(name, "", cpus=cpus) for name in ("torch", "halide")]
    return sit([arms], budget, check=lambda _measured: faults or {})


def compared(found: Sitting) -> Comparison:
    made = comparison_of(COSTS)

    def with_facts(arm: ArmMeasurement) -> ArmMeasurement:
        facts = made.measured.arms[0].launches[0].facts
        return replace(arm, launches=tuple(replace(one, facts=facts) for one in arm.launches))

    measured = replace(found.measured, arms=tuple(map(with_facts, found.measured.arms)))
    return replace(made, measured=measured, finals=found.finals, alone=found.alone, rules=found.rules)


def test_the_finalist_and_the_baseline_are_measured_afresh_within_the_budget(machine: Machine) -> None:
    began = machine.now
    found = sat(budget_of(60.0))
    assert found.finals is not None
    assert [(arm.name, arm.role) for arm in found.finals.arms] == [("numpy", "baseline"), ("halide", "arm")]
    assert found.finals.launches >= 3
    assert found.measured.seconds <= 0.7 * 60.0
    assert machine.now - began <= 61.0  # a launch may take a little longer than those before it


def test_a_budget_that_has_no_time_for_it_measures_once(machine: Machine) -> None:
    found = sat(budget_of(14.0, reserved=0.0))
    assert found.finals is None
    text = as_text(compared(found))
    assert "halide: picked by the same figures, so that its ratio may be a little too high" in text


def test_nothing_is_measured_afresh_without_a_budget_or_for_what_is_wrong(machine: Machine) -> None:
    quick = Budget(Plan(launches=3, budget_seconds=None, rounds=6), "quick", None, "default")
    assert sat(quick).finals is None
    found = sat(budget_of(60.0), {"halide": "12 of 1,000 labels are wrong"})
    assert found.finals is not None
    assert [arm.name for arm in found.finals.arms] == ["numpy", "torch"]


class Failing(Machine):
    """A machine on which every worker of halide but those of a launch of four arms fails at its third block."""

    def start(self, arms: Any, plan: Plan, launch: int, group: int) -> SimulatedCrew:
        crew = super().start(arms, plan, launch, group)
        if len(arms) < 4 and "halide" in crew.workers:
            worker: Any = crew.workers["halide"]
            good, done = worker.block, []

            def block(calls: int, expected_seconds: float) -> Reading:
                done.append(calls)
                if len(done) == 3:
                    raise WorkerError("it ended with exit code 1")
                return good(calls, expected_seconds)

            worker.block = block
        return crew


def test_a_finalist_that_fails_afresh_is_praised_no_more(machine: Machine) -> None:
    machine.__class__ = Failing
    found = sat(budget_of(60.0))
    assert found.finals is not None
    assert found.checked(lambda _measured: {}) == {"halide": "measured afresh, it ended with exit code 1"}
    comparison = replace(compared(found), faults=found.checked(lambda _measured: {}))
    assert claim_of(families(comparison)[0]).best != "halide"
    assert figures(comparison)[2].failure == "measured afresh, it ended with exit code 1"
    said = "torch: picked by the same figures, so that its ratio may be a little too high: it was not measured afresh"
    assert said in as_text(comparison)


class Crowded(Machine):
    """A machine on which a call takes half as long again where there are neighbours."""

    def start(self, arms: Any, plan: Plan, launch: int, group: int) -> SimulatedCrew:
        crew = super().start(arms, plan, launch, group)
        if len(arms) > 1:
            for worker in crew.workers.values():
                worker._cost += math.log(1.5)
        return crew


def test_a_finalist_that_is_faster_alone_is_told_of(machine: Machine) -> None:
    assert "alone it reaches" not in note(compared(sat(budget_of(60.0))))
    machine.__class__ = Crowded
    found = sat(budget_of(60.0))
    assert found.alone is not None
    assert [(arm.name, len(arm.launches)) for arm in found.alone.arms] == [("halide", 1)]
    text = as_text(compared(found))
    assert "halide: alone it reaches 1.5" in text
    assert text.count("alone it reaches") == 1


def test_where_others_are_always_there_the_measurement_goes_on_instead(machine: Machine) -> None:
    machine.contention = Contention()
    found = sat(budget_of(60.0), cpus=2)
    assert found.finals is None
    assert 0.7 * 60.0 < found.measured.seconds <= 61.0
    assert 0.0 < found.measured.waited_seconds <= 6.0
    assert found.measured.launches > found.measured.plan.launches - 3
    (family,) = families(compared(found))
    assert {one.verdict for one in family.verdicts} == {"busy"}


def test_sentence_metrics_and_note_have_the_fresh_figures_alone(machine: Machine) -> None:
    comparison = compared(sat(budget_of(60.0)))
    before = families(replace(comparison, finals=None))[0].verdicts[1]
    (family,) = families(comparison)
    halide = family.verdicts[1]
    assert halide.ratio != before.ratio
    assert family.first == (before,)
    assert f"({halide.ratio_low:.2f} to {halide.ratio_high:.2f})" in sentence(comparison)
    found = {arm.name: arm for arm in figures(comparison)}
    assert found["halide"].fresh_rows_per_s != found["halide"].rows_per_s
    assert found["torch"].fresh_rows_per_s is None
    metrics = parent_metrics(comparison)
    assert halide.ratio in metrics.values()
    assert found["halide"].fresh_rows_per_s in metrics.values()
    assert "halide: measured afresh in" in note(comparison)


def test_the_document_keeps_the_fresh_launches(machine: Machine) -> None:
    comparison = compared(sat(budget_of(60.0)))
    text = to_json(comparison)
    assert to_json(from_json(text.encode(), "file.json")) == text
    without = json.loads(to_json(replace(comparison, finals=None, alone=None)))
    assert (without.pop("finals"), without.pop("alone")) == (None, None)
    for one in without["families"]:
        one.pop("first")
    read = from_json(json.dumps(without).encode(), "file.json")  # as vecml 0.2 wrote it
    assert (read.finals, read.alone) == (None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arms: arms[1].update(name="torch2"), "'torch2' is no setting"),
        (lambda arms: arms[1].update(name="torch", role="null"), "has the role 'null'"),
        (lambda arms: arms[1].update(name="numpy"), "its finalists are none of its arms"),
        (lambda arms: arms.pop(0), "its finals have a group without a baseline"),
        (lambda arms: arms[1]["blocks"]["seconds"].pop(), "its columns are not of one length"),
        (lambda arms: arms[1]["blocks"].update(calls=arms[0]["blocks"]["calls"]), "is not what its blocks give"),
    ],
)  # fmt: skip
def test_damaged_finals_are_refused(machine: Machine, change: Any, said: str) -> None:
    content = json.loads(to_json(compared(sat(budget_of(60.0)))))
    change(content["finals"]["arms"])
    with pytest.raises(MeasureError, match=said):
        from_json(json.dumps(content).encode(), "file.json")


def test_the_share_is_reserved_only_where_three_launches_of_all_fit_beside_it() -> None:
    groups = [(4, 2)]
    made = make_budget("60s", groups, 2, "machine")
    assert made.reserved == FINALS_SHARE
    assert made.plan_from(0.0).budget_seconds == pytest.approx(0.7 * 60.0)
    assert make_budget("60s", [(3, 2)], 1, "machine").reserved == 0.0  # two settings: nothing is picked
    assert make_budget("50s", groups, 2, "machine").reserved == 0.0
    late = replace(made, began=0.0)
    assert late.plan_from(30.0).budget_seconds == 36.0  # six tenths, of which no share can be spared
    assert math.isclose(late.seconds_from(30.0) or 0.0, 36.0)


def test_waiting_is_told_while_it_lasts_and_afterwards(machine: Machine) -> None:
    heard: list[str] = []

    class Heard:
        def begin(self, name: str, total: float | None) -> object:
            heard.append(name)
            return name

        def advance(self, stage: object, amount: float) -> None: ...

        def end(self, stage: object) -> None:
            heard.append(f"end of {stage}")

    machine.contention = Contention(there_seconds=3.0, gone_seconds=6.0)
    waiting = "waiting for other programs to leave the CPUs"
    with listening(Heard()):
        found = sat(budget_of(60.0), cpus=2)
    assert found.measured.waited_seconds > 0
    assert heard.count(waiting) == heard.count(f"end of {waiting}") > 0
    assert heard[-1] == "end of measuring"
    text = to_json(compared(found))
    assert from_json(text.encode(), "file.json").measured.waited_seconds == found.measured.waited_seconds
    assert "in all for other programs to leave the CPUs" in as_text(compared(found))
