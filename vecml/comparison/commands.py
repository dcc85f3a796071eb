"""A comparison of commands: each start is a process of its own, and everything else is as for engines.

Before anything is measured, each command is started once, so that one that fails or takes too long is refused within
seconds. Then the coordinator lets workers take turns, and each worker starts its command as often as fills a block.
"""

import dataclasses
import errno
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecml.comparison.arms import make_group
from vecml.comparison.budget import (
    QUICK,
    QUICK_SECONDS,
    Budget,
    check_budget,
    for_first_calls,
    for_slow_calls,
    make_budget,
    seconds_of,
)
from vecml.comparison.command_lines import Commands, Line, check, line_of, recorded_text
from vecml.comparison.compare import QUOTA_BLOCK_SECONDS
from vecml.comparison.comparison import COMMANDS, Comparison, Subject
from vecml.comparison.files import shared_folder
from vecml.comparison.looks import ROUNDS, Looks
from vecml.comparison.output import Output, differences
from vecml.comparison.session import Tracking, W, go_on, recorded
from vecml.comparison.sitting import rehearse, sit
from vecml.comparison.starts import EMPTY, OPENER, PRICE
from vecml.comparison.unfinished import Kept, unfinished_of
from vecml.device import usable_cpus
from vecml.environment import describe
from vecml.errors import SettingError
from vecml.measure.records import Arm, Measured, Plan, Role
from vecml.progress import stage
from vecml.warnings import warn

WARM_SECONDS = 0.1
SLOW_SECONDS = 1.0  # of a first start: from here on it matters whether later ones take as long
LONGEST_START = 600.0  # that is waited for where the budget is no time


class StartError(SettingError):
    """A command whose first start fails.

    Attributes:
        command: its name.
    """

    command = ""


@dataclass(frozen=True)
class Rehearsed:
    """A first start, or the one after it where the first was slow.

    Attributes:
        seconds: wall time, with what prepares it.
        cpus: CPUs that it kept busy, at least one and at most those that may be used.
        first_seconds: wall time of the very first one, which may have compiled or fetched what later ones find.
    """

    seconds: float
    cpus: int
    first_seconds: float = 0.0


def compare_commands(
    asked: Commands,
    tracking: Tracking[W],
    *,
    began: float | None = None,
    announce: Callable[[Budget], None] = lambda _budget: None,
    json: Path | None = None,
    fresh: bool = False,
    looks: Looks | None = None,
) -> tuple[Comparison, W]:
    """Measure commands beside each other, and record the comparison.

    Args:
        asked: what is compared.
        tracking, began, announce, json, fresh: as in `vecml.comparison.session.compare`.
        looks: when to stop, and at which level; None: when the budget has ended.

    Raises SettingError for what cannot be; StartError for a command whose first start fails; ShortBudgetError;
    StoreError where it cannot be recorded. Warns VML016 where a stopped comparison goes on, and VML051 where what was
    to be run after it fails.
    """
    check_budget(asked.budget)
    check(asked)
    began = time.perf_counter() if began is None else began
    with shared_folder(0) as folder, _surrounded(asked):
        rehearsed = _rehearse(asked, folder)
        budget = plan_commands(asked, rehearsed, began, time.perf_counter(), looks)
        announce(budget)

        def measure(kept: Kept | None, keep: Callable[[Measured], None]) -> Comparison:
            return go_on(kept, lambda resumed: _measure(asked, rehearsed, budget, folder, resumed, keep, looks))

        file = unfinished_of(_identity(asked), asked.budget, asked.name)
        return recorded(tracking, asked.name, file, measure, json=json, fresh=fresh)


