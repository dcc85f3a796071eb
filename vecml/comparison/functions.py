"""A comparison of any functions: each runs in worker processes of its own, and its results must be the baseline's.

A worker imports a function from its module, or from the script that defines it at its top level, as multiprocessing
does with "spawn". Nothing is pickled: the input is a file that all workers map, or what a function of the user's makes
in each worker.
"""

import inspect
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecml.comparison.arms import make_group
from vecml.comparison.budget import Budget, check_budget, for_first_calls, for_slow_calls, make_budget
from vecml.comparison.comparison import FUNCTIONS, Comparison, Subject
from vecml.comparison.files import shared_folder
from vecml.comparison.function_input import changed, read_input, write_input
from vecml.comparison.places import Place, found, named_place, place_of
from vecml.comparison.results import check_done, checksum, faults, write_result
from vecml.comparison.session import Tracking, W, go_on, recorded
from vecml.comparison.sitting import rehearse, sit
from vecml.comparison.unfinished import Kept, unfinished_of
from vecml.device import usable_cpus
from vecml.environment import describe
from vecml.errors import SettingError, one_line
from vecml.measure.records import Arm, Measured, Plan, Role
from vecml.measure.work import ArmError, Work
from vecml.numbers import count
from vecml.progress import stage

OPENER = "vecml.comparison.functions:FunctionWork"
CHANGING = "its result changed from call to call over the same input"
SLOW_SECONDS = 1.0  # of a call: from here on the plan depends on what calls take
FIRST_CALL_SECONDS = 600.0  # that a first call, with its imports and its inputs, is waited for


@dataclass(frozen=True)
class Functions:
    """Functions of files and modules, and what makes their inputs.

    Attributes:
        places: by name, the baseline first.
        inputs: what makes the arguments of a call, in every worker anew.
        budget, name: as in `ComparisonConfig`.
    """

    places: Mapping[str, Place]
    inputs: Place
    budget: str = "60s"
    name: str | None = None


@dataclass(frozen=True)
class Rehearsed:
    """Holds what calling each function once has shown.

    Attributes:
        sizes: the names of the inputs, where they have names.
        first, warm: seconds of the first call in a process and of a later one, by the function's name.
    """

    sizes: list[str]
    first: Mapping[str, float]
    warm: Mapping[str, float]


