"""What a worker process measures: the interface of an arm, with what most arms have alike."""

import time
from typing import Any, Protocol

from vecml.measure.memory import peak_rss_bytes


class ArmError(Exception):
    """An arm cannot go on, for a reason that its message says in words for the user: "it ended with exit code 1"."""


class Work(Protocol):
    """The arm that an opener returns: its libraries are imported and its input is at hand, but it is not ready yet.

    Attributes:
        each: whether every call is timed by itself, for percentiles of its latency.
        share: the share of the whole work that a call does; below 1 where all of it would take too long. Calls are
            multiplied by it, so that seconds of a call are always those of the whole work.
        prepares: whether `prepare` has something to do before each call. Then calls are timed one by one.
    """

    each: bool = False
    share: float = 1.0
    prepares: bool = False

    def open(self) -> None:
        """Make it ready: export, compile, copy. The time is recorded as the load time."""

    def facts(self) -> dict[str, Any]:
        """Facts to be recorded once it is open, as JSON."""
        return {}

    def begin(self) -> None:
        """Called before a block, outside of the clock."""
        return

    def rest(self) -> None:
        """Called after the warm-up and after each block, outside of the clock: others have their turn now."""
        return

    def prepare(self) -> None:
        """Called before each call, outside of the clock."""
        return

    def cpu_seconds(self) -> float:
        """CPU time that the calls have used so far, and little else: of this process, unless they start others."""
        return time.process_time()

    def peak_bytes(self) -> int | None:
        """The most memory that the work had resident so far; None where it is unknown."""
        return peak_rss_bytes()

    def call(self) -> None:
        """Do the work that is timed, and return when it is done, on a device too."""

    def answer(self) -> int:
        """A checksum of the last call's result."""

    def finish(self) -> dict[str, Any]:
        """Check the answers of the timed calls after the last block; return that, and what was really used, as JSON."""
        return {}

    def close(self) -> None:
        """Release what it holds."""
        return
