"""The same small comparison through the command, the flow, the nightly check and Python gives the same record.

Worker processes and Prefect's server are not what is tested: the blocks are made by hand, the flow's function is called
without its decorator. Everything else is real: training, choosing, planning, warnings, rules, and the store.
"""

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import flows.compare
import tasks.history
import vecml
from tasks.tracking.comparison import ComparisonTracking, ComparisonWriter
from tests.made_comparison import comparison_of
from vecml.cli.app import app
from vecml.comparison import session, sitting
from vecml.comparison.budget import Budget
from vecml.comparison.compare import Job
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.document import from_json
from vecml.comparison.session import Compared
from vecml.comparison.subject import job_of
from vecml.config import TrainingConfig
from vecml.measure.records import Arm, Measured, Plan
from vecml.warnings import VecmlWarning

CONFIG = ComparisonConfig(
    engines=("numpy", "row_loop"),
    precision=("float32", "tf32"),  # tf32 is left out, with a warning
    threads=(1,),
    rows=300,
    budget="70s",
    subject=TrainingConfig(epochs=1, seed=3),
)
FLAGS = (
    "compare --engines numpy,row_loop --precision float32,tf32 --threads 1 --rows 300 --budget 70s --epochs 1 --seed 3"
)


@dataclass(frozen=True)
class Trace:
    """What can be seen of a comparison.

    Attributes:
        record: the fields of the comparison that do not depend on the hour.
        arms: names and roles, in the order in which they were measured.
        plan: how much was to be measured; how long and in how many launches.
        resolves: the difference that the budget was said to resolve.
        began_with_the_door: whether the budget began when the comparison was asked for, and not later.
        warnings: in the order in which they came.
    """

    record: dict[str, Any]
    arms: tuple[tuple[str, str], ...]
    plan: Plan
    resolves: float | None
    began_with_the_door: bool
    warnings: tuple[str, ...]


class Watched:
    """Stands in for the workers and looks on: what was planned and measured, and which warnings were given."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.forget()
        plan_comparison, compare_settings = session.plan_comparison, session.compare_settings

        def plan(*given: Any) -> Budget:
            self.budgets.append((plan_comparison(*given), time.perf_counter()))
            return self.budgets[-1][0]

        def measure(groups: Sequence[Sequence[Arm]], plan: Plan, *_: Any, **__: Any) -> Measured:
            self.measured.append(groups)
            names = [arm.name for group in groups for arm in group if arm.role in ("baseline", "arm")]
            made = comparison_of(dict.fromkeys(names, 0.01)).measured
            return dataclasses.replace(made, plan=plan)

        def compare(*given: Any, **more: Any) -> Comparison:
            self.comparisons.append(compare_settings(*given, **more))
            return self.comparisons[-1]

        def warn(warning: Warning, *_: Any, **__: Any) -> None:
            if isinstance(warning, VecmlWarning):
                self.warnings.append(str(warning))

        def as_step(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            self.steps.append(name)
            return function

        patch.setattr(session, "plan_comparison", plan)
        patch.setattr(session, "compare_settings", compare)
        patch.setattr(sitting, "measure", measure)
        patch.setattr(sitting, "LOAD_SECONDS", 0.0)
        patch.setattr(sitting, "BUSY_CPUS", 1e9)
        patch.setattr(warnings, "warn", warn)
        patch.setattr(flows.compare, "as_task", as_step)
        patch.setattr(flows.compare, "stop_when_cancelled", contextlib.nullcontext)
        patch.setattr(flows.compare, "publish_comparison", lambda *_: None)

    def forget(self) -> None:
        self.budgets: list[tuple[Budget, float]] = []
        self.measured: list[Sequence[Sequence[Arm]]] = []
        self.warnings: list[str] = []
        self.comparisons: list[Comparison] = []


def by_command(_: Watched) -> None:
    done = CliRunner().invoke(app, FLAGS.split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def by_flow(_: Watched) -> None:
    flows.compare.compare_flow.fn(CONFIG)


def by_night(seen: Watched) -> None:
    """The fresh sitting that a suspicion about tonight's comparison asks for."""
    done = session.compare(CONFIG, ComparisonTracking())
    seen.forget()
    with pytest.MonkeyPatch.context() as patch:
        asked: list[Any] = []
        patch.setattr(tasks.history, "watch", lambda _series, fresh: asked or asked.append(fresh()))
        tasks.history.confirm.fn(CONFIG, done.job, done.chosen, done.writer.run.run_id)


