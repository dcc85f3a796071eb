"""The one way in which vecml writes a number for people.

Inside vecml a figure is in SI units, and a share is between 0 and 1. Only here they become text. A figure that is not
known is None, and its text is `-`.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec

UNKNOWN = "-"
LONGEST_WHOLE = 18  # digits
MOST_DIGITS = 4  # decimals of a percentage that would otherwise read 0 or 100
P = ParamSpec("P")


def _figure(write: Callable[Concatenate[float, P], str]) -> Callable[Concatenate[float | None, P], str]:
    """Write a figure that is not known as `-`, and one that is no finite number as `nan`, `inf` or `-inf`."""

    @functools.wraps(write)
    def text(value: float | None, /, *more: P.args, **named: P.kwargs) -> str:
        if value is None:
            return UNKNOWN
        return write(value, *more, **named) if math.isfinite(value) else str(float(value))

    return text


@_figure
def number(value: float) -> str:
    """A large number in three figures: `93.4M`, `1.27k`, `412`."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if _reaches(abs(value), unit):
            return f"{_short(value / unit)}{letter}"
    return _short(value)


def finite_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with None for numbers that JSON does not have (infinity, NaN)."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def whole(text: str) -> int | None:
    """The number that up to 18 decimal digits write; None for any other text, such as `²`, to Python a digit."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_WHOLE else None


def count(value: int, noun: str) -> str:
    """How many things there are: `1 row`, `1,000 rows`, `2 launches`."""
    return f"{value:,} {noun if value == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The regular English plural: `rows`, `launches`, `boxes`, `categories`, `days`."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


@_figure
def times(ratio: float) -> str:
    """A ratio in three figures: `1,194`, `37.2`, `3.72`, `0.10`; in two below a tenth: `0.00083`."""
    return _three(ratio)


@_figure
def rate(per_second: float, noun: str = "row") -> str:
    """Rows a second, or other things: `950 rows/s`, `35.2 krow/s`, `212 Mrow/s`."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if _reaches(per_second, unit):
            return f"{_three(per_second / unit)} {letter}{noun}/s"
    return f"{_three(per_second)} {plural(noun)}/s"


@_figure
def seconds(value: float) -> str:
    """A duration: `35 ns`, `820 µs`, `12.3 ms`, `4.56 s`, `3 min 20 s`."""
    if value >= 99.5:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest} s"
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if _reaches(value, unit):
            return f"{_short(value / unit)} {name}"
    return f"{value * 1e9:.3g} ns" if value else "0 s"


@_figure
def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage: `97.1 %`.

    A share that is not quite all is never written as all, and one that is not quite nothing is never written as
    nothing: such a share gets more decimals (`99.98 %`, `0.03 %`), and at last a bound (`> 99.9999 %`).

    Args:
        share: 1 is all; it may be negative or above 1.
        digits: decimals that an ordinary share gets.
    """
    share += 0.0  # -0.0 is 0
    for decimals in range(digits, MOST_DIGITS + 1):
        text = f"{share * 100:.{decimals}f}"
        if share in (0, 1) or (abs(share) * 100 >= 10.0**-decimals and abs(float(text)) != 100):
            return f"{text} %"
    is_large = abs(share) > 0.5
    bound = 100 - 10.0**-MOST_DIGITS if is_large else 10.0**-MOST_DIGITS
    return f"{'>' if is_large == (share > 0) else '<'} {math.copysign(bound, share):.{MOST_DIGITS}f} %"


@_figure
def score(value: float, digits: int = 3) -> str:
    """A score between 0 and 1, or a loss: `0.971`.

    It gets more decimals where it would otherwise read 0 or 1 (`0.9998`); a tiny loss gets an exponent (`2.1e-09`).
    """
    for decimals in range(digits, 2 * digits + 1):
        text = f"{value:.{decimals}f}"
        if value in (0, 1) or float(text) not in (0, 1):
            return text
    return f"{value:.2g}" if value < 0.5 else f"> {1 - 10.0**-decimals:.{decimals}f}"


@_figure
def size(n_bytes: float) -> str:
    """Bytes of an array or a cache, in units of 1,024: `64 KiB`, `1.5 MiB`."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n_bytes >= unit:
            return f"{_short(n_bytes / unit)} {name}"
    return f"{n_bytes:.0f} B"


@_figure
def megabytes(n_bytes: float) -> str:
    """Bytes of a process's memory, in the unit of the logged metrics (1 MB is 1,000,000 bytes): `212 MB`."""
    return f"{n_bytes / 1e6:,.0f} MB"


def _three(value: float) -> str:
    """Three figures or more: `1,194`, `37.2`, `3.72`; two for what is below a tenth: `0.00083`."""
    if value >= 99.95:
        return f"{value:,.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.095 or value == 0 else f"{value:.2g}"


def _short(value: float) -> str:
    """Write a number with at most three significant digits, without zeros at the end: `412`, `1.5`, `3`."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def _reaches(value: float, unit: float) -> bool:
    """Whether the value, rounded to three figures, is at least one such unit."""
    return value >= 0.9995 * unit
