"""What is demanded of a speed, and whether a verdict shows that it is met, that it is missed, or neither.

A test that must be faster than another, and `--fail-if`, ask here, so that none of them accuses without a verdict.
"""

from dataclasses import dataclass

from vecml.errors import SettingError
from vecml.measure.verdict import Verdict

DECIDED = ("faster", "slower", "equivalent", "undetected")  # words of verdicts that hold without a condition
FORMS = "slower, slower:5% or not-faster"


@dataclass(frozen=True)
class Demand:
    """Holds the least rate that is demanded, as a multiple of the baseline's.

    Attributes:
        least: the multiple; 1 is the baseline's own rate.
        equal_will_do: at a multiple of 1, whether two that are shown to be the same meet the demand.
    """

    least: float = 1.0
    equal_will_do: bool = False


def answer(demand: Demand, verdict: Verdict, gate: float) -> bool | None:
    """Say whether a verdict shows that the demand is met (True) or missed (False); None where it shows neither.

    Met: the whole interval is above the multiple. Missed: the whole interval is below it, and the estimate by more than
    the `gate`, by which identical code may differ here. A verdict that is invalid or has a condition shows nothing.
    """
    if verdict.verdict not in DECIDED or verdict.ratio is None or verdict.ratio_low is None:
        return None
    if demand.least == 1.0:
        if verdict.verdict == "undetected":
            return None
        return verdict.verdict == "faster" or (demand.equal_will_do and verdict.verdict == "equivalent")
    if verdict.ratio_low >= demand.least:
        return True
    high = verdict.ratio_high
    missed = high is not None and high < demand.least and verdict.ratio < demand.least / (1 + gate)
    return False if missed else None


def words(verdict: Verdict) -> str:
    """Say what was measured in one clause: the ratio with its interval, and the verdict with its reason."""
    if verdict.ratio is None:
        return f"{verdict.verdict}: {verdict.reason}"
    interval = ""
    if verdict.ratio_low is not None and verdict.ratio_high is not None:
        interval = f" ({verdict.ratio_low:.2f} to {verdict.ratio_high:.2f})"
    return f"{verdict.ratio:.2f} times as fast{interval}: {verdict.verdict or 'no verdict'}: {verdict.reason}"


def demand_of(text: str) -> Demand:
    """Read what `--fail-if` takes: `slower`, `slower:5%` or `not-faster`. Raises SettingError for anything else."""
    word, colon, size = text.strip().partition(":")
    if word == "not-faster" and not colon:
        return Demand(1.0)
    if word == "slower" and not colon:
        return Demand(1.0, equal_will_do=True)
    share = share_of(size)
    if word != "slower" or share is None:
        raise SettingError(f"--fail-if {text}: none of {FORMS}", "--fail-if slower:5%")
    return Demand(1 / (1 + share), equal_will_do=True)


def share_of(text: str) -> float | None:
    """Read `5%` as 0.05; None for what is no percentage above 0 and below 1,000."""
    if not text.endswith("%"):
        return None
    try:
        found = float(text[:-1]) / 100
    except ValueError:
        return None
    return found if 0 < found < 10 else None
