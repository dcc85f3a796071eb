"""The commit that made a command slower, found by comparisons of three revisions at a time.

Every step is a comparison of commands like any other: tracked, in worktrees of its own, with builds that are kept, and
resumed where it was stopped. What a step showed is kept until the search ends, so that a stopped search goes on.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vecml import __version__, cache
from vecml.comparison.budget import QUICK, ShortBudgetError, launch_seconds, seconds_of
from vecml.comparison.command_lines import NO_SHELL, Commands, line_of
from vecml.comparison.commands import StartError, compare_commands
from vecml.comparison.comparison import Comparison
from vecml.comparison.halving import ERROR, Answer, Gap, Question, Search, search, steps_of
from vecml.comparison.looks import gaps_in, looks_for, order_of
from vecml.comparison.revisions import (
    CheckoutError,
    Repository,
    Revision,
    checked_out,
    commit_of,
    git,
    repository_of,
    warn_of,
)
from vecml.comparison.session import Tracking, W
from vecml.environment import describe
from vecml.errors import SettingError
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.numbers import count

KIND = "bisect"  # of the steps in the cache
STEP_SECONDS = 300.0  # that a step may take at most where the budget is `auto`
LEAST_SECONDS = FEWEST_LAUNCHES * sum(launch_seconds([(4, 1)]))  # of a step: three revisions, a copy, the price
SHORT = 10  # characters of a hash that is shown
BETWEEN = "\x1f"  # fields of a commit
USED_UP = "the budget is used up"


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """Holds what is searched, and how.

    Attributes:
        command: what is run at each revision.
        good, bad: revisions as the user wrote them: at the second it is slower than at the first.
        build: commands that are run once at each revision.
        at_least: the smallest slowdown that counts, as a share of the time; 0: any that a verdict shows.
        budget: time for all steps together, or `auto`.
        name: the tracked runs' names begin with it; None: with `bisect`.
        shell, prepare, stdin, warmup, ignore_failure: as in `Commands`.
    """

    command: str
    good: str
    bad: str
    build: tuple[str, ...] = ()
    at_least: float = 0.0
    budget: str = "10m"
    name: str | None = None
    shell: str = NO_SHELL
    prepare: tuple[str, ...] = ()
    stdin: Path | None = None
    warmup: int | None = None
    ignore_failure: bool = False


@dataclass(frozen=True)
class Commit:
    """A commit on the line from the good one to the bad one.

    Attributes:
        commit: the whole hash.
        subject: the first line of its message.
        parents: their hashes; a merge has several.
    """

    commit: str
    subject: str
    parents: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The beginning of its hash."""
        return self.commit[:SHORT]


@dataclass(frozen=True)
class Bisected:
    """Holds a search that has ended.

    Attributes:
        asked: what was searched.
        commits: the good one, and everything after it up to the bad one, by first parents.
        search: what it came to; its places are those of `commits`.
        branch: of a merge that was found, the last commit that its first two parents share; else None.
    """

    asked: Bisection
    commits: tuple[Commit, ...]
    search: Search
    branch: str | None = None


def bisect(
    asked: Bisection,
    tracking: Tracking[W],
    *,
    run_id: Callable[[W], str | None] = lambda _writer: None,
    tell: Callable[[Question, Sequence[Commit]], None] = lambda _question, _commits: None,
    fresh: bool = False,
) -> Bisected:
    """Find the commit that made a command slower, and record each step as a comparison.

    Args:
        asked: what is searched.
        tracking: where the comparisons are recorded.
        run_id: names the run of what recorded one.
        tell: is called before each step with its question and all commits.
        fresh: begin anew, also where steps of the same search were kept when it was stopped.

    Raises what `found_commits` raises; ShortBudgetError; SettingError where the command cannot be run, or built, at the
    good or the bad revision. At any other such a commit is skipped. Warns VML052 as `warn_of` says.
    """
    repository, commits = found_commits(asked)
    warn_of(repository, [Revision(asked.good, commits[0].commit), Revision(asked.bad, commits[-1].commit)])
    key = _key(asked, repository, commits)
    known = {} if fresh else _known(key)
    measuring = _Measuring(asked, repository, commits, known, tracking, run_id, fresh)

    def ask(question: Question) -> Answer:
        if question.places not in known:
            tell(question, commits)
            known[question.places] = measuring.answer(question)
            _keep(key, known)
        return known[question.places]

    found = search(len(commits) - 1, ask)
    _keep(key, {})
    return Bisected(asked, commits, found, _branch(repository, commits[found.bad]) if found.kind == "found" else None)


