"""One setting of one recorded comparison, as its run's metrics and tags tell it: what history and leaderboard read.

A run of an older vecml lacks some of them: then they are None.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

CHOSEN = "block_rows"  # chosen for the machine where it is left open, so that it may differ from day to day
NONE = "none"
Setting = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RecordedSetting:
    """A setting's figures from one sitting: one comparison on one machine.

    Attributes:
        run_id: of its own run.
        sitting: id of the comparison's run; its own where that is not known.
        name: within its comparison.
        started: when its comparison began, with a time zone.
        setting: its params, `vecml.record.SETTING_PARAMS`; empty for a function.
        n_rows: rows that were inferred; None where it is not known.
        machine_key, software_key, architecture_digest, data_digest: `none` where there is none.
        machine: the machine for people; the device's own name where no more is known.
        device_name: the CPU's or GPU's own name.
        libraries: versions of what computes, by name; None where they were not recorded.
        verdict: `invalid`, `baseline`, `faster` ...; `none` for a quick look.
        reason: for the verdict.
        tied: whether it cannot be told from the best of its comparison; None where that was not recorded.
        launches: sets of fresh processes that its blocks come from.
        rows_per_s, rows_per_s_low, rows_per_s_high: with the 95 % interval over its launches.
        canary_seconds: median of its workers' fixed work.
        accuracy: share of true labels.
        peak_rss_mb: the most memory of a worker, in MB (10^6 bytes).
        break_even_rows: rows from which on loading pays against its baseline.
        subject: what was run, for people, as `digits.csv, 64 features, 10 classes`; None where it is not known.
    """

    run_id: str
    sitting: str
    name: str
    started: datetime
    setting: Mapping[str, str]
    n_rows: int | None
    machine_key: str
    software_key: str
    architecture_digest: str
    data_digest: str
    machine: str
    device_name: str
    libraries: Mapping[str, str] | None
    verdict: str
    reason: str
    tied: bool | None
    launches: int
    rows_per_s: float | None
    rows_per_s_low: float | None = None
    rows_per_s_high: float | None = None
    canary_seconds: float | None = None
    accuracy: float | None = None
    peak_rss_mb: float | None = None
    break_even_rows: float | None = None
    subject: str | None = None

    @property
    def invalid(self) -> str | None:
        """Why its rate does not count, or None."""
        if self.verdict == "invalid":
            return self.reason
        if self.rows_per_s is None or not self.rows_per_s > 0:
            return "it has no rate"
        return None


def settings_alike(recorded: Sequence[RecordedSetting]) -> list[Setting]:
    """For each, what another sitting's setting must equal to count as the same, in the same order.

    A block size counts only where it tells two settings of one comparison apart: otherwise it may have been chosen for
    the machine, and anew each time.
    """
    without = [_params(one.setting, (CHOSEN,)) for one in recorded]
    doubles = Counter((one.sitting, params) for one, params in zip(recorded, without, strict=True))
    told_by_blocks = {params for (_, params), times in doubles.items() if times > 1}
    return [
        _params(one.setting, ()) if params in told_by_blocks else params
        for one, params in zip(recorded, without, strict=True)
    ]


def name_of(setting: Setting, among: Iterable[Setting]) -> str:
    """The engine, and what else tells it from the others: `torch`, `torch threads=2 layout=rows`."""
    own = dict(setting)
    others = [dict(one) for one in among]
    differing = [
        key for key in own if key not in ("engine", "scope") and len({one.get(key, NONE) for one in others}) > 1
    ]
    return " ".join([own.get("engine", "unknown"), *(f"{key}={own[key]}" for key in differing)])


def _params(setting: Mapping[str, str], without: tuple[str, ...]) -> Setting:
    return tuple((key, value) for key, value in setting.items() if key not in without)