def plan_commands(
    asked: Commands, rehearsed: Mapping[str, Rehearsed], began: float, now: float, looks: Looks | None = None
) -> Budget:
    """Plan how much the budget lets us measure.

    Args:
        asked: the commands.
        rehearsed: what a start of each of them takes.
        began, now: when the budget began to run, and what time it is, by time.perf_counter.
        looks: when to stop, or None: when the budget has ended.

    Raises ShortBudgetError for a budget in which no verdict can be reached, with one that would do.
    """
    environment, number = describe(), len(rehearsed)
    found = make_budget(asked.budget, [(number + 1, 1)], number - 1, environment.machine_key, "command")
    plan = dataclasses.replace(
        found.plan,
        block_seconds=Plan.block_seconds if environment.cpu_quota is None else QUOTA_BLOCK_SECONDS,
        warm_calls=asked.warmup or 1,
        warm_seconds=WARM_SECONDS,
    )
    found = dataclasses.replace(found, plan=plan, began=began)
    taken = {name: one.seconds for name, one in rehearsed.items()}
    found = for_slow_calls(found, taken, now, environment.machine_key, noun="start")
    found = for_first_calls(found, {name: one.first_seconds for name, one in rehearsed.items()})
    return found if looks is None else _for_looks(found, looks, sum(taken.values()))


def _for_looks(budget: Budget, looks: Looks, taken: float) -> Budget:
    """Plan launches up to the first look, and more of them after it; `taken`: seconds of a start of each command.

    Nothing is kept for fresh launches of the fastest: nobody asks which it is.
    """
    rounds = max(budget.plan.fewest_rounds, min(ROUNDS, int(QUICK_SECONDS / max(taken, 1e-9))))
    plan = dataclasses.replace(budget.plan, launches=looks.after[0], most_launches=looks.after[-1], rounds=rounds)
    return dataclasses.replace(budget, plan=plan, reserved=0.0)


def _measure(
    asked: Commands,
    rehearsed: Mapping[str, Rehearsed],
    budget: Budget,
    folder: Path,
    resumed: Measured | None,
    keep: Callable[[Measured], None],
    looks: Looks | None,
) -> Comparison:
    before = {} if resumed is None else {arm.name: arm.cpus for arm in resumed.arms}
    cpus = {name: before.get(name, one.cpus) for name, one in rehearsed.items()}
    names = list(asked.texts)
    group = make_group(names, lambda name, role, label: _arm(asked, name, role, label, folder, cpus[name]))
    group += _price(folder)
    output = Output(folder, asked.same_output, asked.same_file)

    def wrong(measured: Measured) -> dict[str, str]:
        return differences(measured, names, output)

    if looks is None:
        sitting = sit([group], budget, resumed=resumed, keep=keep, check=wrong)
    else:
        sitting = sit([group], budget, resumed=resumed, keep=keep, level=looks.level, enough=looks.enough)
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=asked.budget,
        subject=Subject(COMMANDS, 1),
        simplest=tuple(names),
        faults=sitting.faults(names, sitting.checked(wrong)),
        finals=sitting.finals,
        alone=sitting.alone,
    )


def _arm(
    asked: Commands, name: str, role: Role, label: str, folder: Path, cpus: int = 1, *, sample: bool = True
) -> Arm:
    names, directory = list(asked.texts), asked.folder_of(name)
    prepare = asked.prepare_of(names.index(name))
    told = {
        "command": asked.texts[name],
        "commit": asked.commits.get(name),
        "shell": asked.shell,
        "prepare": prepare,
        "stdin": None if asked.stdin is None else str(asked.stdin),
    }
    payload = {
        **_started(line_of(asked.texts[name], asked.shell, directory)),
        "directory": str(directory),
        "prepare": None if prepare is None else dataclasses.astuple(line_of(prepare, asked.shell, directory)),
        "environment": dict(os.environ),
        "stdin": os.devnull if asked.stdin is None else str(asked.stdin.absolute()),
        "folder": str(folder),
        "number": len(names) if role == "null" else names.index(name),
        "same_output": asked.same_output,
        "same_file": None if asked.same_file is None else str(directory / asked.same_file),
        "ignore_failure": asked.ignore_failure,
        "sample": sample,
        "facts": {key: recorded_text(value) for key, value in told.items() if value},
    }
    return Arm(label, OPENER, payload, role, cpus, starts_processes=True)


def _price(folder: Path) -> list[Arm]:
    """The arm that shows what the start of any process costs here; none where there is no program that does nothing."""
    program = shutil.which(EMPTY)
    if program is None:
        return []
    payload = {
        **_started(Line(program, (EMPTY,))),
        "directory": str(Path.cwd()),
        "prepare": None,
        "environment": dict(os.environ),
        "stdin": os.devnull,
        "folder": str(folder),
        "number": "price",
        "same_output": False,
        "same_file": None,
        "ignore_failure": False,
        "sample": False,
        "facts": {"command": EMPTY},
    }
    return [Arm(PRICE, OPENER, payload, "limit", starts_processes=True)]


