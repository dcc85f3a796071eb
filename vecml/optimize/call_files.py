"""The arguments of a call as files that run no code when they are read: JSON, npy without pickles, Arrow for tables.

Writing happens in the user's process, reading in a worker. What none of these formats holds is refused with its place.
"""

import base64
import collections
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.errors import one_line
from vecml.optimize.agreement import attributes, difference
from vecml.optimize.copyable import used_up
from vecml.optimize.overlaps import first_overlap
from vecml.optimize.tables import is_table

CALL = "call.json"
LONG = 10_000  # numbers in a list from which on they are written as an array
LONGEST_INT = 10_000  # bits: longer ones are no numbers of JSON
EACH = 16  # bytes that a small value counts
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class is written in Python
MAKER = "give it with --inputs FILE.py:make_inputs, a function that makes the arguments"
APART = (
    "give them with --inputs FILE.py:make_inputs, with an array of its own for each where the function writes to one "
    "of them"
)
PLAIN = (bool, int, float, str, type(None))
SEQUENCES: Mapping[type, str] = {
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    collections.deque: "deque",
}
MAPPINGS: Mapping[type, str] = {
    dict: "dict",
    collections.OrderedDict: "OrderedDict",
    collections.Counter: "Counter",
}
TEXTS: Mapping[type, Callable[[str], Any]] = {
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: fractions.Fraction,
    pathlib.PosixPath: pathlib.Path,
    pathlib.PurePosixPath: pathlib.PurePosixPath,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
}
SPECIAL = (  # methods of classes that are more than their attributes
    *("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__"),
    *("__getnewargs__", "__getnewargs_ex__", "__deepcopy__"),
)

Find = Callable[[str, str, str], Any]


class CannotRecordError(Exception):
    """A part of the arguments that cannot be recorded.

    Attributes:
        place: its name: `x`, `points[3].lock`.
        what: why not, as the end of a sentence.
        hint: what to do.
    """

    def __init__(self, place: str, what: str, hint: str = MAKER) -> None:
        super().__init__(f"{place} {what}")
        self.place, self.what, self.hint = place, what, hint


@dataclass(frozen=True)
class Captured:
    """The arguments of a call, as they were when it began.

    Attributes:
        tree: the arguments as JSON, which names the files.
        files: arrays, and the content of Arrow files, by the names of their files.
        bytes: about as much as they take.
    """

    tree: str
    files: Mapping[str, NDArray[Any] | bytes]
    bytes: int


def capture(arguments: Sequence[tuple[str, Any]], most_bytes: int) -> Captured:
    """Copy the arguments of a call.

    Args:
        arguments: each with its name.
        most_bytes: that all of them may take.

    Raises CannotRecordError for what cannot be recorded, or is larger.
    """
    writing = _Writing(most_bytes)
    name = ""
    try:
        nodes = []
        for name, value in arguments:
            nodes.append(writing.node(value, name))
        tree = json.dumps(nodes)
    except RecursionError:
        raise CannotRecordError(name, "is nested too deeply to be recorded") from None
    if (both := first_overlap(writing.arrays)) is not None:
        raise CannotRecordError(both[1], f"shares memory with {both[0]}, and each array is copied by itself", APART)
    return Captured(tree, writing.files, writing.bytes)


def write(captured: Captured, folder: Path) -> None:
    """Write the arguments into a new folder."""
    folder.mkdir(parents=True)
    for name, content in captured.files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            np.save(folder / name, content, allow_pickle=False)
    (folder / CALL).write_text(captured.tree, encoding="utf-8")


def read(folder: Path, find: Find) -> tuple[Any, ...]:
    """Read the arguments of a call.

    Args:
        folder: what `write` wrote.
        find: gives the class or function of a module's name, its own name in it, and the module's file.
    """
    reading = _Reading(folder, find)
    return tuple(reading.value(node) for node in json.loads((folder / CALL).read_text(encoding="utf-8")))


