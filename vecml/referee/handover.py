"""How arguments and results go from one process to another: as a small text and plain memory, never pickled.

What comes from a candidate's process is read here by the referee, so reading is strict: nothing in it is run, and what
does not fit is refused. This file needs NumPy alone; the candidate's process reads it without the rest of vecml.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = "biufcSUmM"  # of dtypes that are plain memory
ALIGNED = 64
DEEPEST = 50
LONGEST_TEXT = 1 << 26  # bytes of the text
MOST_OF_NOTHING = 1 << 20  # values of an array whose values have no bytes, which NumPy gives some of its own
ALIKE = 16  # keys of a dict that may have one hash: more of them take the square of their number to read
# What reading a text that somebody made up raises; NumPy reads the name of a dtype as Python in part.
UNREADABLE = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError),
    *(RecursionError, SyntaxError, TypeError, ValueError),
)

Plain = Any  # None, bool, int, float, complex, str, bytes, arrays, numbers of NumPy's, and tuples, lists, dicts of them


class HandoverError(Exception):
    """A value that cannot be handed over, or a text that describes none. The message says why."""


@dataclass(frozen=True)
class Packed:
    """A value as it is handed over.

    Attributes:
        text: JSON that describes it.
        parts: contiguous arrays (uint8, one axis) with the memory that the text refers to.
        offsets: where each of them begins.
        size: bytes from the first to the end of the last.
    """

    text: bytes
    parts: tuple[NDArray[np.uint8], ...]
    offsets: tuple[int, ...]
    size: int


@dataclass
class _Memory:
    """The memory of a value while it is described: `parts` and `offsets` as in `Packed`.

    Attributes:
        is_given: whether the value is a call's arguments, which must reach a function as what they are.
    """

    is_given: bool
    parts: list[NDArray[np.uint8]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.offsets[-1] + self.parts[-1].nbytes if self.parts else 0

    def add(self, flat: NDArray[np.uint8]) -> int:
        """Take further memory in; where it begins."""
        offset = -(-self.end // ALIGNED) * ALIGNED
        self.parts.append(flat)
        self.offsets.append(offset)
        return offset


def pack(value: Plain, *, is_given: bool = False) -> Packed:
    """Describe a value; arrays are not copied if they are contiguous.

    Args:
        value: a result, or the arguments of a call.
        is_given: of arguments, whose arrays keep the order that their axes have in memory (Fortran's, say).

    Raises HandoverError for what is not plain, and for arguments that would reach a function as something else.
    """
    memory = _Memory(is_given)
    text = json.dumps(_described(value, memory, 0), separators=(",", ":")).encode()
    return Packed(text, tuple(memory.parts), tuple(memory.offsets), memory.end)


def unpack(text: bytes, memory: Any) -> Plain:
    """Give the value that a text describes; its arrays are views of `memory`, a buffer. Raises HandoverError."""
    if len(text) > LONGEST_TEXT:
        raise HandoverError("it is too large")
    try:
        return _value(json.loads(text), memory, 0)
    except UNREADABLE as error:
        raise HandoverError(f"it cannot be read ({type(error).__name__})") from None


def without_arrays(value: Plain) -> Plain:
    """The value with None in place of each array, in tuples, lists and dicts of its own."""
    if isinstance(value, np.ndarray) or type(value).__module__.partition(".")[0] == "torch":
        return None
    if isinstance(value, dict):
        return {key: without_arrays(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_arrays(one) for one in value]
    return tuple(map(without_arrays, value)) if isinstance(value, tuple) else value


def _described(value: Any, memory: _Memory, depth: int) -> Any:
    if depth > DEEPEST:
        raise HandoverError("it is nested too deeply, or holds itself")
    if type(value).__module__.partition(".")[0] == "torch":
        value = _of_tensor(value, memory)
    if value is None or type(value) in (bool, str):
        return value
    kind = type(value)
    if kind is int:
        return {"i": hex(value)}
    if kind is float:
        return {"f": value.hex()}
    if kind is complex:
        return {"c": [value.real.hex(), value.imag.hex()]}
    if kind is bytes:
        return {"b": memory.add(np.frombuffer(value, np.uint8)), "n": len(value)}
    if isinstance(value, np.generic):
        return {"s": _array(np.asarray(value), memory)}
    if isinstance(value, np.ndarray):
        return {"a": _array(_whole_array(value), memory)}
    if isinstance(value, tuple):
        return {"t": [_described(one, memory, depth + 1) for one in value]}
    if kind is list:
        return {"l": [_described(one, memory, depth + 1) for one in value]}
    if kind is dict:
        pairs = [[_described(one, memory, depth + 1) for one in pair] for pair in value.items()]
        return {"d": pairs}
    raise HandoverError(f"a {kind.__name__} is no array, number or text, nor a tuple, list or dict of them")


def _of_tensor(value: Any, memory: _Memory) -> NDArray[Any]:
    if memory.is_given:
        raise HandoverError("a tensor would reach the function as an array: give arrays, and make tensors in it")
    return value.detach().cpu().numpy()  # type: ignore[no-any-return]  # waits for the device


def _whole_array(value: NDArray[Any]) -> NDArray[Any]:
    """The array, where its values are all of it: of a masked one the mask would be lost, and with it what it says."""
    if type(value) not in (np.ndarray, np.memmap):
        raise HandoverError(f"a {type(value).__name__} is more than a plain array: give np.asarray of it")
    return np.asarray(value)


def _array(array: NDArray[Any], memory: _Memory) -> list[Any]:
    if array.dtype.kind not in KINDS or array.dtype.names:
        raise HandoverError(f"an array of {array.dtype} is not plain memory")
    axes = list(range(array.ndim))
    if memory.is_given and not array.flags.c_contiguous:
        axes.sort(key=lambda axis: -abs(array.strides[axis]))  # the largest step first; equal ones stay as they are
    array = array.transpose(axes)
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.nbytes else np.empty(0, np.uint8)
    described = [array.dtype.str, list(array.shape), memory.add(flat)]
    return described if axes == sorted(axes) else [*described, axes]


def _value(said: Any, memory: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise HandoverError("it is nested too deeply")
    if said is None or isinstance(said, bool | str):
        return said
    ((kind, content),) = [(key, one) for key, one in said.items() if key != "n"]
    match kind:
        case "i":
            return int(content, 16)
        case "f":
            return float.fromhex(content)
        case "c":
            return complex(*(float.fromhex(one) for one in content))
        case "b":
            offset, length = _whole(content), _whole(said["n"])
            return bytes(np.frombuffer(memory, np.uint8, length, offset)) if length else b""
        case "s":
            return _read_array(content, memory)[()]
        case "a":
            return _read_array(content, memory)
        case "t":
            return tuple(_value(one, memory, depth + 1) for one in content)
        case "l":
            return [_value(one, memory, depth + 1) for one in content]
        case "d":
            keys = [_value(key, memory, depth + 1) for key, _ in content]
            if any(times > ALIKE for times in Counter(map(hash, keys)).values()):
                raise HandoverError("it has a dict with many keys of one hash")
            return dict(zip(keys, (_value(one, memory, depth + 1) for _, one in content), strict=True))
    raise HandoverError("it cannot be read")


def _read_array(content: list[Any], memory: Any) -> NDArray[Any]:
    kind = np.dtype(str(content[0]))
    if kind.kind not in KINDS or kind.names:
        raise HandoverError(f"an array of {kind} is not plain memory")
    shape = tuple(_whole(length) for length in content[1])
    number = int(np.prod(shape, dtype=object)) if shape else 1
    if number > MOST_OF_NOTHING and not kind.itemsize:
        raise HandoverError("it has an array of many values without bytes")
    if not number or not kind.itemsize:
        return np.empty(shape, kind)
    array = np.frombuffer(memory, kind, number, _whole(content[2])).reshape(shape)
    if len(content) == 3:
        return array
    axes = [_whole(axis) for axis in content[3]]
    if sorted(axes) != list(range(array.ndim)):
        raise HandoverError("it cannot be read")
    return array.transpose(np.argsort(axes))


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 1 << 48:
        raise HandoverError("it cannot be read")
    return number
