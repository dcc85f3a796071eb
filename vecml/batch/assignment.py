"""Which node labels which unit: each is given out until one node has done it, and none is tried without end."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

DEPTH = 2  # units that a node has at a time: it reads the second one while it writes the first
MOST_TRIES = 4  # of a unit, before the work ends


class TriedTooOftenError(Exception):
    """A unit was lost with its node as often as it may be."""

    def __init__(self, number: int, line: str, tries: int) -> None:
        """`number` and `line` are the unit's, which was tried `tries` times."""
        super().__init__(number, tries)
        self.number, self.line, self.tries = number, line, tries


@dataclass
class Assignment:
    """The units that are still to be labelled, and who has which of them.

    A unit that was lost is given out before new ones, and alone: when it is lost again, it is known which one it was.

    Attributes:
        left: the units that nobody has had yet, each as its number and its line (`unit_line`), read as they are needed.
        n_units: how many there are in all.
        most_tries: how often a unit may be lost.
        done: numbers of the units that are labelled, each with the SHA-256 of its part (32 bytes).
    """

    left: Iterator[tuple[int, str]]
    n_units: int
    most_tries: int = MOST_TRIES
    done: dict[int, bytes] = field(default_factory=dict)
    _again: deque[tuple[int, str]] = field(default_factory=deque)
    _given: dict[str, dict[int, str]] = field(default_factory=dict)
    _tries: dict[int, int] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether all units are labelled."""
        return len(self.done) == self.n_units

    @property
    def retries(self) -> int:
        """How often a unit had to be given out again."""
        return sum(self._tries.values())

    def give(self, node: str) -> list[str]:
        """The lines of the units that the node gets now, none where it has enough or there are no more."""
        own = self._given.setdefault(node, {})
        lines: list[str] = []
        while len(own) < DEPTH and not any(number in self._tries for number in own):
            if self._again:
                if own:
                    break
                number, line = self._again.popleft()
            elif (following := next(self.left, None)) is not None:
                number, line = following
            else:
                break
            own[number] = line
            lines.append(line)
        return lines

    def held_by(self, node: str) -> list[int]:
        """The numbers of the units that the node has and has not done, in the order in which it labels them."""
        return list(self._given.get(node, {}))

    def finished(self, node: str, number: int, sha256: bytes) -> bool:
        """Take down that a node has labelled a unit; whether it is the first that did.

        Raises ValueError where another node made a part of other bytes of it.
        """
        self._given.get(node, {}).pop(number, None)
        if number in self.done:
            if self.done[number] != sha256:
                raise ValueError(number)
            return False
        self.done[number] = sha256
        return True

    def lost(self, node: str, *, blame: bool = True) -> list[int]:
        """Take the units of a node back, to be given to another; return their numbers.

        `blame`: whether the unit that it worked on may be why; it is not where the node has said what else it was.

        Raises TriedTooOftenError where the one that it worked on was lost too often.
        """
        own = self._given.pop(node, {})
        taken = [(number, line) for number, line in own.items() if number not in self.done]
        for number, line in taken[: int(blame)]:
            self._tries[number] = self._tries.get(number, 0) + 1
            if self._tries[number] >= self.most_tries:
                raise TriedTooOftenError(number, line, self._tries[number])
        self._again.extendleft(reversed(taken))
        return [number for number, _ in taken]
