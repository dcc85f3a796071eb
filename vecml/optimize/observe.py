"""What a function does with the user's inputs, before anything is changed: its time, its arguments, its manners."""

import copy
import dis
import inspect
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from vecml.errors import DataError, one_line
from vecml.optimize.agreement import difference, largest_error
from vecml.optimize.copyable import refuse_uncopyable
from vecml.optimize.overlaps import arrays_in, first_overlap
from vecml.optimize.structures import has_many, holds
from vecml.optimize.tables import TABLES, dtypes_as_text, is_table
from vecml.optimize.target import Place, Say, load, make_inputs

TASK = "vecml.optimize.observe:observe_task"
TINY_SECONDS = 20e-6
REPEATS_SECONDS = 0.5  # a function this fast or faster is called five times for its spread, a slower one twice


@dataclass(frozen=True)
class Argument:
    """An argument as the input maker gives it.

    Attributes:
        name: of the parameter.
        kind: `array`, `list` (of numbers, nested or not), `list of objects`, `number`, or the type's name.
        dtype: of an array or a list as one; empty otherwise.
        shape: of it.
        bytes: of an array; 0 otherwise.
        text: a number's value, as Python writes it; a table's columns with their dtypes, as JSON.
        parts: `many`: it holds two elements, characters or entries or more somewhere; `few`; empty: it has none.
    """

    name: str
    kind: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    bytes: int = 0
    text: str = ""
    parts: Literal["many", "few", ""] = ""


@dataclass(frozen=True)
class Observation:
    """A function over the user's inputs.

    Attributes:
        seconds: of its fastest call here, wall time.
        cpus: CPUs' worth that it used.
        arguments: as they are given.
        mutated: names of the arguments that a call changes in place.
        shares: names of the arguments that the result shares memory with.
        spread: the largest difference between two calls over the same inputs, relative to the largest value; 0: none.
        result: what it gives, in words.
        remarks: what the user should know of the inputs, a sentence each.
        changeable: what it reads of its module that may change between calls, each with its type: `TABLE (ndarray)`.
    """

    seconds: float
    cpus: float
    arguments: tuple[Argument, ...]
    mutated: tuple[str, ...]
    shares: tuple[str, ...]
    spread: float
    result: str
    remarks: tuple[str, ...]
    changeable: tuple[str, ...] = ()


def observe(target: Place, inputs: Place, rtol: float, limit_seconds: float) -> Observation:
    """Call the target in a worker process, and record its time, its arguments and its effects.

    Args:
        target, inputs: the function, and the user's input maker.
        rtol: the largest relative difference between two calls, 0 to 1.
        limit_seconds: of each stage of the worker.

    Raises:
        DataError: the target raises, takes neither arrays nor numbers, has inputs that make it trivial, or gives other
            results in each call.
        OutOfTimeError: the call does not end.
    """
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    payload = {"target": vars(target), "inputs": vars(inputs), "rtol": rtol}
    return TypeAdapter(Observation).validate_python(ask(TASK, payload, limit_seconds))


