"""Everybody who measures sits: each of the six notices a changed environment and records the load before and after."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from tests.comparison import functions_to_compare
from tests.comparison.test_bad_engines import small_model
from tests.optimize.made_modules import SLOW, places
from vecml.comparison import qualify, sitting
from vecml.comparison.budget import Budget
from vecml.comparison.compare import Job, compare_settings
from vecml.comparison.comparison import Comparison, Load
from vecml.comparison.functions import compare_functions
from vecml.comparison.settings import Chosen
from vecml.config import Setting
from vecml.environment import describe
from vecml.errors import MeasureError
from vecml.lab.catalogue import experiment
from vecml.lab.experiment import Outcome
from vecml.lab.ladder import Ladder, climb, plan_ladder
from vecml.lab.ladder import to_json_dict as ladder_json
from vecml.lab.run import run as run_experiment
from vecml.measure import lock
from vecml.measure.coordinator import Progress
from vecml.measure.records import Arm, ArmLaunch, ArmMeasurement, Blocks, Measured, Plan
from vecml.optimize.measure import make_plan, measure_calls
from vecml.progress import listening
from vecml.report.lab import to_json_dict as lab_json
from vecml.warnings import VecmlWarning

BEFORE, AFTER = Load(0.5, 0.125), Load(1.5, 0.0)
CHANGE = "the environment changed meanwhile: usable_cpus: 2, now 1"
LAUNCHES = 6
PLAN = Budget(Plan(launches=3, budget_seconds=None), "made", None, "default")
# What a worker with right answers says of itself, for every kind of arm together.
FACTS: Mapping[str, Any] = {
    "rows": 10, "wrong": 0, "flips": 0, "only_label": None, "expected_labels": 2, "logit_error": 0.1, "cached": False,
    "samples": [1.0, 2.0], "allocated_bytes": None, "work_per_call": 1e6, "threads": 1, "precision": "float32",
}  # fmt: skip


def measured_arm(arm: Arm, group: int, place: int) -> ArmMeasurement:
    """An arm that always takes a millisecond, but for a tremor that gives the launches a spread."""
    seconds = tuple(0.001 * (1 + 0.001 * ((7 * launch + 3 * place) % 11)) for launch in range(LAUNCHES))
    blocks = Blocks(
        launch=tuple(range(LAUNCHES)),
        round=(0,) * LAUNCHES,
        position=(place,) * LAUNCHES,
        calls=(1,) * LAUNCHES,
        seconds=seconds,
        cpu_seconds=seconds,
        switches=(0,) * LAUNCHES,
        answer=(1,) * LAUNCHES,
        idle=(True,) * LAUNCHES,
    )
    precision = arm.payload.get("setting", {}).get("precision", "float32")
    facts = {**FACTS, "precision_used": precision, "kernel": arm.payload.get("name")}
    launches = tuple(ArmLaunch(launch, 0.005, 0.1, 2, 0.2, 1 << 20, facts) for launch in range(LAUNCHES))
    return ArmMeasurement(arm.name, arm.role, arm.cpus, group, blocks, launches)


def fake_measure(groups: Sequence[Sequence[Arm]], plan: Plan, _source: object, **_more: object) -> Measured:
    arms = [
        measured_arm(arm, group, place) for group, members in enumerate(groups) for place, arm in enumerate(members)
    ]
    return Measured(plan, tuple(arms), LAUNCHES)


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Usable CPUs at each look at the machine, the last one for all further looks; workers and loads are made up."""
    cpus = [2]
    loads = iter([BEFORE, AFTER])

    def described() -> Any:
        return dataclasses.replace(describe(), usable_cpus=cpus.pop(0) if len(cpus) > 1 else cpus[0])

    monkeypatch.setattr(sitting, "only_measurement", lambda _waiting, **_more: nullcontext())
    monkeypatch.setattr(sitting, "measure", fake_measure)
    monkeypatch.setattr(sitting, "load_now", lambda: next(loads))
    monkeypatch.setattr(sitting, "describe", described)
    monkeypatch.setattr(qualify, "ROWS", 1_000)
    monkeypatch.setattr(qualify, "prove", lambda *_arguments: [])
    return cpus


def compare(_folder: Path) -> Comparison:
    settings = {"numpy": Setting("numpy", threads=1), "torch": Setting("torch", threads=1)}
    return compare_settings(Job(small_model(), np.ones((10, 50), np.float32)), Chosen(settings, {}), PLAN)


def compare_two_functions(_folder: Path) -> Comparison:
    functions = {"total": functions_to_compare.total, "off": functions_to_compare.off}
    return compare_functions(functions, np.arange(10.0), budget="quick")


def optimize(folder: Path) -> Comparison:
    target, inputs = places(folder, SLOW, "squares")
    plan = make_plan("quick", 0.001, [0.001])
    return measure_calls(
        target, {"candidate": target}, inputs, plan, "quick", {target.name: 1, "candidate": 1}, copies=False
    )


def climb_ladder(_folder: Path) -> Ladder:
    return climb(Job(small_model(), np.ones((10, 50), np.float32)), plan_ladder(quick=True))


def run_lab(_folder: Path) -> Outcome:
    return run_experiment(experiment("ufunc"), quick=True)


def qualify_machine(_folder: Path) -> qualify.Qualification:
    return qualify.qualify(1, keep=False)


