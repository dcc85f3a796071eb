"""Commands, revisions and functions in a TOML file for `--config`: the keys are the flags' names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from vecml.cli.compare_calls import CALLS, NAMES_OF_COMMANDS, SHARED
from vecml.comparison.config import ComparisonConfig
from vecml.config import read_config_file
from vecml.errors import SettingError
from vecml.fields import flag, shown

SUBJECTS = ("commands", "ref", "functions")  # a file with one of these compares no model
COMMANDS = "list: text, or a table"
TOLD = {
    COMMANDS: "a list of texts, or a table of texts by their names",
    "list: text": "a list of texts",
    "true or false": "true or false",
    "whole number": "a whole number",
    "text": "a text",
}
Given = dict[str, Any]
Flags = Mapping[str, Any]  # by name, a type annotated with what typer reads


def keys(flags: Flags = CALLS.flags) -> list[tuple[str, str, str]]:
    """Each key of such a file, with its type in words and its meaning."""
    rows = []
    for name, annotation in flags.items():
        if flags is CALLS.flags and name == "command":  # the names of a table
            continue
        kind, information = get_args(annotation)
        text = "Whole commands; two or more." if name == "commands" else information.help
        rows.append((name, COMMANDS if name == "commands" else _words(kind), text))
    return rows


def read_calls(path: Path, flags: Flags, command: str) -> Given:
    """Read a file whose keys are the names of a command's flags, as the flags would give their values.

    Raises SettingError as `read_config_file` does, and for a key that is none, or has a value of another type.
    """
    found: Given = {}
    for name, value in read_config_file(path).items():
        if name not in flags:
            line = f"--config {path}: {name} = {shown(value)}: vecml {command} has no such setting"
            raise SettingError(line, f"choose from {', '.join(flags)}")
        found |= _named(path, name, value, flags)
    return {name: value for name, value in found.items() if value not in (False, [])}


def with_file(calls: Mapping[str, Any], own: Mapping[str, Any], path: Path | None) -> tuple[Given, Given, Path | None]:
    """Lay flags over what a file says of commands, revisions or functions.

    Args:
        calls: values of `CALLS` that flags gave.
        own: values of the comparison's own flags.
        path: the file, or None.

    Returns `calls` and `own`, and the file where it is one of a comparison of engines, which somebody else reads.
    Raises SettingError as `read_config_file` does, and for a key that does nothing beside what is compared.
    """
    if path is None:
        return dict(calls), dict(own), None
    content = read_config_file(path)
    if not calls and not any(name in content for name in SUBJECTS):
        return {}, dict(own), path
    file: Given = {}
    shared: Given = {}
    for name, value in content.items():
        if name in SHARED:
            shared[name] = getattr(ComparisonConfig.checked({name: value}), name)
        elif name not in CALLS.flags or name == "command":
            line = f"--config {path}: {name} = {shown(value)}: it does nothing for commands, revisions or functions"
            raise SettingError(line, f"leave out {name}")
        elif not (name == "commands" and any(one in calls for one in NAMES_OF_COMMANDS)):
            file |= _named(path, name, value)
    file = {name: value for name, value in file.items() if value not in (False, [])}
    return {**file, **calls}, {**shared, **own}, None


def _named(path: Path, name: str, value: Any, flags: Flags = CALLS.flags) -> Given:
    """The value as the flag would give it, by the flag's name. Raises SettingError for one of another type."""
    if name == "commands" and isinstance(value, dict):
        return {"command": [f"{key}={text}" for key, text in _checked(path, name, value, dict[str, str]).items()]}
    if name == "functions" and isinstance(value, list):
        return {name: ",".join(_checked(path, name, value, list[str]))}
    kind, information = get_args(flags[name])
    several = list[str] in get_args(kind)
    given = _checked(path, name, [value] if several and isinstance(value, str) else value, kind)
    least = getattr(information, "min", None)
    if least is not None and given < least:
        line = f"--config {path}: {name} = {shown(value)}: it must be {least} or more"
        raise SettingError(line, _example(name, kind))
    return {name: given}


def _checked(path: Path, name: str, value: Any, kind: Any) -> Any:
    try:
        if isinstance(value, bool) != (bool in get_args(kind)):
            raise ValueError
        return TypeAdapter(kind).validate_python(value)
    except (ValidationError, ValueError):
        words = COMMANDS if name == "commands" else _words(kind)
        line = f"--config {path}: {name} = {shown(value)}: it must be {TOLD[words]}"
        raise SettingError(line, _example(name, kind)) from None


def _words(kind: Any) -> str:
    options = get_args(kind)
    if list[str] in options or kind == list[str]:
        return "list: text"
    return "true or false" if bool in options else "whole number" if int in options else "text"


def _example(name: str, kind: Any) -> str:
    if name == "commands":
        return "commands = ['./old data', './new data']"
    if name == "command":
        return 'command = "./parse data.txt"'
    written = {"list: text": '["..."]', "true or false": "true", "whole number": "3"}.get(_words(kind), '"..."')
    return f"{name} = {written} is the same as {flag(name)}"
