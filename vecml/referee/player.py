"""The process of a candidate: `python -I player.py ...`. It is given arguments, calls a function, hands back results.

Nothing here is trusted. The candidate's code runs in this interpreter and can alter all of it: the clock, the input's
original and what is expected are in the referee's process. Before the candidate is read, what it does not need is given
up (`confine`).

A request is an operation and the sizes of what lies in the file of arguments; an answer is a state and the sizes of
what lies in the file of results. Both files are memory (memfd), so that handing over costs a copy.
"""

import importlib.util
import itertools
import json
import mmap
import os
import struct
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEGIN, CALL, AGAIN, HOLD, EARLIER, GIVEN = range(6)
DONE, RAISED, UNFIT = range(3)
REQUEST = struct.Struct("=BQQ")  # operation or state, bytes of text, bytes of memory
TEXT_ROOM = 1 << 16  # before the memory, so that its place is the same in each call; a longer text has as many again
FILE_BYTES = 1 << 32
KEPT, KEPT_BYTES = 3, 1 << 27  # results of earlier calls that are kept, of so many bytes at most each


class Files:
    """The two files of memory, as this process sees them."""

    def __init__(self, given: int, result: int, unpack: Callable[[bytes, Any], Any]) -> None:
        """Take the numbers of the files, and what reads a value (`handover.unpack`)."""
        self.given, self.result, self._unpack = given, result, unpack
        self._map: mmap.mmap | None = None

    def arguments(self, text: int, memory: int) -> Any:
        """The value in the file of arguments; its arrays are views of the file, which is mapped once."""
        begins = room(text)
        if self._map is None or len(self._map) < begins + memory:
            size = max(begins + memory, os.fstat(self.given).st_size)
            self._map = mmap.mmap(self.given, size)
        view = memoryview(self._map)
        return self._unpack(bytes(view[:text]), view[begins : begins + memory])

    def copied(self, text: int, memory: int) -> Any:
        """The value in the file of arguments, in memory of its own."""
        content = os.pread(self.given, room(text) + memory, 0)
        return self._unpack(content[:text], content[room(text) :])

    def write(self, text: bytes, parts: Any = (), offsets: Any = ()) -> None:
        """Put a text and its memory into the file of results."""
        os.pwrite(self.result, text, 0)
        begins = room(len(text))
        for part, offset in zip(parts, offsets, strict=True):
            write_all(self.result, part, begins + offset)


def room(text: int) -> int:
    """Tell where the memory begins in a file whose text has so many bytes."""
    return -(-max(text, 1) // TEXT_ROOM) * TEXT_ROOM


def write_all(file: int, part: Any, offset: int) -> None:
    """Write a contiguous buffer of bytes at a place of a file."""
    view = memoryview(part).cast("B")
    done = 0
    while done < len(view):
        done += os.pwrite(file, view[done:], offset + done)


def words(error: BaseException) -> bytes:
    """An error as one line of text."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500].encode(errors="replace")


def serve(requests: int, answers: int, files: Files, handover: Any, load: Callable[[], Callable[..., Any]]) -> None:
    """Answer requests until there are no more.

    `EARLIER` asks for the result of an earlier call as it is now (so many calls before the last), `GIVEN` for what of
    the last call's arguments is no array, as it is now.

    Args:
        requests, answers: numbers of the pipes.
        files: of arguments and results.
        handover: the module.
        load: gives the function, when it is asked for.
    """
    function: Callable[..., Any] | None = None
    result: Any = None
    result_size = 0
    arguments: Any = ()
    named: Any = {}
    kept: deque[Any] = deque(maxlen=KEPT)
    while request := os.read(requests, REQUEST.size):
        operation, text, memory = REQUEST.unpack(request)
        state, said, size = DONE, b"", 0
        try:
            if operation == BEGIN:
                function = load()
            elif operation == HOLD:  # of the process that shows the price of handing over: what it will give back
                result = files.copied(text, memory)
                function = _given_back(result)
            else:
                if operation == CALL:
                    kept.append(result if result_size <= KEPT_BYTES else None)
                    arguments, named = files.arguments(text, memory)
                    result = function(*arguments, **named)  # type: ignore[misc]
                if operation == EARLIER:
                    packed = handover.pack(kept[-text])
                elif operation == GIVEN:
                    packed = handover.pack(handover.without_arrays((arguments, named)))
                else:
                    packed = handover.pack(result)
                    result_size = packed.size
                said, size = packed.text, packed.size
                files.write(said, packed.parts, packed.offsets)
        except handover.HandoverError as error:
            state, said = UNFIT, str(error).encode()
        except BaseException as error:  # noqa: BLE001 -- a candidate may raise anything
            state, said = RAISED, words(error)
        if state != DONE:
            files.write(said)
        os.write(answers, REQUEST.pack(state, len(said), size))


def _given_back(result: Any) -> Callable[..., Any]:
    """A function that gives back the parts of `result`, one a call, over and over."""
    turns = itertools.cycle(result)
    return lambda *_arguments, **_named: next(turns)


def load_function(source: str, qualified: str) -> Callable[..., Any]:
    """Run a file as a module of its own name, and give the function of that name in it."""
    sys.path.insert(0, str(Path(source).parent))
    found: Any = load_module(Path(source).stem, Path(source))
    for name in qualified.split("."):
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def load_module(name: str, path: Path) -> Any:
    """Run a file as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Give up what is not needed, then answer requests. The only argument is JSON."""
    asked = json.loads(sys.argv[1])
    here = Path(__file__).parent
    confine = load_module("vecml_referee_confine", here / "confine.py")
    readable = [str(here), asked["code"], sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]
    confined = confine.confine(asked["folder"], readable, FILE_BYTES)
    handover = load_module("vecml_referee_handover", here / "handover.py")  # NumPy's threads begin confined
    sys.argv[1:] = []
    answers = asked["answers"]
    os.write(answers, REQUEST.pack(DONE, int(confined), 0))
    files = Files(asked["given"], asked["result"], handover.unpack)
    serve(asked["requests"], answers, files, handover, lambda: load_function(asked["source"], asked["qualified"]))


if __name__ == "__main__":
    main()
