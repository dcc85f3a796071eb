"""How many launches and rounds fit into a budget of time, and how small a difference they can show on this machine.

How noisy the machine is comes from its qualification (`vecml qualify`); before that, the noise of the development
machine is assumed.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vecml import cache
from vecml.errors import SettingError
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.records import Plan
from vecml.measure.verdict import Rules, shared_level
from vecml.statistics import smallest_detectable

AUTO_SECONDS = 300.0
# Stopping at a width asks for launches first: in 40,000 simulated comparisons, asked from 5 on, coverage fell to 91.8 %
# for the worst spread of launches, from 8 on to 93.2 %; `vecml.measure.verdict.STOPPED_BY_WIDTH` makes up for that.
AUTO_FIRST, AUTO_LAUNCHES = 8, 20
QUICK = "quick"
LAUNCH_SD = 0.03  # of a launch's estimate, log scale, before the machine was qualified; docs/log.md has the figures
# What a launch costs beside its blocks, for each worker: interpreter, imports, input (two CPUs at once), canary, load.
WORKER_SECONDS = 0.9
TURN_SECONDS = 0.075  # a block of 50 ms, the neighbours' rest, the pipe
QUICK_ROUNDS = 12
QUICK_PLAN = Plan(launches=1, budget_seconds=None, rounds=QUICK_ROUNDS)
QUICK_SECONDS = 20.0  # that the rounds of a quick look take about, where calls are long
FEW_ROUNDS = 3  # of a launch, where a call takes long
ROUNDS = 20  # of a launch: more blocks of the same processes say little, and the time is better spent on fresh ones
MOST_LAUNCHES = 30
FIRST_CALL_PATIENCE = 5.0  # times what a first call took in a rehearsal: then it hangs
END_SECONDS = 1.5  # the machine's load afterwards, the verdicts, the tracking
LEAST_SHARE = 0.6
FINALS_SHARE = 0.3  # of the budget, for fresh launches of the finalists, where more than two settings are compared
GATES = "gate"


class ShortBudgetError(SettingError):
    """A budget in which no verdict can be reached.

    Attributes:
        enough: seconds that would do.
    """

    enough = 0


@dataclass(frozen=True)
class Budget:
    """How much is measured.

    Attributes:
        plan: for the coordinator.
        text: as the user gave it.
        resolves: the relative difference that should be found nine times in ten; None where there is no verdict.
        source: where the machine's noise comes from: `qualified` or `default`.
        began: when the budget began to run, by time.perf_counter; None: it begins with the measurement.
        reserved: share of the seconds that is kept for fresh launches of the finalists.
        least_seconds: that three launches of all settings take; where less is left for them, nothing is reserved.
    """

    plan: Plan
    text: str
    resolves: float | None
    source: str
    began: float | None = None
    reserved: float = 0.0
    least_seconds: float = 0.0

    def seconds_from(self, now: float) -> float | None:
        """The seconds that are left at `now` for all that is measured; None: as many as it takes.

        What came before it (imports, training, a first database) uses up at most four tenths of the budget.
        """
        seconds = self.plan.budget_seconds
        if seconds is None or self.began is None:
            return seconds
        return max(LEAST_SHARE * seconds, seconds - (now - self.began) - END_SECONDS)

    def plan_from(self, now: float) -> Plan:
        """The plan for a measurement that begins at `now`: with what is left of the budget, less what is reserved."""
        left = self.seconds_from(now)
        if left is None:
            return self.plan
        first = left * (1 - self.reserved)
        return dataclasses.replace(self.plan, budget_seconds=first if first >= self.least_seconds else left)


def seconds_of(text: str) -> float | None:
    """`60`, `60s`, `1.5m`, `2min`, `1h` in seconds; None for `auto`. Raises SettingError for anything else."""
    if text == "auto":
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|sec|m|min|h)?", text.strip())
    seconds = float(match[1]) * {"m": 60, "min": 60, "h": 3600}.get(match[2] or "s", 1) if match else 0.0
    if not seconds:
        raise SettingError(f"--budget {text}: not a time", "for example --budget 60s, 5m or auto")
    return seconds


def check_budget(text: str) -> None:
    """Raise SettingError for a budget that is neither a time, `auto` nor `quick`."""
    if text != QUICK:
        seconds_of(text)


def make_budget(text: str, groups: list[tuple[int, int]], arms: int, machine_key: str, noun: str = "setting") -> Budget:
    """Plan the launches and rounds for a budget.

    Args:
        text: see `seconds_of`; `quick`: one launch, figures without verdicts.
        groups: for each group of arms, how many take part in every round, and how many measure a limit.
        arms: number of arms that share the significance level.
        machine_key: of the machine, whose noise and rules decide what can be told apart.
        noun: what an arm is called where the budget is refused.

    Raises SettingError for a budget in which no verdict can be reached, with one that would do.
    """
    if text == QUICK:
        return Budget(QUICK_PLAN, text, None, "default")
    seconds = seconds_of(text)
    launch, rounds_cost = launch_seconds(groups)
    least = FEWEST_LAUNCHES * (launch + rounds_cost)
    if seconds is not None and seconds < least:
        raise _short(f"--budget {text}: too short for a verdict on {arms + 1} {noun}s", least)
    reserved = FINALS_SHARE if arms > 1 and (seconds or AUTO_SECONDS) * (1 - FINALS_SHARE) >= least else 0.0
    if seconds is None:
        plan = Plan(launches=AUTO_FIRST, most_launches=AUTO_LAUNCHES, budget_seconds=AUTO_SECONDS, rounds=14)
        launches = plan.launches
    else:
        patience = min(120.0, max(10.0, seconds / 3))
        full = launch + rounds_cost * ROUNDS / Plan.fewest_rounds
        launches = launches_within(seconds * (1 - reserved), launch + rounds_cost, full)
        plan = Plan(launches=launches, budget_seconds=seconds, patience_seconds=patience)
    sd, source = launch_sd(machine_key)
    rules = machine_rules(machine_key)
    level = shared_level(rules, arms, stops_by_width=plan.most_launches > plan.launches)
    smallest = smallest_detectable(sd, launches, level, gate=math.log1p(rules.gate))
    if reserved:  # what the sentence says is found by the fresh launches of the finalist, too
        finals = launches_for((seconds or AUTO_SECONDS) * reserved, 2, limits=0)
        smallest = max(smallest, smallest_detectable(sd, finals, rules.level, gate=math.log1p(rules.gate)))
    resolves = math.expm1(smallest)
    return Budget(plan, text, resolves, source, reserved=reserved, least_seconds=least)


def for_first_calls(budget: Budget, first: Mapping[str, float]) -> Budget:
    """Let a first call take several times what it took in a rehearsal; `first` has its seconds by the arm's name."""
    longest = max(budget.plan.patience_seconds, FIRST_CALL_PATIENCE * max(first.values()))
    return dataclasses.replace(budget, plan=dataclasses.replace(budget.plan, first_call_seconds=longest))


