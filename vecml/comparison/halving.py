"""The search for the commit that made a command slower: a pure function of what each step shows.

Commits are places on a line, from 0, the good end, to the bad end. A step asks whether a place between two ends is
slower than the one, and faster than the other. What is asked may be a machine, or a simulation of one.

A step narrows the ends only by a difference that was shown directly between the two that become the new ends. So the
commit that is named at last was itself shown slower than the one before it; where nothing is shown, nothing is named.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

ERROR = 0.05  # how probable it is at most that any step of a search takes chance for a difference

Kind = Literal["found", "between", "nothing", "undecided"]


@dataclass(frozen=True)
class Question:
    """Holds what one step asks.

    Attributes:
        good, bad: the two ends.
        middle: a place between them; None: whether the ends differ at all.
        error: how probable it may be that this step takes chance for a difference.
        later: number of further steps that the search may need, at most, if no commit is skipped.
    """

    good: int
    bad: int
    middle: int | None
    error: float
    later: int

    @property
    def places(self) -> tuple[int, ...]:
        """Every place that is measured, the good end first."""
        return (self.good, self.bad) if self.middle is None else (self.good, self.middle, self.bad)


@dataclass(frozen=True)
class Gap:
    """A place against an earlier one.

    Attributes:
        shown: whether the later one was shown slower (True) or not slower (False); None: neither.
        times, times_low, times_high: how many times as long it takes, with its interval; None where there is none.
        verdict, reason: the word on the faster or slower one, and why.
    """

    shown: bool | None
    times: float | None = None
    times_low: float | None = None
    times_high: float | None = None
    verdict: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """Holds what one step showed.

    Attributes:
        gaps: one for each pair of neighbours among the question's places; empty where the middle was skipped.
        skipped: why the middle cannot be measured; None where it was.
        launches: launches that were measured.
        seconds: that the step took.
        run_id: the tracked comparison; None where there is none.
    """

    gaps: tuple[Gap, ...] = ()
    skipped: str | None = None
    launches: int = 0
    seconds: float = 0.0
    run_id: str | None = None


@dataclass(frozen=True)
class Step:
    """A question with its answer."""

    question: Question
    answer: Answer


@dataclass(frozen=True)
class Search:
    """Holds what a search came to.

    Attributes:
        kind: `found`: the commit at `bad` is slower than the one before it. `between`: one or more of those after
            `good` up to `bad` made it slower. `nothing`: the bad end was shown not to be slower. `undecided`: it was
            not shown whether the ends differ.
        good, bad: the last two ends that were shown to differ, or those that were asked for.
        gap: what was shown of these two.
        steps: all of them.
        skipped: by its place, why a commit could not be measured.
        others: further pairs of ends between which a slowdown was shown, and which were not searched.
    """

    kind: Kind
    good: int
    bad: int
    gap: Gap
    steps: tuple[Step, ...]
    skipped: Mapping[int, str]
    others: tuple[tuple[int, int], ...] = ()

    @property
    def reason(self) -> str:
        """Why the last step did not narrow the ends; empty where it did, or where its commit was skipped."""
        return "; ".join(dict.fromkeys(gap.reason for gap in self.steps[-1].answer.gaps if gap.shown is None))


def search(last: int, ask: Callable[[Question], Answer], error: float = ERROR) -> Search:
    """Find the place that made it slower, among 1 to `last`.

    Args:
        last: the bad end, 1 or more; the good one is 0.
        ask: measures, and says what it showed.
        error: how probable it may be that any step takes chance for a difference; the steps share it.
    """
    steps: list[Step] = []
    skipped: dict[int, str] = {}
    others: list[tuple[int, int]] = []
    left = error

    def step(good: int, bad: int, middle: int | None) -> Answer:
        nonlocal left
        halvings = steps_of(bad - good)
        share = left / (halvings + (middle is None))
        question = Question(good, bad, middle, share, halvings if middle is None else halvings - 1)
        answer = ask(question)
        steps.append(Step(question, answer))
        left -= 0.0 if answer.skipped is not None else share
        return answer

    good, bad = 0, last
    (gap,) = step(good, bad, None).gaps
    if not gap.shown:
        kind: Kind = "undecided" if gap.shown is None else "nothing"
        return Search(kind, good, bad, gap, tuple(steps), {})
    again = 0  # places that were skipped one after the other
    while (middle := place_between(good, bad, skipped, again)) is not None:
        answer = step(good, bad, middle)
        if answer.skipped is not None:
            skipped[middle] = answer.skipped
            again += 1
            continue
        again = 0
        before, after = answer.gaps
        if not before.shown and not after.shown:
            break
        first = bool(before.shown)
        if before.shown and after.shown:
            first = (before.times or 1.0) >= (after.times or 1.0)
            others.append((middle, bad) if first else (good, middle))
        good, bad, gap = (good, middle, before) if first else (middle, bad, after)
    found: Kind = "found" if bad - good == 1 else "between"
    return Search(found, good, bad, gap, tuple(steps), skipped, tuple(others))


def steps_of(width: int) -> int:
    """How many halvings bring two ends so far apart next to each other."""
    return max(0, width - 1).bit_length()


def place_between(good: int, bad: int, skipped: Mapping[int, str], again: int) -> int | None:
    """Choose the place to measure next; None where none is left.

    Args:
        good, bad: the two ends.
        skipped: by their places, commits that cannot be measured.
        again: how many were skipped one after the other: 0 gives the middle, and each further one a place twice as far
            from it, because a commit that does not build often has neighbours that do not build either.
    """
    centre = (good + bad) / 2
    free = sorted((place for place in range(good + 1, bad) if place not in skipped), key=lambda one: abs(one - centre))
    return free[min(2**again - 1, len(free) - 1)] if free else None
