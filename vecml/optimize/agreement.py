"""Whether two results are the same: their kind, shape, dtype and values, the latter bit by bit or within a bound."""

import contextlib
import enum
import sys
import types
from collections import ChainMap, defaultdict, deque
from collections.abc import MutableMapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.data.tensors import is_tensor, plain_array
from vecml.errors import DataError
from vecml.optimize.tables import is_table, numbers_in, table_difference

FLOOR = 1e-3  # of the bound, times the largest value: what counts beside a value near 0, where digits cancel
ROUNDINGS = 64  # so many roundings are no difference, nor beside the largest value, however wide the bound is
TABLES = ("pandas", "polars", "pyarrow")
STATELESS = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, np.generic)
Seen = MutableMapping[tuple[int, int], tuple[Any, Any]]  # pairs by their ids


def difference(expected: Any, found: Any, rtol: float, scale: float = 0.0) -> str | None:
    """Say how `found` differs from `expected`; None if it does not.

    Args:
        expected, found: arrays, tensors, numbers, text, None, random generators, or tuples, lists, dicts and objects
            of them. An array's dtype counts, a number's kind (whole, floating, complex) does, and so do an object's
            attributes.
        rtol: the largest relative difference between floating values; 0: they are equal, or both NaN.
        scale: the largest absolute input; values far smaller than it or the largest result may be rounding errors.
    """
    return _difference(expected, found, rtol, scale, {})


def attributes(value: Any) -> dict[str, Any] | None:
    """Return the attributes of an object by name, from its `__dict__` and its slots; None if it has neither."""
    if isinstance(value, STATELESS):
        return None
    held = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            own = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            if name not in ("__dict__", "__weakref__") and hasattr(value, own):
                held[own] = getattr(value, own)
    return held or None


def largest_error(expected: Any, found: Any) -> float:
    """Compute the largest difference between two results, relative to the largest absolute value of the first.

    It is inf if their shapes differ, or if only one of them has a NaN or an infinity in some place.
    """
    worst = 0.0
    for one, other in zip(_leaves(expected), _leaves(found), strict=False):
        if one.shape != other.shape:
            return float("inf")
        if one.dtype.kind not in "fciub" or not one.size:
            continue
        wide = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
        a, b = one.astype(wide), other.astype(wide)
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            return float("inf")
        if finite.any():
            size = float(np.max(np.abs(a[finite]))) or 1.0
            worst = max(worst, float(np.max(np.abs(a[finite] - b[finite]))) / size)
    return worst


def largest(values: Any) -> float:
    """Find the largest absolute value of the finite floating-point numbers in arrays, lists or objects; 0 without one.

    Integers (an index, a count, a timestamp) are left out: they are exact and have no rounding errors.
    """
    found = 0.0
    parts = values if isinstance(values, tuple) else (values,)
    for array in (leaf for part in parts for leaf in _leaves(part)):
        if array.dtype.kind in "fc" and array.size:
            finite = np.abs(array[np.isfinite(array)].astype(np.complex128))
            found = max(found, float(finite.max()) if finite.size else 0.0)
    return found


def _difference(expected: Any, found: Any, rtol: float, scale: float, seen: Seen) -> str | None:
    if isinstance(expected, np.ndarray) or isinstance(found, np.ndarray):
        return _arrays(expected, found, rtol, scale, seen)
    arrays = _of_tensor(expected), _of_tensor(found)
    if arrays[0] is not None and arrays[1] is not None:
        if (expected.dtype, expected.requires_grad) == (found.dtype, found.requires_grad):
            return _arrays(*arrays, rtol, scale, seen)
        return f"its result is {_kind(found)}, the original's {_kind(expected)}"
    if _is_number(expected) and _is_number(found):
        one, other = np.asarray(expected), np.asarray(found)
        if _number_kind(one.dtype) != _number_kind(other.dtype):
            return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
        return _values(one, other, rtol, scale)
    # An object may hold itself: a pair that is being compared, or has been, is not compared again.
    pair = (id(expected), id(found))
    if pair in seen:
        return None
    seen[pair] = expected, found  # kept, so that no other object gets one of these ids meanwhile
    if not _same_type(type(expected), type(found)):
        return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
    if isinstance(expected, dict):
        keys = [(f"key {key!r}", key, other) for key, other in zip(expected, found, strict=False)]
        if len(expected) != len(found) or _parts(keys, 0.0, 0.0, seen):
            return "its result has other keys than the original's"
        values = zip(expected, expected.values(), found.values(), strict=True)
        return _parts([(f"{key!r}", one, other) for key, one, other in values], rtol, scale, seen)
    if isinstance(expected, tuple | list | deque):
        if len(expected) != len(found):
            return f"its result has {len(found)} parts, the original's {len(expected)}"
        if _alike_numbers(expected, found):
            return _values(np.asarray(expected), np.asarray(found), rtol, scale)
        parts = [(f"part {number}", *both) for number, both in enumerate(zip(expected, found, strict=True))]
        return _parts(parts, rtol, scale, seen)
    return _objects(expected, found, rtol, scale, seen)