def observe_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Do the work of `observe` in the worker process, DataError included; gives the observation as JSON."""
    target, inputs, rtol = Place(**payload["target"]), Place(**payload["inputs"]), payload["rtol"]
    say(f"importing {target.text}")
    function = load(target)
    say(f"{inputs.text}")
    args = make_inputs(inputs)
    arguments = describe(function, args, target)
    refuse_uncopyable(args, [argument.name for argument in arguments], inputs.text)
    if reason := difference(args, make_inputs(inputs, anew=True), 0.0):
        raise DataError(
            f"{inputs.text} gives other inputs at every call: {reason.replace('its result', 'the tuple')}",
            "seed its generator: numpy.random.default_rng(0)",
        )
    remarks = refuse_trivial(arguments, target, inputs)
    say(target.text)
    given = copy.deepcopy(args)
    result, seconds, cpus = timed(function, given, target)
    before = copy.deepcopy(args)
    names = [argument.name for argument in arguments]
    mutated = [name for name, old, new in zip(names, before, given, strict=True) if difference(old, new, 0.0)]
    refuse_overlaps(args, names, mutated, target, inputs)
    shares = [name for name, value in zip(names, given, strict=True) if shared(result, value)]
    spread = 0.0
    first = copy.deepcopy((result, *given))  # a function that writes in place gives its result in an argument
    compared = [True, *(isinstance(value, np.ndarray | tuple | list | dict) for value in args)]
    for _ in range(4 if seconds <= REPEATS_SECONDS else 1):
        left = copy.deepcopy(args)
        other, again, _ = timed(function, left, target)
        seconds = min(seconds, again)
        for one, another in itertools.compress(zip(first, (other, *left), strict=True), compared):
            if difference(one, another, 0.0):
                spread = max(spread, largest_error(one, another)) or float("inf")
    if spread > rtol:
        size = "" if spread == float("inf") else f" by up to {spread:.2g} of the largest value"
        raise DataError(
            f"{target.text} is not deterministic: calls over the same inputs differ{size}",
            "seed its generator, or take it as an argument; or raise --rtol over its own spread",
        )
    if spread:
        remarks.append(f"it is not quite deterministic: calls over the same inputs differ by up to {spread:.2g}")
    if mutated:
        remarks.append(f"it changes its input in place: {', '.join(mutated)}; every call gets a fresh copy")
    if seconds < TINY_SECONDS:
        remarks.append("a call takes microseconds: inputs this small say little about larger ones")
    return {
        "seconds": seconds,
        "cpus": cpus,
        "arguments": [vars(argument) for argument in arguments],
        "mutated": mutated,
        "shares": shares,
        "spread": spread,
        "result": in_words(result),
        "remarks": remarks,
        "changeable": changeable(function),
    }


def timed(function: Callable[..., Any], args: tuple[Any, ...], place: Place) -> tuple[Any, float, float]:
    """The result, the seconds and the CPUs' worth of a call; raises DataError with what it raises."""
    start, cpu = time.perf_counter(), time.process_time()
    try:
        result = function(*args)
    except (Exception, SystemExit) as error:
        raise DataError(
            f"{place.text} raised {one_line(error, named=True)}",
            "it must run over its inputs alone: what a script sets in its module besides is not there",
        ) from error
    seconds = time.perf_counter() - start
    return result, seconds, (time.process_time() - cpu) / seconds if seconds > 0 else 1.0


def describe(function: Callable[..., Any], args: tuple[Any, ...], place: Place) -> tuple[Argument, ...]:
    """Each argument with its parameter's name; raises DataError where the number does not fit."""
    try:
        bound = inspect.signature(function).bind(*args)
    except TypeError as error:
        raise DataError(
            f"{place.text} does not take what --inputs gives: {error}", "return one value for each of its arguments"
        ) from None
    names: list[str] = []
    for name, value in bound.arguments.items():
        many = inspect.signature(function).parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}[{number}]" for number in range(len(value))] if many else [name]
    return tuple(_argument(name, value) for name, value in zip(names, args, strict=True))


def refuse_trivial(arguments: tuple[Argument, ...], target: Place, inputs: Place) -> list[str]:
    """Remarks on inputs that have no arrays; raises DataError for those that nothing can be found out with."""
    holding = [argument.parts for argument in arguments if argument.parts]
    if not holding and not any(argument.kind == "number" for argument in arguments):
        kinds = ", ".join(argument.kind for argument in arguments) or "nothing"
        raise DataError(
            f"{target.text} takes nothing that has parts: {inputs.text} gives {kinds}",
            "it needs arrays, tables, lists, text, objects that hold them, or numbers",
        )
    if holding and "many" not in holding:
        raise DataError(
            f"{inputs.text} makes it trivial: nothing in it has more than one element", "give inputs of the usual size"
        )
    if any(argument.kind in ("array", "list", *TABLES) for argument in arguments):
        return []
    what = "in what it takes, lengths and values vary" if holding else "there is nothing but numbers to vary"
    return [f"it takes no arrays: {what}, and no layouts and dtypes"]


