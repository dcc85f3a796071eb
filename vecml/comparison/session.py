"""A comparison from its configuration to its record.

The command, the Prefect flow, the fresh sittings of the nightly check and `vecml.compare` from Python all call
`compare`. The library knows neither MLflow nor Prefect, so two things are passed in: where the comparison is recorded
(`Tracking`), and how a step is called (`Step`: plainly, or as a Prefect task).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, ParamSpec, Protocol, TypeVar

from vecml.atomic import write_bytes
from vecml.comparison.budget import Budget, check_budget
from vecml.comparison.compare import Job, compare_settings, plan_comparison
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.document import to_json
from vecml.comparison.settings import Chosen, chosen_of, settings_of
from vecml.comparison.subject import RecordedRun, job_of
from vecml.comparison.unfinished import Kept, Unfinished, comparison_of, measured_before, unfinished
from vecml.errors import SettingError
from vecml.measure.records import Measured
from vecml.warnings import warn

P = ParamSpec("P")
T = TypeVar("T")


class Writer(Protocol):
    """Records one comparison."""

    @property
    def kept(self) -> Kept | None:
        """The launches of the same comparison, if it was stopped before its end, or None."""

    def keep(self, measured: Measured) -> None:
        """Called after every complete launch, with all launches so far."""

    def log(self, comparison: Comparison) -> None:
        """Record the whole comparison."""


W = TypeVar("W", bound=Writer)
W_co = TypeVar("W_co", bound=Writer, covariant=True)


class Tracking(Protocol[W_co]):
    """The place where comparisons are recorded, and tracked runs are read."""

    def read_run(self, run_id: str, architecture: str | None) -> RecordedRun:
        """The pipeline run of this id or name; `architecture`: the class of a model that is a module of one's own."""

    def open(self, name: str | None, file: Unfinished) -> AbstractContextManager[W_co]:
        """The writer of a comparison called `name`; `file` keeps its launches until it is recorded."""


class Step(Protocol):
    """A function that wraps a step of the comparison, for example as a task of a flow."""

    def __call__(self, name: str, function: Callable[P, T]) -> Callable[P, T]:
        """Return what is called instead of `function`, for example a Prefect task called `name`."""


@dataclass(frozen=True)
class Compared(Generic[W]):
    """The result of `compare`.

    Attributes:
        job: what was inferred.
        chosen: the settings that were compared.
        comparison: the record.
        writer: what recorded it.
    """

    job: Job
    chosen: Chosen
    comparison: Comparison
    writer: W


def compare(  # noqa: PLR0913 -- the first two say what is compared; the others have a default that most callers want
    config: ComparisonConfig,
    tracking: Tracking[W],
    *,
    job: Job | None = None,
    chosen: Chosen | None = None,
    began: float | None = None,
    step: Step | None = None,
    announce: Callable[[Budget], None] = lambda _budget: None,
    json: Path | None = None,
    fresh: bool = False,
    repeats: bool = False,
) -> Compared[W]:
    """Prepare the model and its rows, choose the settings, measure them, and record the comparison.

    Args:
        config: what is compared.
        tracking: where it is recorded; `Untracked()` records nothing.
        job: the model and the rows, where the caller has them already; None: those that `config` names.
        chosen: the settings, where the caller has chosen them already; None: those that `config` asks for.
        began: when the budget began, by time.perf_counter. None: now. The command gives the start of its process,
            because its user waits for the imports too.
        step: how each of the steps `prepare`, `choose-settings` and `measure` is called; None: plainly.
        announce: called with the budget's plan just before anything is measured.
        json: a file that the whole comparison is written to before it is recorded, so that a store that fails does
            not lose it.
        fresh: measure everything again, also where launches of the same comparison were kept.
        repeats: it repeats a comparison of the same configuration, whose kept launches are not its own.

    Raises SettingError before anything is read for settings or a budget that cannot be; what `job_of`, `chosen_of` and
    `compare_settings` raise; StoreError where it cannot be recorded. Warns of each setting that is left out (VML013)
    and where an earlier comparison is continued (VML016).
    """
    began = time.perf_counter() if began is None else began
    step = step or _plainly
    check_budget(config.budget)
    settings_of(config)
    if job is None:
        job = step("prepare", job_of)(config, tracking.read_run)
    if chosen is None:
        chosen = step("choose-settings", chosen_of)(config, job.model, job.x_FN)
    for name, reason in chosen.skipped.items():
        warn("VML013", f"{name} is left out: {reason}")
    budget = plan_comparison(chosen, config.budget, began)
    announce(budget)
    file = unfinished(job, chosen, config.budget, config.name, repeats=repeats)

    def measure(kept: Kept | None, keep: Callable[[Measured], None]) -> Comparison:
        return step("measure", measure_rest)(job, chosen, budget, kept, keep)

    comparison, writer = recorded(tracking, config.name, file, measure, json=json, fresh=fresh)
    return Compared(job, chosen, comparison, writer)


def recorded(
    tracking: Tracking[W],
    name: str | None,
    file: Unfinished,
    measure: Callable[[Kept | None, Callable[[Measured], None]], Comparison],
    *,
    json: Path | None = None,
    fresh: bool = False,
) -> tuple[Comparison, W]:
    """Measure a comparison of whatever kind, and record it.

    Args:
        tracking, name: where it is recorded, and under which name.
        file: keeps its launches until it is recorded.
        measure: is called with what an earlier process kept of it, and with what keeps each launch.
        json, fresh: as in `compare`.
    """
    if fresh:
        file.discard()
    with tracking.open(name, file) as writer:
        comparison = measure(writer.kept, writer.keep)
        try:
            if json is not None:
                write_bytes(json, to_json(comparison).encode())
        finally:
            writer.log(comparison)
    return comparison, writer


def measure_rest(
    job: Job, chosen: Chosen, budget: Budget, kept: Kept | None, keep: Callable[[Measured], None]
) -> Comparison:
    """Measure what a comparison that was stopped has not measured yet.

    Args:
        job, chosen, budget: the comparison.
        kept: what an earlier process stored of it; None: nothing. A complete one is returned as it is, with a warning.
        keep: stores what is measured, after each launch.
    """
    return go_on(kept, lambda resumed: compare_settings(job, chosen, budget, resumed=resumed, keep=keep))


def go_on(kept: Kept | None, measure: Callable[[Measured | None], Comparison]) -> Comparison:
    """Return the comparison that was kept if it is whole, with a warning (VML016), else what `measure` makes of it.

    `measure` is called with the launches that were kept, or None.
    """
    if (whole := comparison_of(kept)) is not None:
        warn("VML016", measured_before(whole))
        return whole
    return measure(None if kept is None else kept.measured)


class Untracked:
    """Records nothing: `vecml.compare` from Python gives its result to the caller alone."""

    kept = None

    def read_run(self, run_id: str, architecture: str | None) -> RecordedRun:  # noqa: ARG002 -- as Tracking has it
        """Refuse a `run_id`, whatever the `architecture`: without a store there is no run. Raises SettingError."""
        raise SettingError(f"run {run_id}: nothing is tracked here, so there is no run to read", "use vecml compare")

    @contextmanager
    def open(self, name: str | None, file: Unfinished) -> Iterator["Untracked"]:  # noqa: ARG002 -- as Tracking has it
        yield self

    def keep(self, measured: Measured) -> None: ...

    def log(self, comparison: Comparison) -> None: ...


def _plainly(name: str, function: Callable[P, T]) -> Callable[P, T]:  # noqa: ARG001 -- as Step has it
    return function
