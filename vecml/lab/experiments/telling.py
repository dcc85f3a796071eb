"""Figures as the experiments' sentences write them, and what a verdict allows them to say."""

from vecml.lab.experiment import Cell
from vecml.lab.numbers import number, times

__all__ = ["against", "amount", "number", "seconds", "size", "times"]


def seconds(value: float | None) -> str:
    """`12.3 us`, `4.56 ms`, `1.2 s`."""
    if value is None:
        return "no time"
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


def size(n_bytes: float) -> str:
    """`64 KiB`, `1.5 MiB`."""
    for shift, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if n_bytes >= 1 << shift:
            return f"{n_bytes / (1 << shift):.3g} {name}"
    return f"{n_bytes:.0f} B"


def amount(value: float) -> str:
    """A count: `1,000`."""
    return f"{value:,.0f}"


def against(cell: Cell | None) -> str:
    """`7.9 times as fast (faster)`: a ratio with its verdict's word, or that there is none."""
    if cell is None:
        return "not measured"
    if cell.ratio is None:
        return f"not to be told ({cell.failure or 'no pairs'})"
    return f"{times(cell.ratio)} times as fast ({cell.word or 'no verdict'})"