COMPARING = [compare, compare_two_functions, optimize, climb_ladder]
ALL = [*COMPARING, run_lab, qualify_machine]


@pytest.mark.parametrize("measure", ALL)
def test_the_load_before_and_after_is_recorded(
    environments: list[int], tmp_path: Path, measure: Callable[[Path], Any]
) -> None:
    found = measure(tmp_path)
    assert (found.load_before, found.load_after) == (BEFORE, AFTER)
    assert found.environment["usable_cpus"] == environments[-1]


@pytest.mark.parametrize("measure", COMPARING)
@pytest.mark.parametrize("changes", [True, False])
def test_a_changed_environment_makes_every_arm_invalid(
    environments: list[int], tmp_path: Path, measure: Callable[[Path], Any], changes: bool
) -> None:
    environments[:] = [2, 1] if changes else [2]
    found = measure(tmp_path)
    names = [arm.name for arm in found.measured.arms if arm.role in ("baseline", "arm")]
    assert dict(found.faults) == (dict.fromkeys(names, CHANGE) if changes else {})


@pytest.mark.parametrize("changes", [True, False])
def test_the_lab_says_nothing_of_an_environment_that_changed(
    environments: list[int], tmp_path: Path, changes: bool
) -> None:
    environments[:] = [2, 1] if changes else [2]
    found = run_lab(tmp_path)
    assert {cell.failure for cell in found.cells} == {CHANGE if changes else None}
    assert (found.sentences == (f"No result counts: {CHANGE}.", "Measure again.")) == changes


def test_a_qualification_is_refused_when_the_environment_changed(environments: list[int], tmp_path: Path) -> None:
    environments[:] = [2, 1]
    with pytest.raises(MeasureError) as caught:
        qualify_machine(tmp_path)
    assert caught.value.message == CHANGE
    assert caught.value.hint == "run it again, and change nothing on the machine before it ends"


def test_the_json_of_ladder_and_lab_has_the_loads(environments: list[int], tmp_path: Path) -> None:
    expected = {"load_before": dataclasses.asdict(BEFORE), "load_after": dataclasses.asdict(AFTER)}
    assert expected.items() <= ladder_json(climb_ladder(tmp_path)).items()
    found = dataclasses.replace(run_experiment(experiment("gpu"), quick=True), load_before=BEFORE, load_after=AFTER)
    assert expected.items() <= lab_json([found])["experiments"]["gpu"].items()


def test_waiting_for_another_measurement_is_not_taken_from_the_budget(
    environments: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def after_a_minute(waiting: Callable[[], None], still: Callable[[], None]) -> Iterator[None]:
        waiting()
        clock[0] += 60.0
        yield

    clock = [time.perf_counter()]
    plans: list[Plan] = []
    monkeypatch.setattr(sitting.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(sitting, "only_measurement", after_a_minute)
    monkeypatch.setattr(
        sitting, "measure", lambda _groups, plan, _source, **_more: plans.append(plan) or Measured(plan, (), 0)
    )
    budget = Budget(Plan(budget_seconds=100.0), "100s", None, "default", began=clock[0] - 10.0)
    with pytest.warns(VecmlWarning, match="another measurement runs on this machine: waiting for its end"):
        sitting.sit([], budget)
    assert plans[0].budget_seconds == budget.plan_from(budget.began + 10.0).budget_seconds


def test_a_busy_machine_is_warned_of(environments: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting, "load_now", lambda: Load(None, 1.25))
    with pytest.warns(VecmlWarning, match=r"other processes keep 1\.2 CPUs busy"):
        sitting.sit([], PLAN)


@pytest.mark.parametrize(
    ("foreign", "needed", "free"),
    [
        (1.0, 2, "; settings of 1 thread are not disturbed"),
        (0.9, 2, "; settings of 1 thread are not disturbed"),
        (1.0, 1, ""),  # every arm is one
        (2.0, 2, ""),  # nothing is free
        (3.1, 8, "; settings of 5 threads are not disturbed"),
    ],
)
def test_the_threads_that_are_free_are_offered(
    monkeypatch: pytest.MonkeyPatch, foreign: float, needed: int, free: str
) -> None:
    monkeypatch.setattr(sitting, "affinity_cpus", lambda: max(2, needed))
    said = (
        f"other processes keep {foreign:.1f} CPUs busy: what they disturb does not count, or under that load only{free}"
    )
    assert sitting._busy(foreign, needed) == said


@pytest.mark.filterwarnings("ignore:VML012")
def test_waiting_for_another_measurement_is_told_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(lock, "STILL_SECONDS", 0.01)
    other, told = FileLock(lock.lock_path()), []

    class Hearing:
        def begin(self, name: str, total: float | None) -> object:
            told.append(f"{name} of {total}")
            return name

        def advance(self, stage: object, amount: float) -> None:
            told.append(f"+{amount}")
            if len(told) == 4:
                other.release()

        def end(self, stage: object) -> None:
            told.append("end")

    other.acquire()
    with listening(Hearing()), sitting.alone():
        told.append("alone")
    assert [one for one in told if one != "+0.0"] == ["waiting for another measurement of None", "end", "alone"]
    assert told.count("+0.0") >= 3


def test_a_measurement_without_a_total_says_that_it_goes_on() -> None:
    advanced: list[float] = []
    sitting._Measuring(None, Plan(), advanced.append)._tell(Progress(1, 2, 0.5, "measuring"))
    assert advanced == [0.0]
