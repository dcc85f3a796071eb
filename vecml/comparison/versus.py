"""Pairs of functions, each with a demand, measured in one sitting: what the pytest plug-in asks for."""

import importlib.machinery
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vecml.comparison.arms import make_group
from vecml.comparison.budget import launch_seconds, make_budget
from vecml.comparison.comparison import FUNCTIONS, Comparison, Subject, families
from vecml.comparison.demand import Demand, answer, words
from vecml.comparison.files import shared_folder
from vecml.comparison.functions import CHANGING, arms_of, label_of
from vecml.comparison.places import NO_ARGUMENTS, Place, place_of
from vecml.comparison.results import faults
from vecml.comparison.sitting import CHANGED, rehearse, sit
from vecml.environment import describe
from vecml.errors import SettingError, VecmlError
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.records import Measured, Plan
from vecml.measure.verdict import Verdict

ARMS = (3, 0)  # of a pair that take turns: the slower one, its copy and the faster one; none measures a limit
LEAST_SECONDS = math.ceil(FEWEST_LAUNCHES * sum(launch_seconds([ARMS])))


@dataclass(frozen=True)
class Pair:
    """Two functions, of which one must be faster than the other.

    Attributes:
        title: the test that asks.
        places: by name, the slower one, which is the baseline, first.
        inputs: what makes the arguments of a call.
        path: where a worker looks for modules.
        at_least: how many times as fast the second must be.
        same_results: whether both must give the same results.
    """

    title: str
    places: Mapping[str, Place]
    inputs: Place
    path: tuple[str, ...]
    at_least: float = 1.0
    same_results: bool = True

    @property
    def labels(self) -> list[str]:
        """Name the arms: the functions, each with the test that asks."""
        return [label_of(name, self.title) for name in self.places]

    @property
    def wanted(self) -> str:
        """Say what is demanded, in words."""
        slow, fast = self.places
        return (
            f"{fast} faster than {slow}" if self.at_least == 1 else f"{fast} {self.at_least:g} times as fast as {slow}"
        )


@dataclass(frozen=True)
class Outcome:
    """Holds what became of a pair.

    Attributes:
        passed: whether the demand is met; None where nothing shows it or the contrary.
        reason: one sentence.
        verdict: on the faster one against the slower; None where none was measured.
    """

    passed: bool | None
    reason: str
    verdict: Verdict | None = None


def make_pair(
    title: str,
    fast: Callable[..., Any],
    slow: Callable[..., Any],
    inputs: Callable[[], Any] | None = None,
    *,
    at_least: float = 1.0,
    same_results: bool = True,
    root: Path | None = None,
) -> Pair:
    """Name the places of two functions and of what makes their inputs, so that another process finds them.

    Args:
        title: the test that asks.
        fast, slow: functions at the top level of a module; inputs likewise, None: they take no arguments.
        at_least: how many times as fast `fast` must be.
        same_results: whether both must give the same results.
        root: a further folder in which a worker looks for modules.

    Raises SettingError for what no worker could find, and for an `at_least` that is no positive number.
    """
    if not (isinstance(at_least, int | float) and 0 < at_least < float("inf")):
        raise SettingError(f"at_least={at_least!r} is no positive number", "at_least=1.2 asks for 1.2 times as fast")
    path = tuple(dict.fromkeys([*(entry or str(Path.cwd()) for entry in sys.path), *([str(root)] if root else [])]))
    found = {}
    for function in (slow, fast):
        name = getattr(function, "__qualname__", type(function).__name__)
        if name in found:
            name = f"{function.__module__}.{name}"
        found[name] = _importable(place_of(name, function), path)
    if len(found) < 2:
        raise SettingError(f"{next(iter(found))} is held against itself", "name two functions")
    made = NO_ARGUMENTS if inputs is None else _importable(place_of("inputs", inputs), path)
    return Pair(title, found, made, path, float(at_least), same_results)


def _importable(place: Place, path: Sequence[str]) -> Place:
    """The place by its file where a worker would not find its module by that name."""
    module = sys.modules.get(place.get("module", ""))
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return place
    folders: Sequence[str] | None = path
    name, spec = "", None
    for part in place["module"].split("."):
        name = f"{name}.{part}" if name else part
        spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is None:
            break
        folders = spec.submodule_search_locations
    if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == Path(file).resolve():
        return place
    return {"script": str(Path(file).resolve()), "qualified": place["qualified"]}


