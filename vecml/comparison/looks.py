"""Commands that are measured until it is shown whether they differ: a few looks at what is there, with a shared error.

After some launches the verdicts are asked for; where they decide nothing, more launches follow, up to the next look.
Each look is one more chance to take noise for a difference, so each has a part of the error that all may make
(Bonferroni): however the looks depend on each other, all of them together make it no more often.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vecml.comparison.comparison import Comparison, families
from vecml.comparison.demand import DECIDED, Demand, answer
from vecml.comparison.halving import Gap, Question
from vecml.measure.records import Measured
from vecml.measure.verdict import Rules, Verdict, judge
from vecml.statistics import bonferroni

AFTER = (4, 6, 9, 14, 20, 30, 45)  # launches
ROUNDS = 12  # most rounds of a launch: fresh processes say more than further blocks of the same ones


@dataclass(frozen=True)
class Looks:
    """How often, and at which level, a measurement is asked whether it is enough.

    Attributes:
        level: significance level of the verdicts at each look; all arms share it.
        decided: whether the verdicts of what is measured so far decide what is asked.
        after: the launches after which it is asked, ascending; the last is the largest number of launches.
    """

    level: float
    decided: Callable[[Measured, Rules], bool]
    after: tuple[int, ...] = AFTER

    def enough(self, measured: Measured, rules: Rules) -> bool:
        """Whether to stop after these launches. Asks at the looks alone, whatever lies between them."""
        return measured.launches in self.after and self.decided(measured, rules)


def looks_for(question: Question, names: Sequence[str], least: float = 1.0) -> Looks:
    """Plan the looks of one step of a search.

    Args:
        question: what is asked; its error is shared by all looks, and by one more where the time ends between two.
        names: the commands of the question's places.
        least: how many times as long the slower one must take at least.
    """

    def decided(measured: Measured, rules: Rules) -> bool:
        if any(arm.failure is not None for arm in measured.arms if arm.role != "limit"):
            return True
        verdicts = {one.arm: one for family in judge(measured, rules) for one in family.verdicts}
        return settled(gaps_of(question, names, verdicts, rules.gate, least))

    return Looks(bonferroni(question.error, len(AFTER) + 1), decided)


def order_of(question: Question, names: Sequence[str]) -> list[str]:
    """The commands as they are measured, the baseline first: the middle one, which is held against both ends."""
    return list(names) if question.middle is None else [names[1], names[0], names[2]]


def settled(gaps: Sequence[Gap]) -> bool:
    """Whether gaps decide a step: that of two ends either way, those round a middle where one of them is a slowdown."""
    return gaps[0].shown is not None if len(gaps) == 1 else any(gap.shown for gap in gaps)


def gaps_in(question: Question, names: Sequence[str], comparison: Comparison, least: float = 1.0) -> tuple[Gap, ...]:
    """Read off a whole comparison what it shows of the gaps between a question's places.

    Args:
        question, names, least: as in `looks_for`.
        comparison: of the commands in `order_of`.
    """
    verdicts = {one.arm: one for family in families(comparison) for one in family.verdicts}
    return gaps_of(question, names, verdicts, comparison.rules.gate, least)


def gaps_of(
    question: Question, names: Sequence[str], verdicts: dict[str, Verdict], gate: float, least: float = 1.0
) -> tuple[Gap, ...]:
    """Read off verdicts what they show of the gaps between a question's places.

    Args:
        question, names: as in `looks_for`.
        verdicts: by the arm's name, against the baseline that `order_of` says.
        gate: by which identical code may differ here.
        least: as in `looks_for`.
    """
    if question.middle is None:
        return (_later(verdicts[names[1]], gate, least),)
    return _earlier(verdicts[names[0]], gate, least), _later(verdicts[names[2]], gate, least)


def _later(verdict: Verdict, gate: float, least: float) -> Gap:
    """The gap where the later one was held against the earlier one."""
    met = answer(Demand(1 / least, equal_will_do=True), verdict, gate)
    shown = None if met is None else not met
    if verdict.ratio is None:
        return Gap(shown, verdict=verdict.verdict, reason=verdict.reason)
    low, high = (None if end is None else 1 / end for end in (verdict.ratio_high, verdict.ratio_low))
    return Gap(shown, 1 / verdict.ratio, low, high, verdict.verdict, verdict.reason)


def _earlier(verdict: Verdict, gate: float, least: float) -> Gap:
    """The gap where the earlier one was held against the later one, by the same bounds as in `_later`."""
    shown: bool | None = None
    if verdict.verdict in DECIDED and verdict.ratio is not None and verdict.ratio_low is not None:
        if least == 1.0:
            shown = {"faster": True, "slower": False, "equivalent": False}.get(str(verdict.verdict))
        elif verdict.ratio_low > least and verdict.ratio > least * (1 + gate):
            shown = True
        elif verdict.ratio_high is not None and verdict.ratio_high <= least:
            shown = False
    return Gap(shown, verdict.ratio, verdict.ratio_low, verdict.ratio_high, verdict.verdict, verdict.reason)
