"""A function in a process of its own, as the referee sees it: started, handed arguments, asked for results, ended.

The clock and everything that a result is held against are in this process. The other process has the file of the one
function, an empty folder, and what one call is given; see `player`.
"""

import base64
import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from vecml import child
from vecml.hardware import ROOT, read_text
from vecml.measure import tree
from vecml.measure.context import process_cpu_seconds
from vecml.referee import player
from vecml.referee.handover import HandoverError, Packed, Plain, unpack
from vecml.referee.player import REQUEST, TEXT_ROOM, room, write_all
from vecml.referee.refusals import RefusalError

PROGRAM = Path(player.__file__)
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# The player tells the true sizes of what it handed over: others are of whoever holds its pipe.
FORGED = "it wrote into the pipe of answers itself"
# Processes, network and file systems of its own, from the most that is taken away to nothing.
SPACES = (
    ("unshare", "--user", "--map-current-user", "--mount-proc", "--pid", "--fork", "--kill-child", "--net", "--ipc"),
    ("unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--net", "--ipc"),
    ("unshare", "--pid", "--fork", "--kill-child", "--net", "--ipc"),
)
LOOK_MS = 1_000  # between two looks at whether the process is still there
EXECUTABLE = 0o700
WHILE_STOPPED_SECONDS = 0.05  # of CPU time: a thread on another CPU stops a little later than it is told to
READ_BYTES = 1 << 20
LONGEST_WORDS = 300  # of what a candidate says of itself
LOOKS = 50  # at what it has started, until nothing new is seen
LARGEST = 1 << 32  # bytes of a result, before it is known what the reference's have