def measure_pairs(pairs: Sequence[Pair], seconds: float) -> tuple[list[Outcome], Comparison | None]:
    """Measure all pairs in one sitting, and say what became of each; the comparison is None where nothing ran.

    Args:
        pairs: their titles differ.
        seconds: wall time for each pair; a call that takes longer counts as one that hangs.

    A function that raises, or gives another result than the other, has missed its demand; of one that hangs nothing is
    known. Warns as `vecml.comparison.sitting.sit` does.
    """
    outcomes: dict[str, Outcome] = {}
    with shared_folder(0) as folder:
        for number, pair in enumerate(pairs):
            if (broken := _broken(pair, folder, number, seconds)) is not None:
                outcomes[pair.title] = broken
        left = [pair for pair in pairs if pair.title not in outcomes]
        comparison = None
        try:
            if left:
                comparison = _measure(left, folder, seconds)
        except VecmlError as error:
            hint = f" ({error.hint})" if error.hint else ""
            outcomes |= {pair.title: Outcome(None, f"not measured: {error}{hint}") for pair in left}
    if comparison is not None:
        outcomes |= outcomes_of(left, comparison)
    return [outcomes[pair.title] for pair in pairs], comparison


def outcomes_of(pairs: Sequence[Pair], comparison: Comparison) -> dict[str, Outcome]:
    """Say by its title what a comparison shows of each pair."""
    verdicts = {one.arm: one for family in families(comparison) for one in family.verdicts}
    return {pair.title: _outcome(pair, comparison, verdicts[pair.labels[1]]) for pair in pairs}


def _outcome(pair: Pair, comparison: Comparison, verdict: Verdict) -> Outcome:
    failures = {one.name: one.failure for one in comparison.measured.arms if one.failure is not None}
    for name, label in zip(pair.places, pair.labels, strict=True):
        if (fault := comparison.faults.get(label)) is not None and not fault.startswith(CHANGED):
            return Outcome(False, f"{name}: {fault}", verdict)
        if label in failures:
            return Outcome(_missed(failures[label]), f"{name}: {failures[label]}", verdict)
    found = answer(Demand(pair.at_least), verdict, comparison.rules.gate)
    said = {True: "", False: "it is not: ", None: "not decided: "}[found]
    return Outcome(found, f"wanted {pair.wanted}; {said}{words(verdict)}", verdict)


def _missed(failure: str) -> bool | None:
    """Say what a failure shows: one that raises misses its demand; of one that gave no answer, nothing is known."""
    return False if "raised" in failure else None


def _broken(pair: Pair, folder: Path, number: int, seconds: float) -> Outcome | None:
    """Call both functions once; say what became of the pair if one fails, else None."""
    arm = arms_of(pair.places, pair.inputs, folder, None, f"{number}-", pair.path)
    answers = rehearse([arm(name, "arm", name) for name in pair.places], Plan(patience_seconds=seconds))
    for name, answered in answers.items():
        if isinstance(answered, str):
            longer = "" if _missed(answered) is False else "; a longer --versus-budget waits for it"
            return Outcome(_missed(answered), f"{name}: {answered}{longer}")
        if answered.opened.facts.get("sizes"):
            return Outcome(False, f"{pair.inputs['qualified']} makes several inputs by name: a pair has one")
    return None


def _measure(pairs: Sequence[Pair], folder: Path, seconds: float) -> Comparison:
    budget = make_budget(f"{seconds * len(pairs):g}s", [ARMS] * len(pairs), 1, describe().machine_key)
    longest = max(budget.plan.patience_seconds, 2 * seconds)  # a first call was waited for so many seconds before
    budget = replace(budget, plan=replace(budget.plan, first_call_seconds=longest))
    groups = []
    for number, pair in enumerate(pairs):
        arm = arms_of(pair.places, pair.inputs, folder, pair.title, f"{number}-", pair.path, sizes=False)
        groups.append(make_group(pair.labels, arm))

    def check(measured: Measured) -> dict[str, str]:
        wrong: dict[str, str] = {}
        for number, pair in enumerate(pairs):
            if pair.same_results:
                own = [one for one in measured.arms if one.name in pair.labels]
                wrong |= {one.name: CHANGING for one in own if len(set(one.blocks.answer)) > 1}
                wrong |= faults(folder, pair.labels, f"{number}-")
        return wrong

    sitting = sit(groups, budget, check=check)
    names = tuple(label for pair in pairs for label in pair.labels)
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=budget.text,
        subject=Subject(FUNCTIONS, 1),
        simplest=names,
        faults=sitting.faults(names, sitting.checked(check)),
        finals=sitting.finals,
        alone=sitting.alone,
    )
