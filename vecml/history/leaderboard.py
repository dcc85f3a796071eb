"""Rank the settings of all recorded devices by rows a second, and mark those that may be as fast as the first.

A place belongs to a setting on a machine's device. Rates of other networks, of tables of another size, and of single
requests are not comparable: each such group has a board of its own.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from vecml.history.recorded import RecordedSetting, Setting, settings_alike
from vecml.measure.claim import Relation, claim_on_record
from vecml.numbers import whole

FEWEST_LAUNCHES = 3  # of a comparison that may say which settings tie: with fewer there is no verdict
SITTINGS = 5  # for an interval over sittings
CONFIDENCE = 0.95
Tie = Literal["best", "highest", "comparison", "intervals", "no", "apart", "unknown"]
RELATIONS: Mapping[Tie, Relation] = {
    "comparison": "tied",
    "intervals": "tied",
    "no": "slower",
    "apart": "unknown",
    "unknown": "unknown",
}
Basis = Literal["sittings", "launches", "none"]


@dataclass(frozen=True)
class Place:
    """The place of a setting on a device.

    Attributes:
        setting, machine_key, machine, device_name: the setting, and the machine and device that it ran on.
        rows_per_s: median rate over the sittings with the latest software; None for an invalid setting.
        low, high: 95 % interval of the rate; None where there is no interval.
        basis: where the interval comes from: `sittings`; `launches` of the latest sitting, which is indicative only,
            because it does not include how the machine varies from day to day; or `none`.
        sittings: number of sittings with the latest software that count.
        accuracy, peak_rss_mb, break_even_rows: figures of the latest sitting; None where not known.
        latest: when the latest sitting began.
        run_id: run id of the latest sitting.
        tie: of the first place `best` where that is shown, and `highest` where its rate is the highest and no more is
            known; of the others `comparison` or `intervals` where it ties with the first, by a comparison that measured
            both side by side, or by overlapping intervals; `no`; `apart` where its interval is below the first's, but
            of too few sittings to show it; `unknown` where nothing says it.
        invalid: the reason why the latest sitting does not count; None where it counts.
    """

    setting: Setting
    machine_key: str
    machine: str
    device_name: str
    rows_per_s: float | None
    low: float | None
    high: float | None
    basis: Basis
    sittings: int
    accuracy: float | None
    peak_rss_mb: float | None
    break_even_rows: float | None
    latest: datetime
    run_id: str
    tie: Tie = "unknown"
    invalid: str | None = None

    @property
    def tied(self) -> bool:
        """Whether it is the best setting or ties with the first."""
        return self.tie in ("best", "comparison", "intervals")


@dataclass(frozen=True)
class Board:
    """The ranking of comparable settings.

    Attributes:
        architecture_digest: hash of the network.
        scale: number of rows, rounded down to a power of ten (100000 for 100,000 to 999,999); None where not known.
        request_rows: rows of one call; None where a call takes the whole table.
        places: the valid settings, the highest rate first, then the invalid ones.
        subject: what the latest sitting ran, for people; None where it is not known.
    """

    architecture_digest: str
    scale: int | None
    request_rows: int | None
    places: tuple[Place, ...]
    subject: str | None = None

    @property
    def latest(self) -> datetime:
        return max(place.latest for place in self.places)


def boards(recorded: Sequence[RecordedSetting]) -> tuple[Board, ...]:
    """Make all boards, the board with the latest sitting first; functions, which have no setting, are left out."""
    settings = [one for one in recorded if one.setting]
    groups: dict[tuple[str, int | None, int | None], list[tuple[Setting, RecordedSetting]]] = {}
    for setting, one in zip(settings_alike(settings), settings, strict=True):
        request = one.setting.get("request_rows", "none")
        key = (one.architecture_digest, _scale(one.n_rows), whole(request))
        groups.setdefault(key, []).append((setting, one))
    found = [
        Board(*key, places=_ranked(group), subject=max(group, key=lambda entry: entry[1].started)[1].subject)
        for key, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda board: board.latest, reverse=True))


def median_interval(value_N: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Give a confidence interval of the median of value_N that assumes no distribution: two of the values themselves.

    Of five values it is the least and the greatest, which covers the median in 93.8 %; of six or more it covers it with
    `confidence` at least. Source: W. R. Thompson, "On confidence ranges for the median and other expectation
    distributions", Annals of Mathematical Statistics 7 (1936), 122-128.

    Returns None for fewer than five values.
    """
    n = len(value_N)
    if n < SITTINGS:
        return None
    ordered, out, tail = sorted(value_N), 0, 0.5**n
    while True:
        further = tail + math.comb(n, out + 1) * 0.5**n
        if 2 * further > 1 - confidence:
            break
        out, tail = out + 1, further
    return ordered[out], ordered[n - 1 - out]