def by_python(_: Watched) -> None:
    job = prepared()
    vecml.compare(
        job.model,
        job.x_FN.T,
        engines=("numpy", "row_loop"),
        precision=("float32", "tf32"),
        threads=1,
        budget="70s",
    )


DOORS = {"command": by_command, "flow": by_flow, "nightly": by_night, "python": by_python}


def prepared() -> Job:
    return job_of(CONFIG, lambda *_: pytest.fail("no run is read"))


def trace(door: str, mutate: Callable[[pytest.MonkeyPatch], None] | None = None) -> Trace:
    """Go through a door and look at what came of it; `mutate` changes the way behind the door."""
    with pytest.MonkeyPatch.context() as patch:
        seen = Watched(patch)
        if mutate is not None:
            mutate(patch)
        DOORS[door](seen)
    (comparison,), (groups, *_) = seen.comparisons, seen.measured  # after it, perhaps, the finalists afresh
    ((budget, planned),) = seen.budgets
    subject = dataclasses.asdict(comparison.subject)
    for name in ("data_source", "data_digest"):  # Python is given an array, which has neither
        del subject[name]
    fields = ("budget", "settings", "skipped", "simplest", "rules", "environment", "faults")
    return Trace(
        record={**{name: getattr(comparison, name) for name in fields}, "subject": subject},
        arms=tuple((arm.name, arm.role) for group in groups for arm in group),
        plan=budget.plan,
        resolves=budget.resolves,
        began_with_the_door=budget.began is not None and budget.began < planned,
        warnings=tuple(seen.warnings),
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared[ComparisonWriter]]:
    """A comparison that is recorded already, in a store of this module's own, which is the current folder."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        patch.setenv("VECML_CACHE", str(home / "cache"))
        patch.chdir(home)
        with pytest.MonkeyPatch.context() as inner:
            Watched(inner)
            done = session.compare(CONFIG, ComparisonTracking())
        yield done


@pytest.fixture(scope="module")
def traces(recorded: Compared[ComparisonWriter]) -> dict[str, Trace]:
    return {door: trace(door) for door in DOORS}


def test_all_doors_record_the_same(traces: dict[str, Trace]) -> None:
    first = traces["command"]
    assert list(first.record["settings"]) == ["numpy", "row_loop"]
    assert list(first.record["skipped"]) == ["numpy precision=tf32", "row_loop precision=tf32"]
    assert [line.partition(" is left out: ")[0] for line in first.warnings] == [
        "VML013 numpy precision=tf32",
        "VML013 row_loop precision=tf32",
    ]
    assert first.record["budget"] == "70s"
    assert first.plan.budget_seconds == 70
    assert first.began_with_the_door
    for door in DOORS:
        assert traces[door] == first, door


def test_the_flow_shows_its_steps(recorded: Compared[ComparisonWriter]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        seen = Watched(patch)
        by_flow(seen)
    assert seen.steps == ["prepare", "choose-settings", "measure"]


def test_what_is_stored_is_what_was_measured(recorded: Compared[ComparisonWriter]) -> None:
    stored = Path("mlruns", "artifacts", recorded.writer.run.run_id, "artifacts", "comparison.json")
    assert from_json(stored.read_bytes(), "it") == recorded.comparison


def shorter_budget(patch: pytest.MonkeyPatch) -> None:
    compare = session.compare
    patch.setattr(session, "compare", lambda config, *rest, **more: compare(at(config, budget="80s"), *rest, **more))


def budget_from_the_measurement_on(patch: pytest.MonkeyPatch) -> None:
    plan = session.plan_comparison
    patch.setattr(session, "plan_comparison", lambda chosen, budget, _began: plan(chosen, budget))


def without_a_warning(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "warn", lambda *_: None)


def more_settings(patch: pytest.MonkeyPatch) -> None:
    compare = session.compare
    patch.setattr(
        session, "compare", lambda config, *rest, **more: compare(at(config, layout=("columns", "rows")), *rest, **more)
    )


def at(config: ComparisonConfig, **changes: Any) -> ComparisonConfig:
    return config.model_copy(update=changes)


@pytest.mark.parametrize(
    ("door", "change"),
    [
        ("command", without_a_warning),
        ("flow", budget_from_the_measurement_on),
        ("nightly", shorter_budget),
        ("python", more_settings),
    ],
)
def test_a_door_that_goes_another_way_is_found(
    recorded: Compared[ComparisonWriter],
    traces: dict[str, Trace],
    door: str,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    assert trace(door, change) != traces["command"]
