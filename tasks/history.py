"""The task confirm: compare tonight's comparison with its settings' history; a suspicion is measured again first."""

from collections.abc import Callable
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.tracking.comparison import ComparisonTracking
from tasks.tracking.sittings import recorded_settings
from vecml.comparison import session
from vecml.comparison.compare import Job
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.settings import Chosen
from vecml.errors import MeasureError, RegressionError
from vecml.history.series import Point, Series, series_of
from vecml.history.watch import Alarm, watch
from vecml.report.history import alarm_line
from vecml.warnings import warn


@task(name="confirm", cache_policy=NO_CACHE, persist_result=False)
def confirm(config: ComparisonConfig, job: Job, chosen: Chosen, run_id: str) -> tuple[Alarm, ...]:
    """Compare the comparison `run_id` with the series of its settings.

    Fresh sittings, which are recorded like any other, confirm or dismiss each suspicion. Returns the alarms whose cause
    is the machine, each with the warning VML017. Raises RegressionError where the cause is the program.
    """
    fresh = _Fresh(config, job, chosen)
    recorded = recorded_settings()
    tonight = {one.run_id for one in recorded if one.sitting == run_id}
    ours = [series for series in series_of(recorded) if series.points and series.points[-1].run_id in tonight]
    settings = [series.setting for series in ours]
    alarms = [alarm for series in ours if (alarm := watch(series, fresh.sittings_of(series))) is not None]
    machine = tuple(alarm for alarm in alarms if alarm.change.cause == "machine")
    for alarm in machine:
        warn("VML017", alarm_line(alarm, settings))
    regressed = [alarm_line(alarm, settings) for alarm in alarms if alarm.change.cause != "machine"]
    if regressed:
        raise RegressionError("; ".join(regressed), "vecml history shows the series and what changed there")
    return machine


class _Fresh:
    """Fresh sittings of all settings, each measured when the first series asks for it."""

    def __init__(self, config: ComparisonConfig, job: Job, chosen: Chosen) -> None:
        self._config, self._job, self._chosen = config, job, chosen
        self._runs: list[str] = []

    def sittings_of(self, series: Series) -> Callable[[], Point]:
        """Make a function that returns the next fresh sitting of the series at each call."""
        taken = 0

        def fresh() -> Point:
            nonlocal taken
            taken += 1
            while len(self._runs) < taken:
                self._measure()
            found = next(
                (one for one in series_of(recorded_settings()) if _alike(one, series)), replace(series, points=())
            )
            below = [point for point in found.points if point.run_id not in {old.run_id for old in series.points}]
            if len(below) < taken:
                raise MeasureError(
                    f"a fresh sitting of {dict(series.setting).get('engine')} is invalid, so nothing is confirmed",
                    "vecml history shows the series",
                )
            return below[taken - 1]

        return fresh

    def _measure(self) -> None:
        name = None if self._config.name is None else f"{self._config.name}, again"
        again = self._config.model_copy(update={"name": name})
        # A sitting that was killed leaves launches behind; they are evidence of that time, and not new.
        tracking, job, chosen = ComparisonTracking(), self._job, self._chosen
        done = session.compare(again, tracking, job=job, chosen=chosen, fresh=True, repeats=True)
        self._runs.append(done.writer.run.run_id)


def _alike(one: Series, other: Series) -> bool:
    names = ("setting", "machine_key", "architecture_digest", "n_rows")
    return all(getattr(one, name) == getattr(other, name) for name in names)