def refuse_overlaps(
    args: tuple[Any, ...], names: Sequence[str], mutated: Sequence[str], target: Place, inputs: Place
) -> None:
    """Raise DataError where the function writes into its arguments and two arrays among them share memory.

    Every call gets a copy of each array: what is written to one is then not there in the other.

    Args:
        args, names: the arguments and what they are called.
        mutated: the names of those that the function writes to.
        target, inputs: the function and the input maker, for the message.
    """
    if not mutated:
        return
    seen: set[int] = set()
    held = [found for name, value in zip(names, args, strict=True) for found in arrays_in(value, name, seen)]
    if (both := first_overlap(held)) is not None:
        into = ", ".join(mutated)
        raise DataError(
            f"{inputs.text}: {both[1]} shares memory with {both[0]}, and {target.text} writes into {into}: "
            "calls get copies, which share none",
            f"give {both[1]} memory of its own: {both[1]}.copy()",
        )


def changeable(function: Callable[..., Any]) -> list[str]:
    """The names of the module that the function reads and that may change between calls, each with its type.

    Functions of the module that it calls count as well. Modules, functions and classes do not count, and neither do
    numbers, text and tuples of them that no function assigns.
    """
    start = inspect.unwrap(function)
    start = getattr(start, "__func__", start)  # of a class method
    if not isinstance(start, FunctionType):
        return []
    values = start.__globals__
    own = [value for value in values.values() if isinstance(value, FunctionType) and value.__globals__ is values]
    assigned = {name for one in own for name in _global_names(one.__code__, "STORE_GLOBAL")}
    found: dict[str, None] = {}
    seen, todo = {start}, [start]
    while todo:
        for name in _global_names(todo.pop().__code__, "LOAD_GLOBAL"):
            value = values.get(name)
            called = inspect.unwrap(value) if isinstance(value, FunctionType) else None
            if isinstance(called, FunctionType) and called.__globals__ is values and called not in seen:
                seen.add(called)
                todo.append(called)
            if name in values and (name in assigned or not _is_constant(value)):
                found[f"{name} ({type(value).__name__})"] = None
    return sorted(found)


def shared(result: Any, value: Any) -> bool:
    """Whether an array of the result and the argument have memory in common."""
    if isinstance(result, tuple | list):
        return any(shared(part, value) for part in result)
    if not isinstance(result, np.ndarray) or not isinstance(value, np.ndarray):
        return result is value and (isinstance(result, list) or is_table(result))
    return bool(np.may_share_memory(result, value) and np.shares_memory(result, value))


def in_words(value: Any) -> str:
    """`float64 array (3, 4)`, `float`, `tuple of 2`."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array {value.shape}"
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__


def _global_names(code: CodeType, operation: str) -> Iterator[str]:
    """Names that the code, and functions and comprehensions in it, read from the module or assign there."""
    yield from (one.argval for one in dis.get_instructions(code) if one.opname == operation)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _global_names(part, operation)


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    plain = bool | int | float | complex | str | bytes | np.generic | np.dtype
    return value is None or callable(value) or isinstance(value, plain | ModuleType)


def _argument(name: str, value: Any) -> Argument:
    parts: Literal["many", "few", ""] = ("many" if has_many(value) else "few") if holds(value) else ""
    return replace(_kind(name, value), parts=parts)


def _kind(name: str, value: Any) -> Argument:
    if is_table(value):
        return Argument(name, type(value).__name__, "", value.shape, 0, dtypes_as_text(value))
    if isinstance(value, np.ndarray):
        return Argument(name, "array", str(value.dtype), value.shape, value.nbytes)
    if isinstance(value, bool | int | float | complex | np.number | np.bool_):
        return Argument(name, "number", type(value).__name__, text=repr(value))
    if isinstance(value, list):
        try:
            array = np.asarray(value)
        except ValueError:
            return Argument(name, "list of lists of unlike lengths")
        except (TypeError, RuntimeError):  # objects with a protocol that refuses: tensors in bfloat16, with gradients
            return Argument(name, "list of objects")
        if array.dtype.kind in "fciub":
            return Argument(name, "list", str(array.dtype), array.shape)
        return Argument(name, "list of objects")
    return Argument(name, type(value).__name__)