def for_slow_calls(
    budget: Budget,
    taken: Mapping[str, float],
    now: float,
    machine_key: str,
    *,
    noun: str = "call",
    groups: int = 1,
    first: Mapping[str, float] | None = None,
) -> Budget:
    """Fit a budget that was made for short calls to calls that take so long, in the time that is left of it.

    Args:
        budget: of `make_budget`, with the fewest calls that warm an arm up, and with its beginning.
        taken: seconds of a warm call by the arm's name, the baseline, which has a copy, first.
        now: by time.perf_counter.
        machine_key: as for `make_budget`.
        noun: what a call is called where the budget is refused.
        groups: number of groups that all these arms are in.
        first: seconds of the first call in a process by the arm's name; None: it takes no longer than a warm one.

    Nothing is reserved for finalists where the fewest launches need the time themselves. Raises SettingError for a
    budget in which no verdict can be reached, with one that would do.
    """
    number = len(taken)
    a_round = groups * sum(_with_null(taken))
    firsts = taken if first is None else first
    first_calls = groups * sum(_with_null(firsts))
    if first is not None:
        budget = for_first_calls(budget, first)
    plan, left = budget.plan, budget.seconds_from(now)
    patience = max(plan.patience_seconds, 5 * (plan.warm_calls + 4) * max(taken.values()))
    plan = dataclasses.replace(plan, patience_seconds=patience)
    if left is None:
        rounds = max(FEW_ROUNDS, min(QUICK_ROUNDS, int(QUICK_SECONDS / max(a_round, 1e-9))))
        return dataclasses.replace(budget, plan=dataclasses.replace(plan, rounds=rounds))

    def least_with(rounds: int) -> float:  # workers, first calls, warm-up, blocks
        workers = groups * (number + 1) * WORKER_SECONDS / 2
        warm_up = groups * sum(max(plan.warm_calls * one, plan.warm_seconds) for one in _with_null(taken))
        return FEWEST_LAUNCHES * (workers + first_calls + warm_up + rounds * a_round)

    fewest = plan.fewest_rounds if least_with(plan.fewest_rounds) <= left else FEW_ROUNDS
    least = least_with(fewest)
    if least > left:
        spent = 0.0 if budget.began is None else now - budget.began
        enough = min(least / LEAST_SHARE, least + spent + END_SECONDS)
        firsts_share = FEWEST_LAUNCHES * first_calls / least
        what, of = (noun, taken) if firsts_share <= 1 / 2 else (f"first {noun} in a process", firsts)
        raise _too_short(budget.text, what, of, enough)
    unreserved = left * (1 - budget.reserved)
    launches = int((unreserved if unreserved >= least else left) * FEWEST_LAUNCHES / least)
    launches = max(FEWEST_LAUNCHES, min(plan.launches, launches))
    return dataclasses.replace(
        budget,
        plan=dataclasses.replace(plan, fewest_rounds=fewest),
        resolves=max(budget.resolves or 0.0, _resolves(plan, launches, number - 1, machine_key)),
        least_seconds=max(budget.least_seconds, least),
    )


