"""The arms of a comparison: each setting as an arm with its worker's payload, the groups that they are measured in, and
the arms that measure what the machine could do at most.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vecml.config import Setting
from vecml.measure.kernels import Kernel, has_gemm
from vecml.measure.records import Arm, Role

OPENER = "vecml.comparison.work:EngineWork"
LIMIT_OPENER = "vecml.measure.kernels:open_kernel"
LARGEST_GROUP = 7  # arms that take turns in one round, the baseline and its copy among them


def make_groups(
    settings: Mapping[str, Setting],
    folder: Path,
    probe: tuple[int, int] | None,
    openers: Mapping[str, str] | None = None,
) -> list[list[Arm]]:
    """The settings' arms, in groups of at most seven that take turns; each group has the baseline and its null copy.

    Sizes of request are measured in groups of their own, each with the first setting of that size as the baseline. The
    first group also measures the machine's limits for every precision and number of threads, where there is one size.

    Args:
        settings: by name; of each size of request the first is the baseline.
        folder: where the workers find the model and the input.
        probe: numbers of two rows with different labels; see `vecml.comparison.compare.probe_rows`.
        openers: by a setting's name, what opens it instead of its engine.
    """
    openers = openers or {}

    def arm(name: str, role: Role, label: str) -> Arm:
        setting = settings[name]
        payload = {"folder": str(folder), "setting": dataclasses.asdict(setting), "probe": probe}
        cpus = setting.threads if setting.device == "cpu" else 1
        return Arm(label, openers.get(name, OPENER), payload, role, cpus, thread_variables(setting.threads))

    groups: list[list[Arm]] = []
    for size in dict.fromkeys(setting.request_rows for setting in settings.values()):
        baseline, *others = [name for name, setting in settings.items() if setting.request_rows == size]
        parts = -(-len(others) // (LARGEST_GROUP - 2))
        groups += [make_group([baseline, *others[part::parts]], arm) for part in range(parts)]
    if all(setting.request_rows is None for setting in settings.values()):
        groups[0] += limit_arms(settings)
    return groups


def make_group(names: Sequence[str], arm: Callable[[str, Role, str], Arm]) -> list[Arm]:
    """One group: the first name as the baseline, its copy as the null arm, and the others.

    `arm` makes one of a name, a role and the arm's own name, which differs for the copy.
    """
    first, *others = names
    group = [arm(first, "baseline", first), arm(first, "null", null_name(first))]
    return group + [arm(name, "arm", name) for name in others]


def null_name(baseline: str) -> str:
    """The name of the null arm of a baseline."""
    return f"{baseline} (null arm)"


def limit_arms(settings: Mapping[str, Setting]) -> list[Arm]:
    """Arms for the machine's limits, with each precision and number of threads: matrix products and copies."""
    ways = dict.fromkeys(
        (setting.precision, setting.threads) for setting in settings.values() if setting.device == "cpu"
    )
    kernels = [Kernel("gemm", precision, threads) for precision, threads in ways if has_gemm(precision)]
    kernels += [Kernel("copy", "float32", threads) for threads in dict.fromkeys(threads for _, threads in ways)]
    return [limit_arm(kernel) for kernel in kernels]


def limit_arm(kernel: Kernel) -> Arm:
    """The arm that measures one limit of the machine."""
    threads = kernel.threads
    name = f"limit: {kernel.name} {kernel.precision} threads={threads}"
    return Arm(name, LIMIT_OPENER, dataclasses.asdict(kernel), "limit", threads, thread_variables(threads))


def thread_variables(threads: int) -> dict[str, str]:
    """The variables that native thread pools read when they start, so that none is larger than the setting says."""
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "HL_NUM_THREADS",
    )
    return dict.fromkeys(names, str(threads))
