"""The GIL: the same chunks of work on one thread and on several, in pure Python and in NumPy's kernels."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.device import usable_cpus
from vecml.lab.experiment import Call, Experiment, Outcome, Plan, Point, Way, against

ONE = "one thread"
PYTHON, NUMPY = "pure Python", "numpy exp"
STEPS = 40_000
N_VALUES = 250_000


def make_input(n_values: int, seed: int = 0) -> NDArray[np.float64]:
    """Draw uniform values (N,), float64, in [0, 1)."""
    return np.random.default_rng(seed).random(n_values)


def python_chunk(steps: int) -> float:
    """Sum the squares of the numbers below `steps` in a Python loop, which holds the GIL."""
    return float(sum(index * index for index in range(steps)))


def numpy_chunk(x_N: NDArray[np.float64]) -> float:
    """Sum the exponentials of x_N (N,), float64, in NumPy, which releases the GIL."""
    return float(np.exp(x_N).sum())


def plain(chunk: Callable[[Any], float], parts: list[Any]) -> list[float]:
    """Call `chunk` with each part, one after the other; return the results in order."""
    return [chunk(part) for part in parts]


def vectorised(chunk: Callable[[Any], float], parts: list[Any], pool: ThreadPoolExecutor) -> list[float]:
    """Call `chunk` with each part on the threads of the pool; return the results in order."""
    return list(pool.map(chunk, parts))


def prepare(way: Mapping[str, Any]) -> Call:
    """Make the way's call: a chunk of work for each CPU, on the way's number of threads."""
    parts: list[Any]
    chunk: Callable[[Any], float]
    if way["kind"] == PYTHON:
        parts, chunk = [STEPS] * way["chunks"], python_chunk
    else:
        parts, chunk = np.split(make_input(N_VALUES * way["chunks"]), way["chunks"]), numpy_chunk
    if way["threads"] == 1:
        return lambda: plain(chunk, parts)
    pool = ThreadPoolExecutor(way["threads"])
    return lambda: vectorised(chunk, parts, pool)


def several(cpus: int) -> str:
    """Name the way with several threads."""
    return f"{cpus} threads"


def plan(quick: bool) -> Plan:  # noqa: ARG001 -- the points are few either way
    """Plan a point for Python and one for NumPy; on a machine with one CPU, none."""
    cpus = usable_cpus()
    if cpus < 2:
        return Plan((), {"threads": "this machine offers one CPU, which threads cannot share to any use"})
    points = []
    for kind in (PYTHON, NUMPY):
        payload = {"kind": kind, "chunks": cpus}
        # libraries get one thread each: the threads here are Python's
        ways = (Way(ONE, {**payload, "threads": 1}), Way(several(cpus), {**payload, "threads": cpus}))
        points.append(Point(kind, None, ways, 0, 0))
    return Plan(tuple(points))


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare what threads gain for each kind of work."""
    many = next((way for way in outcome.ways() if way != ONE), "several threads")
    python, kernel = outcome.cell(PYTHON, many), outcome.cell(NUMPY, many)
    gained = python is not None and python.word == "faster"
    first = f"Pure Python on {many} is {against(python)} as on one: " + (
        "this interpreter runs without the lock."
        if gained
        else "only one thread at a time holds the interpreter's lock."
    )
    won = kernel is not None and kernel.word == "faster"
    second = f"NumPy's kernels on {many} are {against(kernel)}: " + (
        "they let go of the lock while they compute." if won else "what they let go of the lock for did not pay here."
    )
    ratios = [cell.ratio for cell in (python, kernel) if cell is not None and cell.ratio is not None]
    third = "Without both ratios nothing can be said of the lock's cost."
    if len(ratios) == 2:
        third = (
            f"So the same threads bring {ratios[1] / ratios[0]:.1f} times as much to NumPy's work as to Python's."
            if ratios[1] > ratios[0]
            else "So here threads bring no more to vectorised work than to plain Python."
        )
    return first, second, third


EXPERIMENT = Experiment(
    name="gil",
    title="The interpreter's lock",
    idea="Work that is done in C lets go of the GIL, so that Python's threads run side by side.",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
