"""The decision: better and equal pass, worse does not, and what a small sample cannot exclude does not either."""

import numpy as np
import pytest
from scipy.stats import binomtest

from vecml.errors import DataError
from vecml.model.promotion_test import Decision, decide


def decision(both: int, only_champion: int, only_challenger: int, neither: int = 0) -> Decision:
    champion = [True] * (both + only_champion) + [False] * (only_challenger + neither)
    challenger = [True] * both + [False] * only_champion + [True] * only_challenger + [False] * neither
    return decide(np.array(champion), np.array(challenger))


@pytest.mark.parametrize(
    ("counts", "allowed", "reason"),
    [
        (
            (9, 0, 0, 1),
            True,
            "it is not worse: 90.00 % of the 10 test rows right against 90.00 %, as many (McNemar p 1)",
        ),
        ((0, 0, 0, 1), True, "it is not worse: 0.00 % of the 1 test row right against 0.00 %, as many (McNemar p 1)"),
        (
            (90, 0, 1, 9),
            True,
            "it is not worse: 91.00 % of the 100 test rows right against 90.00 %, 1 row more (McNemar p 1)",
        ),
        (
            (80, 2, 18, 0),
            True,
            "it is better: 98.00 % of the 100 test rows right against 82.00 %, 16 rows more (McNemar p 0.0004)",
        ),
        (
            (80, 18, 2, 0),
            False,
            "it is worse: 82.00 % of the 100 test rows right against 98.00 %, 16 rows fewer (McNemar p 0.0004)",
        ),
        (
            (98, 1, 0, 1),
            False,
            "it may be worse: 98.00 % of the 100 test rows right against 99.00 %; 1 row fewer may be chance"
            " (McNemar p 1), but so few rows do not exclude a loss of 1 % or more (p 0.5)",
        ),
        (
            (9_800, 55, 45, 100),
            True,
            "it is not worse: 98.45 % of the 10,000 test rows right against 98.55 %; 10 rows fewer may be chance"
            " (McNemar p 0.37), and a loss of 1 % or more is excluded (p 2.8e-13)",
        ),
        (  # certainly a loss, though a small one
            (99_000, 500, 400, 100),
            False,
            "it is worse: 99.40 % of the 100,000 test rows right against 99.50 %, 100 rows fewer (McNemar p 0.00096)",
        ),
    ],
)
def test_what_is_decided_and_why(counts: tuple[int, int, int, int], allowed: bool, reason: str) -> None:
    told = decision(*counts)
    assert (told.allowed, told.reason) == (allowed, reason)


def test_its_numbers() -> None:
    told = decision(80, 18, 2, 5)
    assert (told.n_rows, told.champion_right, told.challenger_right) == (105, 98, 82)
    assert (told.only_champion, told.only_challenger) == (18, 2)
    assert told.champion_accuracy == 98 / 105
    assert told.p_value == pytest.approx(binomtest(2, 20).pvalue)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 4)])
def test_what_is_no_pair_is_refused(first: int, second: int) -> None:
    with pytest.raises(DataError, match=f"^{first} rows of the champion and {second} of the challenger are no pairs$"):
        decide(np.ones(first, np.bool_), np.ones(second, np.bool_))


def test_a_model_that_is_two_points_worse_seldom_passes_and_the_same_one_often_does() -> None:
    """Of 1,000 rows with 4 % discordant: by simulation, with a fixed seed."""
    rng = np.random.default_rng(0)

    def passed(loss: float) -> float:
        share = [0.92, 0.02 + loss / 2, 0.02 - loss / 2, 0.04]
        return float(np.mean([decision(*map(int, rng.multinomial(1_000, share))).allowed for _ in range(400)]))

    assert passed(0.02) < 0.03
    assert passed(0.0) > 0.5
