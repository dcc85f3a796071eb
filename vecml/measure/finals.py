"""The finalists of a comparison: measured afresh, so that none is praised by the figures that picked it.

Of seven equal settings the one with the highest rate seems 2 % faster than it is, in the figures by which it was picked
(simulated, at a spread of 3 % a process). Fresh launches know nothing of the choice.
"""

from dataclasses import replace

from vecml.measure.claim import claim_of, counts
from vecml.measure.verdict import Family

MOST_FINALISTS = 4


def finalists(family: Family) -> tuple[str, ...]:
    """The settings that are to be measured afresh beside the baseline, the highest ratio first; at most four.

    They are those of which one may be the fastest. There are none where two settings were compared, of which neither
    was picked, and where no verdict leaves another setting than the baseline in front.
    """
    if len(family.verdicts) < 2:
        return ()
    ratios = {one.arm: one.ratio or 0.0 for one in family.verdicts}
    names = [name for name in claim_of(family).leading if name != family.baseline]
    return tuple(sorted(names, key=lambda name: ratios[name], reverse=True)[:MOST_FINALISTS])


def with_finals(family: Family, fresh: Family | None) -> Family:
    """The family with the finalists' verdicts from their fresh launches alone.

    Args:
        family: the verdicts of the measurement that picked the finalists.
        fresh: the verdicts of the fresh launches, against the same baseline; None: there were none.

    Where one of the fresh verdicts does not count (the machine was disturbed, say), the family stays as it is. One
    that is invalid altogether, because it failed afresh, takes nothing from the others.

    The setting that is quoted is the one that was picked as the best, unless the fresh launches show another to be
    faster: to pick the best once more by the fresh figures would praise it too much once more.
    """
    groups = {one.arm: one.group for one in family.verdicts if counts(one)}
    again = () if fresh is None else [one for one in fresh.verdicts if one.arm in groups]
    if fresh is None or fresh.best is None or not again or not all(map(counts, again)):
        return family
    anew = {one.arm: replace(one, group=groups[one.arm]) for one in again}
    judged = {fresh.baseline, *anew}
    tied = {*fresh.tied, *(name for name in family.tied if name not in judged)}
    names = (family.baseline, *(one.arm for one in family.verdicts))
    return replace(
        family,
        verdicts=tuple(anew.get(one.arm, one) for one in family.verdicts),
        best=family.best if family.best in fresh.tied else fresh.best,
        tied=tuple(name for name in names if name in tied),
        first=tuple(one for one in family.verdicts if one.arm in anew),
    )
