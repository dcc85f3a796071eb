"""`vecml bisect`: the commit that made a command slower."""

import json as json_text
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.calls_file import read_calls
from vecml.cli.compare_calls import checked_name
from vecml.cli.options import JsonFile, Listed, command, option, write_json
from vecml.cli.terminal import console, show_comparison
from vecml.errors import SettingError
from vecml.numbers import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vecml.comparison.bisect import Bisected, Bisection, Commit
    from vecml.comparison.halving import Question

EPILOG = """**Examples**

- `vecml bisect --good v1.0 --bad main -- ./parse data.txt`: a program that needs no build

- `vecml bisect --config slower.toml --bad HEAD`: the same settings from a file, flags on top

- `vecml bisect --good v1.0 --bad HEAD --build make --at-least 5% -- './parse data.txt'`: only a slowdown of 5 % or more

Ends with 0 where a commit was found, with 1 where the bad revision is shown not to be slower, and with 3 where it could
not be decided, or only between two commits.
"""
CONFIG_TEXT = "A TOML file with any of these settings; flags win over it."


def _kept(kind: Any, text: str, metavar: str | None, *names: str, **more: Any) -> Any:
    return Annotated[kind | None, option(text, metavar, *names, **more)]


BISECTION = Listed(
    {
        "command": Annotated[
            list[str] | None,
            typer.Argument(
                help="The command that became slower, in quotes or in words.", metavar="-- COMMAND", show_default=False
            ),
        ],
        "good": _kept(str, "A revision at which it is fast.", "REVISION", "--good"),
        "bad": _kept(str, "A later one, at which it is slow.", "REVISION", "--bad"),
        "build": _kept(list[str], "Run once at each revision; may be given again.", "COMMAND", "--build"),
        "at_least": _kept(
            str, "The smallest slowdown that counts. [default: any that a verdict shows]", "5%", "--at-least"
        ),
        "budget": _kept(
            str, "Time for all steps, builds not counted: 10m, 1h, auto. [default: 10m]", "TIME", "--budget"
        ),
        "shell": _kept(
            str, "What reads the commands: none, or a shell such as sh. [default: none]", "SHELL", "--shell"
        ),
        "prepare": _kept(str, "Run before each start, untimed.", "COMMAND", "--prepare"),
        "stdin": _kept(Path, "A file that every start reads.", "FILE", "--stdin"),
        "warmup": _kept(int, "Starts before a revision is measured. [default: 1]", "N", "--warmup", min=1),
        "ignore_failure": _kept(bool, "Measure starts with another exit code than 0, too.", None, "--ignore-failure"),
        "name": _kept(str, "Name of the run in MLflow.", "TEXT", "--name"),
    }
)


@command(BISECTION)
def bisect(
    flags: dict[str, Any],
    config: Annotated[Path | None, option(CONFIG_TEXT, "FILE", "--config")] = None,
    json: JsonFile = None,
    fresh: Annotated[
        bool, option("Begin anew, also where steps were kept when it was stopped.", None, "--fresh")
    ] = False,
) -> None:
    """Find the commit that made a command slower, by comparing three revisions at a time.

    Your tree is never touched. Each step measures a commit beside both ends, with as many launches as the noise asks
    for, and is tracked as a comparison. Where it cannot tell, it says between which two commits it happened.
    """
    given = {**(read_calls(config, BISECTION.flags, "bisect") if config else {}), **flags}
    from vecml.report.bisect import EXIT_CODES, HEADINGS, lines, rows, sentence, to_json_dict

    found = _search(_asked(given), fresh=fresh)
    if not write_json(json, lambda: json_text.dumps(to_json_dict(found), indent=1, ensure_ascii=False)):
        show_comparison(sentence(found), HEADINGS, rows(found), lines(found), None, names=3)
    if code := EXIT_CODES[found.search.kind]:
        raise typer.Exit(code)


def _asked(given: "Mapping[str, Any]") -> "Bisection":
    """What is searched. Raises SettingError for what cannot be, before a store of runs is made."""
    from vecml.comparison.bisect import Bisection, found_commits
    from vecml.comparison.demand import share_of

    usage = "vecml bisect --good REVISION --bad REVISION -- 'COMMAND'"
    for name in ("good", "bad"):
        if name not in given:
            raise SettingError(f"bisect needs --{name}", usage)
    words = given.get("command", [])
    if not any(word.strip() for word in words):
        raise SettingError("bisect needs a command, which is run at each revision", usage)
    at_least = given.get("at_least")
    share = 0.0 if at_least is None else share_of(at_least)
    if share is None:
        raise SettingError(f"--at-least {at_least}: it is no share", "--at-least 5%")
    more = {key: value for key, value in given.items() if key not in ("command", "at_least")}
    more["build"] = tuple(given.get("build", ()))
    more["prepare"] = (given["prepare"],) if "prepare" in given else ()
    more["name"] = checked_name(given.get("name"))
    asked = Bisection(command=words[0] if len(words) == 1 else shlex.join(words), at_least=share, **more)
    found_commits(asked)
    return asked


def _search(asked: "Bisection", *, fresh: bool) -> "Bisected":
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from tasks.tracking.location import locate, prepare

        prepare(locate())  # before anything is measured
        from tasks.tracking.comparison import ComparisonTracking, ComparisonWriter
        from vecml.comparison.bisect import bisect as search

        def run_id(writer: ComparisonWriter) -> str:
            return writer.run.run_id

        return search(asked, ComparisonTracking(), run_id=run_id, tell=_tell, fresh=fresh)


def _tell(question: "Question", commits: "Sequence[Commit]") -> None:
    names = [f"{commits[place].short} ({commits[place].subject})" for place in question.places]
    left = f"; at most {count(question.later, 'more step')}" if question.later else ""
    line = f"comparing {', '.join(names)}: {count(question.bad - question.good, 'commit')}{left}"
    console(sys.stderr).print(line, soft_wrap=True, markup=False)
