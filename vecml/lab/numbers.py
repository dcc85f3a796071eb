"""Numbers as the ladder and the lab write them: three figures, and units that people read."""


def number(value: float) -> str:
    """`93.4M`, `1.27k`, `412`: three figures."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def times(value: float | None) -> str:
    """A ratio: `1,234`, `12.3`, `1.04`."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def share(value: float) -> str:
    """A share of the limit: `61%`, `0.04%`."""
    return f"{value:.0%}" if value >= 0.1 else f"{100 * value:.2g}%"
