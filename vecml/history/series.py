"""Sittings in the order of time: a series for each machine, network, number of rows and setting.

A change of software is a mark on a series and does not end it: the series shows whether an upgrade cost speed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vecml.history.recorded import RecordedSetting, Setting, settings_alike

FEWEST_LAUNCHES = 2  # a quick look is one launch, whose luck moves a rate more than most changes do


@dataclass(frozen=True)
class Point:
    """One sitting in a series.

    Attributes:
        at: when the sitting began, with a time zone.
        log_rate: natural logarithm of the rate in rows a second.
        log_canary: natural logarithm of the canary's speed (1 / seconds); None where there was no canary.
        software_key: hash of the versions of the libraries that compute.
        libraries: version of each of these libraries, by name; None where they were not recorded.
        run_id: id of the setting's run; empty where the sitting is not recorded yet.
    """

    at: datetime
    log_rate: float
    log_canary: float | None = None
    software_key: str = "none"
    libraries: Mapping[str, str] | None = field(default=None, repr=False)
    run_id: str = ""

    @property
    def rows_per_s(self) -> float:
        return math.exp(self.log_rate)


@dataclass(frozen=True)
class Series:
    """The sittings of one setting on one machine, in the order of time.

    Attributes:
        setting: params of the setting, without a block size that was chosen for the machine.
        machine_key, architecture_digest: hashes of the machine and of the network.
        n_rows: number of inferred rows; None where it is not known.
        machine, device_name: names for people.
        subject: what the latest sitting ran, for people; None where it is not known.
        points: the sittings that count, by time.
        left_out: number of sittings that do not count, by reason.
    """

    setting: Setting
    machine_key: str
    architecture_digest: str
    n_rows: int | None
    machine: str
    device_name: str
    points: tuple[Point, ...] = field(repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict)
    subject: str | None = None


def point_of(recorded: RecordedSetting) -> Point:
    """Make the point of a sitting for which `left_out_for` returns None. Raises ValueError if it has no rate."""
    if recorded.rows_per_s is None:
        raise ValueError(f"{recorded.name} of {recorded.sitting} has no rate")
    canary = recorded.canary_seconds
    return Point(
        at=recorded.started,
        log_rate=math.log(recorded.rows_per_s),
        log_canary=-math.log(canary) if canary is not None and canary > 0 else None,
        software_key=recorded.software_key,
        libraries=recorded.libraries,
        run_id=recorded.run_id,
    )


def left_out_for(recorded: RecordedSetting) -> str | None:
    """Give the reason why a sitting does not count in a series; None where it counts."""
    if recorded.invalid is not None:
        return "invalid"
    if recorded.launches < FEWEST_LAUNCHES:
        return "a quick look of one launch"
    return None


def series_of(recorded: Sequence[RecordedSetting]) -> tuple[Series, ...]:
    """Sort recorded settings into series, the series with the latest sitting first; functions are left out."""
    settings = [one for one in recorded if one.setting]
    groups: dict[tuple[object, ...], list[tuple[Setting, RecordedSetting]]] = {}
    for setting, one in zip(settings_alike(settings), settings, strict=True):
        key = (one.machine_key, one.architecture_digest, one.n_rows, setting)
        groups.setdefault(key, []).append((setting, one))
    found = [_series([one for _, one in group], group[0][0]) for group in groups.values()]
    latest = {
        id(series): max(one.started for _, one in group) for series, group in zip(found, groups.values(), strict=True)
    }
    return tuple(sorted(found, key=lambda series: latest[id(series)], reverse=True))


def _series(group: Sequence[RecordedSetting], setting: Setting) -> Series:
    group = sorted(group, key=lambda one: one.started)
    left_out: dict[str, int] = {}
    points = []
    for one in group:
        reason = left_out_for(one)
        if reason is None:
            points.append(point_of(one))
        else:
            left_out[reason] = left_out.get(reason, 0) + 1
    last = group[-1]
    return Series(
        setting=setting,
        machine_key=last.machine_key,
        architecture_digest=last.architecture_digest,
        n_rows=last.n_rows,
        machine=last.machine,
        device_name=last.device_name,
        points=tuple(points),
        left_out=left_out,
        subject=last.subject,
    )
