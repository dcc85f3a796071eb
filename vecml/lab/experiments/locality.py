"""Locality: gathering against reading in order through the caches, row against column order, and strides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml import hardware
from vecml.lab.experiment import Call, Experiment, Outcome, Plan, Point, Way, against
from vecml.numbers import size, times

GATHER, ORDER = "scattered", "in order"
QUICK_SIZES = tuple(1 << shift for shift in (12, 15, 18, 21, 24))  # float32 values: 16 KiB to 64 MiB
SIZES = tuple(1 << shift for shift in range(11, 27))
SIDE = 2_048
ROW_COLUMN = "rows of a matrix"
STRIDES = (2, 16)
STRIDED = 1 << 20


def make_input(n_values: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw values x_N (N,), float32, and a random permutation index_N (N,) of their indices, int64."""
    random = np.random.default_rng(seed)
    return random.random(n_values, dtype=np.float32), random.permutation(n_values)


def plain(x_N: NDArray[np.float32], index_N: NDArray[np.int64], out_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gather x_N[index_N] into out_N; all have the shape (N,)."""
    return np.take(x_N, index_N, out=out_N, mode="clip")


def vectorised(x_N: NDArray[np.float32], out_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gather x_N (N,) into out_N (N,) with the indices in order, so that memory is read sequentially."""
    return np.take(x_N, np.arange(len(x_N)), out=out_N, mode="clip")


def by_columns(m_NN: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the largest value of each column (N,) of a matrix (N, N) in C order: the values lie far apart."""
    return np.array([m_NN[:, index].max() for index in range(m_NN.shape[1])])


def by_rows(m_NN: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the largest value of each row (N,) of a matrix (N, N) in C order: the values lie side by side."""
    return np.array([m_NN[index].max() for index in range(m_NN.shape[0])])


def prepare(way: Mapping[str, Any]) -> Call:
    """Make the way's call: a gather, the maxima of a matrix's columns or rows, or a copy of a strided array."""
    if way["kind"] == "gather":
        x_N, index_N = make_input(way["size"])
        out_N = np.empty_like(x_N)
        if way["order"]:
            x_N, index_N = x_N[index_N], np.arange(len(x_N))
        return lambda: plain(x_N, index_N, out_N)
    if way["kind"] == "matrix":
        m_NN = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
        if way["order"]:
            m_NN = np.ascontiguousarray(m_NN.T)
            return lambda: by_rows(m_NN)
        return lambda: by_columns(m_NN)
    x_N = np.arange(STRIDED * way["stride"], dtype=np.float32)[:: way["stride"]]
    if way["order"]:
        x_N = np.ascontiguousarray(x_N)
    out_N = np.empty(STRIDED, np.float32)
    return lambda: _copied(x_N, out_N)


def _copied(x_N: NDArray[np.float32], out_N: NDArray[np.float32]) -> NDArray[np.float32]:
    np.copyto(out_N, x_N)
    return out_N


def plan(quick: bool) -> Plan:
    """Plan gathers from arrays of growing size (the curve), then the matrix and the strides, which are not in it."""

    def both(label: str, x: float | None, n_bytes: int, **payload: Any) -> Point:
        ways = (Way(GATHER, {**payload, "order": False}), Way(ORDER, {**payload, "order": True}))
        return Point(label, x, ways, n_bytes)

    points = [
        both(size(4 * count), 4 * count, 16 * count, kind="gather", size=count)
        for count in (QUICK_SIZES if quick else SIZES)
    ]
    points.append(both(ROW_COLUMN, None, 4 * SIDE * SIDE, kind="matrix"))
    points += [both(f"stride {stride}", None, 8 * STRIDED, kind="stride", stride=stride) for stride in STRIDES]
    return Plan(tuple(points))


def caches() -> dict[str, int]:
    """Return the size in bytes of each data cache that the system reports, under `L1`, `L2` and `L3`."""
    found = {f"L{level}": hardware.cache(level) for level in (1, 2, 3)}
    return {name: cache.size_bytes for name, cache in found.items() if cache is not None}


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare both ends of the curve, the matrix, and the strides."""
    curve = [cell for cell in outcome.of(GATHER, curve=True) if cell.seconds]
    first = "The curve through the caches could not be measured."
    if len(curve) > 1:
        cost = [(cell.seconds or 0.0) / (cell.x or 1.0) for cell in curve]
        grown = cost[-1] / cost[0]
        levels = ", ".join(f"{name} {size(held)}" for name, held in caches().items()) or "caches of unknown size"
        shows = "the steps are the caches" if grown >= 2 else "so little that the caches hardly show"
        first = (
            f"A scattered read costs {times(grown)} times as much from {curve[-1].point} as from {curve[0].point}:"
            f" {shows} ({levels})."
        )
    ends = [cell for cell in outcome.of(ORDER, curve=True) if cell.ratio]
    second = "Reading in order could not be held to scattered reads."
    if ends:
        why = (
            "a line of 64 bytes is used whole, and the next is fetched before it is asked for"
            if ends[-1].word == "faster"
            else "so order did not pay here"
        )
        second = (
            f"In order, the same function is {against(ends[0])} over {ends[0].point} and {against(ends[-1])} over"
            f" {ends[-1].point}: {why}."
        )
    beside = [outcome.cell(label, ORDER) for label in (ROW_COLUMN, *(f"stride {stride}" for stride in STRIDES))]
    third = (
        f"Along the rows of a row-ordered matrix instead of down its columns it is {against(beside[0])}; values side by"
        f" side instead of every 2nd {against(beside[1])}, instead of every 16th, a line each, {against(beside[2])}."
    )
    return first, second, third


EXPERIMENT = Experiment(
    name="locality",
    title="Locality: where the values lie",
    idea="Contiguous values come through the caches a line at a time; scattered ones cost a line each.",
    axis="bytes of the array that is read",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
