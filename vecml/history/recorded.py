"""One recorded setting with its figures, read from its run's metrics and tags: history, leaderboard and diff read it.

A run of an older vecml lacks some of the figures: then they are None, and a text is `none`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from vecml.inference.setting import is_only_precision
from vecml.measure.claim import BUSY
from vecml.measure.verdict import DISTURBED
from vecml.numbers import whole

CHOSEN = "block_rows"  # chosen for the machine where it is left open, so that it may differ from day to day
NONE = "none"
Setting = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RecordedSetting:
    """A setting's figures from one sitting, which is one comparison on one machine.

    Attributes:
        run_id: id of the setting's run.
        sitting: id of the comparison's run; the same as `run_id` where the comparison is not known.
        name: name of the setting within its comparison.
        started: when the comparison began, with a time zone.
        setting: the params `SETTING_PARAMS` of `vecml.keys`; empty for a function.
        n_rows: rows that were inferred; None where the number is not known.
        machine_key, software_key, environment_key: hashes of the hardware, of the libraries, and of both.
        architecture_digest, data_digest, model_digest: hashes of the network, of the data, and of the trained weights.
        machine: name of the machine for people; the device's own name where no more is known.
        device_name: the CPU's or GPU's own name.
        libraries: version of each library that computes, by name; None where they were not recorded.
        verdict: `invalid`, `baseline`, `faster` ...; `none` where there was no verdict.
        reason: reason for the verdict.
        tied: whether its comparison could not tell it from the fastest setting; None where that was not recorded.
        launches: number of sets of fresh processes that were measured.
        rows_per_s, rows_per_s_low, rows_per_s_high: the rate, with its 95 % interval over the launches.
        canary_seconds: median time of the workers' canary, a fixed piece of work.
        accuracy: share of rows with the true label.
        peak_rss_mb: the most memory that a worker used, in MB (10^6 bytes).
        break_even_rows: number of rows above which it is faster than its baseline with loading counted.
        subject: what was run, for people, as `digits.csv, 64 features, 10 classes`; None where it is not known.
        in_one_process: whether the rate is one figure of a pipeline run's own process, without worker processes.
    """

    run_id: str
    sitting: str
    name: str
    started: datetime
    setting: Mapping[str, str]
    n_rows: int | None
    machine_key: str
    software_key: str
    environment_key: str
    architecture_digest: str
    data_digest: str
    model_digest: str
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
    in_one_process: bool = False

    @property
    def invalid(self) -> str | None:
        """The reason why the rate does not count; None where it counts. A verdict with a condition does not."""
        if self.verdict in ("invalid", BUSY):
            return self.reason
        if self.rows_per_s is None or not self.rows_per_s > 0:
            return "it has no rate"
        return None


def without_disturbed_baselines(recorded: Sequence[RecordedSetting]) -> list[RecordedSetting]:
    """Mark as invalid each baseline whose own rounds must have been disturbed, where its record does not say so.

    Records of earlier versions call every baseline valid that gave right answers. Where all others of its sitting were
    disturbed, and one of them needed no more threads than the baseline, the baseline's rounds were disturbed too. One
    that is invalid for another reason (it failed, its labels were wrong) says nothing about that.
    """
    beside: dict[tuple[str, str], list[RecordedSetting]] = {}
    for one in recorded:
        beside.setdefault((one.sitting, one.setting.get("request_rows", NONE)), []).append(one)

    def marked(one: RecordedSetting) -> RecordedSetting:
        group = beside[one.sitting, one.setting.get("request_rows", NONE)]
        others = [other for other in group if other.run_id != one.run_id]
        others = [other for other in others if other.verdict != "invalid" or _is_disturbed(other)]
        disturbed = bool(others) and all(map(_is_disturbed, others))
        if one.verdict != "baseline" or not disturbed or min(map(_threads, others)) > _threads(one):
            return one
        reason = others[0].reason
        condition = reason.partition(", while ")[2].partition(":")[0]  # of a verdict that was given under it
        return replace(one, verdict="invalid", reason=f"while {condition}" if condition else reason)

    return list(map(marked, recorded))


def _is_disturbed(one: RecordedSetting) -> bool:
    return one.verdict == BUSY or (one.verdict == "invalid" and DISTURBED in one.reason)


def _threads(one: RecordedSetting) -> int:
    return whole(one.setting.get("threads", "")) or 1


def settings_alike(recorded: Sequence[RecordedSetting]) -> list[Setting]:
    """Give each recorded setting the params by which the same setting is found again in other sittings.

    The block size is left out, because it may have been chosen anew for each machine; but not where a comparison had
    two settings that differ in nothing else.

    Returns the params in the order of `recorded`.
    """
    without = [_params(one.setting, (CHOSEN,)) for one in recorded]
    doubles = Counter((one.sitting, params) for one, params in zip(recorded, without, strict=True))
    differing_in_block_rows = {params for (_, params), times in doubles.items() if times > 1}
    return [
        _params(one.setting, ()) if params in differing_in_block_rows else params
        for one, params in zip(recorded, without, strict=True)
    ]


def name_of(setting: Setting, among: Iterable[Setting]) -> str:
    """Name a setting by its engine and the params that differ `among` the settings: `torch threads=2 layout=rows`.

    The precision of an engine that has no other one is not named, as in a comparison.
    """
    own = dict(setting)
    others = [dict(one) for one in among]
    named = [key for key in own if key not in ("engine", "scope") and not (key == "precision" and _is_only(own))]

    def differs(key: str) -> bool:
        return len({one.get(key, NONE) for one in others if not (key == "precision" and _is_only(one))}) > 1

    return " ".join([own.get("engine", "unknown"), *(f"{key}={own[key]}" for key in named if differs(key))])


def _is_only(setting: Mapping[str, str]) -> bool:
    return is_only_precision(setting.get("engine", ""), setting.get("precision", ""))


def _params(setting: Mapping[str, str], without: tuple[str, ...]) -> Setting:
    return tuple((key, value) for key, value in setting.items() if key not in without)
