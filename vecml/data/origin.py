"""Where a table comes from: a file or several, standard input, or Python's memory. `TrainingConfig.data` names it."""

from pathlib import Path
from typing import TYPE_CHECKING

from vecml.config import TrainingConfig
from vecml.data import handed
from vecml.data.dialect import asked_of
from vecml.data.files import Say, check_file, read_file

if TYPE_CHECKING:
    import pyarrow as pa


def check_origin(data: str) -> None:
    """Raise DataError where `data` names nothing that can be opened; nothing is read."""
    if data.startswith(handed.PREFIX):
        handed.handed_over(data)
    else:
        check_file(Path(data).expanduser())


def read_origin(config: TrainingConfig, say: Say) -> "tuple[pa.Table, str]":
    """The whole table that `config.data` names, and its name for people.

    Args:
        config: names it, and says how text files are written and which columns are text.
        say: hears what was found by looking at a file.

    Raises DataError for whatever cannot be read.
    """
    data = config.data or ""
    if data.startswith(handed.PREFIX):
        from vecml.data.frames import arrow_of  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need

        def is_idle(name: str) -> bool:
            return name in config.drop or bool(config.keep and name not in (*config.keep, config.target))

        return arrow_of(handed.handed_over(data), is_idle), data
    path = Path(data).expanduser()
    return read_file(path, config.categorical, asked_of(config), say), path.name
