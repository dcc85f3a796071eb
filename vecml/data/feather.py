"""Feather and Arrow's IPC files, which a child process reads first: a damaged one can end the process that reads it.

Arrow trusts what such a file says of itself, and some damage ends in SIGSEGV or SIGABRT. The child goes through the
same steps, so that what it survives this process survives; what it finds wrong is told in Arrow's words.
"""

import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import feather

from vecml.child import EndedError, SilentError, end_with_parent, environment, python, spawn
from vecml.data.memory_limit import MemoryLimit
from vecml.errors import one_line

LONGEST_SECONDS = 3_600.0
MOST_AT_ONCE = 500  # files for one child: their names must fit into a command
_SOUND = b"sound"

_State = tuple[str, int, int, int, int]
_answers: dict[_State, bytes] = {}  # what a child said of a file as it was then


def read_feather(path: Path) -> "pa.Table":
    """The whole file as an Arrow table, every value of it validated.

    Raises what Arrow raises, and pyarrow.ArrowInvalid where reading the file ends a process.
    """
    check_beforehand([path])
    answer = _answers[_state(path)]
    word, _, n_bytes = answer.partition(b" ")
    if word != _SOUND:
        raise pa.ArrowInvalid(answer.decode(errors="replace"))
    MemoryLimit(path.name).check(expected=int(n_bytes))
    return _read(path)


def check_beforehand(paths: Sequence[Path]) -> None:
    """Let a child process read the files; what it finds is told when they are read. One child is enough for many."""
    unknown = [path for path in paths if _state(path) not in _answers]
    for first in range(0, len(unknown), MOST_AT_ONCE):
        part = unknown[first : first + MOST_AT_ONCE]
        while part:
            part = part[_ask(part) :]


def _state(path: Path) -> _State:
    """The file, and what shows that it is still the same one."""
    found = path.stat()
    return str(path.resolve()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _ask(paths: Sequence[Path]) -> int:
    """Keep a child's answers about the files; return how many there are, at least one: it may have ended early."""
    states = [_state(path) for path in paths]
    names = [str(path.resolve()) for path in paths]
    child = spawn(python("vecml.data.feather", *names), environment(PYTHONWARNINGS="ignore", PYTHONFAULTHANDLER=""))
    try:
        for place, state in enumerate(states):
            try:
                _answers[state] = child.receive(LONGEST_SECONDS)
            except SilentError:
                _answers[state] = b"reading it took more than an hour"
                return place + 1
            except EndedError as error:
                _answers[state] = f"Arrow does not survive it: {error}".encode()
                return place + 1
    finally:
        child.close()
    return len(paths)


def _read(path: Path) -> "pa.Table":
    table = feather.read_table(path)
    table.validate(full=True)
    return table


def _main(paths: Sequence[str]) -> None:
    """Read the files, and write for each a line: that it is sound, with the table's bytes, or what is wrong with it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in paths:
        try:
            answer = _SOUND + f" {_read(Path(path)).nbytes}".encode()
        except (pa.ArrowException, OSError, MemoryError, ValueError) as error:
            answer = one_line(error).encode(errors="replace")
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    end_with_parent()
    _main(sys.argv[1:])
