"""The measurement of `vecml optimize`: the target and its candidates in worker processes, with a verdict on each.

It is measured as `vecml compare` measures; a function that takes seconds has fewer calls.
"""

import copy
import dataclasses
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vecml.comparison.arms import make_group
from vecml.comparison.budget import Budget, seconds_of
from vecml.comparison.comparison import Comparison, Subject, figures, median_call_seconds
from vecml.comparison.sitting import sit
from vecml.errors import SettingError
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.records import Arm, Plan, Role
from vecml.measure.work import Work
from vecml.optimize.compiling import COMPILE_SECONDS
from vecml.optimize.target import Place, load, make_inputs

OPENER = "vecml.optimize.measure:CallWork"
LAUNCH_SECONDS = 1.6  # for a worker's start, its imports and its inputs
ROUNDS = 20
FEWEST_ROUNDS = 3
LAUNCHES = 5
QUICK_PLAN = Plan(launches=1, budget_seconds=None, rounds=6)
SHARED = 1.3  # CPUs' worth from which a function counts as using all of them


class CallWork(Work):
    """A function over the user's inputs as an arm; see `vecml.measure.work.Work`."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._place, self._inputs = Place(**payload["place"]), Place(**payload["inputs"])
        self._copies = payload["copies"]
        self._function: Any = None
        self._args: tuple[Any, ...] = make_inputs(self._inputs)
        self._result: Any = None

    def open(self) -> None:
        """Import the function, and call it once where its first call compiles it."""
        self._function = load(self._place)
        if hasattr(self._function, "py_func"):
            self._function(*copy.deepcopy(self._args))

    def call(self) -> None:
        """Call it. Where the target changes its inputs, each call gets a copy; the copying counts for all arms."""
        args = copy.deepcopy(self._args) if self._copies else self._args
        self._result = self._function(*args)

    def answer(self) -> int:
        return _checksum(self._result)


def make_plan(budget: str, seconds: float, others: Sequence[float]) -> Plan:
    """Plan launches and rounds.

    Args:
        budget: `60s`, `5m`, `auto` or `quick`.
        seconds: of a call of the target.
        others: seconds of a call of each candidate.

    Raises SettingError for a budget that is too short for a verdict, and names one that would do.
    """
    if budget == "quick":
        return dataclasses.replace(QUICK_PLAN, **_patience(max(seconds, *others, 0.0)))
    given = seconds_of(budget)
    turn = 2 * seconds + sum(others)
    launch = (len(others) + 2) * (LAUNCH_SECONDS + 0.5) + turn * (1 + FEWEST_ROUNDS)
    least = FEWEST_LAUNCHES * launch
    if given is not None and given < least:
        enough = 10 * math.ceil(1.2 * least / 10)
        raise SettingError(
            f"--budget {budget}: too short for a verdict on a function that takes {seconds:.3g} s a call",
            f"--budget {enough}s would do; --budget quick gives figures without a verdict",
        )
    wall = max(60.0, least) if given is None else given
    launches = max(FEWEST_LAUNCHES, min(LAUNCHES, int(wall / launch)))
    return Plan(
        launches=launches,
        budget_seconds=wall,
        rounds=ROUNDS,
        fewest_rounds=FEWEST_ROUNDS,
        **_patience(max(seconds, *others, 0.0)),
    )


def measure_calls(
    target: Place,
    candidates: Mapping[str, Place],
    inputs: Place,
    plan: Plan,
    budget: str,
    cpus: Mapping[str, int],
    *,
    copies: bool,
) -> Comparison:
    """Measure the target and its candidates beside each other over the user's inputs.

    Args:
        target: the function that is the baseline; its copy is the null arm.
        candidates: by name.
        inputs: the function that makes the inputs.
        plan: how much is measured; see `make_plan`.
        budget: as the user gave it.
        cpus: how many CPUs each keeps busy, by name.
        copies: whether each call gets a fresh copy of the arguments, because the target changes them.
    """
    places = {target.name: target, **candidates}

    def arm(name: str, role: Role, label: str) -> Arm:
        payload = {"place": vars(places[name]), "inputs": vars(inputs), "copies": copies}
        return Arm(label, OPENER, payload, role, cpus=cpus[name])

    sitting = sit([make_group(list(places), arm)], Budget(plan, budget, None, "default"))
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=budget,
        subject=Subject("functions", 1),
        simplest=tuple(places),
        faults=sitting.faults(places, {}),
    )


@dataclasses.dataclass(frozen=True)
class Gain:
    """The gain of a candidate over the target.

    Attributes:
        verdict: `faster`, `slower`, `equivalent`, `undetected` or `invalid`; None for a quick measurement.
        reason: of the verdict, in one sentence.
        ratio, low, high: how many times as fast it is, with the interval; None where there is none.
        seconds: of a call, at the median block; None without blocks.
        compile_seconds: time for its import and compilation.
        break_even_calls: number of calls after which that time is saved; None where it is not faster.
        peak_bytes: the most memory that its worker used, the inputs included.
    """

    verdict: str | None
    reason: str
    ratio: float | None
    low: float | None
    high: float | None
    seconds: float | None
    compile_seconds: float | None
    break_even_calls: int | None
    peak_bytes: int | None


def gains(comparison: Comparison) -> dict[str, Gain]:
    """The gain of each candidate by its name, and the target's own figures, which have no verdict."""
    measured = {arm.name: median_call_seconds(arm) for arm in comparison.measured.arms}
    found: dict[str, Gain] = {}
    base: tuple[float, float] | None = None
    for arm in figures(comparison):
        seconds, verdict = measured[arm.name], arm.verdict
        load = arm.load_seconds
        even = None
        if verdict is None:
            base = None if seconds is None else (seconds, load or 0.0)
        elif base and seconds is not None and load is not None and (verdict.ratio or 0) > 1 and seconds < base[0]:
            even = max(1, math.ceil((load - base[1]) / (base[0] - seconds)))
        found[arm.name] = Gain(
            verdict=None if verdict is None else verdict.verdict,
            reason=(arm.failure or "the baseline") if verdict is None else verdict.reason,
            ratio=None if verdict is None else verdict.ratio,
            low=None if verdict is None else verdict.ratio_low,
            high=None if verdict is None else verdict.ratio_high,
            seconds=seconds,
            compile_seconds=load,
            break_even_calls=even,
            peak_bytes=arm.peak_rss_bytes,
        )
    return found


def _patience(seconds: float) -> dict[str, Any]:
    """Fields of a plan: how a function that takes so many seconds is warmed up, and when it counts as hanging."""
    slow = seconds > 0.2
    return {
        "warm_calls": 1 if slow else 3,
        "warm_seconds": 0.3,
        "patience_seconds": max(20.0, 40 * seconds),
        "open_seconds": COMPILE_SECONDS,
    }


def _checksum(result: Any) -> int:
    if isinstance(result, tuple | list):
        return zlib.crc32(repr([_checksum(part) for part in result]).encode())
    if isinstance(result, np.ndarray) and result.dtype != object:
        return zlib.crc32(np.ascontiguousarray(result).tobytes())
    return zlib.crc32(repr(result).encode())
