"""How found changes are held against true ones, and the tables of `make bench-history`."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.history_cases import Case

NEAR = 3  # sittings between a change and where it is told, at most
MARGIN = 5  # of a marked change, as in the benchmark of the Turing Change Point Dataset
Found = Sequence[int]


@dataclass(frozen=True)
class Score:
    """What a detector made of all series of a kind.

    Attributes:
        planted: number of true changes.
        hits: number of them that were told within `NEAR` sittings.
        false: number of changes told that are none.
        alarmed: number of series with a change told that is none.
        off: distances of the hits from the truth, in sittings.
    """

    planted: int
    hits: int
    false: int
    alarmed: int
    off: tuple[int, ...]


def score(cases: Sequence[Case], found: Sequence[Found]) -> Score:
    """Count over the `cases` of one kind and what was `found` in each."""
    planted = hits = false = alarmed = 0
    off: list[int] = []
    for case, places in zip(cases, found, strict=True):
        distances = matched(case.places, places)
        planted += len(case.places)
        hits += len(distances)
        false += len(places) - len(distances)
        alarmed += len(places) > len(distances)
        off += distances
    return Score(planted, hits, false, alarmed, tuple(off))


def matched(true: Found, told: Found) -> list[int]:
    """Give the distances of the pairs of a true and a told place, each in one pair at most, the nearest first."""
    pairs = sorted((abs(one - other), one, other) for one in set(true) for other in set(told))
    distances, used_true, used_told = [], set(), set()
    for distance, one, other in pairs:
        if distance <= NEAR and one not in used_true and other not in used_told:
            distances.append(distance)
            used_true.add(one)
            used_told.add(other)
    return distances


def agreement(annotations: Sequence[Found], told: Found) -> float:
    """Give the F1 of TCPDBench: precision over all marks together, recall as the mean over those who marked.

    The beginning of the series counts as a change that everybody marked and everybody tells.
    Source: G. van den Burg and C. Williams, "An evaluation of change point detection algorithms", 2020,
    arXiv:2003.06222, section 3.
    """
    told_set = {0, *told}
    everybody = {0}.union(*annotations)
    precision = _true_positives(everybody, told_set) / len(told_set)
    recall = statistics.fmean(_true_positives({0, *marks}, told_set) / len({0, *marks}) for marks in annotations)
    return 2 * precision * recall / (precision + recall)


def _true_positives(true: set[int], told: set[int]) -> int:
    """Count the true places that have a told place within `MARGIN`; a told place counts once."""
    left, count = set(told), 0
    for place in sorted(true):
        near = [one for one in left if abs(one - place) <= MARGIN]
        if near:
            left.remove(min(near, key=lambda one: abs(one - place)))
            count += 1
    return count


def table(cases: Sequence[Case], found: Mapping[str, Sequence[Found]]) -> list[str]:
    """Make the lines of the Markdown table: for each kind and detector hits, their distance, and false ones."""
    names = list(found)
    lines = [
        f"| series | changes | {' | '.join(f'{name}: found | none there' for name in names)} |",
        f"|---|---|{'---|---|' * len(names)}",
    ]
    for kind in dict.fromkeys(case.kind for case in cases):
        chosen = [index for index, case in enumerate(cases) if case.kind == kind]
        scores = [score([cases[index] for index in chosen], [found[name][index] for index in chosen]) for name in names]
        cells = " | ".join(_cells(one, len(chosen)) for one in scores)
        lines.append(f"| {kind} | {scores[0].planted or 'none'} | {cells} |")
    return lines


def _cells(one: Score, series: int) -> str:
    hits = f"{one.hits} (off by {statistics.fmean(one.off):.1f})" if one.hits else "0" if one.planted else "-"
    return f"{hits} | {one.alarmed} of {series}"


def agreement_table(cases: Sequence[Case], found: Mapping[str, Sequence[Found]]) -> list[str]:
    """Make the lines of the table of recorded series that people marked: the mean F1 of each detector."""
    lines = ["| detector | F1, mean | F1, median | changes told |", "|---|---|---|---|"]
    marked = [sum(map(len, case.annotations)) / len(case.annotations) for case in cases]
    for name, places in found.items():
        values = [agreement(case.annotations, those) for case, those in zip(cases, places, strict=True)]
        told = sum(map(len, places))
        lines.append(f"| {name} | {statistics.fmean(values):.2f} | {statistics.median(values):.2f} | {told} |")
    lines.append(f"| (those who marked, in the mean) | | | {sum(marked):.0f} |")
    return lines
