"""Inputs that hold others: dicts, dataclasses, tuples and lists of anything, taken apart and put together again."""

import copy
import dataclasses
from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from vecml.optimize.agreement import attributes
from vecml.optimize.tables import is_table

LISTS = (list, deque, set, frozenset)  # of any length


def parts_of(value: Any) -> list[Any] | None:
    """The values that an input of a fixed build holds: a tuple's, a dict's, a dataclass's; None for any other."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, SimpleNamespace) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return list((attributes(value) or {}).values())
    return None


def with_parts(value: Any, parts: Sequence[Any]) -> Any:
    """A copy of `value` with other values in the places of `parts_of(value)`; its other attributes are shared."""
    if isinstance(value, tuple):
        replace: Any = getattr(value, "_replace", None)  # a named tuple's
        return tuple(parts) if replace is None else replace(**dict(zip(_fields(value), parts, strict=True)))
    made = copy.copy(value)
    if isinstance(value, dict):
        for key, part in zip(value, parts, strict=True):
            made[key] = part  # a Counter's `update` adds
        return made
    for name, part in zip(attributes(value) or {}, parts, strict=True):
        object.__setattr__(made, name, part)  # a frozen dataclass's own refuses
    return made


def has_many(value: Any) -> bool:
    """Whether an input has two parts or more somewhere: elements, characters, entries; however deep it is."""
    todo, seen = [value], set()
    while todo:
        one = todo.pop()
        if isinstance(one, np.ndarray) or is_table(one):
            if int(np.prod(one.shape)) > 1:
                return True
        elif isinstance(one, str | bytes | range):
            if len(one) > 1:
                return True
        elif one is not None and id(one) not in seen:
            seen.add(id(one))
            if isinstance(one, (*LISTS, dict, tuple)):
                if len(one) > 1:
                    return True
                todo += one.values() if isinstance(one, dict) else one
            else:
                todo += (attributes(one) or {}).values()
    return False


def holds(value: Any) -> bool:
    """Whether an input is of a kind that has parts at all."""
    if isinstance(value, (np.ndarray, str, bytes, range, *LISTS, dict, tuple)) or is_table(value):
        return True
    return attributes(value) is not None


def _fields(value: Any) -> tuple[str, ...]:
    """The names of a named tuple's parts."""
    return tuple(value._fields)