def _parts(parts: list[tuple[str, Any, Any]], rtol: float, scale: float, seen: Seen) -> str | None:
    reasons = (
        f"{name} of the result: {reason}"
        for name, one, other in parts
        if (reason := _difference(one, other, rtol, scale, seen))
    )
    return next(reasons, None)


def _objects(expected: Any, found: Any, rtol: float, scale: float, seen: Seen) -> str | None:
    """Say how two objects of one type differ: by their attributes if they have any, else by `==`; None if not."""
    if expected is found:
        return None
    apart = _named_things(expected, found, seen)
    if apart is not None:
        return None if not apart else f"its result is {_short(found)}, the original's {_short(expected)}"
    states = _random_state(expected), _random_state(found)
    if states[0] is not None:
        same = difference(*states, 0.0) is None
        return None if same else f"its result is a {type(found).__name__} that has drawn other numbers"
    said = f"its result is {_short(found)}, the original's {_short(expected)}"
    library = type(expected).__module__.partition(".")[0]
    if is_table(expected):
        return table_difference(
            expected,
            found,
            lambda one, other: _values(one, other, rtol, scale),
            lambda one, other: _difference(one, other, rtol, scale, seen),
        )
    if library in TABLES and hasattr(expected, "equals"):
        return None if expected.equals(found) else said
    held, other = attributes(expected), attributes(found)
    # Python's own classes keep caches beside what they stand for (a path its text), and know when they are equal.
    if library not in sys.stdlib_module_names and (held is not None or other is not None):
        held, other = held or {}, other or {}
        if sorted(held) != sorted(other):
            return "its result has other attributes than the original's"
        return _parts([(f".{name}", held[name], other[name]) for name in held], rtol, scale, seen)
    with contextlib.suppress(Exception):  # they may hold arrays, which have no one truth
        if np.all(expected == found):
            return None
    # A copy of what knows no equality is as good as the original, if both would be pickled alike; functions, classes
    # and what cannot be pickled (a generator, half way through) are the same only where they are one.
    compares = {name for kind in type(expected).__mro__[:-1] for name in vars(kind)}
    if isinstance(expected, STATELESS) or ("__eq__" in compares and held is None):
        return said
    try:
        same = difference(expected.__reduce_ex__(4), found.__reduce_ex__(4), rtol, scale) is None
    except Exception:  # noqa: BLE001 -- see above
        return said
    return None if same else said


