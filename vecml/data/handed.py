"""A table that Python hands over to a run: `--data python:NAME` stands for it in the run's configuration.

It is kept beside the configuration, in this process and for the time of the run: it is no parameter of a flow.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from vecml.config import TrainingConfig
from vecml.errors import DataError, SettingError
from vecml.fields import flag

Config = TypeVar("Config", bound=TrainingConfig)

PREFIX = "python:"
_handed: ContextVar[object | None] = ContextVar("vecml_handed", default=None)


@contextmanager
def handing_over(data: object) -> Iterator[None]:
    """Let `load_table` find `data` in the `with` block, for a configuration whose `data` begins with `python:`."""
    token = _handed.set(data)
    try:
        yield
    finally:
        _handed.reset(token)


def is_python() -> bool:
    """Whether Python called with a table in its memory, so that settings are keywords and not flags."""
    return _handed.get() is not None


def with_settings(config: Config, data: object, settings: Mapping[str, Any]) -> Config:
    """The config with `settings` laid over it, and with the name of `data` as its data; None: its own data.

    Raises SettingError for a value that cannot be.
    """
    if data is None and not settings:
        return config
    values = {name: getattr(config, name) for name in config.model_fields_set}
    named = {} if data is None else {"data": PREFIX + kind_of(data)}
    try:
        return type(config).checked({**values, **settings, **named})
    except SettingError as error:
        raise SettingError(
            _as_keywords(error.message, config), error.hint and _as_keywords(error.hint, config)
        ) from None


def _as_keywords(text: str, config: TrainingConfig) -> str:
    """The text with the names of Python's arguments in place of flags: `epochs` for `--epochs`."""
    for name in type(config).model_fields:
        text = re.sub(rf"{flag(name)}(?![\w-])", name, text)
    return text


def kind_of(data: object) -> str:
    """The library and type of a table, for people: `pandas.DataFrame`, `pyarrow.Table`, `dict`."""
    kind = type(data)
    library = kind.__module__.partition(".")[0]
    return kind.__name__ if library == "builtins" else f"{library}.{kind.__name__}"


def handed_over(name: str) -> object:
    """Give what was handed over; raises DataError where there is nothing, as in another process or later."""
    data = _handed.get()
    if data is None:
        raise DataError(
            f"{name} was a table in Python's memory, which is not kept",
            "write it to a file, df.to_parquet('table.parquet'), and name that with --data",
        )
    return data