def _resolves(plan: Plan, launches: int, arms: int, machine_key: str) -> float:
    """The relative difference that so many launches of arms that share the level find nine times in ten."""
    rules = machine_rules(machine_key)
    level = shared_level(rules, arms, stops_by_width=plan.most_launches > plan.launches)
    return math.expm1(smallest_detectable(launch_sd(machine_key)[0], launches, level, gate=math.log1p(rules.gate)))


def _too_short(budget: str, what: str, taken: Mapping[str, float], enough: float) -> ShortBudgetError:
    slowest = max(taken, key=lambda name: taken[name])
    return _short(
        f"--budget {budget}: too short for a verdict: a {what} of {slowest!r} takes {taken[slowest]:.1f} s", enough
    )


def _short(message: str, least: float) -> ShortBudgetError:
    """The refusal of a budget where at least so many seconds are needed."""
    enough = 10 * math.ceil(1.2 * least / 10)
    error = ShortBudgetError(message, f"--budget {enough}s would do; --quick gives figures without a verdict")
    error.enough = enough
    return error


def _with_null(seconds: Mapping[str, float]) -> list[float]:
    """The seconds of the arms and of the copy of the first of them, the baseline."""
    return [next(iter(seconds.values())), *seconds.values()]


def launch_seconds(groups: list[tuple[int, int]]) -> tuple[float, float]:
    """The time of a launch: seconds beside its rounds, and seconds of the fewest rounds that it may have."""
    workers = sum(regular + limits for regular, limits in groups)
    turns = sum(regular + limits / Plan.limit_every for regular, limits in groups)
    return workers * (WORKER_SECONDS + Plan.warm_seconds), Plan.fewest_rounds * TURN_SECONDS * turns


def launches_for(seconds: float, arms: int, limits: int = 2) -> int:
    """Number of launches that fit into `seconds`, for `arms` arms (the null arm among them) and so many limits."""
    launch, fewest = launch_seconds([(arms, limits)])
    return launches_within(seconds, launch + fewest, launch + fewest * ROUNDS / Plan.fewest_rounds)


def launches_within(seconds: float, least: float, full: float) -> int:
    """Five launches, or as many as fit with the fewest rounds; more than five only where all have their full rounds.

    Args:
        seconds: that there are.
        least: seconds of a launch with the fewest rounds.
        full: seconds of a launch with all its rounds.
    """
    return max(FEWEST_LAUNCHES, min(Plan.launches, int(seconds / least)), min(MOST_LAUNCHES, int(seconds / full)))


def launch_sd(machine_key: str) -> tuple[float, str]:
    """The standard deviation of a launch's log-ratio on this machine, and its source: `qualified` or `default`."""
    kept = cache.read(GATES, machine_key) or {}
    value = kept.get("launch_sd")
    return (float(value), "qualified") if isinstance(value, int | float) and value > 0 else (LAUNCH_SD, "default")


def machine_rules(machine_key: str, launches: int = Plan.launches) -> Rules:
    """The rules for verdicts on this machine: with its own A/A gate for so many launches, or 5 % where it has none."""
    kept: dict[str, Any] = cache.read(GATES, machine_key) or {}
    gates = {int(count): float(gate) for count, gate in (kept.get("gates") or {}).items()}
    fitting = [count for count in gates if count <= launches]
    if not fitting:
        return Rules()
    return Rules(gate=gates[max(fitting)], gate_source="qualified")
