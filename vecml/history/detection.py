"""Find changes of level: night by night from the sittings known by then, and in hindsight from all sittings.

Night by night: is the level lower since one of the latest sittings than in the sittings before it, back to the last
change? The evidence for each of these places is summed (R. P. Adams and D. J. C. MacKay, "Bayesian online changepoint
detection", 2007, arXiv:0710.3742; with a flat prior of the place). An alarm needs three sittings of the new level.

In hindsight changes are also searched in overlapping windows, which find a dip (S. Kovács et al., "Seeded binary
segmentation", Biometrika 110 (2023), 249-256), and between the known changes (binary segmentation: A. J. Scott and M.
Knott, Biometrics 30 (1974), 507-512). Every change moves to the place with the most evidence between its neighbours; a
change with too little evidence is dropped.

The thresholds come from simulated histories under a noise model of their own (tests/history/calibration.py): Student's
t with 4 degrees of freedom, SD 2 to 4 %, one outlier in twelve, lognormal, and a machine that drifts by a first-order
autoregression. docs/history.md has what they give.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecml.history.canary import FEWEST_SITTINGS as FOR_A_CONTROL
from vecml.history.canary import Cause, Control, cause, control
from vecml.history.evidence import Evidence, total

Floats = NDArray[np.float64]

LEAST_BEFORE = 12  # sittings of the old level
LEAST_AFTER = 3  # of the new one, for an alarm
FEWEST_SITTINGS = LEAST_BEFORE + LEAST_AFTER
WINDOW = 12  # latest sittings in which a night looks for a change; older changes are left to hindsight
SEED_WINDOW = 24
GROWTH = 1.2  # the correction is fitted anew when the number of sittings has grown by this factor

ALARM = 4.9  # logarithm of the odds that a night's alarm takes
SUSPICION = 0.5
HINDSIGHT = 1.0


@dataclass(frozen=True)
class Night:
    """The odds of a change after one sitting, from this sitting and the earlier ones.

    Attributes:
        index: index of the sitting, from 0.
        start: index of the first sitting of the level before the possible change.
        suspicion: log odds of a slowdown whose new level has one sitting or more.
        slower, faster: log odds of a change in this direction whose new level has three sittings or more.
        place: the likeliest first sitting of a slower level, for `suspicion`.
        noticed: the change that was found with this sitting, or None.
    """

    index: int
    start: int
    suspicion: float
    slower: float
    faster: float
    place: int
    noticed: "Noticed | None" = None


@dataclass(frozen=True)
class Noticed:
    """A change that was found on a night.

    Attributes:
        place: the likeliest first sitting of the new level, by the sittings known on that night.
        index: the sitting with which it was found.
        slower: whether the new level is slower; otherwise it is faster.
        cause: the cause, by the sittings known on that night.
    """

    place: int
    index: int
    slower: bool
    cause: Cause


def nights(rate_N: Floats, canary_N: Floats) -> Iterator[Night]:
    """Yield every night that has enough sittings before it; a night uses no later sitting.

    rate_N, canary_N: float64 logarithms in the order of time, canary_N NaN where there is none.
    """
    start = 0
    for first, last in _fits(len(rate_N)):
        fitted = control(rate_N[:first], canary_N[:first])
        evidences = _evidences(rate_N[:last], canary_N[:last], fitted)
        for end in range(first, last + 1 if last == len(rate_N) else last):
            if end - start <= LEAST_BEFORE:
                continue
            night = _night(evidences, start, end)
            if max(night.slower, night.faster) >= ALARM:
                noticed = _noticed(evidences[0], night, rate_N[:end], canary_N[:end], fitted)
                night = replace(night, noticed=noticed)
                start = noticed.place
            yield night


def night_from(rate_N: Floats, canary_N: Floats, start: int) -> Night:
    """Give the night of the last sitting, where the level before it began with the sitting `start`.

    rate_N, canary_N: float64 logarithms in the order of time, canary_N NaN where there is none.
    """
    fitted = control(rate_N, canary_N)
    return _night(_evidences(rate_N, canary_N, fitted), start, len(rate_N))


def hindsight(rate_N: Floats, canary_N: Floats, seen: Sequence[int] = ()) -> tuple[list[int], Evidence, Control]:
    """Find the first sittings of new levels from all sittings, with the evidence and the correction that was used.

    Args:
        rate_N, canary_N: float64 logarithms in the order of time, canary_N NaN where there is none.
        seen: places that the nights found; the search begins with them.
    """
    fitted, n = control(rate_N, canary_N), len(rate_N)
    evidence, *further = _evidences(rate_N, canary_N, fitted)
    places = segmented(evidence, n, seen)
    for other in further:
        edges = [0, *places, n]
        parts = zip(edges, edges[2:], strict=False)
        shown = [place for place, part in zip(places, parts, strict=True) if odds_within(other, *part) >= HINDSIGHT]
        places = _moved(evidence, shown, n)
    return places, evidence, fitted


def segmented(evidence: Evidence, n: int, seen: Sequence[int] = ()) -> list[int]:
    """Find the places of changes among `n` sittings by all of the `evidence`, beginning with the places `seen`."""
    known = [place for place in seen if LEAST_AFTER <= place <= n - LEAST_AFTER]
    places = sorted({*known, *_seeds(evidence, known, n)})
    for _ in range(10):
        before = list(places)
        places = _added(evidence, places, n)
        places = _moved(evidence, places, n)
        if places == before:
            break
    return places


def odds_within(evidence: Evidence, start: int, end: int) -> float:
    """Give the log odds of a change anywhere from `start` to before `end`, every place being equally likely."""
    place_J, log_J = _either(evidence, start, end)
    return total(log_J) - math.log(len(place_J)) if len(place_J) else -math.inf


def place_interval(evidence: Evidence, start: int, place: int, end: int) -> tuple[int, int]:
    """Give the 95 % interval of the change at `place`, by the `evidence` of sittings from `start` to before `end`."""
    place_J, log_J = _either(evidence, start, end)
    if not len(place_J):
        return place, place
    weight_J = np.exp(log_J - log_J.max())
    weight_J /= weight_J.sum()
    low, high = np.searchsorted(np.cumsum(weight_J), (0.025, 0.975))
    return min(place, int(place_J[low])), max(place, int(place_J[min(high, len(place_J) - 1)]))


def _fits(n: int) -> Iterator[tuple[int, int]]:
    """Yield pairs (first, last): a correction fitted to `first` sittings is used until there are `last` sittings."""
    first = LEAST_BEFORE
    while first <= n:
        last = max(first + 1, math.ceil(first * GROWTH))
        if first < FOR_A_CONTROL < last:
            last = FOR_A_CONTROL
        last = min(last, n)
        yield first, last
        if last == n:
            return
        first = last


def _evidences(rate_N: Floats, canary_N: Floats, fitted: Control) -> tuple[Evidence, ...]:
    """Return the evidences that must all show a change: with the fitted correction, and if it is open, with slope 1."""
    own = Evidence(fitted.applied(rate_N, canary_N))
    if not fitted.is_open:
        return (own,)
    return own, Evidence(replace(fitted, slope=1.0).applied(rate_N, canary_N))


def _night(evidences: Sequence[Evidence], start: int, end: int) -> Night:
    place_J = np.arange(max(start + LEAST_BEFORE, end - WINDOW), end)
    found = [evidence.split(start, end, place_J) for evidence in evidences]
    counts_J = place_J <= end - LEAST_AFTER
    return Night(
        index=end - 1,
        start=start,
        suspicion=min(total(split.slower_J) for split in found),
        slower=min(total(split.slower_J[counts_J]) for split in found),
        faster=min(total(split.faster_J[counts_J]) for split in found),
        place=int(place_J[found[0].slower_J.argmax()]),
    )


def _noticed(evidence: Evidence, night: Night, rate_N: Floats, canary_N: Floats, fitted: Control) -> Noticed:
    end, slower = night.index + 1, night.slower >= night.faster
    place_J = np.arange(max(night.start + LEAST_BEFORE, end - WINDOW), end - LEAST_AFTER + 1)
    found = evidence.split(night.start, end, place_J)
    place = int(place_J[(found.slower_J if slower else found.faster_J).argmax()])
    return Noticed(
        place=place,
        index=night.index,
        slower=slower,
        cause=cause(rate_N, canary_N, fitted.slope, night.start, place, end),
    )


def _seeds(evidence: Evidence, known: Sequence[int], n: int) -> list[int]:
    """Find changes in windows of `SEED_WINDOW` sittings without a known change, the clearest change first."""
    windows = []
    for start in range(0, n - SEED_WINDOW + 1, SEED_WINDOW // 4):
        place_J, log_J = _either(evidence, start, start + SEED_WINDOW)
        windows.append((total(log_J) - math.log(len(place_J)), start, int(place_J[log_J.argmax()])))
    found: list[int] = []
    for odds, start, place in sorted(windows, reverse=True):
        if odds >= HINDSIGHT and not any(start < other < start + SEED_WINDOW for other in (*known, *found)):
            found.append(place)
    return found


def _either(evidence: Evidence, start: int, end: int) -> tuple[NDArray[np.intp], Floats]:
    """List the possible places of a change from sitting `start` to before `end`, and the log evidence at each (J,)."""
    place_J = np.arange(start + LEAST_AFTER, end - LEAST_AFTER + 1)
    if end - start < FEWEST_SITTINGS or not len(place_J):
        return place_J[:0], np.empty(0)
    found = evidence.split(start, end, place_J)
    return place_J, np.logaddexp(found.slower_J, found.faster_J)


def _added(evidence: Evidence, places: Sequence[int], n: int) -> list[int]:
    """Return `places` with the changes that have enough evidence in the parts between them, in order."""
    kept = list(places)
    parts = list(itertools.pairwise([0, *places, n]))
    while parts:
        start, end = parts.pop()
        place_J, log_J = _either(evidence, start, end)
        if odds_within(evidence, start, end) >= HINDSIGHT:
            place = int(place_J[log_J.argmax()])
            kept.append(place)
            parts += [(start, place), (place, end)]
    return sorted(kept)


def _moved(evidence: Evidence, places: Sequence[int], n: int) -> list[int]:
    """Move each change to its likeliest place between its neighbours; drop a change with too little evidence."""
    kept = [place for place, following in itertools.pairwise([*places, n]) if following - place >= LEAST_AFTER]
    index = 0
    while index < len(kept):
        start = kept[index - 1] if index else 0
        end = kept[index + 1] if index + 1 < len(kept) else n
        place_J, log_J = _either(evidence, start, end)
        if odds_within(evidence, start, end) >= HINDSIGHT:
            kept[index] = int(place_J[log_J.argmax()])
            index += 1
        else:
            del kept[index]
    return kept