def found_commits(asked: Bisection) -> tuple[Repository, tuple[Commit, ...]]:
    """Find the repository that this process is in, and the commits of the search; nothing is changed.

    The line goes from the bad commit to its first parent, and so on: a merge stands for all that it brought.

    Raises SettingError for a budget that is none, and where there is no repository, no such revision, or no line from
    the one to the other; ShortBudgetError for a budget that is too short for so many commits.
    """
    if asked.budget == QUICK:
        raise SettingError("--budget quick: one launch decides nothing", "--budget 10m")
    seconds = seconds_of(asked.budget)
    repository = repository_of(Path.cwd(), "--good")
    good = commit_of(repository, asked.good, "--good")
    bad = commit_of(repository, asked.bad, "--bad")
    _check_line(repository, asked, good, bad)
    commits = (*_commits(repository, "--no-walk", good), *_commits(repository, f"{good}..{bad}"))
    if good not in commits[1].parents[:1]:
        before = next(iter(commits[1].parents), good)[:SHORT]
        raise SettingError(
            f"--good {asked.good}: it was merged into the line of first parents of --bad {asked.bad}, and is not on it",
            f"--good {before}, the last commit on that line that it comes from",
        )
    _check_time(asked, seconds, len(commits) - 1, LEAST_SECONDS)
    return repository, commits