@dataclass(frozen=True)
class Source:
    """A function and the text of its file.

    Attributes:
        file: the file's name, relative to a folder.
        text: what it holds.
        qualified: the function's name in it.
        beside: further files that it reads, by name, as base64.
    """

    file: str
    text: str
    qualified: str
    beside: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write all files into a folder."""
        contents = {name: base64.b64decode(content) for name, content in self.beside.items()}
        for name, content in {**contents, self.file: self.text.encode()}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(EXECUTABLE)  # a command may name it


def spaces() -> tuple[str, ...]:
    """The words before a command that give it processes and a network of its own, as far as this machine lets us."""
    for words in SPACES:
        try:
            done = subprocess.run([*words, "true"], capture_output=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return words
    return ()


class Contestant:
    """One function in a process of its own.

    Attributes:
        confined: whether the kernel keeps it from files that are not its own.
        most_bytes: that a result may have.
    """

    most_bytes = LARGEST

    def __init__(self, source: Source | None, folder: Path, before: Sequence[str], seconds: float) -> None:
        """Start the process, which has not read the function yet.

        Args:
            source: the function; None: one that gives back what it is told to hold, see `hold`.
            folder: an empty one.
            before: words of `spaces`.
            seconds: that its start is waited for.

        Raises RefusalError when it does not start.
        """
        self._before = tuple(before)
        given, result = os.memfd_create("arguments"), os.memfd_create("results")
        self._given, self._result = given, result
        requests, self._requests = os.pipe()
        os.set_blocking(self._requests, False)  # a candidate could fill the pipe
        self._answers, answers = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        home, code = folder / "home", folder / "code"
        home.mkdir()
        code.mkdir()
        if source is not None:
            source.write(code)
        asked = {
            "folder": str(home),
            "code": str(code),
            "source": "" if source is None else str(code / source.file),
            "qualified": "" if source is None else source.qualified,
            "requests": requests,
            "answers": answers,
            "given": given,
            "result": result,
        }
        command = [*before, sys.executable, "-I", "-B", str(PROGRAM), json.dumps(asked)]
        inherited = (requests, answers, given, result)
        self._child = child.Child(lambda errors: self._started(command, errors, home, inherited))
        os.close(requests)
        os.close(answers)
        self._seconds = seconds
        self._used = 0.0  # CPU time when it was stopped
        self.confined = bool(self._answer(seconds)[0])
        self._known = frozenset(self._tree())

    @cached_property
    def pid(self) -> int:
        """The process id, seen from here."""
        return self._tree()[0]

    def begin(self) -> None:
        """Let it read its file. Raises RefusalError for one that does not load."""
        self._ask(player.BEGIN, 0, 0, self._seconds)

    def hold(self, packed: Packed) -> None:
        """Tell the function that gives back what it holds, a list, whose parts it gives in turn."""
        self._give(packed)
        self._ask(player.HOLD, len(packed.text), packed.size, self._seconds)

    def call(self, packed: Packed, seconds: float) -> tuple[bytes, bytearray]:
        """Hand over the arguments of a call, and return its result, copied into this process, to be read by `read`.

        Raises RefusalError where the function raises, ends its process, or takes longer than `seconds`.
        """
        self._give(packed)
        return self._taken(*self._ask(player.CALL, len(packed.text), packed.size, seconds))

    def again(self) -> tuple[bytes, bytearray]:
        """The result of the last call as it is now, without a call."""
        return self._taken(*self._ask(player.AGAIN, 0, 0, self._seconds))

    def earlier(self, back: int) -> tuple[bytes, bytearray]:
        """The result of the call `back` calls before the last, as it is now."""
        return self._taken(*self._ask(player.EARLIER, back, 0, self._seconds))

    def given_now(self) -> tuple[bytes, bytearray]:
        """Return those of the last call's arguments that are no arrays, as its process has them now."""
        return self._taken(*self._ask(player.GIVEN, 0, 0, self._seconds))

    def pause(self) -> None:
        """Let it do nothing until `resume`: what it does between two calls is in nobody's time.

        Raises RefusalError for a process that it has left running.
        """
        _signal(self.pid, signal.SIGSTOP)
        self._check_strays()

    def resume(self) -> None:
        """Let it run again after `pause`."""
        _signal(self.pid, signal.SIGCONT)

    def check_silent(self, wait_ms: int = 0) -> None:
        """Raise RefusalError if it has answered, or answers within `wait_ms`, without being asked."""
        if self._poll.poll(wait_ms):
            raise RefusalError("answers-early", "it answered before it was given the arguments of a call")

    def changed_arguments(self, packed: Packed) -> bool:
        """Whether the arguments of the last call have been changed in place."""
        begins = room(len(packed.text))
        return any(
            os.pread(self._given, part.nbytes, begins + offset) != part.tobytes()
            for part, offset in zip(packed.parts, packed.offsets, strict=True)
        )

    def stop(self) -> None:
        """Let nothing of it run until `go`. Raises RefusalError for a process that it has left running."""
        for pid in self._own():
            _signal(pid, signal.SIGSTOP)
        self._used = self.cpu_seconds()
        self._check_strays()

    def go(self) -> None:
        """Let it run again. Raises RefusalError if it has worked while it was stopped."""
        if self._used and self.cpu_seconds() - self._used > WHILE_STOPPED_SECONDS:
            raise RefusalError("work-after-the-clock", "it worked on while others had their turn")
        self._used = 0.0
        for pid in self._own():
            _signal(pid, signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """CPU time of its processes so far."""
        return sum(process_cpu_seconds(pid) or 0.0 for pid in self._known)

    def peak_bytes(self) -> int | None:
        """The most memory that it had resident so far."""
        for line in (read_text(ROOT / f"proc/{self.pid}/status") or "").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None

    def printed_bytes(self) -> int:
        """How much it has printed so far."""
        return os.fstat(self._printed).st_size

    def close(self) -> None:
        """End it, with everything that it has started."""
        strays = self._tree()
        self._child.kill()
        tree.end(strays)
        self._child.close()
        for file in (self._given, self._result, self._requests, self._answers, self._printed):
            os.close(file)

    def _started(
        self, command: Sequence[str], errors: IO[bytes], home: Path, descriptors: Sequence[int]
    ) -> subprocess.Popen[bytes]:
        self._printed = os.dup(errors.fileno())
        prctl = ctypes.CDLL(None).prctl  # loaded here, because a forked process should do little
        return subprocess.Popen(
            command,
            # It ends with this process, also where that is killed; no other thread here could hold a lock.
            preexec_fn=lambda: prctl(tree.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),  # noqa: PLW1509
            stdin=subprocess.DEVNULL,
            stdout=errors,  # nobody reads it, and a pipe would fill
            stderr=errors,
            env=_variables(home),
            cwd=home,
            pass_fds=descriptors,
            start_new_session=True,
        )

    def _last_words(self) -> str:
        """How it ended, in words for the user; of what it printed no more is read than is told of."""
        if self.printed_bytes() > READ_BYTES:
            os.ftruncate(self._printed, READ_BYTES)
        return self._child.last_words()

    def _tree(self) -> list[int]:
        """Its own process, then everything that it has started.

        In a space of its own its first process adopts what is orphaned; elsewhere this process does.
        """
        if self._before:
            return tree.descendants(self._child.pid)
        return [self._child.pid, *(pid for pid in tree.descendants(os.getpid()) if pid != self._child.pid)]

    def _check_strays(self) -> None:
        if self._leaves_running():
            raise RefusalError("work-left-to-a-process", "a process that it started still ran when its call had ended")

    def _leaves_running(self) -> bool:
        """Stop everything else that it has started, and say whether any of it had not ended.

        A process that starts the next one and ends at once is gone before it is stopped, so what is there is looked at
        until it is twice the same.
        """
        before: set[int] | None = None
        for _ in range(LOOKS):
            strays = {pid for pid in self._tree() if pid not in self._known}
            for pid in strays:
                _signal(pid, signal.SIGSTOP)
            if not all(map(_has_ended, strays)):
                return True
            if strays == before:
                return False
            before = strays
        return True

    def _own(self) -> list[int]:
        return [pid for pid in self._tree() if pid in self._known]

    def _give(self, packed: Packed) -> None:
        os.pwrite(self._given, packed.text, 0)
        begins = room(len(packed.text))
        for part, offset in zip(packed.parts, packed.offsets, strict=True):
            write_all(self._given, part, begins + offset)
        if not packed.size:
            os.pwrite(self._given, b"\0", begins)

    def _ask(self, operation: int, text: int, memory: int, seconds: float) -> tuple[int, int]:
        """Send a request and wait for the answer; the sizes of the result's text and memory."""
        try:
            os.write(self._requests, REQUEST.pack(operation, text, memory))
        except BlockingIOError:
            raise RefusalError("no-answer", "it filled the pipe of requests itself") from None
        except BrokenPipeError:
            raise RefusalError("its-process-ended", self._last_words()) from None
        return self._answer(seconds)

    def _answer(self, seconds: float) -> tuple[int, int]:
        for _ in range(max(1, round(seconds * 1_000 / LOOK_MS))):
            if self._poll.poll(LOOK_MS):
                break
            _signal(self._child.pid, signal.SIGCONT)  # what waits for its end may have been stopped with it
        else:
            raise RefusalError("no-answer", f"no answer within {seconds:.0f} s")
        answer = os.read(self._answers, REQUEST.size)
        if not answer:
            raise RefusalError("its-process-ended", self._last_words())
        if len(answer) != REQUEST.size:
            raise RefusalError("answers-early", FORGED)
        state, text, memory = REQUEST.unpack(answer)
        if state == player.DONE:
            return text, memory
        said = os.pread(self._result, min(text, TEXT_ROOM), 0).decode(errors="replace")
        said = " ".join(said.split())[:LONGEST_WORDS]
        raise RefusalError("raised" if state == player.RAISED else "unfit-result", said)

    def _taken(self, text: int, memory: int) -> tuple[bytes, bytearray]:
        begins = room(text)
        if text + memory > self.most_bytes:
            raise RefusalError("unfit-result", f"it has {text + memory:,} bytes, far more than the reference's")
        if os.fstat(self._result).st_size < text:
            raise RefusalError("answers-early", FORGED)
        content = bytearray(memory)
        if memory and os.preadv(self._result, [content], begins) != memory:
            raise RefusalError("answers-early", FORGED)
        return os.pread(self._result, text, 0), content


def read(answer: tuple[bytes, bytearray]) -> Plain:
    """The value of a result. Raises RefusalError for what is none."""
    try:
        return unpack(*answer)
    except HandoverError as error:
        raise RefusalError("unfit-result", str(error)) from None


def _variables(home: Path) -> dict[str, str]:
    """The whole environment of the process: nothing of the user's but what programs need to be found."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    own: Mapping[str, Any] = {"HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home, "NUMBA_CACHE_DIR": home}
    return {**kept, **{name: str(value) for name, value in own.items()}}


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _has_ended(pid: int) -> bool:
    """Whether a process has ended: it is gone, or nobody has asked how it ended, and none of its threads goes on."""
    state = (read_text(ROOT / f"proc/{pid}/stat") or "").rpartition(")")[2].strip()[:1]
    if state not in ("Z", "X", ""):
        return False
    with contextlib.suppress(OSError):
        return len(list((ROOT / f"proc/{pid}/task").iterdir())) <= 1
    return True