def _same_type(one: type, other: type) -> bool:
    """Whether two classes are one, or the same class of a file that was imported twice."""
    return one is other or (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def _named_things(expected: Any, found: Any, seen: Seen) -> bool | None:
    """Whether two classes, functions, methods, members of an enumeration or sets differ; None for anything else.

    A file that was imported twice has each of them twice: they are told by their names, functions by their code and
    what they hold too.
    """
    if isinstance(expected, type):
        return not (isinstance(found, type) and _same_type(expected, found))
    if isinstance(expected, enum.Enum):
        return expected.name != found.name or bool(_difference(expected.value, found.value, 0.0, 0.0, seen))
    if isinstance(expected, types.FunctionType):
        return expected.__code__ != found.__code__ or bool(_difference(_held(expected), _held(found), 0.0, 0.0, seen))
    if isinstance(expected, types.MethodType):
        pairs = ((expected.__func__, found.__func__), (expected.__self__, found.__self__))
        return any(_difference(one, other, 0.0, 0.0, seen) for one, other in pairs)
    if isinstance(expected, set | frozenset):
        return not (_same_members if expected != found else _members_alike)(expected, found, seen)
    return None


def _members_alike(expected: Set[Any], found: Set[Any], seen: Seen) -> bool:
    """Whether the members of two sets that are equal to Python, to which 1, 1.0 and True are one, do not differ."""
    own = {one: one for one in found}
    pairs = ((one, own[one]) for one in expected)
    return not any(_difference(*pair, 0.0, 0.0, seen) for pair in pairs if not _exactly_one(*pair))


def _exactly_one(member: Any, other: Any) -> bool:
    """Whether two values that are equal to Python are of one kind, and no zeros of floats, which may have two signs."""
    if member is other or type(member) is not type(other):
        return member is other
    if isinstance(member, tuple):
        return all(map(_exactly_one, member, other))
    return not isinstance(member, frozenset) and not (isinstance(member, float | complex) and member == 0)


def _same_members(expected: Set[Any], found: Set[Any], seen: Seen) -> bool:
    """Whether every member of a set has one in the other that it does not differ from, equal to Python or not.

    Members are compared with those of the same words first, so that a large set takes no square of its size.
    """
    if len(expected) != len(found):
        return False
    by_words: dict[str, list[Any]] = defaultdict(list)
    for one in found:
        by_words[_words(one)].append(one)
    for one in expected:
        alike = by_words[_words(one)]
        for at, other in enumerate(alike):
            here: Seen = {}  # a pair that differs is not to count as compared
            if _difference(one, other, 0.0, 0.0, ChainMap(here, seen)) is None:
                seen.update(here)
                del alike[at]
                break
        else:
            return False
    return True


def _words(value: Any, depth: int = 3) -> str:
    """What is the same text for what does not differ: a kind and attributes, without addresses in the memory."""
    name = type(value).__qualname__
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name}"
    if isinstance(value, types.FunctionType | types.MethodType | type):
        return str(value.__qualname__)
    if depth == 0:
        return name
    if isinstance(value, set | frozenset):
        return f"{name}({sorted(_words(one, depth - 1) for one in value)})"
    if isinstance(value, tuple | list):
        return f"{name}({[_words(one, depth - 1) for one in value]})"
    if (held := attributes(value)) is not None:
        return f"{name}({ {key: _words(one, depth - 1) for key, one in sorted(held.items())} })"
    return str(value) if isinstance(value, str | bytes | int | float | complex | None) else name


def _held(function: types.FunctionType) -> Any:
    """What a function holds besides its code: its name, its defaults, and the values of its closure."""
    cells = [_content(cell) for cell in function.__closure__ or ()]
    return [function.__module__, function.__qualname__, function.__defaults__, function.__kwdefaults__, cells]


def _content(cell: types.CellType) -> Any:
    """What a cell of a closure holds, in a list; an empty list for a name that has no value yet, or no more."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _random_state(value: Any) -> Any:
    """Return the state of NumPy's random generators; None if the value is no generator."""
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.BitGenerator):
        return value.state
    return value.get_state(legacy=False) if isinstance(value, np.random.RandomState) else None


def _leaves(value: Any, seen: set[int] | None = None) -> list[NDArray[Any]]:
    if isinstance(value, np.ndarray):
        return [value.compressed() if isinstance(value, np.ma.MaskedArray) else value]
    if (array := _of_tensor(value)) is not None:
        return [array]
    if _is_number(value):
        return [np.asarray(value)]
    if is_table(value):
        return numbers_in(value)
    seen = set() if seen is None else seen
    if value is None or isinstance(value, str | bytes) or id(value) in seen or _random_state(value) is not None:
        return []
    seen.add(id(value))
    if isinstance(value, tuple | list | deque):
        if value and all(_is_number(part) for part in value):
            return [np.asarray(value)]
        return [leaf for part in value for leaf in _leaves(part, seen)]
    held = value if isinstance(value, dict) else attributes(value) or {}
    return [leaf for part in held.values() for leaf in _leaves(part, seen)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | np.number | np.bool_)


