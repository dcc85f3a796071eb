"""Dtypes: the same sum of two arrays in 8, 4, 2 and 1 bytes a value: time, bytes, and the error that it brings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.engines.libraries import missing
from vecml.lab.experiment import Call, Experiment, LazyArray, Outcome, Plan, Point, Way, against

SIZES = (16_384, 4_194_304)
BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
# One rounding of each of two values and of their sum: of the largest sum 2 at most 2 u; int8 has steps of 1/63 of 1.
TOLERANCE = {"float64": 1e-15, "float32": 2e-7, "float16": 2e-3, "bfloat16": 1.2e-2, "int8": 1.7e-2}
STEPS = 63  # of int8 a value: the sum of two of them fits


def make_input(n_values: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw two arrays x_N and y_N (N,) of uniform float64 values in [-1, 1)."""
    random = np.random.default_rng(seed)
    return 2 * random.random(n_values) - 1, 2 * random.random(n_values) - 1


def plain(x_N: NDArray[np.float64], y_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add x_N and y_N (N,) in float64."""
    return np.add(x_N, y_N)


def vectorised(x_N: NDArray[np.float64], y_N: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Add x_N and y_N (N,) in `dtype`; return the sums converted to float64."""
    call, back = addition(x_N, y_N, dtype)
    call()
    made: NDArray[np.float64] = back()
    return made


def addition(x_N: NDArray[np.float64], y_N: NDArray[np.float64], dtype: str) -> tuple[Call, Call]:
    """Make two functions: one adds x_N and y_N (N,) in `dtype`, the other returns the last sums (N,) as float64."""
    if dtype == "bfloat16":
        import torch  # noqa: PLC0415 -- NumPy has no bfloat16; in workers only

        torch.set_num_threads(1)
        left, right = (torch.from_numpy(value_N).to(torch.bfloat16) for value_N in (x_N, y_N))
        total = torch.empty_like(left)
        return lambda: torch.add(left, right, out=total), lambda: total.to(torch.float64).numpy()
    if dtype == "int8":
        left_N, right_N = (np.rint(value_N * STEPS).astype(np.int8) for value_N in (x_N, y_N))
    else:
        left_N, right_N = x_N.astype(dtype), y_N.astype(dtype)
    total_N = np.empty_like(left_N)
    scale = STEPS if dtype == "int8" else 1
    return lambda: np.add(left_N, right_N, out=total_N), lambda: total_N.astype(np.float64) / scale


def prepare(way: Mapping[str, Any]) -> Call:
    """Make the call that adds in the way's dtype; the arrays are converted to that dtype before."""
    add, back = addition(*make_input(way["size"]), way["dtype"])

    def call() -> LazyArray:
        add()
        return LazyArray(back)

    return call


def plan(quick: bool) -> Plan:  # noqa: ARG001 -- the points are few either way
    """Plan one point with arrays that fit into the caches and one with larger ones; bfloat16 needs torch."""
    lacks = missing("torch", None)
    dtypes = [dtype for dtype in BYTES if dtype != "bfloat16" or lacks is None]
    points = tuple(
        Point(
            f"{size:,} values",
            None,
            tuple(
                Way(
                    dtype,
                    {"size": size, "dtype": dtype},
                    tolerance=TOLERANCE[dtype],
                    bytes_per_call=3 * BYTES[dtype] * size,
                )
                for dtype in dtypes
            ),
            flops_per_call=size,
        )
        for size in SIZES
    )
    return Plan(points, {} if lacks is None else {"bfloat16": lacks})


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare the times over large arrays, their bytes, and the errors."""
    label = f"{SIZES[-1]:,} values"
    found = [cell for cell in outcome.of() if cell.point == label and not cell.plain]
    if not found:
        return "No dtype could be measured.", "So nothing is said of bytes.", "Measure again on a quieter machine."
    told = ", ".join(f"{cell.way} {against(cell)}" for cell in found)
    first = f"Against float64, over {label}: {told}."
    single = outcome.cell(label, "float32")
    half = outcome.cell(label, "float16")
    second = "float32 moves half the bytes, but its gain could not be measured"
    if single is not None and single.ratio is not None and single.word in ("undetected", "invalid", "busy"):
        second = f"float32 moves half the bytes; {single.ratio:.2f} times the speed is no certain gain here"
    elif single is not None and single.ratio is not None:
        near = 1.6 <= single.ratio <= 2.5
        why = "as bytes that set the pace would have it" if near else "so bytes alone do not set the pace here"
        second = f"float32 moves half the bytes and brings {single.ratio:.2f} times the speed, {why}"
    slow = half is not None and half.word == "slower"
    second += "; float16 moves a quarter and is slower all the same: NumPy converts each value." if slow else "."
    errors = ", ".join(f"{cell.way} {cell.error:.1g}" for cell in found if cell.error is not None)
    third = f"The price is the error, relative to the largest sum: {errors or 'not told'}."
    return first, second, third


EXPERIMENT = Experiment(
    name="dtype",
    title="Lighter types",
    idea="A lighter type moves fewer bytes and puts more values into a vector, for an error that can be measured.",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
