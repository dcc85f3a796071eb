"""Several child processes that run together and end together.

When a signal comes or one of them ends, all are ended in an order: first the children of one process, then this
process, so that it can still tell the others how its work ended; then the others. Every wait has a limit. Processes
that were started in a session of their own, where no signal reaches them, are found by a mark in their environment.
"""

import os
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from select import select
from types import FrameType
from typing import Final

import psutil

from vecml.child import spawn

MARK: Final = "VECML_UP"
FIRST_SECONDS: Final = 15.0  # the time that the first process has to end, and its children before it
KILL_SECONDS: Final = 5.0  # the time that the others have between SIGTERM and SIGKILL
LEFT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.1
LAST_LINES: Final = 200
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Hear = Callable[[str, str], None]


@dataclass(frozen=True)
class Service:
    """A process to run: the name of its log and lines, the command with its arguments, the whole environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """How the processes ended.

    Attributes:
        signal: the number of the signal that ended them, or None.
        died: the name of the service that ended by itself, or None.
        status: the exit status of that service; negative for the signal that ended it.
        said: the last lines of that service.
    """

    signal: int | None = None
    died: str | None = None
    status: int = 0
    said: str = ""


class ProcessGroup:
    """Processes that run until a signal comes, one of them ends, or `end` is called; then `ending` is True."""

    def __init__(
        self,
        services: Sequence[Service],
        home: Path,
        logs: Path | None,
        first: str,
        hear: Hear,
        patience: tuple[float, float] = (FIRST_SECONDS, KILL_SECONDS),
    ) -> None:
        """Prepare the processes; `run` starts them.

        Args:
            services: the processes to run.
            home: the folder that they run in.
            logs: an existing folder; each process gets a new file in it, `NAME.log`. None: no such files.
            first: the name of the service that ends before the others.
            hear: is called with a service's name and each line that the service writes.
            patience: the seconds that the first process has to end, and its children before it; and those that the
                others have before they are killed.
        """
        self.ending = False
        self._at_once = False
        self._services = services
        self._home = home
        self._logs = logs
        self._first = first
        self._hear = hear
        self._first_seconds, self._kill_seconds = patience
        self._mark = uuid.uuid4().hex
        self._running: dict[str, _Running] = {}
        self._ended = Ended()

    def run(self, started: Callable[[], None]) -> Ended:
        """Run the processes until they and their child processes have ended; return why and how they ended.

        Call it in the main thread, since it sets signal handlers. It calls `started` once all processes are started.
        """
        before = {number: signal.signal(number, self._signalled) for number in SIGNALS}
        try:
            for service in self._services:
                self._running[service.name] = _Running(service, self._mark, self._home, self._logs, self._hear)
            started()
            self._watch()
        finally:
            _end_marked(self._mark)
            for one in self._running.values():
                one.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._ended

    def end(self) -> None:
        """End the processes in their order; a second call ends all at once. May be called from any thread."""
        self._at_once, self.ending = self.ending, True

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if self._ended == Ended():
            self._ended = Ended(signal=number)
        self.end()

    def _watch(self) -> None:
        """Pass lines on until all have ended."""
        steps: Iterator[None] | None = None
        while True:
            for one in self._running.values():
                if one.child.code is not None and not self.ending:
                    one.read_rest()
                    self._ended = Ended(died=one.name, status=one.child.code, said="\n".join(one.last_lines))
                    self.ending = True
            if self._all_ended():
                return
            if self.ending:
                steps = self._end_in_order() if steps is None else steps
                next(steps, None)
            listening = {one.child.fileno(): one for one in self._running.values() if one.open}
            for number in select(list(listening), [], [], POLL_SECONDS)[0]:
                listening[number].read()

    def _end_in_order(self) -> Iterator[None]:
        """End the processes in their order; yields while it waits."""
        first = self._running[self._first].child
        # Prefect's worker kills its flows when it ends itself, so they end before it.
        below = _children(first.pid) if first.code is None else []
        for process in below:
            _send(process, signal.SIGTERM)
        yield from _until(lambda: self._at_once or not psutil.wait_procs(below, 0)[1], self._first_seconds)
        first.signal(signal.SIGTERM)
        yield from _until(lambda: self._at_once or first.code is not None, self._first_seconds)
        for one in self._running.values():
            one.child.signal(signal.SIGTERM)
        yield from _until(self._all_ended, self._kill_seconds)
        for one in self._running.values():
            one.child.kill()

    def _all_ended(self) -> bool:
        return all(one.child.code is not None for one in self._running.values())


class _Running:
    """A started service: its process, its last lines, and whether more output may come (`open`)."""

    def __init__(self, service: Service, mark: str, home: Path, logs: Path | None, hear: Hear) -> None:
        self.name = service.name
        self.open = True
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._hear = hear
        self._rest = b""
        self._log = (logs / f"{service.name}.log" if logs else Path(os.devnull)).open("wb", buffering=0)
        environment = {**service.environment, MARK: mark}
        try:
            self.child = spawn(service.command, environment, folder=home, errors_too=True)
        except BaseException:
            self._log.close()
            raise

    def read(self) -> None:
        """Wait for output, write it to the log, and pass its lines to `hear`."""
        content = self.child.read()
        self.open = bool(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        if not content:
            lines, self._rest = [self._rest] if self._rest else [], b""
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n".encode())
            self.last_lines.append(text)
            self._hear(self.name, text)

    def read_rest(self) -> None:
        """Read all output so far, without waiting."""
        while self.open and self.child.readable(0):
            self.read()

    def close(self) -> None:
        self.read_rest()
        self.child.close()
        self._log.close()


def _until(done: Callable[[], bool], seconds: float) -> Iterator[None]:
    """Yield until `done` returns True, or until `seconds` have passed."""
    limit = time.monotonic() + seconds
    while not done() and time.monotonic() < limit:
        yield


def _end_marked(mark: str) -> None:
    """End the processes with this mark in their environment that still run: SIGTERM first, then SIGKILL."""
    left = [process for process in psutil.process_iter() if _has_mark(process, mark)]
    for process in left:
        _send(process, signal.SIGTERM)
    _, left = psutil.wait_procs(left, LEFT_SECONDS)
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, LEFT_SECONDS)


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and process.pid != os.getpid()
    except (psutil.Error, OSError):  # another user's process, or one that has ended
        return False


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.Error:  # it has ended meanwhile
        return []


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:  # it has ended meanwhile
        return
