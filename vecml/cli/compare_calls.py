"""The flags with which `vecml compare` compares commands, or functions, and what they ask for."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.options import Listed, option
from vecml.errors import SettingError
from vecml.fields import flag

if TYPE_CHECKING:
    from vecml.comparison.command_lines import Commands
    from vecml.comparison.functions import Functions
    from vecml.comparison.revisions import Revisions

PANEL = "Commands"
OF_FUNCTIONS = "Functions"
OF_REVISIONS = "Revisions"
SHARED = ("budget", "name", "baseline")  # of a comparison's own fields: those that make sense whatever is compared
NAMES_OF_COMMANDS = ("commands", "command")


def _several(text: str, metavar: str, *names: str) -> Any:
    return Annotated[list[str] | None, option(text, metavar, *names, panel=PANEL)]


def _one(kind: Any, text: str, metavar: str | None, *names: str, **more: Any) -> Any:
    return Annotated[kind | None, option(text, metavar, *names, panel=PANEL, **more)]


def _of_functions(text: str, metavar: str, name: str) -> Any:
    return Annotated[str | None, option(text, metavar, name, panel=OF_FUNCTIONS)]


def _of_revisions(text: str, metavar: str, name: str) -> Any:
    return Annotated[list[str] | None, option(text, metavar, name, panel=OF_REVISIONS)]


CALLS = Listed(
    {
        "commands": Annotated[
            list[str] | None,
            typer.Argument(
                help="Whole commands, each in quotes, in place of ways to run a model.",
                metavar="[-- 'COMMAND' 'COMMAND' ...]",
                show_default=False,
            ),
        ],
        "command": _several("A command with a name; may be given again.", "NAME='COMMAND'", "--command"),
        "shell": _one(str, "What reads the commands: none, or a shell such as sh. [default: none]", "SHELL", "--shell"),
        "setup": _several("Run once before everything; may be given again.", "COMMAND", "--setup"),
        "prepare": _several("Run before each start, untimed: once for all, or for each.", "COMMAND", "--prepare"),
        "cleanup": _several("Run once after everything; may be given again.", "COMMAND", "--cleanup"),
        "stdin": _one(Path, "A file that every start reads. [default: nothing]", "FILE", "--stdin"),
        "warmup": _one(int, "Starts before an arm is measured. [default: 1]", "N", "--warmup", min=1),
        "same_output": _one(bool, "What they print must be the same.", None, "--same-output"),
        "same_file": _one(Path, "A file that each writes, which must be the same.", "FILE", "--same-file"),
        "ignore_failure": _one(bool, "Measure starts with another exit code than 0, too.", None, "--ignore-failure"),
        "ref": _of_revisions("A revision at which the one command is run; given twice or more.", "REVISION", "--ref"),
        "build": _of_revisions("Run once at each revision; may be given again.", "COMMAND", "--build"),
        "functions": _of_functions("Functions, in place of ways to run a model.", "FILE.py:NAME,...", "--functions"),
        "inputs": _of_functions("A function that makes the arguments of a call.", "FILE.py:NAME", "--inputs"),
    }
)


def calls_asked(
    calls: Mapping[str, Any], own: Mapping[str, Any], training: Collection[str], config: Path | None, *, quick: bool
) -> "Commands | Functions | Revisions":
    """The comparison of commands, revisions or functions that is asked for; see `commands_asked`."""
    wanted = [name for name in ("functions", "inputs") if name in calls]
    if not wanted and ("ref" in calls or "build" in calls):
        return revisions_asked(calls, own, training, config, quick=quick)
    if not wanted:
        return commands_asked(calls, own, training, config, quick=quick)
    from vecml.comparison.functions import Functions, named_functions

    others = [name for name in calls if name not in wanted]
    if others:
        told = "a command" if others[0] in NAMES_OF_COMMANDS else flag(others[0])
        raise SettingError(f"{flag(wanted[0])} beside {told}", "compare functions, or commands")
    idle = [*(name for name in own if name not in SHARED), *training, *(["config"] if config else [])]
    if idle:
        raise SettingError(f"{flag(idle[0])} goes with a model, not with functions", f"leave out {flag(idle[0])}")
    if "functions" not in calls:
        raise SettingError("--inputs goes with functions", "--functions FILE.py:NAME,FILE.py:NAME")
    places, inputs = named_functions(calls["functions"], calls.get("inputs"), own.get("baseline"))
    budget = "quick" if quick else own.get("budget", "60s")
    return Functions(places, inputs, budget, checked_name(own.get("name")))


def revisions_asked(
    calls: Mapping[str, Any], own: Mapping[str, Any], training: Collection[str], config: Path | None, *, quick: bool
) -> "Revisions":
    """The comparison of one command at several revisions that the flags ask for; see `commands_asked`."""
    from vecml.comparison.command_lines import Commands
    from vecml.comparison.revisions import Revisions, found_revisions

    if "ref" not in calls:
        raise SettingError("--build goes with --ref", "vecml compare --ref main --ref HEAD --build CMD -- CMD")
    texts = [*calls.get("commands", ()), *calls.get("command", ())]
    if len(texts) != 1 or "command" in calls:
        said = f"--ref with {len(texts)} commands" if len(texts) != 1 else f"--ref with --command {texts[0]}"
        raise SettingError(f"{said}: one is run at each revision", "vecml compare --ref main --ref HEAD -- 'COMMAND'")
    _refuse([*(name for name in own if name not in SHARED), *training, *(["config"] if config else [])], calls)
    refs = tuple(calls["ref"])
    others = {name: value for name, value in calls.items() if name not in ("ref", "build", *NAMES_OF_COMMANDS)}
    budget = "quick" if quick else own.get("budget", "60s")
    command = Commands(
        texts={"": texts[0]}, budget=budget, name=checked_name(own.get("name")), **_without_lists(others)
    )
    wanted = Revisions(command, refs, tuple(calls.get("build", ())), own.get("baseline"))
    found_revisions(wanted)  # what cannot be is refused before a store is made
    return wanted


def _without_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def commands_asked(
    calls: Mapping[str, Any], own: Mapping[str, Any], training: Collection[str], config: Path | None, *, quick: bool
) -> "Commands":
    """The comparison of commands that the flags ask for.

    Args:
        calls: values of `CALLS`.
        own, training, config: the other flags that were given.
        quick: whether one launch is enough.

    Raises SettingError for flags that do nothing here, and for commands that cannot be.
    """
    from vecml.comparison.command_lines import Commands, named_commands

    if not any(calls.get(name) for name in NAMES_OF_COMMANDS):
        name = next(iter(calls))
        raise SettingError(f"{flag(name)} goes with commands", "vecml compare -- 'COMMAND' 'COMMAND'")
    _refuse([*(name for name in own if name not in SHARED), *training, *(["config"] if config else [])], calls)
    texts = named_commands(calls.get("commands", ()), calls.get("command", ()), own.get("baseline"))
    more = _without_lists({name: value for name, value in calls.items() if name not in NAMES_OF_COMMANDS})
    budget = "quick" if quick else own.get("budget", "60s")
    return Commands(texts=texts, budget=budget, name=checked_name(own.get("name")), **more)


def _refuse(idle: Iterable[str], calls: Mapping[str, Any]) -> None:
    """Raise SettingError for the first flag that is of a model's inference."""
    for name in idle:
        if name == "data":
            hint = "several files are one value: put the pattern in quotes, --data 'parts/*.csv'"
        else:
            hint = f"leave out {flag(name)}, or the commands"
        texts = [*calls.get("commands", ()), *calls.get("command", ())]
        raise SettingError(f"{flag(name)} goes with a model, and {texts[0]!r} is a command", hint)


def checked_name(name: str | None) -> str | None:
    """The name of a run. Raises SettingError for what cannot be one."""
    from vecml.comparison.config import ComparisonConfig

    return None if name is None else ComparisonConfig.checked({"name": name}).name