class FunctionWork(Work):
    """A function over one input as an arm; see `vecml.measure.work.Work`."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._folder = Path(payload["folder"])
        self._number = payload["number"]
        self._name = payload["name"]
        sys.path.extend(entry for entry in payload["path"] if entry not in sys.path)
        self._function = found(payload["place"])
        self._inputs: Place | None = payload["inputs"]
        self._size: str | None = payload["size"]
        self._sizes: list[str] = []
        self._args: tuple[Any, ...] = ()
        self._named: dict[str, Any] = {}
        self._result: Any = None

    def open(self) -> None:
        """Take the input: an array of its own, mapped from the file, or what JSON gives, or what the user's makes."""
        self._args, self._named = self._given()

    def facts(self) -> dict[str, Any]:
        return {"function": self._name, "size": self._size, "sizes": self._sizes} if self._sizes else {}

    def call(self) -> None:
        self._result = self._function(*self._args, **self._named)

    def answer(self) -> int:
        return checksum(self._result)

    def finish(self) -> dict[str, Any]:
        """Write the last timed call's result, and that of a changed input, for the comparison with the baseline's."""
        write_result(self._result, self._folder / f"result-{self._number}.npz")
        args, named = self._changed()
        try:
            result = self._function(*args, **named)
        except Exception as error:
            if self._inputs is None:
                raise
            result = f"raised {type(error).__name__}"  # the user's arguments may not fit each other once one is changed
        check_done(result)
        write_result(result, self._folder / f"changed-{self._number}.npz")
        return {}

    def _given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._inputs is None:
            return (read_input(self._folder),), {}
        try:
            made = found(self._inputs)()
        except Exception as error:
            raise ArmError(f"{self._inputs['qualified']}, which makes the inputs, raised {_words(error)}") from error
        if has_sizes(made, self._function):
            self._sizes = list(made)
            made = made[self._size or self._sizes[0]]
        return arguments(made)

    def _changed(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the first array among them changed in place; the others are made anew."""
        args, named = self._given()
        values, fresh = [*self._args, *self._named.values()], [*args, *named.values()]
        for place, value in enumerate(values[: len(fresh)]):
            if isinstance(value, np.ndarray):
                fresh[place] = changed(fresh[place], value)
                break
        return tuple(fresh[: len(args)]), dict(zip(named, fresh[len(args) :], strict=True))


def arguments(made: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call that a maker of inputs returned, by position and by name.

    A tuple holds them by position, a dict by name; anything else is the only argument. See also `has_sizes`.
    """
    if isinstance(made, tuple):
        return made, {}
    return ((), made) if isinstance(made, dict) and all(isinstance(key, str) for key in made) else ((made,), {})


def has_sizes(made: Any, function: Callable[..., Any]) -> bool:
    """Whether a maker returned several inputs by name: a dict with a key that is the name of no parameter."""
    if not isinstance(made, dict) or not made or not all(isinstance(key, str) for key in made):
        return False
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some builtins nobody knows the parameters
        return False
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return not takes_any and not made.keys() <= parameters.keys()


def compare_functions(
    functions: Mapping[str, Callable[..., Any]],
    x: Any = None,
    *,
    inputs: Callable[[], Any] | None = None,
    budget: str = "60s",
    baseline: str | None = None,
) -> Comparison:
    """Measure functions over the same input, and see that their results are the baseline's.

    Args:
        functions: by name, two or more, each defined at the top level of a module or of the script that runs.
        x: the only argument: an array of any shape and dtype but object (every worker maps the same file), or what JSON
            can hold.
        inputs: in place of `x`, a function that makes the arguments in every worker, as `arguments` says.
        budget: `60s`, `5m`, `auto`, or `quick`.
        baseline: a name; None: the first.

    Results must be equal, part by part; floating-point ones within 1e-5 of each other. Raises SettingError for a
    function that a worker could not find again, and for a budget that is too short.
    """
    first = _check_names(functions, baseline)
    names = [first, *(name for name in functions if name != first)]
    places = {name: place_of(name, functions[name]) for name in names}
    made = None if inputs is None else place_of("inputs", inputs)
    if made is not None and x is not None:
        raise SettingError("x and inputs are both given", "leave out one of them")
    check_budget(budget)
    with shared_folder(2 * getattr(x, "nbytes", 0)) as folder:
        if made is None:
            _budget(budget, len(names))  # one that is too short for any calls is refused before they are made
            write_input(x, folder)
        calls = _rehearse(places, made, folder)
        planned = _budget(budget, len(names), groups=max(1, len(calls.sizes)), calls=calls)
        return _measure(places, made, planned, folder, sizes=calls.sizes)


def compare_places(
    asked: Functions,
    tracking: Tracking[W],
    *,
    began: float | None = None,
    announce: Callable[[Budget], None] = lambda _budget: None,
    json: Path | None = None,
    fresh: bool = False,
) -> tuple[Comparison, W]:
    """Measure functions that are named by their files or modules, and record the comparison.

    Args:
        asked: what is compared.
        tracking, began, announce, json, fresh: as in `vecml.comparison.session.compare`.

    Each is called once before anything is measured. Raises SettingError for one that raises then, or cannot be found,
    and for a budget that is too short; StoreError where it cannot be recorded. Warns VML016 where a stopped comparison
    goes on.
    """
    check_budget(asked.budget)
    began = time.perf_counter() if began is None else began
    with shared_folder(0) as folder:
        calls = _rehearse(asked.places, asked.inputs, folder)
        sizes = calls.sizes
        budget = _budget(asked.budget, len(asked.places), began, groups=max(1, len(sizes)), calls=calls)
        announce(budget)

        def measure(kept: Kept | None, keep: Callable[[Measured], None]) -> Comparison:
            def rest(resumed: Measured | None) -> Comparison:
                return _measure(asked.places, asked.inputs, budget, folder, sizes=sizes, resumed=resumed, keep=keep)

            return go_on(kept, rest)

        file = unfinished_of(_identity(asked), asked.budget, asked.name)
        return recorded(tracking, asked.name, file, measure, json=json, fresh=fresh)


def named_functions(texts: str, inputs: str | None, baseline: str | None) -> tuple[dict[str, Place], Place]:
    """The functions that `--functions` names, the baseline first, and what makes their inputs.

    A function is called by its own name, with its file's where two have the same. Raises SettingError as `named_place`
    does, and for one function alone, equal ones and an unknown baseline.
    """
    if inputs is None:
        raise SettingError("--functions without --inputs", "--inputs FILE.py:FUNCTION makes the arguments of a call")
    listed = [one.strip() for one in texts.split(",") if one.strip()]
    places = [named_place(text, "--functions") for text in listed]
    own = [place["qualified"] for place in places]
    found_places = {}
    for text, place in zip(listed, places, strict=True):
        name = place["qualified"] if own.count(place["qualified"]) == 1 else Path(text).name
        if name in found_places:
            raise SettingError(f"--functions {texts}: {text} is there twice", "name each once")
        found_places[name] = place
    first = _check_names(found_places, baseline)
    return {first: found_places[first], **found_places}, named_place(inputs, "--inputs")


def _check_names(functions: Mapping[str, Any], baseline: str | None) -> str:
    """The baseline's name; raises SettingError where there is nothing to compare, or no such baseline."""
    if len(functions) < 2:
        told = count(len(functions), "function")
        raise SettingError(f"{told}: a comparison needs two or more", "name another one, separated by a comma")
    first = baseline or next(iter(functions))
    if first not in functions:
        raise SettingError(f"baseline {first!r} is none of the functions", f"choose from {', '.join(functions)}")
    return first


def _budget(
    budget: str,
    functions: int,
    began: float | None = None,
    groups: int = 1,
    calls: Rehearsed | None = None,
) -> Budget:
    """The plan for so many functions; where their rehearsed calls are slow, one call warms up."""
    found_budget = make_budget(budget, [(functions + 1, 0)] * groups, functions - 1, describe().machine_key, "function")
    found_budget = replace(found_budget, began=began)
    if calls is None or not calls.warm:
        return found_budget
    if max(calls.warm.values()) >= SLOW_SECONDS:
        found_budget = replace(found_budget, plan=replace(found_budget.plan, warm_calls=1))
    elif max(calls.first.values()) < SLOW_SECONDS:
        return for_first_calls(found_budget, calls.first)
    key, now = describe().machine_key, time.perf_counter()
    return for_slow_calls(found_budget, calls.warm, now, key, groups=groups, first=calls.first)


def arms_of(
    places: Mapping[str, Place],
    inputs: Place | None,
    folder: Path,
    size: str | None,
    prefix: str = "",
    path: Sequence[str] | None = None,
    *,
    sizes: bool = True,
) -> Callable[[str, Role, str], Arm]:
    """Give what makes the arm of a function's label, in whose group every arm has the same input.

    Args:
        places, inputs: by name, and what makes the arguments of a call.
        folder: where results are written, each under its number with the `prefix`.
        size: what stands in brackets in the labels.
        path: where a worker looks for modules; None: where this process does.
        sizes: whether `size` is the name of one of several inputs.
    """
    labels = [label_of(name, size) for name in places]
    looked = sys.path if path is None else path

    def arm(label: str, role: Role, own: str) -> Arm:
        number = labels.index(label)
        payload = {
            "name": list(places)[number],
            "place": list(places.values())[number],
            "inputs": inputs,
            "size": size if sizes else None,
            "folder": str(folder),
            "number": f"{prefix}{len(labels) if role == 'null' else number}",
            "path": [entry or str(Path.cwd()) for entry in looked] + [str(Path.cwd())],
        }
        return Arm(own, OPENER, payload, role, cpus=usable_cpus())

    return arm


def label_of(name: str, size: str | None) -> str:
    """Name the arm of a function: by its name, and the input's or the test's in brackets."""
    return name if size is None else f"{name} ({size})"


def _measure(
    places: Mapping[str, Place],
    inputs: Place | None,
    budget: Budget,
    folder: Path,
    *,
    sizes: Sequence[str] = (),
    resumed: Measured | None = None,
    keep: Callable[[Measured], None] = lambda _measured: None,
) -> Comparison:
    """Measure functions over one input, or over each of several that have names, in a group of its own."""
    named = {f"{at}-" if sizes else "": size for at, size in enumerate(sizes or [None])}
    labels = {prefix: [label_of(name, size) for name in places] for prefix, size in named.items()}
    groups = [
        make_group(labels[prefix], arms_of(places, inputs, folder, size, prefix)) for prefix, size in named.items()
    ]

    def check(measured: Measured) -> dict[str, str]:
        changing = [one.name for one in measured.arms if one.role != "null" and len(set(one.blocks.answer)) > 1]
        wrong = {label: why for prefix, own in labels.items() for label, why in faults(folder, own, prefix).items()}
        return dict.fromkeys(changing, CHANGING) | wrong

    sitting = sit(groups, budget, resumed=resumed, keep=keep, check=check)
    names = [label for own in labels.values() for label in own]
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=budget.text,
        subject=Subject(FUNCTIONS, 1),
        simplest=tuple(names),
        faults=sitting.faults(names, sitting.checked(check)),
        finals=sitting.finals,
        alone=sitting.alone,
    )


