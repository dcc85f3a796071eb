"""The result of a search among revisions in words: one sentence, a row for each step, and what to do next."""

import shlex
from collections.abc import Mapping
from typing import Any

from vecml import __version__
from vecml.comparison.bisect import Bisected, Bisection, Commit
from vecml.comparison.command_lines import recorded_text
from vecml.comparison.halving import ERROR, Gap, Step
from vecml.fields import flag
from vecml.foreign_text import clean
from vecml.numbers import count, percent

HEADINGS = ("step", "commit", "subject", "time", "interval", "it is", "launches")
SUBJECT = 24  # characters of a subject in the table
MOST_LISTED = 12  # commits between two ends
VERSION, KIND = 1, "bisect"
EXIT_CODES: Mapping[str, int] = {"found": 0, "nothing": 1, "between": 3, "undecided": 3}


def sentence(found: Bisected) -> str:
    """The answer in one sentence."""
    search, command = found.search, recorded_text(found.asked.command)
    good, bad = found.commits[search.good], found.commits[search.bad]
    if search.kind == "found":
        return f"{_named(bad)} made {command!r} slower: it takes {_times(search.gap)} as long as before it."
    if search.kind == "between":
        number = count(search.bad - search.good, "commit")
        return (
            f"{command!r} became slower after {_named(good)} and by {_named(bad)}, where it takes {_times(search.gap)}"
            f" as long; which of these {number} did it was not shown."
        )
    ends = f"at {found.asked.bad} ({bad.short}) than at {found.asked.good} ({good.short})"
    if search.kind == "nothing":
        more = f" by {percent(found.asked.at_least, 0)} or more" if found.asked.at_least else ""
        return f"There is nothing to find: {command!r} is not slower{more} {ends}: {_times(search.gap)} as long."
    return f"Nothing was searched: it was not shown whether {command!r} is slower {ends}: {search.gap.reason}."


def rows(found: Bisected) -> list[tuple[str, ...]]:
    """A row for each step; `time` is that of the commit as a multiple of that of the good end of its step."""
    return [_row(number, step, found.commits) for number, step in enumerate(found.search.steps, start=1)]


def lines(found: Bisected) -> list[str]:
    """Say what the table does not, and what to do next."""
    search, commits = found.search, found.commits
    told = []
    if search.kind == "between":
        between = commits[search.good + 1 : search.bad + 1]
        told += [f"one of these: {_named(one)}" for one in between[:MOST_LISTED]]
        if len(between) > MOST_LISTED:
            told.append(f"and {count(len(between) - MOST_LISTED, 'more commit')}")
        if search.reason:
            told.append(f"the last step was not decided: {search.reason}")
            again = search_again(found.asked, commits[search.good].short, commits[search.bad].short)
            told.append(f"to look further, on a quiet machine or with more time: {again}")
    told += [f"skipped: {_named(commits[place])}: {why}" for place, why in sorted(search.skipped.items())]
    for good, bad in search.others:
        told.append(f"there is another slowdown: {search_again(found.asked, commits[good].short, commits[bad].short)}")
    if found.branch is not None:
        merge = commits[search.bad]
        told.append(
            f"it is a merge; look into it: {search_again(found.asked, found.branch[:10], merge.parents[1][:10])}"
        )
    if len(search.steps) > 1 or search.kind == "found":
        told.append(f"the probability that any step took chance for a difference is at most {percent(ERROR, 0)}")
    return told


def to_json_dict(found: Bisected) -> dict[str, Any]:
    """Everything but the raw blocks, which are in the tracked run of each step."""
    search, commits = found.search, found.commits

    def told(place: int) -> dict[str, str]:
        return {"commit": commits[place].commit, "subject": commits[place].subject}

    return {
        "version": VERSION,
        "kind": KIND,
        "vecml": __version__,
        "command": recorded_text(found.asked.command),
        "budget": found.asked.budget,
        "at_least": found.asked.at_least,
        "error": ERROR,
        "outcome": search.kind,
        "sentence": sentence(found),
        "good": told(search.good),
        "bad": told(search.bad),
        "candidates": [told(place) for place in range(search.good + 1, search.bad + 1)] if search.gap.shown else [],
        "slowdown": _gap_dict(search.gap),
        "skipped": [{**told(place), "reason": why} for place, why in sorted(search.skipped.items())],
        "others": [{"good": told(good), "bad": told(bad)} for good, bad in search.others],
        "steps": [_step_dict(step, commits) for step in search.steps],
    }


def _step_dict(step: Step, commits: tuple[Commit, ...]) -> dict[str, Any]:
    return {
        "commits": [commits[place].commit for place in step.question.places],
        "error": step.question.error,
        "gaps": [_gap_dict(gap) for gap in step.answer.gaps],
        "skipped": step.answer.skipped,
        "launches": step.answer.launches,
        "seconds": step.answer.seconds,
        "run_id": step.answer.run_id,
    }


def _gap_dict(gap: Gap) -> dict[str, Any]:
    return {
        "slower": gap.shown,
        "times": gap.times,
        "times_low": gap.times_low,
        "times_high": gap.times_high,
        "reason": gap.reason,
    }


def _row(number: int, step: Step, commits: tuple[Commit, ...]) -> tuple[str, ...]:
    question, answer = step.question, step.answer
    place = question.bad if question.middle is None else question.middle
    commit = commits[place]
    first = (str(number), commit.short, _cut(commit.subject))
    if answer.skipped is not None:
        return (*first, "-", "-", "skipped", "-")
    gap = answer.gaps[0]
    if len(answer.gaps) == 1:
        word = {True: "slower", False: "not slower", None: "undecided"}[gap.shown]
    elif gap.shown and answer.gaps[1].shown:
        word = "between"
    else:
        word = "slow" if gap.shown else "fast" if answer.gaps[1].shown else "undecided"
    times = "-" if gap.times is None else f"{gap.times:.3f}"
    return (*first, times, _interval(gap) or "-", word, str(answer.launches))


def _named(commit: Commit) -> str:
    return f"{commit.short} ({clean(commit.subject)})"


def _cut(text: str) -> str:
    text = clean(text)
    return text if len(text) <= SUBJECT else f"{text[: SUBJECT - 1]}…"


def _times(gap: Gap) -> str:
    interval = _interval(gap)
    return f"{gap.times or 0:.2f} times" + (f" ({interval})" if interval else "")


def _interval(gap: Gap) -> str:
    if gap.times_low is None or gap.times_high is None:
        return ""
    return f"{gap.times_low:.2f} to {gap.times_high:.2f}"


def search_again(asked: Bisection, good: str, bad: str) -> str:
    """The command that searches in the same way between two other ends."""
    return f"vecml bisect --good {good} --bad {bad}{_flags(asked)} -- {shlex.quote(asked.command)}"


def _flags(asked: Bisection) -> str:
    """Everything of a search that is not as it is by default."""
    given: list[tuple[str, object]] = [("build", text) for text in asked.build]
    given += [("prepare", text) for text in asked.prepare]
    for name in ("shell", "stdin", "warmup", "budget", "name"):
        value = getattr(asked, name)
        if value != getattr(Bisection, name):
            given.append((name, value))
    given += [("at_least", f"{100 * asked.at_least:.10g}%")] if asked.at_least else []
    words = "".join(f" {flag(name)} {shlex.quote(recorded_text(str(value)))}" for name, value in given)
    return words + (" --ignore-failure" if asked.ignore_failure else "")