def _check_line(repository: Repository, asked: Bisection, good: str, bad: str) -> None:
    if good == bad:
        raise SettingError(
            f"--good {asked.good} and --bad {asked.bad} are the same commit, {good[:SHORT]}",
            "name an earlier one as --good",
        )
    if git(repository.root, "merge-base", "--is-ancestor", good, bad).returncode == 0:
        return
    base = git(repository.root, "merge-base", good, bad).stdout.strip()
    if base == bad:
        hint = f"--good {asked.bad} --bad {asked.good}: the good one comes first"
    elif git(repository.root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        hint = "git fetch --unshallow: this clone has only the last commits"
    elif base:
        hint = f"--good {base[:SHORT]}, the last commit that both have"
    else:
        hint = "git log --first-parent shows the commits before a revision"
    raise SettingError(f"--good {asked.good}: it is no ancestor of --bad {asked.bad}", hint)


def _check_time(asked: Bisection, seconds: float | None, width: int, least: float) -> None:
    """Raise ShortBudgetError where so many steps of `least` seconds take longer than the budget."""
    steps = 1 + steps_of(width)
    if seconds is not None and seconds < steps * least:
        minutes = -(-steps * least * 1.2 // 60)
        raise ShortBudgetError(
            f"--budget {asked.budget}: too short for up to {count(steps, 'comparison')} among {count(width, 'commit')}",
            f"--budget {minutes:.0f}m would do; what is decided sooner takes less",
        )


def _commits(repository: Repository, *what: str) -> list[Commit]:
    fields = BETWEEN.join(("%H", "%P", "%s"))
    listed = git(repository.root, "rev-list", "--first-parent", "--reverse", f"--format={fields}", *what).stdout
    found = []
    for line in listed.split("\n"):
        if BETWEEN in line:
            commit, parents, subject = line.split(BETWEEN, 2)
            found.append(Commit(commit, subject, tuple(parents.split())))
    return found


def _branch(repository: Repository, commit: Commit) -> str | None:
    if len(commit.parents) < 2:
        return None
    return git(repository.root, "merge-base", *commit.parents[:2]).stdout.strip() or None


@dataclass(frozen=True)
class _Measuring:
    """Answers the questions of one search by measuring.

    Attributes:
        known: what was answered before, by the places of its question.
    """

    asked: Bisection
    repository: Repository
    commits: tuple[Commit, ...]
    known: Mapping[tuple[int, ...], Answer]
    tracking: Tracking[Any]
    run_id: Callable[[Any], str | None]
    fresh: bool

    def answer(self, question: Question) -> Answer:
        """Measure the commits of a question beside each other."""
        seconds = self._seconds(question)
        if seconds is None:
            return self._undecided(question, USED_UP)
        revisions = [Revision(self.commits[place].short, self.commits[place].commit) for place in question.places]
        names = [one.name for one in revisions]
        middle = None if question.middle is None else self.commits[question.middle].short
        begun = time.perf_counter()
        try:
            with checked_out(self.repository, revisions, self.asked.build, self.asked.shell, flag="") as folders:
                self._check_there(folders)
                order = order_of(question, names)
                commands = Commands(
                    texts=dict.fromkeys(order, self.asked.command),
                    shell=self.asked.shell,
                    prepare=self.asked.prepare,
                    stdin=self.asked.stdin,
                    ignore_failure=self.asked.ignore_failure,
                    warmup=self.asked.warmup,
                    budget=f"{seconds:.0f}s",
                    name=f"{self.asked.name or 'bisect'} {'..'.join(names)}",
                    folders=folders,
                    commits={one.name: one.commit for one in revisions},
                )
                looks = looks_for(question, names, 1 + self.asked.at_least)
                begun = time.perf_counter()
                comparison, writer = compare_commands(commands, self.tracking, fresh=self.fresh, looks=looks)
        except (CheckoutError, StartError) as error:
            if middle is None or middle not in (getattr(error, "revision", ""), getattr(error, "command", "")):
                raise
            return Answer(skipped=error.message, seconds=time.perf_counter() - begun)
        except ShortBudgetError as error:
            if question.middle is None:  # the first step: nothing is lost
                _check_time(self.asked, seconds, len(self.commits) - 1, max(LEAST_SECONDS, error.enough))
                raise
            return self._undecided(question, f"{USED_UP}: {error.message}")
        taken = time.perf_counter() - begun
        if (why := _failure(comparison, middle)) is not None:
            return Answer(skipped=why, launches=comparison.measured.launches, seconds=taken)
        gaps = gaps_in(question, names, comparison, 1 + self.asked.at_least)
        return Answer(gaps, None, comparison.measured.launches, taken, self.run_id(writer))

    def _check_there(self, folders: Mapping[str, Path]) -> None:
        """Raise StartError where the command's program is not there in a revision."""
        for name, folder in folders.items():
            try:
                line_of(self.asked.command, self.asked.shell, folder)
            except SettingError as error:
                missing = StartError(f"{name}: {error.message}", error.hint)
                missing.command = name
                raise missing from None

    def _seconds(self, question: Question) -> float | None:
        """Seconds that a step may take: all that is left but what the later ones need at least; None: too few."""
        whole = seconds_of(self.asked.budget)
        if whole is None:
            return STEP_SECONDS
        taken = [one.seconds for one in self.known.values() if one.gaps]
        left = whole - sum(one.seconds for one in self.known.values())
        reserved = question.later * max(LEAST_SECONDS, min(taken, default=0.0))
        return None if left < LEAST_SECONDS else max(LEAST_SECONDS, left - reserved)

    def _undecided(self, question: Question, reason: str) -> Answer:
        return Answer((Gap(None, reason=reason),) * (len(question.places) - 1))


def _failure(comparison: Comparison, name: str | None) -> str | None:
    """Why the command failed at one revision while it was measured; None where it did not."""
    failed = {arm.name: arm.failure for arm in comparison.measured.arms if arm.role in ("baseline", "arm")}
    return None if name is None else failed.get(name)


def _key(asked: Bisection, repository: Repository, commits: Sequence[Commit]) -> str:
    """Name what is the same search: all that is run, where, and on which machine."""
    what = {
        **{name: str(value) for name, value in vars(replace(asked, good="", bad="")).items()},
        "folder": [str(repository.shared), str(repository.below)],
        "commits": [one.commit for one in commits],
        "environment": describe().environment_key,
        "vecml": __version__,
        "error": ERROR,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _known(key: str) -> dict[tuple[int, ...], Answer]:
    """The steps of this search that an earlier process made; none where they cannot be read."""
    kept = cache.read(KIND, key) or {}
    try:
        return {tuple(places): _ANSWER.validate_python(answer) for places, answer in kept.get("steps", ())}
    except (ValidationError, TypeError, ValueError):
        return {}


def _keep(key: str, known: Mapping[tuple[int, ...], Answer]) -> None:
    cache.write(
        KIND, key, {"steps": [[list(places), _ANSWER.dump_python(one, mode="json")] for places, one in known.items()]}
    )


_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