def _rehearse(places: Mapping[str, Place], inputs: Place | None, folder: Path) -> Rehearsed:
    """Call each function once, and once more where that was slow.

    Raises SettingError for one that fails over what `inputs` makes; over an array of the caller's it is left out here,
    and is invalid in the comparison of the others.
    """
    arm = arms_of(places, inputs, folder, None)
    plan = Plan(patience_seconds=FIRST_CALL_SECONDS)
    with stage("calling each function once"):
        arms = [arm(name, "arm", name) for name in places]
        answers = rehearse(arms, plan, again_above=SLOW_SECONDS, all_of_them=inputs is None)
    sizes: list[str] = []
    first: dict[str, float] = {}
    warm: dict[str, float] = {}
    for name, answer in answers.items():
        if isinstance(answer, str):
            if inputs is None:
                continue
            hint = f"call it by itself first, over what {inputs['qualified']} makes"
            raise SettingError(f"{name}: {answer}", hint)
        sizes, warm[name] = answer.opened.facts.get("sizes", []), answer.reading.seconds
        first[name] = answer.first_seconds
    return Rehearsed(sizes, first, warm)


def _identity(asked: Functions) -> dict[str, Any]:
    """What makes it the same comparison: the functions, and their files as they are."""
    scripts = {place["script"] for place in (*asked.places.values(), asked.inputs) if "script" in place}
    states = [(script, Path(script).stat().st_size, Path(script).stat().st_mtime_ns) for script in sorted(scripts)]
    return {
        "kind": FUNCTIONS,
        "places": asked.places,
        "inputs": asked.inputs,
        "files": states,
        "folder": str(Path.cwd()),
    }


def _words(error: BaseException) -> str:
    return one_line(error, named=not isinstance(error, ArmError), whole=True)
