"""Which classes a table has enough rows for: rare ones are left out or merged, and what cannot be split is refused."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vecml.data.advice import OFFERED_BINS, Advice
from vecml.data.findings import Findings
from vecml.data.remedy import flags
from vecml.data.selection import listed
from vecml.data.table import MISSING_CODE
from vecml.errors import DataError
from vecml.numbers import count, plural

MOST_CLASSES = 1_000
MERGED = "other"
FEWEST_ROWS = 2  # one to train on, one to test with
OFFERED_ROWS = 10
SEVERAL_NUMBERS = 10  # a target of more distinct numbers is better cut than robbed of its rare ones


def without_rare(
    label_N: NDArray[np.int64],
    classes: tuple[str, ...],
    fewest: int,
    what: Literal["drop", "merge"],
    target: str,
    findings: Findings,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Leave out the rows of classes that have fewer than `fewest` rows, or merge them into one class, `other`.

    Args:
        label_N: class indices (N,), -1 where missing.
        classes: their names.
        fewest: rows that a class must have. Merged classes that have fewer together are left out.
        what: `drop` or `merge`.
        target: name of the label's column.
        findings: is told which classes and how many rows.

    Returns:
        The labels, -1 where a row is left out, and the names of the classes that are left; `other` is the last.
    """
    count_C = np.bincount(label_N[label_N != MISSING_CODE], minlength=len(classes))
    rare_C = (count_C < fewest) & (count_C > 0)
    kept = np.flatnonzero(~rare_C & (count_C > 0))
    if not rare_C.any():
        return label_N, classes
    n_rows = int(count_C[rare_C].sum())
    names = [classes[i] for i in np.flatnonzero(rare_C)]
    merged = what == "merge" and n_rows >= fewest
    left = tuple(classes[i] for i in kept)
    other = MERGED if MERGED not in left else f"{MERGED} classes"
    said = f"{'class' if len(names) == 1 else plural('class')} {listed(names)} of {target!r}"
    done = f"merged into {other!r}" if merged else "dropped"
    findings.decided(
        "VML044", None, f"{said} with fewer than {count(fewest, 'row')} {done}: {count(n_rows, 'row')}", {}
    )
    recode_C = np.full(len(classes) + 1, MISSING_CODE, np.int64)
    recode_C[kept] = np.arange(len(kept))
    if merged:
        recode_C[:-1][rare_C] = len(kept)
        left = (*left, other)
    return recode_C[label_N], left


def check_fewest(
    label_N: NDArray[np.int64], classes: tuple[str, ...], fewest: int, target: str, advice: Advice
) -> None:
    """Refuse a bound on the rows of a class that leaves fewer than two classes of a target that has more.

    Args:
        label_N: class indices (N,), int64, -1 where missing.
        classes: their names.
        fewest: rows that a class must have.
        target: name of the label's column.
        advice: for the hint of the refusal.

    Raises:
        DataError: it does.
    """
    count_C = np.sort(np.bincount(label_N[label_N != MISSING_CODE], minlength=len(classes)))
    kept, there = int((count_C >= fewest).sum()), int((count_C > 0).sum())
    if kept < 2 <= there:
        asked, left = flags({"min_class_rows": fewest}), "no class" if not kept else "only one class"
        second = int(count_C[-2])
        raise DataError(
            f"{asked}: {left} of {target!r} has {fewest:,} rows or more, of {there:,} classes",
            f"the second largest has {count(second, 'row')}: {advice.command({'min_class_rows': second})}",
        )


def check_classes(
    label_N: NDArray[np.int64], classes: tuple[str, ...], target: str, source: str, advice: Advice
) -> None:
    """Refuse labels that are of no class, of one class only, or of too many.

    Args:
        label_N: class indices (N,), int64, without a missing one.
        classes: their names.
        target: name of the label's column.
        source: of the table, for people.
        advice: for the hint of the refusal.

    Raises:
        DataError: they are.
    """
    if not len(label_N):
        raise DataError(f"target {target!r} has no value in any row of {source}", advice.another_target())
    count_C = np.bincount(label_N, minlength=len(classes))
    present = np.flatnonzero(count_C)
    if len(present) < 2:
        where = f"all {len(label_N):,} rows" if len(label_N) > 1 else "the only row"
        raise DataError(
            f"target {target!r} has one class only: {classes[present[0]]!r} in {where}", advice.another_target()
        )
    if len(present) <= MOST_CLASSES:
        return
    common = int((count_C >= OFFERED_ROWS).sum())
    hint = advice.another_target()
    if 2 <= common <= MOST_CLASSES:
        hint = f"keep the {common:,} classes that have {OFFERED_ROWS} rows: {_command(count_C, OFFERED_ROWS, advice)}"
    raise DataError(
        f"target {target!r} has {len(present):,} distinct values; a classifier takes at most {MOST_CLASSES:,} classes",
        hint,
    )