def _alike_numbers(expected: Sequence[Any], found: Sequence[Any]) -> bool:
    """Whether all are numbers of one kind that fit into an array of it: whole, floating, complex or truth values.

    As arrays, `[1, 2]` and `[1.0, 2.0]` would be the same, as would `[True]` and `[1]`.
    """
    types_ = {type(part) for part in (*expected, *found)}
    if not all(issubclass(one, int | float | complex | np.number | np.bool_) for one in types_):
        return False
    kinds = {_number_kind(np.dtype(one)) for one in types_}
    arrays = {np.asarray(side).dtype for side in (expected, found)}
    return len(kinds) <= 1 and {_number_kind(one) for one in arrays if one.kind != "O"} <= (kinds or {"f"})


def _number_kind(dtype: np.dtype[Any]) -> str:
    """The kind of a number's dtype; whole numbers of all sizes are of one: Python's beyond 64 bits are objects."""
    return "i" if dtype.kind in "uO" else dtype.kind


def _arrays(expected: Any, found: Any, rtol: float, scale: float, seen: Seen) -> str | None:
    kinds = [np.ndarray if type(one) is np.memmap else type(one) for one in (expected, found)]
    if not _same_type(*kinds):
        return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
    if expected.shape != found.shape:
        return f"its result has the shape {found.shape}, the original's {expected.shape}"
    if expected.dtype != found.dtype:
        return f"its result is {found.dtype}, the original's {expected.dtype}"
    if isinstance(expected, np.ma.MaskedArray):
        if not np.array_equal(np.ma.getmaskarray(expected), np.ma.getmaskarray(found)):
            return "its result is masked in other places than the original's"
        nothing: Any = np.zeros((), expected.dtype)[()]
        expected, found = np.ma.filled(expected, nothing), np.ma.filled(found, nothing)
    if expected.dtype.hasobject and not expected.dtype.names:
        pairs = zip(expected.ravel().tolist(), found.ravel().tolist(), strict=True)
        return _parts([(f"part {number}", *pair) for number, pair in enumerate(pairs)], rtol, scale, seen)
    return _values(expected, found, rtol, scale)


def _of_tensor(value: Any) -> NDArray[Any] | None:
    """The values of a tensor of torch; None for anything else, and for one that has no plain values."""
    if not is_tensor(value):
        return None
    with contextlib.suppress(DataError):
        return plain_array(value.to_dense() if value.is_sparse or value.is_sparse_csr else value, "x")
    return None


def _kind(tensor: Any) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{kind} with a gradient" if tensor.requires_grad else kind


def _values(expected: NDArray[Any], found: NDArray[Any], rtol: float, scale: float) -> str | None:
    if expected.dtype.kind in "fc" or found.dtype.kind in "fc":
        rounding = float(np.finfo((expected if expected.dtype.kind in "fc" else found).dtype).eps)
        bound = max(rtol, ROUNDINGS * rounding) if rtol else 0.0
        finite = np.abs(expected[np.isfinite(expected)])
        size = max(scale, float(finite.max()) if finite.size else 0.0)
        # Were it the bound's share alone, beside a column of timestamps any result would do.
        same = np.isclose(found, expected, bound, min(FLOOR * bound, ROUNDINGS * rounding) * size, equal_nan=True)
        if not rtol:
            same &= _same_signs(expected, found)
    else:
        same = np.asarray(expected == found)
        if expected.dtype.kind in "mM" and found.dtype.kind == expected.dtype.kind:
            same = same | (np.isnat(expected) & np.isnat(found))
    different = int(same.size - np.count_nonzero(same))
    if not different:
        return None
    at = tuple(int(axis) for axis in np.argwhere(~np.atleast_1d(same))[0])
    one, other = np.atleast_1d(expected)[at], np.atleast_1d(found)[at]
    if same.ndim == 0:
        return f"its result is {other}, the original's {one}"
    where = ", ".join(map(str, at))
    return f"{different:,} of {same.size:,} values differ, the first at [{where}]: {other} instead of {one}"


def _same_signs(expected: NDArray[Any], found: NDArray[Any]) -> NDArray[np.bool_]:
    """Where zeros have one sign: 0.0 and -0.0 are equal, and not the same bits."""
    pairs = [(expected, found)]
    if "c" in expected.dtype.kind + found.dtype.kind:
        pairs = [(expected.real, found.real), (expected.imag, found.imag)]
    apart = [(one == 0) & (other == 0) & (np.signbit(one) != np.signbit(other)) for one, other in pairs]
    same: NDArray[np.bool_] = ~np.logical_or.reduce(apart)
    return same


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
