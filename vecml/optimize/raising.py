"""Inputs at which the original raises, and what its candidates do there, each in a process of its own.

Compiled code may check no bounds: where the original raises IndexError, it may give a result without a word, or end the
process.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecml.errors import MeasureError, VecmlError, one_line
from vecml.optimize.compiling import COMPILE_SECONDS
from vecml.optimize.observe import describe
from vecml.optimize.target import Place, Say, load, make_inputs

TASK = "vecml.optimize.raising:raising_task"
BEHAVIOUR = "vecml.optimize.raising:behaviour_task"
SHORT = 12  # to so many elements the axes are cut: what raises does so at once
MOST = 5  # inputs, each with another error or another change
SECONDS = 10.0  # of trying inputs at which the original might raise
ENDED = "ends the process"
UNCHECKED = "no bounds check: an index out of range reads or writes memory that is not its own, and may crash"


@dataclass(frozen=True)
class Raised:
    """An input at which the original raises.

    Attributes:
        number: among the inputs that `changed` makes.
        change: what is particular about it: `idx[0] is 500`.
        error: what the original raises, with its name.
        answers: what each candidate does, by its name.
    """

    number: int
    change: str
    error: str
    answers: Mapping[str, str]

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The candidates that take an index out of range without a word."""
        if not self.error.startswith("IndexError"):
            return ()
        return tuple(name for name, said in self.answers.items() if not said.startswith("raises "))


def where_it_raises(
    target: Place, inputs: Place, candidates: Mapping[str, Place], limit_seconds: float
) -> tuple[Raised, ...]:
    """Find inputs at which the original raises, and see what candidates do there.

    Args:
        target, inputs: the function and the input maker.
        candidates: by name; they are right elsewhere.
        limit_seconds: of each stage of a worker.

    Returns:
        At most `MOST` inputs; none where the original never raises, or could not be tried.
    """
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    places = {"target": vars(target), "inputs": vars(inputs)}
    try:
        found = ask(TASK, places, limit_seconds)["raised"]
    except MeasureError:
        return ()
    numbers = [number for number, _, _ in found]
    answers = {name: _behaviour(places, place, numbers, limit_seconds) for name, place in candidates.items()}
    return tuple(
        Raised(number, change, error, {name: said[number] for name, said in answers.items() if number in said})
        for number, change, error in found
    )


def _behaviour(
    places: Mapping[str, Any], candidate: Place, numbers: Sequence[int], limit_seconds: float
) -> dict[int, str]:
    """What a candidate does with each of these inputs; a new process goes on where one has ended."""
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    said: dict[int, str] = {}
    for number in numbers:
        if number in said:
            continue
        asked = {**places, "candidate": vars(candidate), "numbers": [one for one in numbers if one not in said]}
        try:
            said |= {int(key): value for key, value in ask(BEHAVIOUR, asked, limit_seconds)["said"].items()}
            break
        except MeasureError:  # it ended, or does not end, at one of them
            said[number] = _alone(places, candidate, number, limit_seconds)
        except VecmlError:
            break
    return said


def _alone(places: Mapping[str, Any], candidate: Place, number: int, limit_seconds: float) -> str:
    """What it does with one input, in a process that has seen no other."""
    from vecml.optimize.worker import OutOfTimeError, ask  # noqa: PLC0415 -- the worker imports this module

    asked = {**places, "candidate": vars(candidate), "numbers": [number]}
    try:
        answer: str = ask(BEHAVIOUR, asked, limit_seconds)["said"][str(number)]
    except OutOfTimeError:
        return "does not end"
    except MeasureError as error:
        return f"{ENDED} ({error.message.rpartition(': ')[2]})"
    return answer


def raising_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Find the inputs in the worker: `raised` has [number, change, error] for each."""
    target, inputs = Place(**payload["target"]), Place(**payload["inputs"])
    function, args = load(target), make_inputs(inputs)
    names = [one.name for one in describe(function, args, target)]
    say(f"{target.text} where it might raise")
    found: list[tuple[int, str, str]] = []
    seen: set[str] = set()
    end = time.monotonic() + SECONDS
    for number, (change, made) in enumerate(changed(_base(function, args), names)):
        if len(found) == MOST or time.monotonic() > end:
            break
        error = _raised(function, made)
        kind = f"{error.partition(':')[0]} {change.split()[-1]}"
        if error and kind not in seen:
            seen.add(kind)
            found.append((number, change, error))
    return {"raised": found}


def behaviour_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Call a candidate with the inputs of these numbers: `said` has what it does by number."""
    target, inputs = Place(**payload["target"]), Place(**payload["inputs"])
    place = Place(**payload["candidate"])
    function, args = load(target), make_inputs(inputs)
    names = [one.name for one in describe(function, args, target)]
    candidate = load(place)
    said: dict[str, str] = {}
    for number, (change, made) in enumerate(changed(_base(function, args), names)):
        if number in payload["numbers"]:
            say(f"{place.text} with {change}", COMPILE_SECONDS)
            error = _raised(candidate, made)
            said[str(number)] = f"raises {error.partition(':')[0]}" if error else "gives a result without a word"
    return {"said": said}


def changed(args: Sequence[Any], names: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Arguments with one thing changed each, at which a function may raise: the change in words, and the arguments.

    They are an index beyond the end, an argument shorter than the others, NaN and infinity, zeros, nothing at all.
    """
    lengths = [length for value in args if isinstance(value, np.ndarray | list) for length in np.shape(value)]
    counts = [int(value) for value in args if isinstance(value, int | np.integer)]
    longest = max([0, *lengths, *counts])
    for at, (name, value) in enumerate(zip(names, args, strict=True)):
        for how, new in _changes(value, longest):
            yield f"{name} {how}", (*args[:at], new, *args[at + 1 :])


def _changes(value: Any, longest: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray) and value.ndim and value.size:
        kind = value.dtype.kind
        if kind in "iu":
            yield f"has an element {longest + 1}", _with_first(value, longest + 1)
        if len(value) > 1:
            yield "is one shorter", value[:-1].copy()
        if kind == "f":
            yield "has a NaN", _with_first(value, np.nan)
            yield "has an infinity", _with_first(value, np.inf)
        if kind in "fiu":
            yield "is all 0", np.zeros_like(value)
        yield "is empty", value[:0].copy()
    elif isinstance(value, list) and value:
        if all(type(one) is int for one in value):
            yield f"has an element {longest + 1}", [longest + 1, *value[1:]]
        yield "is one shorter", value[:-1]
        yield "is empty", []
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        yield f"is {longest + 1}", type(value)(longest + 1)
        yield "is 0", type(value)(0)
    elif isinstance(value, float | np.floating):
        yield "is NaN", type(value)(np.nan)
        yield "is 0", type(value)(0)


def _with_first(value: Any, new: Any) -> Any:
    made = value.copy()
    with contextlib.suppress(OverflowError):  # it does not fit into a small dtype
        made.flat[0] = new
    return made


def _base(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The user's arguments, cut short where the function takes them so."""
    from vecml.optimize.inputs import cut  # noqa: PLC0415 -- hypothesis, an extra

    short = args
    for length in sorted({one for value in args for one in np.shape(value) if isinstance(value, np.ndarray)}):
        if length > SHORT:
            short = tuple(cut(value, length, SHORT) for value in short)
    return args if _raised(function, short) else short


def _raised(function: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """What a call with copies of the arguments raises, with its name; empty where it raises nothing."""
    from vecml.optimize.inputs import fresh  # noqa: PLC0415 -- hypothesis, an extra

    try:
        function(*fresh(args))
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- what it raises is what is looked for
        return one_line(error, named=True)
    return ""
