"""The command of a hint: the one that was given, with changes, so that it can be pasted into a shell and then works.

A table may have several faults, of which each is found only when the one before is mended. So the changes are tried
before they are offered, and what is refused then is mended too (`follow`).
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from vecml.config import PipelineConfig, TrainingConfig
from vecml.data.column_names import find_column, squeezed
from vecml.data.handed import PREFIX, is_python
from vecml.data.name_list import write_names
from vecml.errors import DataError
from vecml.fields import flag, flag_of, is_list, shown, value_type

# Leads from a configuration to one with which the table can be used: the same, or with further changes.
Follow = Callable[[TrainingConfig], TrainingConfig]

_proposed: ContextVar[list[TrainingConfig] | None] = ContextVar("vecml_proposed", default=None)


@contextmanager
def on_trial() -> Iterator[list[TrainingConfig]]:
    """Collect the configurations that hints propose in the `with` block; no warning is given there."""
    proposed: list[TrainingConfig] = []
    token = _proposed.set(proposed)
    try:
        yield proposed
    finally:
        _proposed.reset(token)


def is_on_trial() -> bool:
    """Whether a table is only tried, for a hint."""
    return _proposed.get() is not None


def command(
    config: TrainingConfig,
    changes: Mapping[str, Any],
    names: Sequence[str] = (),
    follow: Follow | None = None,
    given: TrainingConfig | None = None,
) -> str:
    """Write the command line of `config` with `changes`: every flag that is not at its default, quoted for a shell.

    Args:
        config: what was asked for; a `PipelineConfig` is written as `vecml run`, otherwise it is `vecml compare`.
        changes: new values by field, None for the default. Lists of columns and of texts are added to those there are.
        names: of the source's columns; with them names that hold a line break are written in one line.
        follow: finds what has to be changed beside these; that is said before the command.
        given: what the user wrote, where `config` has been completed; arguments of Python's are what differs from it.

    Example: `vecml run --data 'my table.csv' --target label --drop id,name`; where the table is in Python's memory,
    `drop=['id', 'name']`.
    """
    wanted = changed(config, changes)
    proposed = _proposed.get()
    if proposed is not None:
        proposed.append(wanted)
        return ""
    found = wanted if follow is None else follow(wanted)
    values = {name: getattr(found, name) for name in type(config).model_fields}
    if (config.data or "").startswith(PREFIX):  # no command line can name a table in Python's memory
        asked = {name: value for name, value in values.items() if value != getattr(given or config, name)}
        return keywords(asked)
    words = ["vecml", "run" if isinstance(config, PipelineConfig) else "compare"]
    for name, field in type(config).model_fields.items():
        value = values[name]
        if flag_of(field) is None or value == field.get_default():
            continue
        if is_list(field) and value_type(field) is str:
            value = tuple(_typed(one, names) for one in value)
        words += _words(name, _typed(value, names) if name == "target" else value)
    return _needed_too(wanted, found) + shlex.join(words)


def _needed_too(wanted: TrainingConfig, found: TrainingConfig) -> str:
    """The flags that were found to be needed beside those that were wanted, for the words before a command."""
    new: dict[str, Any] = {}
    for name in type(wanted).model_fields:
        before, now = getattr(wanted, name), getattr(found, name)
        if before != now:
            new[name] = tuple(one for one in now if one not in before) if isinstance(now, tuple) else now
    too = flags(new)
    return f"(it needs {too} then) " if too else ""


class SettingHelpsError(DataError):
    """A refusal that a setting mends, raised where the rest of the command is not known.

    Attributes:
        words: the hint without the setting, for example `did you mean 'iris'?`.
        changes: the settings, as for `command`.
    """

    def __init__(self, message: str, words: str, changes: Mapping[str, Any], flags: str = "") -> None:
        """Hint at `words`, and then at `flags`, which make the changes wherever they are taken."""
        super().__init__(message, f"{words} {flags}".rstrip())
        self.words, self.changes = words, dict(changes)

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.words, self.changes)


@contextmanager
def whole_commands(config: TrainingConfig, follow: Follow | None = None) -> Iterator[None]:
    """Let the hint of a `SettingHelpsError` that is raised in the `with` block end with the command of `config`.

    `follow` is as for `command`.

    Raises DataError in its place.
    """
    try:
        yield
    except SettingHelpsError as error:
        raise DataError(error.message, f"{error.words} {command(config, error.changes, follow=follow)}") from None


def flags(changes: Mapping[str, Any]) -> str:
    """The flags that make the changes, where no whole command is written; for a table of Python's they are keywords."""
    if is_python():
        return keywords(changes)
    return shlex.join(word for name, value in changes.items() for word in _words(name, value))


def keywords(changes: Mapping[str, Any]) -> str:
    """The changes as Python's arguments: `drop=['id', 'name'], bins=4`."""
    return ", ".join(
        f"{name}={list(value) if isinstance(value, tuple) else value!r}" for name, value in changes.items()
    )


def _words(name: str, value: Any) -> list[str]:
    if value in (None, False):
        return []
    if value is True:
        return [flag(name)]
    text = (
        write_names(value) if isinstance(value, tuple) and all(isinstance(one, str) for one in value) else shown(value)
    )
    # A word that begins with a dash would be taken for a flag of its own.
    return [f"{flag(name)}={text}"] if text.startswith("-") else [flag(name), text]


def _typed(name: str, names: Iterable[str]) -> str:
    """How a column is typed: in one line, where that still means the same one of `names`."""
    line = squeezed(name)
    is_broken = any(mark.isspace() and mark != " " for mark in name)
    return line if is_broken and find_column(line, tuple(names)) == name else name


def changed(config: TrainingConfig, changes: Mapping[str, Any]) -> TrainingConfig:
    """Change the configuration as `command` says; a column that is kept by name is dropped by not keeping it."""
    values = {name: getattr(config, name) for name in type(config).model_fields}
    for name, value in changes.items():
        if name in ("drop", "keep", "categorical", "missing"):
            values[name] = tuple(dict.fromkeys((*values[name], *value)))
        else:
            values[name] = type(config).model_fields[name].get_default() if value is None else value
    values["drop"] = tuple(name for name in values["drop"] if name != values["target"])
    if config.keep:
        kept = tuple(name for name in values["keep"] if name not in values["drop"])
        dropped = tuple(name for name in values["drop"] if name not in values["keep"])
        values |= {"keep": kept, "drop": () if kept else dropped}
    return config.model_copy(update=values)
