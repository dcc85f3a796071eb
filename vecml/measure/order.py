"""The order in which the arms of a round take turns: random, with every arm equally often in every place.

In a simulation where the place changes times by 1 %, a fixed order A B A B gave 33 % false alarms.
"""

from collections.abc import Iterator
from random import Random
from typing import TypeVar

T = TypeVar("T")


def balanced_rounds(arms: list[T], random: Random) -> Iterator[list[T]]:
    """Yield an order of `arms` for each round, without end.

    In every n rounds of n arms each arm is once in every place. For an even n each arm also follows every other one
    equally often (E. J. Williams, "Experimental designs balanced for the estimation of residual effects of treatments",
    Aust. J. Sci. Res. A 2 (1949), 149-168); for an odd n that holds on average, over such a square and its mirror.
    """
    n = len(arms)
    if not n:
        raise ValueError("no arm to give a turn to")
    zigzag = [(index + 1) // 2 if index % 2 else (n - index // 2) % n for index in range(n)]
    while True:
        named = random.sample(arms, n)
        mirrored = random.random() < 0.5
        for shift in random.sample(range(n), n):
            order = [named[(place + shift) % n] for place in zigzag]
            yield order[::-1] if mirrored else order