def _ranked(group: Sequence[tuple[Setting, RecordedSetting]]) -> tuple[Place, ...]:
    entries: dict[tuple[Setting, str, str], list[RecordedSetting]] = {}
    for setting, one in group:
        entries.setdefault((setting, one.machine_key, one.device_name), []).append(one)
    all_places = [(_place(setting, sittings), sittings) for (setting, _, _), sittings in entries.items()]
    valid = sorted((one for one in all_places if one[0].invalid is None), key=lambda one: -(one[0].rows_per_s or 0.0))
    invalid = sorted((place for place, _ in all_places if place.invalid is not None), key=lambda place: place.setting)
    if not valid:
        return tuple(invalid)
    best, of_best = valid[0]
    ranked = [replace(place, tie=_tie(place, sittings, best, of_best)) for place, sittings in valid[1:]]
    shown = claim_on_record("", {str(rank): RELATIONS[place.tie] for rank, place in enumerate(ranked)}).shown
    return (replace(best, tie="best" if shown else "highest"), *ranked, *invalid)


def _place(setting: Setting, sittings: Sequence[RecordedSetting]) -> Place:
    """Make the place of one setting on one device from its sittings."""
    latest = max(sittings, key=lambda one: one.started)
    counting = [one for one in sittings if one.invalid is None and one.software_key == latest.software_key]
    rates = [one.rows_per_s for one in counting if one.rows_per_s is not None]
    if latest.invalid is not None:
        counting, rates = [], []
    low, high, basis = _interval(latest, rates)
    return Place(
        setting=setting,
        machine_key=latest.machine_key,
        machine=latest.machine,
        device_name=latest.device_name,
        rows_per_s=statistics.median(rates) if rates else None,
        low=low,
        high=high,
        basis=basis,
        sittings=len(counting),
        accuracy=latest.accuracy,
        peak_rss_mb=latest.peak_rss_mb,
        break_even_rows=latest.break_even_rows,
        latest=latest.started,
        run_id=latest.run_id,
        invalid=latest.invalid,
    )


def _interval(latest: RecordedSetting, rates: Sequence[float]) -> tuple[float | None, float | None, Basis]:
    over_sittings = median_interval(rates)
    if over_sittings is not None:
        return (*over_sittings, "sittings")
    if rates and latest.rows_per_s and latest.rows_per_s_low is not None and latest.rows_per_s_high is not None:
        # The latest sitting's interval, moved to the median that is shown.
        scale = statistics.median(rates) / latest.rows_per_s
        return latest.rows_per_s_low * scale, latest.rows_per_s_high * scale, "launches"
    return None, None, "none"


def _tie(place: Place, sittings: Sequence[RecordedSetting], best: Place, of_best: Sequence[RecordedSetting]) -> Tie:
    """Decide by the latest comparison that measured both, where it says whether they tie; else by the intervals."""
    beside = {one.sitting: one for one in of_best if one.invalid is None}
    common = [
        one for one in sittings if one.invalid is None and one.sitting in beside and one.launches >= FEWEST_LAUNCHES
    ]
    if common:
        latest = max(common, key=lambda one: one.started)
        other = beside[latest.sitting]
        if other.tied and latest.tied is not None:  # where today's best was not among the best, it says nothing
            return "comparison" if latest.tied else "no"
    if place.low is None or place.high is None or best.low is None or best.high is None:
        return "unknown"
    if place.high >= best.low and best.high >= place.low:
        return "intervals"
    return "no" if place.basis == best.basis == "sittings" else "apart"


def _scale(n_rows: int | None) -> int | None:
    if n_rows is None or n_rows < 1:
        return None
    return int(10 ** (len(str(n_rows)) - 1))
