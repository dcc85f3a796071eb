"""Ufunc against Python loop: the same arithmetic over 10 to ten million values, and where the loop wins."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.lab.experiment import Call, Experiment, Outcome, Plan, Point, Way, against, crossing
from vecml.numbers import seconds

LOOP, UFUNC = "Python loop", "ufunc"
SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
LARGEST = 10_000_000


def make_input(n_values: int, seed: int = 0) -> NDArray[np.float64]:
    """Values (N,), float64, in [0, 1)."""
    return np.random.default_rng(seed).random(n_values)


def plain(values: list[float]) -> list[float]:
    """2 x + 1 of every value, in Python."""
    return [2.0 * value + 1.0 for value in values]


def vectorised(x_N: NDArray[np.float64], out_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 x + 1 of every value of x_N (N,) into out_N (N,), float64, by two ufuncs."""
    np.multiply(x_N, 2.0, out=out_N)
    np.add(out_N, 1.0, out=out_N)
    return out_N


def prepare(way: Mapping[str, Any]) -> Call:
    """The loop over a list of floats, or the ufuncs over an array."""
    x_N = make_input(way["size"])
    if way["loop"]:
        values = x_N.tolist()
        return lambda: plain(values)
    out_N = np.empty_like(x_N)
    return lambda: vectorised(x_N, out_N)


def plan(quick: bool) -> Plan:
    """A point for each size; ten million only where there is time."""
    sizes = SIZES if quick else (*SIZES, LARGEST)
    return Plan(
        tuple(
            Point(
                f"{size:,} values",
                size,
                (Way(LOOP, {"size": size, "loop": True}), Way(UFUNC, {"size": size, "loop": False})),
                16 * size,
                2 * size,
            )
            for size in sizes
        )
    )


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare the smallest size, the crossover, and the largest size."""
    found = [cell for cell in outcome.of(UFUNC) if cell.ratio and cell.x]
    if not found:
        nothing = "No size gave a ratio."
        return nothing, "So there is no crossover to be told.", "Measure again on a quieter machine."
    small, large = found[0], found[-1]
    cross = crossing([cell.x or 1.0 for cell in found], [cell.ratio or 1.0 for cell in found])
    top = max(found, key=lambda cell: cell.ratio or 0.0)
    first = (
        f"Over {small.point} the ufuncs are {against(small)}: two calls cost {seconds(small.seconds)} whatever they do."
    )
    if cross is not None:
        second = f"The lines cross near {cross:,.0f} values: below that the loop wins, above it the ufuncs."
    elif (small.ratio or 0.0) >= 1:
        second = f"There is no crossover in what was measured: even {small.point} are enough for the ufuncs."
    else:
        second = "There is no crossover in what was measured: the ufuncs do not win here."
    third = (
        f"They win most over {top.point}, {against(top)}; over {large.point} it is {against(large)}, and a value costs"
        f" {seconds((large.seconds or 0.0) / (large.x or 1.0))} instead of an interpreted step."
    )
    return first, second, third


EXPERIMENT = Experiment(
    name="ufunc",
    title="Ufunc against Python loop",
    idea="A ufunc runs its loop in C, without the interpreter's cost for each value.",
    axis="values",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
