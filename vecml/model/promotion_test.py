"""Whether a model may take the champion's place: by the test rows that just one of the two has right. Pure.

As many rows right or more: it may. Fewer: only where chance explains that (McNemar's exact test, 5 %) and a loss of a
percentage point or more is excluded (Tango's score test, 5 %). The first test alone would let any loss pass on a small
test part, because nothing is significant there; the second alone would let a certain loss of half a point pass on a
large one. Both look at pairs: the same rows are as hard for both, and that is not taken for a difference.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecml.errors import DataError
from vecml.numbers import count, percent
from vecml.proportions import loss_excluded, mcnemar

LEVEL = 0.05
MARGIN = 0.01


@dataclass(frozen=True)
class Decision:
    """The result of a comparison of champion and challenger on the same rows.

    Attributes:
        allowed: whether the challenger may take the place.
        reason: one sentence.
        n_rows: test rows that both labelled.
        champion_right, challenger_right: how many of them each labelled right.
        only_champion, only_challenger: how many just one of them did.
        p_value: McNemar's, exact and two-sided: of both being right equally often.
        loss_p_value: Tango's: of the challenger being worse by `MARGIN` or more.
    """

    allowed: bool
    reason: str
    n_rows: int
    champion_right: int
    challenger_right: int
    only_champion: int
    only_challenger: int
    p_value: float
    loss_p_value: float

    @property
    def champion_accuracy(self) -> float:
        """Share of the rows that the champion has right."""
        return self.champion_right / self.n_rows


def decide(champion_right_N: NDArray[np.bool_], challenger_right_N: NDArray[np.bool_]) -> Decision:
    """Decide by the same N rows, in the same order: bool (N,), which of them each has right.

    Raises DataError where there is no row, or not the same number of them.
    """
    if champion_right_N.shape != challenger_right_N.shape or champion_right_N.ndim != 1 or not len(champion_right_N):
        raise DataError(
            f"{len(champion_right_N):,} rows of the champion and {len(challenger_right_N):,} of the challenger are no"
            " pairs"
        )
    n_rows = len(champion_right_N)
    only_champion = int(np.count_nonzero(champion_right_N & ~challenger_right_N))
    only_challenger = int(np.count_nonzero(challenger_right_N & ~champion_right_N))
    p_value = mcnemar(only_champion, only_challenger)
    loss_p_value = loss_excluded(only_champion, only_challenger, n_rows, MARGIN)
    champion, challenger = (int(np.count_nonzero(right_N)) for right_N in (champion_right_N, challenger_right_N))
    allowed = challenger >= champion or (p_value >= LEVEL and loss_p_value < LEVEL)
    return Decision(
        allowed=allowed,
        reason=_reason(challenger - champion, challenger / n_rows, champion / n_rows, n_rows, p_value, loss_p_value),
        n_rows=n_rows,
        champion_right=champion,
        challenger_right=challenger,
        only_champion=only_champion,
        only_challenger=only_challenger,
        p_value=p_value,
        loss_p_value=loss_p_value,
    )


def _reason(gain: int, accuracy: float, former: float, n_rows: int, p_value: float, loss_p_value: float) -> str:
    shown = f"{percent(accuracy, 2)} of the {count(n_rows, 'test row')} right against {percent(former, 2)}"
    difference = f"{count(abs(gain), 'row')} {'more' if gain > 0 else 'fewer'}"
    test = f"McNemar p {p_value:.2g}"
    if gain == 0:
        return f"it is not worse: {shown}, as many ({test})"
    if gain > 0:
        word = "it is better" if p_value < LEVEL else "it is not worse"
        return f"{word}: {shown}, {difference} ({test})"
    if p_value < LEVEL:
        return f"it is worse: {shown}, {difference} ({test})"
    if loss_p_value < LEVEL:
        return (
            f"it is not worse: {shown}; {difference} may be chance ({test}), and a loss of {percent(MARGIN, 0)} or more"
            f" is excluded (p {loss_p_value:.2g})"
        )
    return (
        f"it may be worse: {shown}; {difference} may be chance ({test}), but so few rows do not exclude a loss of"
        f" {percent(MARGIN, 0)} or more (p {loss_p_value:.2g})"
    )
