"""The comparison on a node, in a process of its own: `python -m vecml.comparison.node_process FOLDER`.

FOLDER holds the order. What happens is told in lines of JSON on standard output, each an object with one of these:

    begin       a stage begins, with this number; `name`, and `total` of its units or null
    advance     so many units of the stage `stage` are done
    end         the stage of this number is over
    warning     the code of a warning, and its `message`
    announce    what the budget resolves, just before anything is measured: `budget`, `resolves`, `source`
    comparison  the whole comparison as a JSON document
    failure     how it ended before its end: `kind`, `message` and `hint` of an error

It ends, with all that it has started, when its standard input is closed.
"""

import itertools
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from vecml.child import end_with_parent
from vecml.cluster.driver import Tell, drive
from vecml.comparison import session
from vecml.comparison.budget import Budget
from vecml.comparison.document import to_json
from vecml.comparison.node_order import read_order
from vecml.comparison.subject import RecordedRun
from vecml.errors import SettingError
from vecml.progress import listening
from vecml.warnings import VecmlWarning

TELL_SECONDS = 2.0  # between two words on how far a stage is: something may be timed meanwhile


class Stages:
    """Hears of stages, and tells of them now and then."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._numbers = itertools.count()
        self._done: dict[object, float] = {}
        self._told = 0.0

    def begin(self, name: str, total: float | None) -> object:
        """Tell that a stage begins; return its number."""
        number = next(self._numbers)
        self._done[number] = 0.0
        self._tell({"begin": number, "name": name, "total": total})
        return number

    def advance(self, stage: object, amount: float) -> None:
        """Note that more is done, and tell it if that was not told just now."""
        self._done[stage] += amount
        if (now := time.monotonic()) - self._told > TELL_SECONDS:
            self._told = now
            self._tell({"advance": self._done[stage], "stage": stage})
            self._done[stage] = 0.0

    def end(self, stage: object) -> None:
        """Tell that a stage is over."""
        del self._done[stage]
        self._tell({"end": stage})


class OnNode(session.Untracked):
    """Records nothing here: whoever gave the order does. The tracked run to read came with it."""

    def __init__(self, run: RecordedRun | None) -> None:
        self._run = run

    def read_run(self, run_id: str, architecture: str | None) -> RecordedRun:  # noqa: ARG002 -- as Tracking has it
        """Return the run that came with the order; raises SettingError for another one."""
        if self._run is None:
            raise SettingError(f"run {run_id}: it did not come with the order", "use vecml compare --cluster")
        return self._run


def compare_here(folder: Path, tell: Tell, stopping: threading.Event) -> None:
    """Compare as the order in the folder says, as on any machine, and tell what happens.

    Args:
        folder: holds the order.
        tell: is called with each message.
        stopping: is set to end it.

    Raises what `vecml.comparison.session.compare` raises.
    """
    _end_in_order(stopping)

    def announce(budget: Budget) -> None:
        tell({"announce": budget.text, "resolves": budget.resolves, "source": budget.source})

    with _told_warnings(tell), listening(Stages(tell)):
        order = read_order(folder)
        done = session.compare(order.config, OnNode(order.run), announce=announce)
    tell({"comparison": to_json(done.comparison)})


def _end_in_order(stopping: threading.Event) -> None:
    """Let SIGTERM, and the event, end this process as an exception does, so that what it has started ends with it."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def watch() -> None:
        stopping.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    end_with_parent()  # which ends it in order while it can
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _told_warnings(tell: Tell) -> Iterator[None]:
    """Tell of vecml's own warnings during the `with` block."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if isinstance(message, VecmlWarning):
            tell({"warning": message.code, "message": message.message})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", VecmlWarning)
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    drive(compare_here, Path(sys.argv[1]))