class _Writing:
    """Turns values into what JSON holds: a plain value as itself, any other as a dict with its `kind`."""

    def __init__(self, most_bytes: int) -> None:
        self.files: dict[str, NDArray[Any] | bytes] = {}
        self.arrays: list[tuple[NDArray[Any], str]] = []  # the user's, each with its place
        self.bytes = 0
        self._most = most_bytes
        self._numbers: dict[int, int] = {}  # of what was written, by its id, in the order of their ends
        self._open: set[int] = set()
        self._alive: list[Any] = []  # so that no id stands for two

    def node(self, value: Any, place: str) -> Any:
        if type(value) in PLAIN:
            if type(value) is int and value.bit_length() > LONGEST_INT:
                raise CannotRecordError(place, f"is a whole number of {value.bit_length():,} bits")
            self._count(len(value) if isinstance(value, str) else EACH, place)
            return value
        if id(value) in self._numbers:
            return {"kind": "again", "number": self._numbers[id(value)]}
        if id(value) in self._open:
            raise CannotRecordError(place, "holds itself")
        self._open.add(id(value))
        made = self._content(value, place)
        self._open.discard(id(value))
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        return made

    def _content(self, value: Any, place: str) -> dict[str, Any]:
        kind = type(value)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, place)
        if is_table(value):
            return self._table(value, place)
        if kind in SEQUENCES:
            return self._sequence(value, place)
        if kind in MAPPINGS or kind is collections.defaultdict:
            factory = value.default_factory if kind is collections.defaultdict else None
            how = {} if factory is None else {"factory": self.node(factory, f"{place}.default_factory")}
            parts = [
                [self.node(key, f"a key of {place}"), self.node(one, f"{place}[{_cut(key)}]")]
                for key, one in value.items()
            ]
            return {"kind": MAPPINGS.get(kind, "defaultdict"), "parts": parts, **how}
        if kind in (np.random.Generator, np.random.RandomState):
            return self._random(value, place)
        if (found := self._small(value, place)) is not None:
            return found
        if isinstance(value, type | types.FunctionType | np.ufunc) or _is_builtin(value):
            return {"kind": "name", "of": _reference(value, place)}
        if isinstance(value, enum.Flag):  # of several members, it has no name of its own
            return {"kind": "member", "of": _reference(kind, place), "value": self.node(value.value, place)}
        if isinstance(value, enum.Enum):
            return {"kind": "member", "of": _reference(kind, place), "name": value.name}
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return {"kind": "named", "of": _reference(kind, place), "parts": self._parts(value, place)}
        return self._object(value, place)

    def _random(self, value: Any, place: str) -> dict[str, Any]:
        """A random generator of NumPy's, by its state: what it draws next is drawn by the copy as well."""
        of = value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
        state = of.state if isinstance(value, np.random.Generator) else value.get_state(legacy=False)
        word = type(of).__name__
        if getattr(np.random, word, None) is not type(of):
            raise CannotRecordError(place, f"is a random generator with bits of its own ({word})")
        return {"kind": type(value).__name__, "bits": word, "state": self.node(state, f"{place}.state")}

    def _small(self, value: Any, place: str) -> dict[str, Any] | None:
        """A value that is as good as plain; None for another."""
        kind = type(value)
        self._count(EACH, place)
        if kind is complex:
            return {"kind": "complex", "parts": [value.real, value.imag]}
        if kind in (bytes, bytearray):
            self._count(len(value), place)
            return {"kind": kind.__name__, "text": base64.b64encode(value).decode()}
        if kind in (range, slice):
            ends = (value.start, value.stop, value.step)
            return {"kind": kind.__name__, "parts": [self.node(one, place) for one in ends]}
        if kind is datetime.timedelta:
            return {"kind": "timedelta", "parts": [value.days, value.seconds, value.microseconds]}
        if isinstance(value, np.dtype) and value.fields is None:
            return {"kind": "dtype", "text": value.str}
        if kind in TEXTS and getattr(value, "tzinfo", None) in (None, datetime.UTC):
            return {"kind": kind.__name__, "text": value.isoformat() if hasattr(value, "isoformat") else str(value)}
        return None

    def _sequence(self, value: Any, place: str) -> dict[str, Any]:
        word = SEQUENCES[type(value)]
        if word == "list" and len(value) >= LONG:
            kinds = {type(one) for one in value}
            if kinds == {float} or (kinds == {int} and all(-(2**63) <= one < 2**63 for one in value)):
                return {"kind": "numbers", "file": self._file(np.array(value), place)}
        how = {"length": value.maxlen} if isinstance(value, collections.deque) else {}
        return {"kind": word, "parts": self._parts(value, place), **how}

    def _parts(self, value: Any, place: str) -> list[Any]:
        return [self.node(one, f"{place}[{number}]") for number, one in enumerate(value)]

    def _array(self, value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, np.generic) and type(value) not in (np.ndarray, np.memmap):
            raise CannotRecordError(place, f"is a {type(value).__name__}, which is more than an array", MAKER)
        if value.dtype.hasobject:
            raise CannotRecordError(place, f"is an array of Python objects (dtype {value.dtype})", MAKER)
        if isinstance(value, np.generic):
            return {"kind": "scalar", "file": self._file(np.asarray(value), place)}
        self.arrays.append((value, place))
        layout = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        if not value.flags.forc and value.size:
            layout = "reversed" if min(value.strides) < 0 else "strided"
        name = self._file(value, place)
        return {"kind": "array", "file": name, "layout": layout, "writeable": bool(value.flags.writeable)}

    def _file(self, value: NDArray[Any], place: str) -> str:
        self._count(value.nbytes, place)
        name = f"{len(self.files)}.npy"
        self.files[name] = np.array(value, copy=True, order="K" if value.flags.forc else "C", subok=False)
        return name

    def _table(self, value: Any, place: str) -> dict[str, Any]:
        self._count(int(np.sum(value.memory_usage(deep=True))), place)
        name = f"{len(self.files)}.arrow"
        table = value.to_frame("0") if value.ndim == 1 else value
        missing = [_missing(table.iloc[:, at], f"{place}[{table.columns[at]!r}]") for at in range(table.shape[1])]
        label = self.node(value.name, f"{place}.name") if value.ndim == 1 else None
        steps = getattr(table.index, "freqstr", None)
        made = {"kind": type(value).__name__, "file": name, "missing": missing, "name": label, "steps": steps}
        try:
            self.files[name] = content = _arrow(table)
            again = _from_arrow(content, missing, steps)
        except Exception as error:  # noqa: BLE001 -- Arrow and pandas raise what they like of columns that they do not take
            raise CannotRecordError(place, f"is a table that Arrow does not hold ({one_line(error)})") from None
        if reason := difference(table, again, 0.0) or _other_cells(table, again):
            raise CannotRecordError(place, f"is a table that Arrow does not hold as it is ({reason})")
        return made

    def _object(self, value: Any, place: str) -> dict[str, Any]:
        kind = type(value)
        if said := used_up(value):
            raise CannotRecordError(place, *said)
        own = [one for one in kind.__mro__ if one is not object]
        plain = all(_is_usual(kind, one) for one in SPECIAL)
        if not plain or not all(one.__flags__ & HEAP_TYPE for one in own):
            raise CannotRecordError(place, f"is a {kind.__module__}.{kind.__qualname__}")
        held = {name: self.node(one, f"{place}.{name}") for name, one in (attributes(value) or {}).items()}
        return {"kind": "object", "of": _reference(kind, place), "attributes": held}

    def _count(self, size: int, place: str) -> None:
        self.bytes += size
        if self.bytes > self._most:
            what = f"makes the arguments larger than the {self._most / 1e6:,.0f} MB that are recorded"
            raise CannotRecordError(place, what, f"call it with less, or {MAKER}")