def rows_for_testing(
    count_C: NDArray[np.int64],
    classes: tuple[str, ...],
    test_fraction: float,
    advice: Advice | None = None,
) -> NDArray[np.int64]:
    """Count the test rows of each class (C,): its share by largest remainder, at least 1 and at most all but 1.

    Args:
        count_C: rows of each class.
        classes: their names.
        test_fraction: share of the rows for the test part, 0 to 1.
        advice: for the hint of a refusal.

    Raises:
        DataError: a class has a single row, or the fraction leaves a part without some class.
    """
    advice = advice or Advice()
    n_rows, n_classes = int(count_C.sum()), len(classes)
    few = [f"{name!r} has {count}" for name, count in zip(classes, count_C, strict=True) if count < FEWEST_ROWS]
    if few:
        if n_classes > SEVERAL_NUMBERS and all(map(_is_number, classes)):
            hint = f"to cut the numbers into classes: {advice.command({'bins': OFFERED_BINS})}"
        elif (count_C >= FEWEST_ROWS).sum() >= 2 and (few_rows := int((count_C == 1).sum())) < n_rows / 2:
            hint = f"to leave them out, {few_rows:,} of {count(n_rows, 'row')}: "
            hint += _command(count_C, FEWEST_ROWS, advice, test_fraction)
        else:
            hint = advice.another_target("most rows have a class of their own; name another column")
        raise DataError(_too_few(few), hint)
    n_test = round(n_rows * test_fraction)
    given, fraction = flags({"test_fraction": test_fraction}), _fitting_fraction(n_rows, n_classes, test_fraction)
    if n_test < n_classes:
        raise DataError(
            f"{given}: a test part of {count(n_test, 'row')} cannot hold {n_classes} classes",
            f"use at least {fraction:g}: {advice.command({'test_fraction': fraction})}",
        )
    if n_rows - n_test < n_classes:
        raise DataError(
            f"{given}: a training part of {count(n_rows - n_test, 'row')} cannot hold {n_classes} classes",
            f"use at most {fraction:g}: {advice.command({'test_fraction': fraction})}",
        )
    share_C = count_C * (n_test / n_rows)
    test_C: NDArray[np.int64] = np.clip(np.floor(share_C).astype(np.int64), 1, count_C - 1)
    while (short := n_test - int(test_C.sum())) != 0:
        # The class furthest from its share gains or loses a row, as long as it may; the first of several.
        may = test_C < count_C - 1 if short > 0 else test_C > 1
        gap_C = np.where(may, np.sign(short) * (share_C - test_C), -np.inf)
        test_C[gap_C.argmax()] += np.sign(short)
    return test_C


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _command(count_C: NDArray[np.int64], fewest: int, advice: Advice, test_fraction: float | None = None) -> str:
    """The command that leaves out rare classes, with a test part that holds those that are left."""
    left = count_C[count_C >= fewest]
    if test_fraction is None and advice.config is not None:
        test_fraction = advice.config.test_fraction
    changes: dict[str, Any] = {"min_class_rows": fewest}
    if test_fraction is not None:
        fraction = _fitting_fraction(int(left.sum()), len(left), test_fraction)
        changes |= {} if fraction == test_fraction else {"test_fraction": fraction}
    return advice.command(changes)


def _fitting_fraction(n_rows: int, n_classes: int, fraction: float) -> float:
    """The fraction, or the next one with few digits with which both parts can hold every class."""
    n_test = round(n_rows * fraction)
    if n_test < n_classes:
        return _short_fraction(n_classes / n_rows, math.ceil)
    if n_rows - n_test < n_classes:
        return _short_fraction(1 - n_classes / n_rows, math.floor)
    return fraction


def _too_few(few: list[str]) -> str:
    if len(few) == 1:
        return f"class {few[0]} row; the split needs at least 2"
    shown = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
    return f"classes with fewer than 2 rows cannot be split: {shown}"


def _short_fraction(fraction: float, direction: Callable[[float], int]) -> float:
    """Round a fraction up or down (math.ceil or math.floor) to few digits, but not to 0 or 1, nor far off."""
    for digits in range(2, 12):
        rounded: float = direction(fraction * 10**digits) / 10**digits
        if 0 < rounded < 1 and abs(rounded - fraction) < 0.25 * min(fraction, 1 - fraction):
            return rounded
    return fraction
