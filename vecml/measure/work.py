"""What a worker process measures: the interface of an arm, with what most arms have alike."""

from typing import Any, Protocol


class Work(Protocol):
    """The arm that an opener returns: its libraries are imported and its input is at hand, but it is not ready yet.

    Attributes:
        each: whether every call is timed by itself, for percentiles of its latency.
        share: the share of the whole work that a call does; below 1 where all of it would take too long. Calls are
            multiplied by it, so that seconds of a call are always those of the whole work.
    """

    each: bool = False
    share: float = 1.0

    def open(self) -> None:
        """Make it ready: export, compile, copy. The time is recorded as the load time."""

    def facts(self) -> dict[str, Any]:
        """Facts to be recorded once it is open, as JSON."""
        return {}

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
