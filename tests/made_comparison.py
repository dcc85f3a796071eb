"""A comparison made by hand, with known blocks, for tests of several folders that need no worker process."""

import math
from random import Random
from typing import Any

from vecml.comparison.comparison import Comparison, Load, Subject
from vecml.config import Setting
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured, Plan, Replaced, Role, Window
from vecml.measure.verdict import Rules

LAUNCHES, ROUNDS = 5, 6
FACTS = {
    "rows": 1_000,
    "flips": 2,
    "wrong": 0,
    "right": 970,
    "only_label": None,
    "expected_labels": 2,
    "logit_error": 0.1,
    "cached": False,
    "precision_used": "float32",
    "pools": [{"api": "blas", "library": "openblas", "threads": 1, "architecture": "Zen"}],
    "os_threads": 4,
}


def _arm(name: str, role: Role, seconds: float, seed: int, facts: dict[str, Any], group: int = 0) -> ArmMeasurement:
    random = Random(seed)
    places = [(launch, number) for launch in range(LAUNCHES) for number in range(ROUNDS)]
    blocks = Blocks(
        launch=tuple(launch for launch, _ in places),
        round=tuple(number for _, number in places),
        position=tuple(0 for _ in places),
        calls=tuple(5 for _ in places),
        seconds=tuple(5 * seconds * math.exp(0.01 * random.gauss(0, 1)) for _ in places),
        cpu_seconds=tuple(9 * seconds for _ in places),
        switches=tuple(None for _ in places),
        answer=tuple(7 for _ in places),
        idle=tuple(True for _ in places),
    )
    launches = tuple(ArmLaunch(launch, 0.003, 0.25, 100, 1.0, 200_000_000, facts) for launch in range(LAUNCHES))
    return ArmMeasurement(name, role, 2, group, blocks, launches)


def comparison_of(times: dict[str, float], faults: dict[str, str] | None = None, **facts: Any) -> Comparison:
    """Arms by name with the seconds of a call (the first is the baseline), 1,000 rows a call."""
    baseline, *others = times
    arms = [
        _arm(baseline, "baseline", times[baseline], 1, {**FACTS, **facts}),
        *(_arm(name, "arm", times[name], 10 + place, {**FACTS, **facts}) for place, name in enumerate(others)),
        _arm(f"{baseline} (null arm)", "null", times[baseline], 2, FACTS),
    ]
    gemm = {"kernel": "gemm", "precision": "float32", "threads": 2, "work_per_call": 10**9}
    copy = {"kernel": "copy", "precision": "float32", "threads": 2, "work_per_call": 10**9}
    arms += [_arm("limit: gemm", "limit", 0.01, 3, gemm), _arm("limit: copy", "limit", 0.05, 4, copy)]
    return Comparison(
        created="2026-11-25T12:00:00+00:00",
        vecml="0.1.0",
        budget="60s",
        subject=Subject("synthetic", 1_000, (10, 32, 2), 2, 4, "data", "architecture", "model"),
        settings={name: Setting(name.partition(" ")[0], threads=2) for name in times},
        skipped={},
        simplest=tuple(times),
        environment={"cpu_model": "a processor", "usable_cpus": 2, "machine_key": "m", "environment_key": "e"},
        load_before=Load(0.5, 0.0),
        load_after=Load(None, None),
        rules=Rules(),
        measured=Measured(
            Plan(),
            tuple(arms),
            LAUNCHES,
            tuple(Window(launch, 0, 0, ROUNDS - 1, 1.5, 0.0, None, 0.01, 2) for launch in range(LAUNCHES)),
            (Replaced(1, 0, baseline, 0.006, 0.003),),
            55.0,
        ),
        faults=faults or {},
    )