def _started(line: Line) -> dict[str, Any]:
    return {"program": line.program, "argv": list(line.argv)}


def _rehearse(asked: Commands, folder: Path) -> dict[str, Rehearsed]:
    """Start each command once, and once more where that was slow: the first start alone may compile or fetch something.

    Raises SettingError for one that fails, with its own words.
    """
    longest = None if asked.budget == QUICK else seconds_of(asked.budget)
    plan = Plan(patience_seconds=longest or LONGEST_START)
    arms = [_arm(asked, name, "arm", name, folder, sample=False) for name in asked.texts]
    with stage("starting each command once"):
        readings = rehearse(arms, plan, again_above=SLOW_SECONDS)
    found = {}
    for name, answer in readings.items():
        if isinstance(answer, str):
            error = StartError(f"{name}: {answer}", _hint(answer, asked))
            error.command = name
            raise error
        reading, whole = answer.reading, answer.whole_seconds
        busy = (reading.cpu_seconds or 0.0) / max(reading.seconds, 1e-9)
        taken = whole if asked.prepare else reading.seconds  # without it, the rest of the whole is the worker's own
        cpus = max(1, min(usable_cpus(), math.ceil(busy - 0.1)))
        found[name] = Rehearsed(taken, cpus, max(taken, answer.first_seconds))
    return found


def _hint(said: str, asked: Commands) -> str | None:
    if "exit code" in said and not asked.ignore_failure and "prepares" not in said:
        return "--ignore-failure measures it all the same"
    if said.endswith(os.strerror(errno.ENOEXEC)):
        return "--shell sh reads it as a shell's script; or begin the file with #! and the program that reads it"
    if "no answer" in said:
        return "a longer --budget waits for it"
    return None


def _identity(asked: Commands) -> dict[str, Any]:
    """What makes it the same comparison: everything that is run, the files that are named in it, folder and flags."""
    first = asked.folder_of(next(iter(asked.texts)))
    states = [_state(asked, name) for name in asked.texts]
    states += [line_of(text, asked.shell).state() for text in asked.setup]
    states += [line_of(text, asked.shell, first).state() for text in asked.prepare]
    return {
        "kind": COMMANDS,
        "names": list(asked.texts),
        "lines": states,
        "prepare": list(asked.prepare),
        "cleanup": list(asked.cleanup),
        "folder": str(Path.cwd()),
        "folders": {name: str(folder) for name, folder in asked.folders.items()},
        "stdin": None if asked.stdin is None else [str(asked.stdin.absolute()), asked.stdin.stat().st_mtime_ns],
        "same": [asked.same_output, str(asked.same_file)],
        "ignore_failure": asked.ignore_failure,
        "warmup": asked.warmup,
    }


def _state(asked: Commands, name: str) -> list[Any]:
    """Say what makes it the same command: its files as they are, or in a worktree its commit, whose files are new."""
    line = line_of(asked.texts[name], asked.shell, asked.folder_of(name))
    return [list(line.argv), asked.commits[name]] if name in asked.commits else line.state()


@contextmanager
def _surrounded(asked: Commands) -> Iterator[None]:
    """Run what is to be run once before everything, and once after it, whatever comes between."""
    for text in asked.setup:
        if (why := _run(text, asked.shell)) is not None:
            raise SettingError(f"--setup {text}: {why}", "nothing was measured; run it by itself to see what it says")
    try:
        yield
    finally:
        for text in asked.cleanup:
            if (why := _run(text, asked.shell)) is not None:
                warn("VML051", f"--cleanup {text}: {why}")


def _run(text: str, shell: str) -> str | None:
    """Run a command whose output goes to standard error; None if it ended well, else how it ended."""
    line = line_of(text, shell)
    with stage(f"running {text}"):
        done = subprocess.run(
            line.argv, executable=line.program, stdin=subprocess.DEVNULL, stdout=_standard_error(), check=False
        )
    return None if done.returncode == 0 else f"it ended with exit code {done.returncode}"


def _standard_error() -> int:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError):  # no file: in a notebook, say
        return subprocess.DEVNULL
