"""The arguments of calls, drawn in the referee's process from a seed that nobody knows, and what is expected of them.

The reference and what makes the inputs are trusted: their author wrote the spec. They are read from the text that the
spec's digest was taken of, never from files that may have changed since.
"""

import hashlib
import importlib.util
import inspect
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vecml.comparison.functions import arguments
from vecml.errors import one_line
from vecml.optimize.agreement import difference
from vecml.referee.handover import HandoverError, Packed, Plain, pack, unpack
from vecml.referee.refusals import SpecError

DRAWS = 20  # until arguments must be new

Size = int | None


@dataclass(frozen=True)
class Task:
    """The arguments of one call.

    Attributes:
        packed: the arguments, `(by position, by name)`, as they are handed over.
        size: what the maker of inputs was asked for; None: it takes no size.
        announced: whether the spec names this size, so that it may be timed.
    """

    packed: Packed = field(repr=False)
    size: Size
    announced: bool = True

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments again, in memory of their own."""
        given: tuple[tuple[Any, ...], dict[str, Any]] = _unpacked(self.packed)
        return given


class Inputs:
    """The reference and the maker of inputs of a spec, with a fresh secret seed.

    Attributes:
        random: decides what the referee does next.
    """

    def __init__(
        self, files: Mapping[str, bytes], reference: str, maker: str, folder: Path, *, has_sizes: bool
    ) -> None:
        """Write the files into an empty folder of this process, and import what is needed of them.

        Args:
            files: by name, what they hold.
            reference, maker: `FILE.py:FUNCTION`.
            folder: an empty one.
            has_sizes: whether the maker is asked for sizes.

        Raises SpecError for what cannot be imported.
        """
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o700)  # a command may name it
        sys.path.insert(0, str(folder))
        modules: dict[str, Any] = {}
        self._reference = _imported(folder, reference, modules)
        self._maker = _imported(folder, maker, modules)
        self._takes_size = len(inspect.signature(self._maker).parameters) > 1
        if has_sizes and not self._takes_size:
            raise SpecError("sizes are given, and the maker of inputs takes none: make_inputs(random, size)")
        self.random = np.random.default_rng(secrets.randbits(256))
        self._drawn: set[bytes] = set()

    def task(self, size: Size, *, announced: bool = True) -> Task:
        """Draw the arguments of a call of this size, which no call had before.

        Each draw has a seed of its own, so that nobody who sees many of them can tell the next. Raises SpecError for a
        maker that raises, or that gives what it gave before.
        """
        for _ in range(DRAWS):
            task = Task(self._made(size), size, announced)
            known = _digest(task.packed)
            if known not in self._drawn:
                self._drawn.add(known)
                return task
        raise SpecError("the maker of inputs gives the same arguments again: draw them from its random generator")

    def _made(self, size: Size) -> Packed:
        random = np.random.default_rng(secrets.randbits(256))
        try:
            made = self._maker(*((random, size) if self._takes_size else (random,)))
            return pack(arguments(made), is_given=True)
        except HandoverError as error:
            raise SpecError(f"what the maker of inputs returns cannot be handed over: {error}") from None
        except Exception as error:
            raise SpecError(f"the maker of inputs raised {one_line(error, named=True, whole=True)}") from error

    def expected(self, task: Task) -> Plain:
        """The reference's result, as it would be read if it were handed over. Raises what the reference raises."""
        positional, by_name = task.arguments()
        return copied(self._reference(*positional, **by_name))

    def keeps_results(self, task: Task, later: Sequence[Task]) -> bool:
        """Whether the reference's result of a task stays what it was while it is called over others in the same memory.

        It does not where it is a part of an argument, or of memory that the reference uses in each call.
        """
        content = bytearray(max(one.packed.size for one in (task, *later)))

        def called(one: Task) -> Plain:
            for part, offset in zip(one.packed.parts, one.packed.offsets, strict=True):
                content[offset : offset + part.nbytes] = part.tobytes()
            positional, by_name = unpack(one.packed.text, content)
            return self._reference(*positional, **by_name)

        result = called(task)
        before = copied(result)
        for one in later:
            called(one)
        return difference(before, copied(result), 0.0) is None


def size_within(ranges: Sequence[tuple[int, int]], random: np.random.Generator) -> int:
    """Any size within one of these ranges, each order of magnitude alike."""
    low, high = ranges[int(random.integers(len(ranges)))]
    return max(low, min(high, int(np.exp(random.uniform(np.log(low), np.log(high + 1))))))


def copied(value: Plain) -> Plain:
    """A value as it would be read if it were handed over, in memory of its own. Raises HandoverError."""
    return _unpacked(pack(value))


def _unpacked(packed: Packed) -> Plain:
    content = bytearray(packed.size)
    for part, offset in zip(packed.parts, packed.offsets, strict=True):
        content[offset : offset + part.nbytes] = part.tobytes()
    return unpack(packed.text, content)


def _digest(packed: Packed) -> bytes:
    found = hashlib.blake2b(packed.text, digest_size=16)
    for part in packed.parts:
        found.update(part.data)
    return found.digest()


def _imported(folder: Path, place: str, modules: dict[str, Any]) -> Callable[..., Any]:
    """The function of a place below `folder`; `modules` are those that were imported, by their files."""
    file, _, qualified = place.rpartition(":")
    if file not in modules:
        name = f"_referee_{Path(file).stem}"
        spec = importlib.util.spec_from_file_location(name, folder / file)
        if spec is None or spec.loader is None:
            raise SpecError(f"{file} is no Python file")
        module = modules[file] = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise SpecError(f"{file} raised {one_line(error, named=True, whole=True)}") from error
    function = getattr(modules[file], qualified, None)
    if not callable(function):
        raise SpecError(f"{file} has no function {qualified}")
    return function  # type: ignore[no-any-return]
