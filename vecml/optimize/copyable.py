"""Inputs of which every call can have a copy of its own; what cannot be copied is refused with its place and a reason.

A generator or an open file is used up by the first call, and what holds a lock or a connection cannot be in two places.
"""

import copy
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import GeneratorType, ModuleType
from typing import Any

from vecml.errors import DataError, one_line
from vecml.optimize.agreement import attributes

Step = tuple[str, Any]

LOCKS = (type(threading.Lock()), type(threading.RLock()))
ANY = "leave it out, or make it inside the function: what differs from call to call must not be an input"


def refuse_uncopyable(args: Sequence[Any], names: Sequence[str], source: str) -> None:
    """Raise DataError, with the place of the innermost object that cannot be copied, where `args` cannot.

    Args:
        args: the arguments of a call.
        names: the names of the parameters.
        source: of what gives them, for the message.
    """
    for name, value in zip(names, args, strict=True):
        found = _culprit(name, value, set())
        if found is not None:
            place, what, hint = found
            raise DataError(f"{source}: {place} {what}, and each call must get a copy of its own", hint)


def _culprit(place: str, value: Any, seen: set[int]) -> tuple[str, str, str] | None:
    """The place of the innermost part of `value` that cannot be copied, what it is, and what to do; None: it can be."""
    try:
        copy.deepcopy(value)
    except RecursionError:
        return place, "is nested too deeply to be copied", "make it flatter: a list of all its parts"
    except Exception as error:  # noqa: BLE001 -- a class of the user's may raise anything
        if id(value) in seen:
            return None
        seen.add(id(value))
        inner = (_culprit(place + step, part, seen) for step, part in _parts(value))
        return next((one for one in inner if one is not None), None) or (place, *_said(value, error))
    return None


def _parts(value: Any) -> Iterator[Step]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    else:
        yield from ((f".{name}", part) for name, part in (attributes(value) or {}).items())


def _said(value: Any, error: Exception) -> tuple[str, str]:
    if found := used_up(value):
        return found
    said = one_line(error, named=True)
    return f"is a {type(value).__name__}, which cannot be copied ({said})", ANY


def used_up(value: Any) -> tuple[str, str] | None:
    """Name what one call uses up, or what cannot be in two places, and what to do; None for any other value."""
    if isinstance(value, GeneratorType):
        return "is a generator, which one call uses up", "give a list of what it yields: list(...)"
    if isinstance(value, io.IOBase):
        return "is an open file, which one call uses up", "give its path, and open it in the function"
    if isinstance(value, LOCKS):
        return "is a lock", "make it at the top of its file, or give none: calls do not overlap here"
    if isinstance(value, ModuleType):
        return f"is the module {value.__name__}", "import it at the top of the function's file"
    if isinstance(value, Iterator):
        return f"is a {type(value).__name__}, which one call uses up", "give a list of what it yields: list(...)"
    return None
