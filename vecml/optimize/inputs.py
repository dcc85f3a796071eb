"""Inputs like the user's and unlike them: other sizes (0 and 1 too), layouts, dtypes, scales and aliases.

Values are multiples of 1/8 times a power of two, so that sums and products are exact and another order of summing is no
difference; what is drawn shrinks to few, small, plain inputs.
"""

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from vecml.optimize.agreement import attributes
from vecml.optimize.structures import LISTS, parts_of, with_parts
from vecml.optimize.tables import is_table, like_table

LAYOUTS = ("C", "F", "strided", "reversed")
LARGE = 2.0**70  # its square is beyond float32, and far from float64's end
MOST = 5
SHORT = 4  # an axis of so many: x, y, z, say
CUTS = (40, 65, 100)  # lengths at which a block, a vector register's rest or a recursion's end shows
STEP = 0.1  # a number above 0 up to here may be a loop's step or tolerance
MANY = 8  # rows of a table that its text is taken from
ENTRIES = 32  # a dict or tuple of more is a list of them, else a build of its own
WORD = 20  # a text of so many characters may be a key
LETTERS = 12  # of a text, to make others of


@dataclass(frozen=True)
class Variant:
    """One set of arguments, and how it was made.

    Attributes:
        args: the arguments of one call; `fresh` copies them for another call.
        remarks: what is particular about them: `x in Fortran order`, `x and y are the same array`.
    """

    args: tuple[Any, ...]
    remarks: tuple[str, ...] = ()


def variants(args: Sequence[Any], names: Sequence[str], *, layouts: bool = True) -> st.SearchStrategy[Variant]:
    """Generate sets of arguments that resemble the user's.

    Args:
        args: the user's arguments.
        names: the names of the parameters.
        layouts: whether dtypes and layouts vary too: a compiler takes a second for each of them.
    """
    shapes = tuple(_shape(value) for value in args)
    return st.composite(_variant)(tuple(args), shapes, tuple(names), layouts)


