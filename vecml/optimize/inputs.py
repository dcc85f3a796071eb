"""Inputs like the user's and unlike them: other sizes (0 and 1 too), layouts, dtypes, scales and aliases.

Values are multiples of 1/8 times a power of two, so that sums and products are exact and another order of summing is no
difference; what is drawn shrinks to few, small, plain inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

LAYOUTS = ("C", "F", "strided", "reversed")
LARGE = 2.0**70  # its square is beyond float32, and far from float64's end
MOST = 5
SHORT = 4  # an axis of so many: x, y, z, say


@dataclass(frozen=True)
class Variant:
    """One set of arguments, and how it was made.

    Attributes:
        args: for one call; a fresh set is made with `fresh`.
        remarks: what is particular about them: `x in Fortran order`, `x and y are the same array`.
    """

    args: tuple[Any, ...]
    remarks: tuple[str, ...] = ()


def variants(args: Sequence[Any], names: Sequence[str], *, layouts: bool = True) -> st.SearchStrategy[Variant]:
    """Sets of arguments in the image of the user's.

    Args:
        args: the user's.
        names: of the parameters.
        layouts: whether dtypes and layouts vary too: a compiler takes a second for each of them.
    """
    return st.composite(_variant)(tuple(args), tuple(names), layouts)


def fresh(args: Sequence[Any]) -> tuple[Any, ...]:
    """A copy of the arguments with the same layouts, and the same arrays in the same places."""
    copies: dict[int, Any] = {}
    return tuple(copies.setdefault(id(value), _copied(value)) for value in args)


def shown(args: Sequence[Any], names: Sequence[str]) -> str:
    """The arguments as text, an array with its dtype where it is not float64."""
    return ", ".join(f"{name} = {_text(value)}" for name, value in zip(names, args, strict=True))


def _variant(draw: st.DrawFn, args: tuple[Any, ...], names: tuple[str, ...], layouts: bool) -> Variant:
    sizes = _sizes(draw, args)
    scale = draw(st.sampled_from((1.0, 1.0, 1.0, LARGE)))
    made = [_value(draw, value, sizes.get(number, ()), scale, layouts=layouts) for number, value in enumerate(args)]
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


def _sizes(draw: st.DrawFn, args: tuple[Any, ...]) -> dict[int, tuple[int, ...]]:
    """Shapes by the argument's number: axes that have one length in the user's inputs mostly keep one together."""
    mode = draw(st.sampled_from(("together", "together", "by axis", "one of length 1")))
    drawn: dict[Any, int] = {}
    shapes: dict[int, tuple[int, ...]] = {}
    for number, value in enumerate(args):
        shape = np.shape(value) if isinstance(value, np.ndarray | list) else ()
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
    long = any(axis > SHORT for number in shapes for axis in np.shape(args[number]) if shapes[number])
    if few:
        shapes = {
            number: tuple(
                old if 0 < old <= SHORT and (new or long) else new
                for old, new in zip(np.shape(args[number]), shape, strict=True)
            )
            if shape
            else ()
            for number, shape in shapes.items()
        }
    places = [(number, axis) for number, shape in shapes.items() for axis in range(len(shape))]
    if few:
        places = [(number, axis) for number, axis in places if np.shape(args[number])[axis] > SHORT]
    if mode == "one of length 1" and places:
        number, axis = draw(st.sampled_from(places))
        shapes[number] = (*shapes[number][:axis], 1, *shapes[number][axis + 1 :])
    return shapes


def _value(draw: st.DrawFn, value: Any, shape: tuple[int, ...], scale: float, *, layouts: bool) -> tuple[Any, str]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fciub":
        array = _filled(draw, value, shape, scale)
        return _laid_out(draw, array) if layouts else (array, "")
    if isinstance(value, list) and shape:
        like = np.asarray(value)
        return _filled(draw, like, shape, scale).tolist(), ""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value, ""
    if isinstance(value, int | np.integer):
        near = sorted({0, 1, 2, 3, min(int(value), 40)}, key=lambda one: (abs(one - 2), one))
        return type(value)(draw(st.sampled_from(near))), ""
    return value, ""


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
    array: NDArray[Any] = (values_N * (scale if fits else 1.0)).astype(like.dtype).reshape(shape)
    return array


def _laid_out(draw: st.DrawFn, array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """In another layout, or of another dtype of its kind."""
    said: list[str] = []
    dtypes = {"f": (array.dtype, array.dtype, np.float64, np.float32), "i": (array.dtype, array.dtype, np.int64)}
    dtype = draw(st.sampled_from(dtypes.get(array.dtype.kind, (array.dtype,))))
    with np.errstate(over="ignore"):
        other = array.astype(dtype)
    if other.dtype != array.dtype and np.array_equal(other, array):
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


def _copied(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return (
            list(value) if isinstance(value, list) and not any(isinstance(one, list) for one in value) else _deep(value)
        )
    if value.flags.c_contiguous or value.flags.f_contiguous or not value.size:
        return value.copy(order="K")
    if min(value.strides) < 0:
        return np.ascontiguousarray(value[::-1])[::-1]
    wide = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), value.dtype)
    wide[..., ::2] = value
    return wide[..., ::2]


def _deep(value: Any) -> Any:
    return [_deep(one) for one in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    dtype = "" if value.dtype == np.float64 else f", {value.dtype}"
    if not value.size:
        return f"empty{value.shape}{dtype}".replace("empty", "numpy.empty")
    text = np.array2string(value, separator=", ", threshold=60, floatmode="unique").replace("\n", "")
    return f"array({' '.join(text.split())}{dtype})"
