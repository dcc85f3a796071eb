"""Waiting, within a bound, until other programs leave the CPUs that a measurement needs.

The machine's counters decide whether there is anything to wait for, never the times of blocks. Where others are always
there, waiting is soon given up, and the comparison is made under their load.
"""

from collections.abc import Callable
from typing import Protocol

from vecml.measure.context import Counters, window
from vecml.measure.pairs import CROWDED, disturbance

WAIT_SHARE = 0.2  # of the budget, for all waits together; 0: it never waits
WAITS = 4  # that this is enough for: none takes longer than its part
MOST_IN_VAIN = 2  # one after the other; then they are always there
LOOK_SECONDS = 0.5
FREE_ENOUGH_CPUS = 0.25  # of the CPUs that are needed, so much may still be others' when a wait ends


class Resting(Protocol):
    """Workers that can be left at rest."""

    def counters(self) -> Counters | None:
        """The machine's counters, or None where there are none."""

    def rest(self, seconds: float) -> None:
        """Let so many seconds pass in which no worker does anything."""


class Patience:
    """The time that a measurement may still spend on waiting.

    Attributes:
        waited_seconds: that it has waited so far.
    """

    def __init__(self, budget_seconds: float | None, clock: Callable[[], float]) -> None:
        """Allow a share of the budget; without a budget there is no waiting."""
        self.waited_seconds = 0.0
        self._most = WAIT_SHARE * (budget_seconds or 0.0)
        self._clock = clock
        self._in_vain = 0

    def resume(self, waited_seconds: float) -> None:
        """Go on with a measurement that has waited so long; if it has, it does not wait again."""
        self.waited_seconds = waited_seconds
        self._in_vain = MOST_IN_VAIN if waited_seconds else 0

    def wait(self, crew: Resting, cpus: int) -> float:
        """Wait until arms of so many CPUs are undisturbed, or no longer than one wait may take; return the seconds."""
        begun = self._clock()
        limit = min(self._most / WAITS, self._most - self.waited_seconds)
        before = crew.counters()
        if before is None or self._in_vain >= MOST_IN_VAIN or limit < LOOK_SECONDS:
            return 0.0
        is_quiet = False
        while not is_quiet and self._clock() - begun + LOOK_SECONDS <= limit:
            crew.rest(LOOK_SECONDS)
            now = crew.counters()
            is_quiet = now is None or not is_crowded(before, now, cpus, FREE_ENOUGH_CPUS)
            before = now or before
        self._in_vain = 0 if is_quiet else self._in_vain + 1
        waited = self._clock() - begun
        self.waited_seconds += waited
        return waited


def is_crowded(before: Counters, after: Counters, cpus: int, crowded_cpus: float) -> bool:
    """Whether others used more than `crowded_cpus` of the CPUs that arms of `cpus` CPUs need.

    `before` and `after` are readings of the counters at the beginning and at the end of the time in question.
    """
    return disturbance(window(before, after, 0, 0, 0, 0), cpus, crowded_cpus) == CROWDED
