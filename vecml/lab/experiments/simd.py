"""SIMD: the same kernel compiled for one value at a time, and for vectors of 4, 8 and 16; and NumPy's own dispatch."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.engines.halide import missing_instructions
from vecml.engines.libraries import missing
from vecml.lab.experiment import Call, Experiment, Outcome, Plan, Point, Way, against

LANES = {"scalar": 1, "sse41": 4, "avx2": 8, "avx512": 16, "neon": 4}
N_VALUES = 32_768  # 128 KiB in and as much out: the second cache holds it
DEGREE = 24
TOLERANCE = 1e-5  # of float32: a fused multiply-add rounds once, a product and a sum twice
POLYNOMIAL, NUMPY = "polynomial", "numpy exp"
BASELINE, DISPATCHED = "numpy, baseline SIMD", "numpy, dispatched"


def make_input(n_values: int = N_VALUES, seed: int = 0) -> NDArray[np.float32]:
    """Draw uniform values (N,), float32, in [-1, 1)."""
    return (2 * np.random.default_rng(seed).random(n_values, dtype=np.float32) - 1).astype(np.float32)


def coefficients() -> list[float]:
    """The polynomial's coefficients, the highest power first."""
    return [(-1) ** index / (index + 1) for index in range(DEGREE + 1)]


def plain(x_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evaluate the polynomial at x_N (N,), float32, by Horner's rule in NumPy: the reference for the kernels."""
    y_N = np.full_like(x_N, coefficients()[0])
    for coefficient in coefficients()[1:]:
        y_N = y_N * x_N + np.float32(coefficient)
    return y_N


def vectorised(x_N: NDArray[np.float32], isa: str) -> NDArray[np.float32]:
    """Evaluate the polynomial at x_N (N,), float32, with the kernel that is compiled for `isa`."""
    out_N = np.empty_like(x_N)
    compiled(isa, x_N, out_N)()
    return out_N


def compiled(isa: str, x_N: NDArray[np.float32], out_N: NDArray[np.float32]) -> Call:
    """Compile the kernel for `isa`; return the call that writes the polynomial of x_N into out_N (float32, N >= 16)."""
    import halide as hl  # noqa: PLC0415 -- in workers only

    from vecml.engines.halide_kernel import target_of  # noqa: PLC0415

    x, i = hl.ImageParam(hl.Float(32), 1, "x"), hl.Var("i")
    value = x[i]
    total = hl.f32(coefficients()[0])
    for coefficient in coefficients()[1:]:
        total = total * value + hl.f32(coefficient)
    y = hl.Func("y")
    y[i] = total
    lanes = LANES[isa]
    if lanes > 1:
        y.vectorize(i, lanes, hl.TailStrategy.ShiftInwards)
    kernel = y.compile_to_callable([x], target_of(isa))  # type: ignore[arg-type]
    given, made = hl.Buffer(x_N), hl.Buffer(out_N)

    def call() -> NDArray[np.float32]:
        kernel(given, made)
        return out_N

    return call


def prepare(way: Mapping[str, Any]) -> Call:
    """Make the way's call: a compiled kernel, or NumPy's exp."""
    x_N = make_input()
    out_N = np.empty_like(x_N)
    if way["isa"] == "numpy":
        return lambda: np.exp(x_N, out=out_N)
    return compiled(way["isa"], x_N, out_N)


def plan(quick: bool) -> Plan:  # noqa: ARG001 -- the points are few either way
    """Plan two points: a kernel compiled for each instruction set of this CPU, and NumPy with and without dispatch."""
    points, skipped = [], {}
    lacks = missing("halide", "halide")
    if lacks is None:
        isas = []
        for isa in LANES:
            reason = missing_instructions(isa)  # type: ignore[arg-type]
            if reason is None:
                isas.append(isa)
            else:
                skipped[isa] = reason
        ways = tuple(Way(isa, {"isa": isa}, tolerance=TOLERANCE) for isa in isas)
        points.append(Point(POLYNOMIAL, None, ways, 8 * N_VALUES, 2 * DEGREE * N_VALUES))
    else:
        skipped[POLYNOMIAL] = lacks
    features = switchable()
    if features:
        ways = (
            Way(BASELINE, {"isa": "numpy"}, environment={"NPY_DISABLE_CPU_FEATURES": " ".join(features)}),
            Way(DISPATCHED, {"isa": "numpy"}, tolerance=TOLERANCE),
        )
        points.append(Point(NUMPY, None, ways, 8 * N_VALUES))
    else:
        skipped[NUMPY] = "NumPy has no instruction sets here that it could do without"
    return Plan(tuple(points), skipped)


def switchable() -> tuple[str, ...]:
    """List the names of the instruction sets for which NumPy has kernels of its own and which this CPU has."""
    umath = import_module("numpy._core._multiarray_umath")

    there: Mapping[str, bool] = getattr(umath, "__cpu_features__", {})
    return tuple(name for name in getattr(umath, "__cpu_dispatch__", ()) if there.get(name))


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare each instruction set with scalar code."""
    wide = [cell for cell in outcome.of() if cell.point == POLYNOMIAL and not cell.plain]
    if wide:
        told = ", ".join(f"{cell.way} ({LANES[cell.way]} lanes) {against(cell)}" for cell in wide)
        first = f"The same polynomial, compiled anew for each instruction set: against scalar code {told}."
        known = [cell for cell in wide if cell.ratio]
        best = max(known, key=lambda cell: cell.ratio or 0.0, default=None)
        second = "No ratio could be told, so nothing is said of the lanes."
        if best is not None and best.ratio is not None:
            lanes = LANES[best.way]
            more = "as many as it has lanes or more, because wider sets also bring the fused multiply-add"
            less = (
                "fewer than it has lanes: a wide vector costs more than a value, in clock rate or in waiting for memory"
            )
            none = "so that nothing was won here"
            reason = none if best.word not in ("faster", None) else more if best.ratio >= lanes else less
            second = f"The best of them, {best.way}, does {best.ratio:.1f} values in the time of one, {reason}."
    else:
        first, second = "The compiled kernels could not be measured here.", "So nothing is said of their lanes."
    exp = outcome.cell(NUMPY, DISPATCHED)
    third = "NumPy's own choice of instructions could not be switched here."
    if exp is not None:
        gains = exp.word == "faster"
        why = "so who uses NumPy has SIMD already" if gains else "so for this function the choice does not matter here"
        third = f"NumPy chooses when it starts: its exp with all that this CPU has is {against(exp)} as without, {why}."
    return first, second, third


EXPERIMENT = Experiment(
    name="simd",
    title="SIMD: one instruction, many values",
    idea="Vector instructions work on 4, 8 or 16 values at once.",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
