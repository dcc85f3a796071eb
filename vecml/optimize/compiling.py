"""Functions that a compiler of types makes at their first call (Numba's): compiled before, and why that cannot be.

What Numba says of a failure has many lines, and most of them are of its own inside. Here it is the line of the user's
own file, the construct there, and the reason.
"""

import ast
import difflib
import importlib
import inspect
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vecml.optimize.syntax import lines_of
from vecml.optimize.target import Place, source_of

COMPILE_SECONDS = 600.0  # the limit of one compilation, whatever limit the function's answer has
MOST_COMPILATIONS = 10_000
LONGEST = 300  # characters of a reason

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ATTRIBUTE = re.compile(r"Unknown attribute '(\w+)' of type (.+)")
_NO_IMPLEMENTATION = re.compile(r"No implementation of function Function\((.+)\) found for signature:\s+>>> (.+)")
_SPECIFIC = re.compile(r"raised a specific error:\s+\w+: (.+)")
_UNTYPED = re.compile(r"Untyped global name '(\w+)':\s*(?:Cannot determine Numba type of <class '([\w.]+)'>)?")
_UNIFY = re.compile(r"Cannot unify (.+) and (.+) for '([\w.]+)', defined at")
_GETITER = re.compile(r"Invalid use of getiter with parameters \((.+)\)")
_BY_NAME = re.compile(r"invalid type in signature: expected a type instance, got \{'(\w+)'")
_EXPLAINED = re.compile(r"Explanation: (.+)")
_FROM_USER = re.compile(r"File \"[^\"]+\", line \d+, in \w+\n(.+)")
_AT = re.compile(r" at (\S.*?) \((\d+)\)")
_RAISED_FROM = re.compile(r"Raised from (.+) \((\d+)\)")


class CannotCompileError(Exception):
    """A function cannot be compiled for its arguments; the text says at which line and construct, and why."""


def is_compiled(function: Callable[..., Any]) -> bool:
    """Whether the function is compiled at its first call for each set of types, as `numba.njit` makes it."""
    return all(hasattr(function, name) for name in ("py_func", "typeof_pyval", "compile", "signatures"))


def compile_for(function: Any, args: Sequence[Any], place: Place) -> float:
    """Compile a function that `is_compiled` for the types of its arguments.

    Args:
        function: made by `numba.njit`.
        args: the arguments of a call.
        place: where the function stands.

    Returns:
        The seconds that it took.

    Raises:
        CannotCompileError: with the line, the construct and the reason.
    """
    if function.signatures:  # the user has said for which types, or it was compiled before
        return 0.0
    start = time.perf_counter()
    kinds = _types_of(function, args)
    try:
        function.compile(kinds)
    except Exception as error:  # noqa: BLE001 -- Numba's own errors, and assertions inside it
        raise CannotCompileError(_reason(error, place)) from None
    return time.perf_counter() - start


def compile_by_calling(function: Callable[..., Any], args: Sequence[Any], place: Place) -> float:
    """Call a function whose first call compiles what it calls.

    Args:
        function: made by vecml.
        args: the arguments of the call, which may change them.
        place: where the function stands.

    Returns:
        The seconds of the call.

    Raises:
        CannotCompileError: a compiler refuses it, with the line, the construct and the reason.
    """
    start = time.perf_counter()
    try:
        function(*args)
    except Exception as error:
        library = "numba" if _is_of_numba(error) else type(error).__module__.partition(".")[0]
        if library not in ("numba", "torch"):
            raise
        raise CannotCompileError(_reason(error, place) if library == "numba" else _reason_of_torch(error)) from None
    return time.perf_counter() - start


