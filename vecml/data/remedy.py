"""The command of a hint: the one that was given, with changes, so that it can be pasted into a shell and then works."""

import shlex
from collections.abc import Mapping
from typing import Any

from vecml.config import PipelineConfig, TrainingConfig
from vecml.data.name_list import write_names
from vecml.fields import flag, flag_of, is_list, shown, value_type


def command(config: TrainingConfig, changes: Mapping[str, Any]) -> str:
    """Write the command line of `config` with `changes`: every flag that is not at its default, quoted for a shell.

    Args:
        config: what was asked for; a `PipelineConfig` is written as `vecml run`, otherwise it is `vecml compare`.
        changes: new values by field. Columns of `drop` and `keep` are added to those that are there.

    Example: `vecml run --data 'my table.csv' --target label --drop id,name`
    """
    values = _changed(config, changes)
    words = ["vecml", "run" if isinstance(config, PipelineConfig) else "compare"]
    for name, field in type(config).model_fields.items():
        if flag_of(field) is None or values[name] == field.get_default():
            continue
        if value_type(field) is bool:
            words.append(flag(name))
            continue
        text = write_names(values[name]) if is_list(field) and value_type(field) is str else shown(values[name])
        # A word that begins with a dash would be taken for a flag of its own.
        words += [f"{flag(name)}={text}"] if text.startswith("-") else [flag(name), text]
    return shlex.join(words)


def _changed(config: TrainingConfig, changes: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: getattr(config, name) for name in type(config).model_fields}
    for name, value in changes.items():
        values[name] = (*values[name], *value) if name in ("drop", "keep") else value
    if config.keep:  # a column is dropped by not being kept
        kept = tuple(name for name in values["keep"] if name not in values["drop"])
        dropped = tuple(name for name in values["drop"] if name not in values["keep"])
        values |= {"keep": kept, "drop": () if kept else dropped}
    return values