def cuts(args: Sequence[Any]) -> Iterator[Variant]:
    """Cut the user's arguments to some shorter lengths, each axis that is as long as the longest of all first axes."""
    length = max((shape[0] for value in args for shape in _shapes(value) if shape), default=0)
    for one in sorted({length - 1, length // 2 + 1, *CUTS}):
        if MOST < one < length:
            yield Variant(
                tuple(cut(value, length, one) for value in args), (f"your own inputs, cut from {length} to {one}",)
            )


def fresh(args: Sequence[Any]) -> tuple[Any, ...]:
    """Copy the arguments deeply; arrays keep their layouts, and one object in two places stays one object.

    Objects that cannot be copied (a lock, an open file) are returned themselves.
    """
    memo: dict[int, Any] = {}
    seen: set[int] = set()
    with contextlib.suppress(RecursionError):  # a long chain of objects: those arrays lose their strides
        for value in args:
            _copy_plain(value, memo, seen)
    return tuple(_deep(value, memo) for value in args)


def shown(args: Sequence[Any], names: Sequence[str]) -> str:
    """The arguments as text, an array with its dtype where it is not float64."""
    return ", ".join(f"{name} = {_text(value)}" for name, value in zip(names, args, strict=True))


def _variant(
    draw: st.DrawFn,
    args: tuple[Any, ...],
    given: tuple[tuple[int, ...], ...],
    names: tuple[str, ...],
    layouts: bool,
) -> Variant:
    sizes = _sizes(draw, given)
    scale = draw(st.sampled_from((1.0, 1.0, 1.0, LARGE)))
    lengths = {
        old: new
        for shape, made in zip(given, sizes.values(), strict=True)
        for old, new in zip(shape, made, strict=True)
    }
    inner = Inner(draw, scale, lengths)
    made = [
        _value(draw, value, sizes.get(number, ()), scale, layouts=layouts, inner=inner)
        for number, value in enumerate(args)
    ]
    remarks = [f"{name} {how}" for name, (_, how) in zip(names, made, strict=True) if how]
    values = [value for value, _ in made]
    pairs = [
        (one, other)
        for one in range(len(values))
        for other in range(one + 1, len(values))
        if isinstance(values[one], np.ndarray)
        and isinstance(values[other], np.ndarray)
        and values[one].shape == values[other].shape
        and args[one].dtype == args[other].dtype
    ]
    if pairs and draw(st.integers(0, 3)) == 3:
        one, other = draw(st.sampled_from(pairs))
        values[other] = values[one]
        remarks.append(f"{names[one]} and {names[other]} are the same array")
    return Variant(tuple(values), tuple(remarks))


def cut(value: Any, old: int, new: int) -> Any:
    """Return `value` with each axis of the length `old` cut to `new`; an integer that equals `old` becomes `new`."""
    if is_table(value):
        return value.iloc[:new].copy() if len(value) == old else value
    if isinstance(value, np.ndarray):
        return value[tuple(slice(new if length == old else None) for length in value.shape)].copy(order="K")
    if isinstance(value, list):
        return [
            cut(one, old, new) if isinstance(one, list) else one for one in value[: new if len(value) == old else None]
        ]
    if isinstance(value, str):
        return value[:new] if len(value) == old else value
    if (parts := parts_of(value)) is not None:
        return with_parts(value, [cut(one, old, new) for one in parts])
    is_length = isinstance(value, int | np.integer) and not isinstance(value, bool) and value == old
    return type(value)(new) if is_length else value


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of an array or of a list of numbers, the length of any other list or text; else ()."""
    if is_table(value):
        return (len(value),)
    if isinstance(value, np.ndarray):
        return tuple(value.shape)
    if isinstance(value, (str, *LISTS)) or (isinstance(value, dict | tuple) and len(value) > ENTRIES):
        like = _like(value) if isinstance(value, list) else None
        return (len(value),) if like is None else like.shape
    return ()


def _shapes(value: Any) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of a value and of those that it holds, but for the elements of lists."""
    yield _shape(value)
    for part in parts_of(value) or []:
        yield from _shapes(part)


def _like(value: list[Any]) -> NDArray[Any] | None:
    """Return a list of numbers, or of such lists, as an array; None for a list of anything else, tuples and arrays."""
    if any(isinstance(one, tuple | np.ndarray) for one in value):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # a tensor with a gradient raises the last
        return None
    return array if array.dtype.kind in "fciub" else None


def _sizes(draw: st.DrawFn, given: tuple[tuple[int, ...], ...]) -> dict[int, tuple[int, ...]]:
    """Draw a shape for each argument, by its index; axes that are equally long in `given` mostly stay so."""
    mode = draw(st.sampled_from(("together", "together", "by axis", "one of length 1")))
    drawn: dict[Any, int] = {}
    shapes: dict[int, tuple[int, ...]] = {}
    for number, shape in enumerate(given):
        new = []
        for axis, length in enumerate(shape):
            key = (number, axis) if mode == "by axis" else length
            if key not in drawn:
                # Beside an axis of length 0 nothing is read, and any other length would pass: one at a time is 0.
                least = 0 if mode == "together" and 0 not in drawn.values() else 1
                small = st.integers(least, MOST)
                drawn[key] = draw(st.one_of(small, st.just(length)) if 0 < length <= SHORT else small)
            new.append(drawn[key])
        shapes[number] = tuple(new)
    # Where a loop has one turn or none, little is read, and an axis of a fixed length (x, y, z) would go unchecked.
    few = mode == "one of length 1" or min(drawn.values(), default=MOST) <= 1
    long = any(axis > SHORT for number in shapes for axis in given[number] if shapes[number])
    if few:
        shapes = {
            number: tuple(
                old if 0 < old <= SHORT and (new or long) else new
                for old, new in zip(given[number], shape, strict=True)
            )
            if shape
            else ()
            for number, shape in shapes.items()
        }
    places = [(number, axis) for number, shape in shapes.items() for axis in range(len(shape))]
    if few:
        places = [(number, axis) for number, axis in places if given[number][axis] > SHORT]
    if mode == "one of length 1" and places:
        number, axis = draw(st.sampled_from(places))
        shapes[number] = (*shapes[number][:axis], 1, *shapes[number][axis + 1 :])
    return shapes


@dataclass(frozen=True)
class Inner:
    """Makes values like those inside of others.

    Attributes:
        draw: of hypothesis.
        scale: of floating numbers.
        lengths: what axes, lists and texts of a length have become, so that what was equally long stays so.
    """

    draw: st.DrawFn
    scale: float
    lengths: dict[int, int]

    def like(self, value: Any) -> Any:
        """Make a value like one that another value holds; a whole number that is a length mostly stays it."""
        if type(value) is int and value > SHORT and value in self.lengths and self.draw(st.integers(0, 3)) < 3:
            return self.lengths[value]
        shape = tuple(self.length(one) for one in _shape(value))
        return _value(self.draw, value, shape, self.scale, layouts=False, inner=self)[0]

    def length(self, old: int) -> int:
        """Draw what a length becomes, once for each."""
        if old not in self.lengths:
            few = 0 < old <= SHORT and self.draw(st.integers(0, 3)) < 3  # x, y, z, say
            self.lengths[old] = old if few else self.draw(st.integers(0, MOST))
        return self.lengths[old]

    def members(self, values: Sequence[Any], count: int) -> list[Any]:
        """Draw so many of the values, in any order and again, and make others like some of them."""
        drawn = [values[self.draw(st.integers(0, len(values) - 1))] for _ in range(count if values else 0)]
        return [self.like(one) if self.draw(st.integers(0, 1)) else one for one in drawn]

    def entries(self, value: dict[Any, Any], count: int) -> dict[Any, Any]:
        """Draw so many of a dict's entries, with values like theirs."""
        keys = list(value)
        drawn = dict.fromkeys(keys[self.draw(st.integers(0, len(keys) - 1))] for _ in range(count))
        made = copy.copy(value)
        made.clear()
        made.update({key: self.like(value[key]) for key in drawn})
        return made

    def text(self, value: str, count: int) -> str:
        """Keep a word, or draw so many of a text's characters: a short one may be a key or the name of a way."""
        if not value or (len(value) <= WORD and self.draw(st.integers(0, 3)) < 3):
            return value
        letters = sorted(set(value))[:LETTERS]
        return "".join(letters[self.draw(st.integers(0, len(letters) - 1))] for _ in range(count))


def _value(
    draw: st.DrawFn, value: Any, shape: tuple[int, ...], scale: float, *, layouts: bool, inner: Inner
) -> tuple[Any, str]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fciub":
        array = _filled(draw, value, shape, scale)
        return _laid_out(draw, array) if layouts else (array, "")
    if is_table(value):
        rows = min(shape[0], len(value))
        made = like_table(
            value,
            rows,
            lambda column: _with_gaps(draw, _filled(draw, column, (rows,), scale)),
            lambda most: draw(st.integers(0, min(most, MANY) - 1)),
        )
        return made, ""
    if isinstance(value, list) and (like := _like(value)) is not None:
        return _filled(draw, like, shape, scale).tolist(), ""
    if isinstance(value, LISTS) or (type(value) is tuple and shape):
        return type(value)(inner.members(list(value), shape[0])), ""
    if isinstance(value, dict) and shape:
        return inner.entries(value, shape[0]), ""
    if isinstance(value, str):
        return inner.text(value, shape[0]), ""
    if (parts := parts_of(value)) is not None:
        return with_parts(value, [inner.like(one) for one in parts]), ""
    if isinstance(value, bool | np.bool_):
        return draw(st.sampled_from((value, type(value)(not value)))), ""
    if isinstance(value, int | np.integer):
        near = sorted({0, 1, 2, 3, min(int(value), 40)}, key=lambda one: (abs(one - 2), one))
        negative = () if isinstance(value, np.unsignedinteger) else (-1,)
        return type(value)(draw(st.sampled_from((*near, *near, *negative)))), ""
    if isinstance(value, float | np.floating):
        # A number as small as a step or a tolerance may be what ends a loop: at 0 or below, that would have no end.
        beyond = () if 0 < value <= STEP else (-value, value * 0)
        return type(value)(draw(st.sampled_from((value, value, value / 2, value * 2, *beyond)))), ""
    return value, ""


def _with_gaps(draw: st.DrawFn, column: NDArray[Any]) -> NDArray[Any]:
    """Draw whether a value of a table's column is missing: in tables that is common."""
    if column.dtype.kind == "f" and column.size and draw(st.integers(0, 2)) == 2:
        column[draw(st.integers(0, column.size - 1))] = math.nan
    return column


def _filled(draw: st.DrawFn, like: NDArray[Any], shape: tuple[int, ...], scale: float) -> NDArray[Any]:
    count = int(np.prod(shape))
    kind = like.dtype.kind
    if kind == "b":
        return np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), like.dtype).reshape(shape)
    if kind in "iu":
        low, high = (int(like.min()), int(like.max())) if like.size else (0, 3)
        lowest = draw(st.sampled_from(sorted({max(low, -8), low})))
        values = st.integers(lowest, max(lowest, min(high, lowest + 8)))
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), like.dtype).reshape(shape)
    spread = float(np.max(np.abs(like))) if like.size and np.all(np.isfinite(like)) else 8.0
    unit = 2.0 ** np.floor(np.log2(spread / 8)) if spread > 0 else 0.125
    whole = st.lists(st.integers(-16, 16), min_size=count, max_size=count)
    values_N = np.array(draw(whole), np.float64) * unit
    if kind == "f" and like.size and float(like.min()) >= 0:
        values_N = np.abs(values_N)
    fits = np.finfo(like.dtype).max > LARGE**2
    values_N *= scale if fits else 1.0
    if kind == "f" and count and draw(st.integers(0, 7)) == 7:
        values_N[draw(st.integers(0, count - 1))] = math.nan
    array: NDArray[Any] = values_N.astype(like.dtype).reshape(shape)
    return array


