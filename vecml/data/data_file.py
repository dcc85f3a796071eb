"""A data file that has the columns a model needs, and how a message names a row of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecml.data.dialect import Dialect
from vecml.data.encoding import Encoding
from vecml.data.filled import Filled
from vecml.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class DataFile:
    """A file, or a table in memory, that has the columns that an encoding needs.

    Attributes:
        path: of the file; of another source its name.
        encoding: names the columns that the model reads.
        carried: names of the columns that are copied to the output.
        carried_types: the Arrow types of these columns, by name; text in a CSV.
        extra: names of the file's other columns, which are not read.
        n_rows: the number of rows, where the file states it; None where the file must be read to count them.
        table: the whole table, of a source that is no single file.
        dialect: how a text file writes its table; None for a file of another kind.
        groups: the row groups of a Parquet file to read; None: all.
        source: opens a Parquet file that is not on this machine; None: it is read at `path`.
        filled: counts the markers of missing values while the rows are read.
    """

    path: Path
    encoding: Encoding = field(repr=False)
    carried: tuple[str, ...]
    carried_types: "dict[str, pa.DataType]" = field(repr=False)
    extra: tuple[str, ...]
    n_rows: int | None
    table: "pa.Table | None" = field(default=None, repr=False)
    dialect: Dialect | None = field(default=None, repr=False)
    groups: range | None = None
    source: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    filled: Filled = field(default_factory=Filled, repr=False, compare=False)

    @property
    def block_columns(self) -> list[str]:
        """Names of a block's columns: the encoding's, then the carried ones; a name may occur in both."""
        return [*(column.name for column in self.encoding.columns), *self.carried]

    @property
    def read_columns(self) -> list[str]:
        """Names of the columns to read from the file, each once."""
        return list(dict.fromkeys(self.block_columns))


def count_rows_from(error: DataError, first_row: int) -> DataError:
    """Give the error the row's number in the file, where its message names a row of a block.

    Args:
        error: as reading a block raised it.
        first_row: the number of the block's first row in the file, from 0.
    """
    within = re.search(r"in row (\d+) is not one$", error.message)
    if within is None:
        return error
    return DataError(f"{error.message[: within.start()]}in row {int(within[1]) + first_row} is not one", error.hint)
