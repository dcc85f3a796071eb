"""BLAS threads: a matrix product on one thread and on more, over sizes; and where more threads hurt."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.device import usable_cpus
from vecml.lab.experiment import Call, Experiment, Outcome, Plan, Point, Way, against
from vecml.numbers import count

QUICK_SIZES = (32, 128, 512, 1_024)
SIZES = (16, 32, 64, 96, 128, 192, 256, 384, 512, 1_024, 2_048)
TOLERANCE = 1e-5  # of float32 sums in another order
MOST_WAYS = 5


def make_input(size: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two square float32 matrices, left_NN and right_NN."""
    left_NN, right_NN = np.random.default_rng(seed).random((2, size, size), dtype=np.float32)
    return left_NN, right_NN


def plain(left_NN: NDArray[np.float32], right_NN: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product (N, N), float32, on as many threads as BLAS has."""
    return left_NN @ right_NN


def vectorised(left_NN: NDArray[np.float32], right_NN: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    """The product (N, N), float32, on so many threads."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    with threadpool_limits(limits=threads, user_api="blas"):
        return left_NN @ right_NN


def prepare(way: Mapping[str, Any]) -> Call:
    """The product into memory that is there; the worker's environment has set BLAS's threads."""
    left_NN, right_NN = make_input(way["size"])
    out_NN = np.empty_like(left_NN)
    return lambda: np.matmul(left_NN, right_NN, out=out_NN)


def thread_counts(cpus: int) -> list[int]:
    """1, 2, 4 ... and all of them."""
    powers = [1 << shift for shift in range(cpus.bit_length()) if 1 << shift < cpus]
    return [*powers, cpus][-MOST_WAYS:] if len(powers) < MOST_WAYS else [1, *[*powers, cpus][1 - MOST_WAYS :]]


def plan(quick: bool) -> Plan:
    """A point for each size; nothing on a machine of one CPU."""
    counts = thread_counts(usable_cpus())
    if len(counts) < 2:
        return Plan((), {"threads": "this machine offers one CPU"})
    return Plan(
        tuple(
            Point(
                f"{size} x {size}",
                size,
                tuple(
                    Way(count(threads, "thread"), {"size": size}, threads, tolerance=TOLERANCE) for threads in counts
                ),
                12 * size * size,
                2 * size**3,
            )
            for size in (QUICK_SIZES if quick else SIZES)
        )
    )


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare one thread with all threads, over the sizes."""
    most = outcome.ways()[-1]
    found = [cell for cell in outcome.of(most) if cell.ratio]
    if not found:
        return "No size gave a ratio.", "So nothing is said of the threads.", "Measure again on a quieter machine."
    small, large = found[0], found[-1]
    first = f"A product of {large.point} on {most} is {against(large)} as on one, of {small.point} {against(small)}."
    hurt = [cell.point for cell in found if cell.word == "slower"]
    helped = [cell for cell in found if cell.word == "faster"]
    if hurt:
        second = (
            f"More threads hurt at {', '.join(hurt)}: to wake them and to wait for them costs more than the product."
        )
    else:
        second = "At no size did more threads hurt for certain here."
    third = (
        f"They first pay at {helped[0].point}; blocks of a narrow network are smaller work than that, which is why"
        " vecml divides rows between threads, and not each product."
        if helped
        else "At no size did they pay for certain here either: what they bring is less than this measurement can tell."
    )
    return first, second, third


EXPERIMENT = Experiment(
    name="blas_threads",
    title="Threads of BLAS",
    idea="BLAS divides large products between the CPUs; small ones are not worth it.",
    axis="side of the matrices",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
