"""The table of functions and of commands: seconds of a call, and what the kernel counted of each start."""

from collections.abc import Mapping, Sequence
from typing import Any

from vecml.comparison.comparison import ArmFigures, Comparison, median_call_seconds
from vecml.comparison.starts import PRICE
from vecml.foreign_text import clean
from vecml.measure.claim import claim_of
from vecml.measure.verdict import Family
from vecml.numbers import count, megabytes, percent, seconds

OF_EVERY_CALL = ("time", "ratio", "interval", "verdict")
OF_STARTS = ("user", "system", "memory")
NO_ANSWER = "no answer"
WORTH_TELLING = 0.05  # share of a start's time that the start of any process takes: from here on it is told


def headings(comparison: Comparison) -> tuple[str, ...]:
    """The table's headings; the first names what is compared."""
    return (comparison.noun, *OF_EVERY_CALL, *(OF_STARTS if comparison.noun == "command" else ("memory",)))


def call_seconds(arm: ArmFigures) -> float | None:
    """Seconds of a call at the median block; None where nothing was measured."""
    return 1 / arm.rows_per_s if arm.rows_per_s else None


def row(arm: ArmFigures, comparison: Comparison, ratio: tuple[str, str], verdict: str) -> tuple[str, ...]:
    """Write the cells of one arm of a `comparison`; `ratio` is the ratio with its interval, `verdict` the word."""
    first = (arm.name, seconds(call_seconds(arm)), *ratio, verdict)
    if comparison.noun == "function":
        return (*first, megabytes(arm.peak_rss_bytes))
    counted = (seconds(_number(arm.facts, key)) for key in ("user_seconds", "system_seconds"))
    return (*first, *counted, _memory(arm.peak_rss_bytes))


def remarks(comparison: Comparison, arms: Mapping[str, ArmFigures]) -> list[str]:
    """A line for everything about the starts that the table does not say."""
    lines = []
    for arm in arms.values():
        codes = [code for code in arm.facts.get("exit_codes") or () if code != 0]
        if codes:
            times = " at times" if 0 in arm.facts["exit_codes"] else ""
            told = " or ".join(map(str, codes))
            lines.append(f"{arm.name}: its exit code was {told}{times}, which was to be ignored")
        left = _number(arm.facts, "left_processes")
        if left:
            lines.append(f"{arm.name}: its starts left {count(int(left), 'process')} behind, which were ended")
    return lines + _price(comparison, arms)


def by_size(families: Sequence[Family], arms: Mapping[str, ArmFigures]) -> list[str]:
    """One line that names the fastest function for each input, where verdicts show it and inputs have names."""
    told: list[tuple[str, str]] = []
    for family in families:
        claim, size = claim_of(family), arms[family.baseline].facts.get("size")
        if size is None:
            return []
        among = claim.leading if claim.shown else ()
        names = sorted(str(arms[name].facts.get("function", name)) for name in among if name in arms)
        told.append((" or ".join(names) or NO_ANSWER, str(size)))
    if len(told) < 2 or all(names == NO_ANSWER for names, _ in told):
        return []
    return ["fastest by input: " + "; ".join(f"{size}: {names}" for names, size in told)]


def _price(comparison: Comparison, arms: Mapping[str, ArmFigures]) -> list[str]:
    """What it costs here to start any process, as a share of the shortest time in which it is."""
    price = next((median_call_seconds(arm) for arm in comparison.measured.arms if arm.name == PRICE), None)
    times = {name: taken for name, arm in arms.items() if (taken := call_seconds(arm))}
    if price is None or not times:
        return []
    name = min(times, key=lambda one: times[one])
    share = price / times[name]
    if share < WORTH_TELLING:
        return []
    told = "nearly all" if share > 0.9 else percent(share, 0)  # above 1 by chance alone
    return [f"starting any process takes {seconds(price)} here, which is {told} of the time of {clean(name)}"]


def _memory(n_bytes: int | None) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes is not None and n_bytes < 1e7 else megabytes(n_bytes)


def _number(facts: Mapping[str, Any], key: str) -> float | None:
    value = facts.get(key)
    return float(value) if isinstance(value, int | float) else None