class _Reading:
    """Turns what `_Writing` made back into values; runs nothing but what `find` imports."""

    def __init__(self, folder: Path, find: Find) -> None:
        self._folder = folder
        self._find = find
        self._made: list[Any] = []

    def value(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if node["kind"] == "again":
            return self._made[node["number"]]
        made = self._content(node, node["kind"])
        self._made.append(made)
        return made

    def _content(self, node: Mapping[str, Any], kind: str) -> Any:
        if "file" in node:
            return self._from_file(node, kind)
        if kind in MAPPINGS.values() or kind == "defaultdict":
            factory = self.value(node["factory"]) if "factory" in node else None
            made: Any = collections.defaultdict(factory) if kind == "defaultdict" else _inverse(MAPPINGS, kind)()
            for pair in node["parts"]:
                key, one = map(self.value, pair)  # in the order in which they were written
                made[key] = one
            return made
        parts = [self.value(one) for one in node.get("parts", ())]
        if kind == "deque":
            return collections.deque(parts, node["length"])
        if kind in SEQUENCES.values():
            return _inverse(SEQUENCES, kind)(parts)
        builtin = {"complex": complex, "range": range, "slice": slice, "timedelta": datetime.timedelta}
        if kind in builtin:
            return range(*parts) if kind == "range" else builtin[kind](*parts)
        if kind in ("bytes", "bytearray"):
            return {"bytes": bytes, "bytearray": bytearray}[kind](base64.b64decode(node["text"]))
        if kind in ("Generator", "RandomState"):
            return _random_again(kind, getattr(np.random, node["bits"])(), self.value(node["state"]))
        if kind == "dtype":
            return np.dtype(node["text"])
        if "text" in node:
            return next(made for one, made in TEXTS.items() if one.__name__ == kind)(node["text"])
        return self._of_class(node, kind, parts)

    def _of_class(self, node: Mapping[str, Any], kind: str, parts: list[Any]) -> Any:
        of = self._find(*node["of"])
        if kind == "name":
            return of
        if kind == "member":
            return of[node["name"]] if "name" in node else of(self.value(node["value"]))
        if kind == "named":
            return tuple.__new__(of, parts)
        made = object.__new__(of)
        for name, one in node["attributes"].items():
            object.__setattr__(made, name, self.value(one))
        return made

    def _from_file(self, node: Mapping[str, Any], kind: str) -> Any:
        path = self._folder / node["file"]
        if kind in ("DataFrame", "Series"):
            table = _from_arrow(path.read_bytes(), node["missing"], node["steps"])
            return table if kind == "DataFrame" else table.iloc[:, 0].rename(self.value(node["name"]))
        array = np.load(path, allow_pickle=False)
        if kind == "numbers":
            return array.tolist()
        if kind == "scalar":
            return array[()]
        if node["layout"] == "reversed":
            array = np.ascontiguousarray(array[::-1])[::-1]
        elif node["layout"] == "strided":
            wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
            wide[..., ::2] = array
            array = wide[..., ::2]
        array.flags.writeable = node["writeable"]
        return array


def _random_again(kind: str, bits: Any, state: Any) -> Any:
    if kind == "Generator":
        bits.state = state
        return np.random.Generator(bits)
    made = np.random.RandomState(bits)
    made.set_state(state)
    return made


def _inverse(names: Mapping[type, str], word: str) -> Any:
    return next(kind for kind, name in names.items() if name == word)


def _cut(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_usual(kind: type, name: str) -> bool:
    """Whether a class has a method as every object has it, or as dataclasses with slots do."""
    own = getattr(kind, name, None)
    return own is getattr(object, name, None) or getattr(own, "__module__", "") == "dataclasses"


def _is_builtin(value: Any) -> bool:
    """Whether it is a function written in C that belongs to a module: `len`, `math.sin`."""
    return isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, types.ModuleType)


def _reference(value: Any, place: str) -> list[str]:
    """The module, the name in it and the module's file of a class or function, so that another process finds it."""
    module = "numpy" if isinstance(value, np.ufunc) else str(getattr(value, "__module__", None))
    name = str(getattr(value, "__qualname__", None) or getattr(value, "__name__", None))
    found: Any = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not value:
        what = f"is of the class {name}" if isinstance(value, type) else f"is the function {name}"
        raise CannotRecordError(place, f"{what}, which has no place at the top of a module")
    return [module, name, str(Path(file).resolve()) if file else ""]


def _missing(column: Any, place: str) -> str:
    """What stands for missing values in a column of Python objects, which Arrow does not tell apart; else empty."""
    if column.dtype != object:
        return ""
    kinds = {"nan" if isinstance(one, float) else "none" for one in column[column.isna()]}
    if len(kinds) > 1:
        raise CannotRecordError(place, "has both None and NaN for what is missing")
    return kinds.pop() if kinds else "none"


def _arrow(table: Any) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 -- for tables only

    sink = pa.BufferOutputStream()
    made = pa.Table.from_pandas(table)
    with pa.ipc.new_file(sink, made.schema) as writer:
        writer.write_table(made)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _from_arrow(content: bytes, missing: Sequence[str], steps: str | None) -> Any:
    import pyarrow as pa  # noqa: PLC0415 -- for tables only

    table = pa.ipc.open_file(pa.BufferReader(content)).read_all().to_pandas()
    for at, word in enumerate(missing):
        if word:
            column = table.iloc[:, at].astype(object)
            table.isetitem(at, column.where(column.notna(), float("nan") if word == "nan" else None))
    if steps is not None:
        table.index.freq = steps
    return table


def _other_cells(table: Any, again: Any) -> str | None:
    """Say what a table's index or cells of Python objects have become that are equal all the same; None: nothing."""
    if getattr(table.index, "freq", None) != getattr(again.index, "freq", None):
        return "its index gets other steps"
    pairs = [(table.index, again.index), *((table.iloc[:, at], again.iloc[:, at]) for at in range(table.shape[1]))]
    for old, new in pairs:
        for one, other in zip(old, new, strict=True) if old.dtype == object else ():
            if type(one) is not type(other) or (isinstance(one, decimal.Decimal) and str(one) != str(other)):
                return "a cell gets another type"
    return None