def _is_of_numba(error: Exception) -> bool:
    """Whether an error was raised while Numba compiled: some are Python's own, as of a sum that it cannot share."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__", "")).startswith("numba.core.compiler") for frame in frames)


def _types_of(function: Any, args: Sequence[Any]) -> tuple[Any, ...]:
    """Numba's types of the parameters for these arguments: one for each, and for `*rest` one of a tuple.

    Raises CannotCompileError for an argument and for a kind of parameter that Numba does not know.
    """
    from numba import types  # noqa: PLC0415 -- an extra

    omitted: Callable[[Any], Any] = types.Omitted
    kinds: list[Any] = []
    for at, one in enumerate(inspect.signature(function.py_func).parameters.values()):
        if one.kind is one.VAR_KEYWORD:
            raise CannotCompileError(f"its parameter **{one.name} takes any names, which Numba does not know")
        if one.kind is one.KEYWORD_ONLY:
            raise CannotCompileError(f"its parameter {one.name} is given by name alone, which Numba does not know")
        if one.kind is one.VAR_POSITIONAL:
            value: Any = tuple(args[at:])
        elif at < len(args):
            value = args[at]
        else:
            kinds.append(omitted(one.default))
            continue
        kinds.append(function.typeof_pyval(value))
        if str(kinds[-1]) == "pyobject":
            inside = value if one.kind is one.VAR_POSITIONAL else (value,)
            unknown = next((part for part in inside if str(function.typeof_pyval(part)) == "pyobject"), value)
            raise CannotCompileError(f"its argument {one.name} is {_kind(unknown)}, which Numba does not know")
    return tuple(kinds)


def allow_recompiling() -> None:
    """Let torch compile as often as generated inputs need it; after its usual limit it would run no compiled code."""
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None and "torch" in sys.modules:
        dynamo = importlib.import_module("torch._dynamo")
    if dynamo is not None:
        dynamo.config.recompile_limit = MOST_COMPILATIONS
        dynamo.config.accumulated_recompile_limit = MOST_COMPILATIONS


def _reason_of_torch(error: Exception) -> str:
    """The explanation of torch.compile and the line of the function that it is about."""
    text = str(error)
    said = _EXPLAINED.search(text)
    line = _FROM_USER.findall(text)
    first = said.group(1) if said else text.strip().partition("\n")[0]
    return _cut(f"{line[-1].strip()}: {first}" if line else first)


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple | dict | set) and not value:
        return f"an empty {type(value).__name__}"
    if isinstance(value, list | tuple | set):
        inside = sorted({type(part).__name__ for part in value})
        return f"a {type(value).__name__} of {' and '.join(inside[:3])}"
    dtype = getattr(value, "dtype", None)
    return f"a {type(value).__name__}" if dtype is None else f"a {type(value).__name__} of {dtype}"


def _reason(error: Exception, place: Place) -> str:
    """The place in the user's own file, and the reason in words."""
    text = _COLOURS.sub("", str(error))
    file, number = _location(error, text)
    if found := _BY_NAME.search(text):
        return f"a function that it calls takes {found.group(1)} among any names (**), which Numba does not know"
    if file is None or number is None:
        return _cut(_plain(text) or f"{type(error).__name__} inside Numba")
    path = Path(file)
    source = source_of(place) if path == Path(place.file) else path.read_text(encoding="utf-8", errors="replace")
    lines = lines_of(source)
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    said = _said(text, _nodes(source, number), line) or f"{type(error).__name__} inside Numba at {line}"
    if path != Path(place.file):
        return _cut(f"line {number} of {path.name}: {said}")
    if place.classes_of:  # a copy of that file, with lines added
        number = _line_in(lines_of(source_of(place.original)), lines, number)
    return _cut(f"line {number}: {said}")


def _location(error: Exception, text: str) -> tuple[str | None, int | None]:
    """The file and the line that an error of Numba's is about: the innermost that is not Numba's own."""
    for file, number in _AT.findall(text):
        if _is_readable(file):
            return file, int(number)
    place = getattr(error, "loc", None)
    if place is None and (found := _RAISED_FROM.search(text)):
        return (found.group(1), int(found.group(2))) if Path(found.group(1)).is_file() else (None, None)
    if place is None:  # an assertion: the innermost function of Numba's that knows which statement it was looking at
        place = next(_statements(error), None)
    if place is None or not Path(str(place.filename)).is_file():
        return None, None
    return str(place.filename), int(place.line)


def _is_readable(file: str) -> bool:
    """Whether it is a file on the disk, and none of Numba's own."""
    import numba  # noqa: PLC0415 -- an extra

    return Path(numba.__file__).parent not in Path(file).parents and Path(file).is_file()


def _statements(error: Exception) -> Iterator[Any]:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    for frame in reversed(frames):
        for value in frame.f_locals.values():
            if any(kind.__name__ == "Inst" for kind in type(value).__mro__):
                yield value.loc


def _said(text: str, nodes: list[ast.AST], line: str) -> str:
    if found := _ATTRIBUTE.search(text):
        name, kind = found.groups()
        construct = next(
            (ast.unparse(one) for one in nodes if isinstance(one, ast.Attribute) and one.attr == name), name
        )
        of = "" if kind.startswith(("Function(", "Module(")) else f" for a value of type {kind}"
        return f"{construct} is not known to Numba{of}"
    if found := _NO_IMPLEMENTATION.search(text):
        signature = re.sub(r"Literal\[(\w+)\]\([^)]*\)", r"\1", found.group(2).strip())
        specific = _SPECIFIC.search(text)
        why = f" ({specific.group(1).strip()})" if specific and "\n" not in specific.group(1) else ""
        return f"{_called(nodes, signature) or line} is not known to Numba for {signature}{why}"
    if found := _UNTYPED.search(text):
        name, kind = found.groups()
        what = {"function": "a function that is not compiled", None: "something"}.get(kind, f"a {kind}")
        return f"{name} is {what}, which Numba does not know"
    if found := _UNIFY.search(text):
        one, other, name = found.groups()
        return f"{name.partition('.')[0]} is of two types, which Numba does not know: {one} and {other}"
    if found := _GETITER.search(text):
        return f"{line.rstrip(':')}: Numba does not go through a value of type {found.group(1)}"
    said = _plain(text)
    return f"{line.rstrip(':')}: {said}" if said else ""


def _called(nodes: list[ast.AST], signature: str) -> str:
    """The call in the user's own words of what Numba calls by another name; empty where there is none."""
    name = signature.partition("(")[0].rpartition(".")[2]
    for one in nodes:
        if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] == name:
            return ast.unparse(one)
    return ""


def _plain(text: str) -> str:
    """The first line of what Numba says that is no frame of the message; without the place, which is said before."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(("Failed in ", "File ", "During: "))]
    return _RAISED_FROM.sub("", said[0]).rstrip(" .") if said else ""


def _nodes(source: str, number: int) -> list[ast.AST]:
    """The expressions that begin in a line."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return [one for one in ast.walk(tree) if getattr(one, "lineno", None) == number]


def _line_in(old: list[str], new: list[str], number: int) -> int:
    """The number in `old` of the line that has the number `number` in `new`, or of the one before it."""
    at = number - 1
    for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        if block.b <= at < block.b + block.size:
            return block.a + at - block.b + 1
    return number


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
