"""Several processes that start together and end together, watched over by honcho.

honcho gives each a session of its own, carries its output here, and when one ends or a signal comes sends SIGTERM to
all of them and SIGKILL to what is left after five seconds. Three things are added. One process ends before the others,
and its own children before it, so that they can still tell the others how their work ended. Nothing is waited for
without limit. And what a process has put into yet another session, where no signal to its own reaches it, is found by
a mark in its environment and ended too.
"""

import multiprocessing
import os
import re
import shlex
import signal
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psutil
from honcho.manager import KILL_WAIT, SYSTEM_PRINTER_NAME, Manager

MARK: Final = "VECML_UP"
FIRST_SECONDS: Final = 15.0  # what the one that ends first has before the others are ended as well, and its children
LEFT_SECONDS: Final = 10.0
LAST_LINES: Final = 200
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Service:
    """A process of several.

    Attributes:
        name: of its log, and of its lines.
        command: program and arguments.
        environment: all of it.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """How it all ended.

    Attributes:
        signal: that ended it, or None.
        died: the service that ended by itself, or None.
        status: its exit status; negative the signal that ended it.
        said: its last lines.
    """

    signal: int | None = None
    died: str | None = None
    status: int = 0
    said: str = ""


class Together:
    """Processes that run until a signal comes, one of them ends, or `end` is called.

    Attributes:
        ending: whether they are being ended.
    """

    def __init__(
        self, services: Sequence[Service], home: Path, logs: Path, first: str, hear: Callable[[str, str], None]
    ) -> None:
        """Start nothing yet.

        Args:
            services: what is to run.
            home: the folder that they run in.
            logs: a folder that there is; each gets a file in it, made anew.
            first: the name of the one that ends before the others.
            hear: is told each service's name and line, as they come.
        """
        self.ending = False
        self._lines = _Lines(logs, hear, self._heard)
        self._manager = _Manager(self._lines)
        self._mark = uuid.uuid4().hex
        self._first = first
        self._names = {service.name for service in services}
        self._pids: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._ended = Ended()
        self._started: Callable[[], None] = lambda: None
        self._over = threading.Event()
        self._manager.ask = self.end
        for service in services:
            environment = {**service.environment, MARK: self._mark}
            # The shell that honcho starts makes room for the program: one process, which hears its signals itself.
            self._manager.add_process(
                service.name, f"exec {shlex.join(service.command)}", env=environment, cwd=str(home)
            )

    def run(self, started: Callable[[], None]) -> Ended:
        """Run them, in the main thread, until all have ended and nothing of them is left; says how it ended.

        `started` is called once, when each of them has been started.
        """
        self._started = started
        before = {number: signal.getsignal(number) for number in SIGNALS}
        signal.signal(signal.SIGHUP, self._hung_up)
        try:
            self._manager.loop()
        finally:
            self._over.set()
            _end_marked(self._mark)
            for watcher in multiprocessing.active_children():
                watcher.join(1.0)  # honcho's, one for each service: it ends with it
            for number, handler in before.items():
                signal.signal(number, handler)
            self._lines.close()
        return self._ended

    def end(self) -> None:
        """End them: the first one now, the others when it is gone; asked again, all of them at once."""
        self.ending = True
        if len(self._pids) < len(self._names):
            return  # honcho does not know yet what to end; `_heard` asks again once it does
        if self._first not in self._stopped and not self._manager.first_asked:
            self._manager.first_asked = True
            _later(0.0, self._end_first)  # not here, in a signal's handler: it waits
        else:
            self._end_others()

    def _end_first(self) -> None:
        """What the first has started ends before it: Prefect's worker kills its flows when it ends itself."""
        pid = self._pids[self._first]
        below = _children(pid)
        for process in below:
            _send(process, signal.SIGTERM)
        psutil.wait_procs(below, FIRST_SECONDS)
        _signal_group(pid, signal.SIGTERM)
        _later(FIRST_SECONDS, self._end_others)

    def _end_others(self) -> None:
        self._manager.end_all()
        _later(KILL_WAIT, self._kill)

    def _kill(self) -> None:
        """What a service has left in another session may hold its output open, for which honcho would wait."""
        if not self._over.is_set():
            self._manager.kill()
            _end_marked(self._mark)

    def _hung_up(self, number: int, _frame: FrameType | None) -> None:
        if self._ended == Ended():
            self._ended = Ended(signal=number)
        self.end()

    def _heard(self, text: str) -> None:
        """honcho's own lines say what has started and ended, and which signal came."""
        if match := re.fullmatch(r"(\w+) received", text):
            if self._ended == Ended():
                self._ended = Ended(signal=signal.Signals[match[1]])
        elif match := re.fullmatch(r"(\w+) started \(pid=(\d+)\)", text):
            self._pids[match[1]] = int(match[2])
            if len(self._pids) == len(self._names):
                self._started()
                if self.ending:
                    self.end()
        elif match := re.fullmatch(r"(\w+) stopped \(rc=(-?\d+)\)", text):
            self._stopped.add(match[1])
            if not self.ending and self._ended == Ended():
                said = "\n".join(self._lines.last(match[1]))
                self._ended = Ended(died=match[1], status=int(match[2]), said=said)
            if self.ending and match[1] == self._first:
                self._end_others()


class _Manager(Manager):  # type: ignore[misc] # honcho has no types
    """honcho's, but that whoever made it decides in which order things end."""

    ask: Callable[[], None]

    def __init__(self, printer: "_Lines") -> None:
        super().__init__(printer)
        self.first_asked = False

    def terminate(self) -> None:
        """What honcho calls when a signal comes, and when the first process has ended."""
        self.ask()

    def end_all(self) -> None:
        """SIGTERM to all that still runs, once."""
        super().terminate()


class _Lines:
    """What honcho takes for its printer: each service's lines go into its log, and honcho's own are heard.

    A signal's handler writes too, in the middle of whatever is written: files without a buffer bear that.
    """

    def __init__(self, logs: Path, hear: Callable[[str, str], None], system: Callable[[str], None]) -> None:
        self.width = 0  # honcho sets it
        self._logs = logs
        self._hear = hear
        self._system = system
        self._files: dict[str, Any] = {}
        self._last: dict[str, deque[str]] = {}

    def write(self, message: Any) -> None:
        """Take honcho's message: `name`, `time`, and `data`, which is text or bytes."""
        data = message.data.decode(errors="replace") if isinstance(message.data, bytes) else message.data
        for line in data.splitlines():
            self._file(message.name).write(f"{message.time:%H:%M:%S} {line}\n".encode())
            if message.name == SYSTEM_PRINTER_NAME:
                self._system(line)
            else:
                self._last.setdefault(message.name, deque(maxlen=LAST_LINES)).append(line)
                self._hear(message.name, line)

    def last(self, name: str) -> list[str]:
        return list(self._last.get(name, ()))

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> Any:
        if name not in self._files:
            self._files[name] = (self._logs / f"{name}.log").open("wb", buffering=0)
        return self._files[name]


def _end_marked(mark: str) -> None:
    """End what still runs and was started, however indirectly, with this mark in its environment; gently first."""
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
    except (psutil.Error, OSError):  # it is another user's, or gone
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


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # it has ended meanwhile
        return


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
