"""Arms with known ratios, made by hand, and the verdicts over them; intervals and detectable differences by SciPy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import stats

from vecml.measure.records import ArmMeasurement, Blocks, Measured, Plan, Window
from vecml.measure.verdict import Family, Rules, Verdict, judge
from vecml.statistics import smallest_detectable

RULES = Rules()
ROUNDS = 10
RATIOS = st.lists(st.floats(0.25, 4.0), min_size=3, max_size=8)
SPREAD = (1.22, 1.18, 1.21, 1.19, 1.20)  # five launches' ratios, a clear case
UNSURE = (1.30, 0.90, 1.10, 1.20, 0.85)


def arm(
    name: str,
    seconds: Sequence[Sequence[float]],
    role: str = "arm",
    *,
    group: int = 0,
    failure: str | None = None,
    cpus: int = 1,
) -> ArmMeasurement:
    """An arm by its seconds a call, launch by launch and round by round."""
    rows = [(launch, number, taken) for launch, rounds in enumerate(seconds) for number, taken in enumerate(rounds)]
    n = len(rows)
    columns = Blocks(
        launch=tuple(launch for launch, _, _ in rows),
        round=tuple(number for _, number, _ in rows),
        position=(0,) * n,
        calls=(1,) * n,
        seconds=tuple(taken for _, _, taken in rows),
        cpu_seconds=(None,) * n,
        switches=(None,) * n,
        answer=(0,) * n,
        idle=(True,) * n,
    )
    return ArmMeasurement(name, role, cpus, group, columns, (), failure)  # type: ignore[arg-type]


def fast(name: str, ratios: Sequence[float], role: str = "arm", rounds: int = ROUNDS, **more: Any) -> ArmMeasurement:
    """An arm that is so many times as fast as `base()`, in every launch's every round."""
    return arm(name, [[1 / ratio] * rounds for ratio in ratios], role, **more)


def base(launches: int = 5, rounds: int = ROUNDS, name: str = "base", **more: Any) -> ArmMeasurement:
    return arm(name, [[1.0] * rounds] * launches, "baseline", **more)


def null(ratios: Sequence[float], group: int = 0, **more: Any) -> ArmMeasurement:
    return fast("base (null arm)", ratios, "null", group=group, **more)


def record(*arms: ArmMeasurement, plan: Plan | None = None, windows: Sequence[Window] = ()) -> Measured:
    launches = max((launch + 1 for one in arms for launch in one.blocks.launch), default=0)
    return Measured(plan or Plan(launches=max(3, launches)), arms, launches, tuple(windows))


def family(*arms: ArmMeasurement, rules: Rules = RULES, faults: Mapping[str, str] | None = None, **more: Any) -> Family:
    (found,) = judge(record(*arms, **more), rules, faults)
    return found


def verdict_of(*arms: ArmMeasurement, rules: Rules = RULES, **more: Any) -> Verdict:
    """Of the only arm."""
    (found,) = family(*arms, rules=rules, **more).verdicts
    return found


def only(ratios: Sequence[float], rules: Rules = RULES, **more: Any) -> Verdict:
    """Of an arm with these ratios, a launch each."""
    return verdict_of(base(len(ratios)), fast("other", ratios, **more), rules=rules)


def interval(ratios: Sequence[float], level: float = 0.05) -> tuple[float, float]:
    """Student's over the launches, by SciPy."""
    value_N = np.log(ratios)
    low, high = stats.t.interval(1 - level, len(value_N) - 1, np.mean(value_N), stats.sem(value_N))
    return math.exp(low), math.exp(high)


def detectable(ratios: Sequence[float], level: float = 0.05, gate: float = 0.05) -> float:
    sd = float(np.std(np.log(ratios), ddof=1))
    return math.expm1(smallest_detectable(sd, len(ratios), level, gate=math.log1p(gate)))


def geometric(ratios: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(ratios))))


def window(launch: int, first: int, last: int, **figures: float) -> Window:
    quiet = Window(launch, 0, first, last, 1.0, 0.0, 0.0, 0.0, 2)
    return replace(quiet, **figures)  # type: ignore[arg-type]
