"""Numbers for people: seconds as ms, rates as Mrow/s, shares as per cent. Inside vecml everything is SI."""


def seconds(value: float) -> str:
    """A duration: `820 µs`, `12.3 ms`, `4.56 s`, `3 min 20 s`."""
    if value < 1e-3:
        return f"{value * 1e6:.3g} µs"
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    if value < 99.5:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def rate(rows_per_s: float) -> str:
    """Rows a second: `950 row/s`, `35.2 krow/s`, `212 Mrow/s`."""
    for factor, unit in ((1e6, "Mrow/s"), (1e3, "krow/s")):
        if rows_per_s >= factor:
            return f"{_three(rows_per_s / factor)} {unit}"
    return f"{_three(rows_per_s)} row/s"


def percent(share: float) -> str:
    """A share as per cent with one decimal: `97.1 %`."""
    return f"{share * 100:.1f} %"


def count(value: int, noun: str) -> str:
    """`1 row`, `1,000 rows`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def times(ratio: float | None) -> str:
    """`3.72`, `1,194`; below a tenth two significant figures: `0.00083`; of none `-`."""
    if ratio is None:
        return "-"
    if ratio >= 1_000:
        return f"{ratio:,.0f}"
    return f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.2g}"


def _three(value: float) -> str:
    """Three significant digits without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