def _laid_out(draw: st.DrawFn, array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Draw a layout and a dtype of the same kind; return the array with them, and a remark on what is particular."""
    said: list[str] = []
    dtypes = {"f": (array.dtype, array.dtype, np.float64, np.float32), "i": (array.dtype, array.dtype, np.int64)}
    dtype = draw(st.sampled_from(dtypes.get(array.dtype.kind, (array.dtype,))))
    with np.errstate(over="ignore"):
        other = array.astype(dtype)
    if other.dtype != array.dtype and np.array_equal(other, array, equal_nan=array.dtype.kind == "f"):
        array, said = other, [f"as {other.dtype}"]
    layout = draw(st.sampled_from(LAYOUTS))
    if layout == "C" or not array.ndim or (layout == "F" and array.ndim < 2):
        return array, "; ".join(said)
    if layout == "F":
        return np.asfortranarray(array), "; ".join([*said, "in Fortran order"])
    if layout == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2], "; ".join([*said, "with strides (every other element of a larger array)"])
    return np.ascontiguousarray(array[::-1])[::-1], "; ".join([*said, "with a negative stride"])


def _copy_plain(value: Any, memo: dict[int, Any], seen: set[int]) -> None:
    """Copy the arrays and the flat lists in `value` into `memo`, by their `id()`, so that `copy.deepcopy` uses these.

    Its own copies of arrays would lose their strides, and it is slow with a long list.
    """
    if value is None or isinstance(value, str | bytes | int | float | complex | np.generic) or id(value) in seen:
        return
    seen.add(id(value))
    if is_table(value):
        return
    if type(value) is np.ndarray and not value.dtype.hasobject:
        memo[id(value)] = _copied(value)
        return
    if type(value) is list and all(isinstance(one, str | int | float | complex | np.generic) for one in value):
        memo[id(value)] = list(value)
        return
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = list((attributes(value) or {}).values())
    for part in parts:
        _copy_plain(part, memo, seen)


def _copied(value: NDArray[Any]) -> NDArray[Any]:
    if value.flags.c_contiguous or value.flags.f_contiguous or not value.size:
        return value.copy(order="K")
    if min(value.strides) < 0:
        return value[::-1].copy()[::-1]  # not `ascontiguousarray`, which copies nothing where that is contiguous
    wide = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), value.dtype)
    wide[..., ::2] = value
    return wide[..., ::2]


def _deep(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # noqa: BLE001 -- a class of the user's may raise anything; it is then shared, as far as it goes
        return value


def _text(value: Any) -> str:
    if is_table(value):
        return f"{type(value).__name__}({value.to_dict('list') if value.ndim == 2 else value.tolist()})"
    if not isinstance(value, np.ndarray):
        return repr(value)
    dtype = "" if value.dtype == np.float64 else f", {value.dtype}"
    if not value.size:
        return f"empty{value.shape}{dtype}".replace("empty", "numpy.empty")
    text = np.array2string(value, separator=", ", threshold=60, floatmode="unique").replace("\n", "")
    return f"array({' '.join(text.split())}{dtype})"
