"""GPU and tensor cores: a matrix product in float32, TF32, bfloat16 and float16: rate and error."""

from collections.abc import Mapping
from typing import Any

from vecml.device import available_devices
from vecml.lab.experiment import Call, Experiment, LazyArray, Outcome, Plan, Point, Way, against
from vecml.lab.experiments.blas_threads import make_input

SIZES = (1_024, 4_096)
# Of sums of `size` products, relative to the largest: unit roundoffs of the inputs, and float32 sums.
TOLERANCE = {"float32": 1e-5, "tf32": 2e-3, "bfloat16": 2e-2, "float16": 2e-3}


def prepare(way: Mapping[str, Any]) -> Call:
    """The product on the device, waited for; copies to it are made before."""
    import torch  # noqa: PLC0415 -- in workers only

    precision = way["precision"]
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    dtype = torch.float32 if precision in ("float32", "tf32") else getattr(torch, precision)
    left, right = (torch.from_numpy(value_NN).to("cuda", dtype) for value_NN in make_input(way["size"]))
    out = torch.empty_like(left)

    def call() -> LazyArray:
        torch.mm(left, right, out=out)
        torch.cuda.synchronize()
        return LazyArray(lambda: out.float().cpu().numpy())

    return call


def plan(quick: bool) -> Plan:
    """Both sizes in four precisions, where torch sees a CUDA device."""
    if "cuda" not in available_devices():
        return Plan((), {"gpu": "there is no CUDA device that torch sees"})
    return Plan(
        tuple(
            Point(
                f"{size} x {size}",
                size,
                tuple(
                    Way(precision, {"size": size, "precision": precision}, tolerance=tolerance)
                    for precision, tolerance in TOLERANCE.items()
                ),
                flops_per_call=2 * size**3,
            )
            for size in (SIZES[:1] if quick else SIZES)
        )
    )


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare the times of the largest product."""
    label = outcome.of()[-1].point
    found = [cell for cell in outcome.of() if cell.point == label]
    others = [cell for cell in found if not cell.plain]
    rates = ", ".join(f"{cell.way} {cell.flops_per_call / cell.seconds / 1e12:.3g}" for cell in found if cell.seconds)
    errors = ", ".join(f"{cell.way} {cell.error:.1g}" for cell in others if cell.error is not None)
    told = ", ".join(f"{cell.way} {against(cell)}" for cell in others)
    helped = any(cell.word == "faster" for cell in others)
    why = "the tensor cores take the lighter types only" if helped else "no lighter type paid here"
    return (
        f"A product of {label} on the device, in million million operations a second: {rates}.",
        f"Against float32: {told}; {why}.",
        f"The price is the error, relative to the largest value: {errors or 'not told'}.",
    )


EXPERIMENT = Experiment(
    name="gpu",
    title="GPU and tensor cores",
    idea="Tensor cores multiply matrices of lighter types many times as fast.",
    plan=plan,
    prepare=prepare,
    tell=tell,
)
