"""Numbers that may mean something else: 999 for a missing value, 1.037 for a thousand where commas are decimal marks.

Nothing is decided: they are told, because only the user can know.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from vecml.data.findings import Findings, Step
from vecml.data.table import Column
from vecml.numbers import count

LOW = frozenset({-1.0, *(1.0 - 10.0**digits for digits in range(1, 8))})  # -9, -99, -999 ...
HIGH = frozenset(10.0**digits - 1 for digits in range(2, 8))  # 99, 999, 9999 ...
FEWEST_ROWS = 2
MOST_OF_A_COLUMN = 3
THOUSAND = 1_000


def tell_doubts(columns: Sequence[Column], classes: Collection[str], findings: Findings) -> None:
    """Tell the numbers that may stand for a missing value (VML046), and decimals that may be thousands (VML035).

    Args:
        columns: that are used.
        classes: names of the classes: what is one of them cannot be declared as missing.
        findings: is told.
    """
    numbers = [column for column in columns if column.kind == "number" and not column.reading.date]
    for column in numbers:
        for value, rows, why in stand_ins(column.values_N):
            text = f"{value:.0f}"
            step = Step({"missing": (text,)}, "lets it count as missing, in every column")
            what = f"has {text} in {count(rows, 'row')}, {why}: is that a missing value?"
            findings.decided("VML046", column.name, what, {}, () if text in classes else (step,))
    with_comma = [column.name for column in numbers if column.reading.number.decimal == ","]
    for column in numbers if with_comma else ():
        if column.reading.number.is_plain and may_be_thousands(column.values_N):
            what = (
                f"read as numbers with a decimal point, though {with_comma[0]!r} has a decimal comma:"
                " remove the points from the file where they stand between thousands"
            )
            findings.decided("VML035", column.name, what, {})


def stand_ins(values_N: NDArray[np.generic]) -> list[tuple[float, int, str]]:
    """The numbers of a column that may stand for a missing value, each with its rows and why it is thought to.

    It is -1, or digits that are all nines, at an end of the column's values (N,), in two rows or more. Either it is
    further from all others than they are from each other; or it is the only one below zero, and the others are not
    just 0 and 1. Of 99 among ages up to 90 nothing is told.
    """
    found: list[tuple[float, int, str]] = []
    left = values_N[~np.isnan(values_N.astype(np.float64))] if _ends_oddly(values_N) else values_N[:0]
    while len(left) and len(found) < MOST_OF_A_COLUMN:
        low, high = float(left.min()), float(left.max())
        odd = next((made for end in (low, high) if (made := _judged(left, end))), None)
        if odd is None:
            break
        found.append(odd)
        left = left[left != odd[0]]
    return found


def _ends_oddly(values_N: NDArray[np.generic]) -> bool:
    """Whether the least or the greatest value is one of those that are looked for: nearly every column is done here."""
    if not len(values_N):
        return False
    return float(np.fmin.reduce(values_N)) in LOW or float(np.fmax.reduce(values_N)) in HIGH


def _judged(values_N: NDArray[np.generic], end: float) -> tuple[float, int, str] | None:
    """The least or the greatest of the values, with its rows and a reason, where it may stand for a missing one."""
    if end not in LOW | HIGH:
        return None
    others = values_N[values_N != end]
    rows = len(values_N) - len(others)
    if rows < FEWEST_ROWS or not len(others):
        return None
    least, greatest = float(others.min()), float(others.max())
    if end in LOW and least >= 0 and (greatest > 1 or bool((others != np.floor(others)).any())) and greatest > least:
        return end, rows, "and nothing else below 0"
    if end != -1 and 0 < greatest - least < min(abs(end - least), abs(end - greatest)):
        return end, rows, "far from its other values"
    return None


def may_be_thousands(values_N: NDArray[np.generic]) -> bool:
    """Whether numbers (N,) have three decimals at most, half of them three, and none lies between 0 and 1.

    `1.037` and `980` beside each other are 1,037 and 980 where a point stands between thousands; `0.037` is none.
    """
    size_N: NDArray[np.float64] = np.abs(values_N.astype(np.float64))
    size_N = size_N[~np.isnan(size_N)]
    if not len(size_N) or size_N.max() >= THOUSAND or bool(((size_N > 0) & (size_N < 1)).any()):
        return False
    thousands_N = size_N * THOUSAND
    is_whole_N = np.abs(thousands_N - np.round(thousands_N)) < 1e-6 * np.maximum(1, thousands_N)
    needs_three_N = np.abs(size_N * 100 - np.round(size_N * 100)) > 1e-6
    return bool(is_whole_N.all() and needs_three_N.mean() >= 0.5)
