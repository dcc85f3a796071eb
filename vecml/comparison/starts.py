"""A command as an arm: a call starts it and waits for its end, and the kernel counts the CPU time of each start.

The command gets the user's own environment, folder and standard input, whatever the worker itself was given. Only the
start and the wait are timed: files of output are looked at between blocks. What a start leaves running is ended before
another arm has its turn.
"""

import os
import shutil
import signal
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vecml.child import cause
from vecml.measure import tree
from vecml.measure.work import ArmError, Work

OPENER = "vecml.comparison.starts:CommandWork"
EMPTY = "true"  # a program that does nothing, wherever there is a shell
PRICE = f"limit: starting a process ({EMPTY})"  # the arm that shows what the start of any process costs
SIGNALS = (signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ)  # that Python or the worker treats as no command expects
READ_BYTES = 1 << 20
SAMPLE_SECONDS = 0.005
END_SECONDS = 0.001  # between two looks for what has not ended yet
ORPHAN = 'exec 3<&0; "$@" <&3 3<&- &'  # a command in the background of a shell that ends
LAST_BYTES = 1 << 16  # of standard error, among which the last line is


class CommandWork(Work):
    """A command as an arm; see `vecml.measure.work.Work`.

    The payload's keys:

        directory: where it is started.
        program, argv: the file that is started, and its arguments, the command's name first.
        prepare: the same pair for what is started before each start, outside of the clock; or None.
        environment: the user's.
        stdin: the path of the file that every start reads.
        folder, number: where what it prints is written, and under which number.
        same_output: whether its standard output is kept and compared.
        same_file: the path of the file that every start writes, and that is compared; or None.
        sample: whether the first starts are watched, for the memory that they use.
        ignore_failure: whether a start may end with another exit code than 0.
        facts: what is recorded of it.
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._asked = payload
        folder, number = Path(payload["folder"]), payload["number"]
        self._errors = folder / f"errors-{number}"
        self._output = folder / f"output-{number}" if payload["same_output"] else None
        self._written = None if payload["same_file"] is None else Path(payload["same_file"])
        self._kept = folder / f"file-{number}"
        self._before: tuple[int, ...] | None = None
        self._codes: set[int] = set()
        self._left = 0
        self._starts = 0
        self._user = self._system = 0.0
        self._peak = 0
        self._counting, self._sampled = False, not payload["sample"]
        self.prepares = payload["prepare"] is not None
        printed = str(self._output or os.devnull)
        self._actions = [
            (os.POSIX_SPAWN_OPEN, 0, payload["stdin"], os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, str(self._errors), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ]
        os.chdir(payload["directory"])
        tree.keep_the_tree_together()

    def open(self) -> None:
        """Nothing is opened: every start opens what it needs, and that is timed."""

    def facts(self) -> dict[str, Any]:
        return dict(self._asked["facts"])

    def begin(self) -> None:
        if not self._counting:  # the warm-up does not count
            self._counting, self._starts, self._user, self._system = True, 0, 0.0, 0.0
        self._before = _state(self._written)

    def rest(self) -> None:
        """End what the starts have left running, so that it does not disturb the next arm."""
        left: set[int] = set()
        while strays := tree.descendants(os.getpid()):  # looked for again: one may start others before it is ended
            tree.end(strays)
            left.update(strays)
            if not tree.reap():
                time.sleep(END_SECONDS)
        self._left += len(left)

    def prepare(self) -> None:
        if self._asked["prepare"] is not None:
            program, argv = self._asked["prepare"]
            code = os.waitstatus_to_exitcode(os.wait4(self._start(program, argv), 0)[1])
            if code:
                raise ArmError(f"what prepares it {self._words(code)}")

    def call(self) -> None:
        if self._sampled:
            self._wait(self._start(self._asked["program"], self._asked["argv"]))
        else:
            self._sample()

    def cpu_seconds(self) -> float:
        return self._user + self._system

    def peak_bytes(self) -> int | None:
        """The most memory of the first start: of one of its processes, or of all together as sampled; it is untimed."""
        return self._peak or None

    def answer(self) -> int:
        """A checksum of what the last start printed, and of the file that it wrote, as far as they are compared."""
        if self._written is not None:
            if _state(self._written) == self._before:
                raise ArmError(f"it did not write {self._written}")
            shutil.copyfile(self._written, self._kept)
        return _checksum([path for path in (self._output, self._kept) if path is not None and path.exists()])

    def finish(self) -> dict[str, Any]:
        starts = max(1, self._starts)
        return {
            "starts": self._starts,
            "user_seconds": self._user / starts,
            "system_seconds": self._system / starts,
            "exit_codes": sorted(self._codes),
            "left_processes": self._left,
        }

    def _start(self, program: str, argv: list[str]) -> int:
        try:
            return os.posix_spawn(
                program, argv, self._asked["environment"], file_actions=self._actions, setsigdef=SIGNALS
            )
        except OSError as error:
            raise ArmError(f"it cannot be started: {error.strerror or error}") from None

    def _wait(self, pid: int) -> int:
        """Wait for the end of a start, and return the most KiB that one of its processes had, as the kernel counts."""
        _, status, used = os.wait4(pid, 0)
        self._starts += 1
        self._user += used.ru_utime
        self._system += used.ru_stime
        self._codes.add(code := os.waitstatus_to_exitcode(status))
        if code and not self._asked["ignore_failure"]:
            raise ArmError(f"it {self._words(code)}")
        return used.ru_maxrss

    def _sample(self) -> None:
        """Watch one start for the memory that it uses; it counts for no time.

        Linux counts a process's peak from the program that started it, and a worker is large. A small shell starts the
        command here and ends, so that the worker, which adopts orphans, can ask for the peak of the command itself.
        """
        self._sampled = True
        shell = shutil.which("sh")
        if shell is None or sys.platform != "linux":
            self._wait(self._start(self._asked["program"], self._asked["argv"]))
            return
        before = set(tree.descendants(os.getpid()))
        starter = self._start(shell, ["sh", "-c", ORPHAN, "sh", self._asked["program"], *self._asked["argv"][1:]])
        os.waitpid(starter, 0)
        orphans = [pid for pid in tree.descendants(os.getpid()) if pid not in before]
        if not orphans:
            raise ArmError("it cannot be started: too many processes, or no memory")
        while os.waitid(os.P_PID, orphans[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            own = (orphans[0], *tree.descendants(orphans[0]))
            self._peak = max(self._peak, sum(tree.memory(pid) for pid in own))
            time.sleep(SAMPLE_SECONDS)
        self._peak = max(self._peak, 1024 * self._wait(orphans[0]))

    def _words(self, code: int) -> str:
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        said = self._errors.read_bytes()[-LAST_BYTES:].decode(errors="replace")
        return f"ended with exit code {code}" + (f": {cause(said)}" if said.strip() else "")


def _state(path: Path | None) -> tuple[int, ...] | None:
    """What changes when somebody writes a file; None where there is none."""
    if path is None:
        return None
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _checksum(paths: Sequence[Path]) -> int:
    found = 0
    for path in paths:
        with path.open("rb") as file:
            while content := file.read(READ_BYTES):
                found = zlib.crc32(content, found)
    return found
