"""Settings of all recorded devices in one order: by rows a second, and who cannot be told from the best.

A place belongs to a setting on a machine's device. Rates of tables of another size, of another network, and of single
requests are no rates of the same thing: each such group has an order of its own.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from vecml.history.recorded import RecordedSetting, Setting, settings_alike

FEWEST_LAUNCHES = 3  # of a comparison that may say who ties: with fewer there is no verdict
SITTINGS = 5  # for an interval over sittings
CONFIDENCE = 0.95
Tie = Literal["best", "comparison", "intervals", "no", "unknown"]
Basis = Literal["sittings", "launches", "none"]


@dataclass(frozen=True)
class Place:
    """A setting on a device.

    Attributes:
        setting, machine_key, machine, device_name: what and where.
        rows_per_s: median over the sittings with its latest software.
        low, high: 95 % interval of it; None where there is none.
        basis: where the interval comes from: the `sittings`, or the `launches` of the latest one, which knows nothing
            of how the machine differs from day to day, so that it is indicative; or `none`.
        sittings: that count; of other software there may be more.
        accuracy, peak_rss_mb, break_even_rows: of the latest sitting; None where not known.
        latest: when the latest sitting began.
        run_id: the latest sitting's.
        tie: `best`; `comparison` or `intervals` where it cannot be told from the best, by a comparison that measured
            both side by side, or by the intervals; `no`; `unknown` where there is nothing to tell it by.
        invalid: why the latest sitting does not count; then there is no rate.
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
        """Whether it is the best, or cannot be told from it."""
        return self.tie in ("best", "comparison", "intervals")


@dataclass(frozen=True)
class Board:
    """An order.

    Attributes:
        architecture_digest: of the network.
        scale: the least number of rows of its power of ten: 100000 for 100,000 to 999,999; None where not known.
        request_rows: rows a call; None where a call takes all of them.
        places: the valid ones, the fastest first, then the invalid ones.
        subject: what was run the last time, for people; None where it is not known.
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
    """Every order that there is, the one with the latest sitting first; functions, without a setting, are left out."""
    settings = [one for one in recorded if one.setting]
    groups: dict[tuple[str, int | None, int | None], list[tuple[Setting, RecordedSetting]]] = {}
    for setting, one in zip(settings_alike(settings), settings, strict=True):
        request = one.setting.get("request_rows", "none")
        key = (one.architecture_digest, _scale(one.n_rows), int(request) if request.isdigit() else None)
        groups.setdefault(key, []).append((setting, one))
    found = [
        Board(*key, places=_ranked(group), subject=max(group, key=lambda entry: entry[1].started)[1].subject)
        for key, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda board: board.latest, reverse=True))


def median_interval(value_N: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The interval of a median that takes nothing for granted: between two of the values themselves.

    W. R. Thompson, "On confidence ranges for the median and other expectation distributions", Annals of Mathematical
    Statistics 7 (1936), 122-128: it covers the median unless all values up to one end lie on its other side. Of five
    values it is from the least to the greatest, which covers in 93.8 %; from six on it covers at least `confidence`.

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
    made = [(_place(setting, sittings), sittings) for (setting, _, _), sittings in entries.items()]
    valid = sorted(
        (entry for entry in made if entry[0].invalid is None), key=lambda entry: -(entry[0].rows_per_s or 0.0)
    )
    invalid = sorted((place for place, _ in made if place.invalid is not None), key=lambda place: place.setting)
    if not valid:
        return tuple(invalid)
    best, of_best = valid[0]
    ranked = [replace(best, tie="best")]
    ranked += [replace(place, tie=_tie(place, sittings, best, of_best)) for place, sittings in valid[1:]]
    return (*ranked, *invalid)


def _place(setting: Setting, sittings: Sequence[RecordedSetting]) -> Place:
    """What the sittings of one setting on one device come to."""
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
        # As wide as the latest one's, about the median that is shown.
        scale = statistics.median(rates) / latest.rows_per_s
        return latest.rows_per_s_low * scale, latest.rows_per_s_high * scale, "launches"
    return None, None, "none"


def _tie(place: Place, sittings: Sequence[RecordedSetting], best: Place, of_best: Sequence[RecordedSetting]) -> Tie:
    """By the latest comparison that measured both, where it says; else by the intervals."""
    beside = {one.sitting: one for one in of_best if one.invalid is None}
    common = [
        one for one in sittings if one.invalid is None and one.sitting in beside and one.launches >= FEWEST_LAUNCHES
    ]
    if common:
        latest = max(common, key=lambda one: one.started)
        other = beside[latest.sitting]
        if other.tied and latest.tied is not None:  # where the best was not the best there, it says nothing of today
            return "comparison" if latest.tied else "no"
    if place.low is None or place.high is None or best.low is None or best.high is None:
        return "unknown"
    return "intervals" if place.high >= best.low and best.high >= place.low else "no"


def _scale(n_rows: int | None) -> int | None:
    if n_rows is None or n_rows < 1:
        return None
    return int(10 ** (len(str(n_rows)) - 1))
