"""A data file a block of rows at a time, so that it may be larger than memory: CSV and Parquet are streamed.

What a column is follows from the model's encoding, never from the first rows that come by; every block is read as the
whole file would be (`vecml.data.raw`), and the tests compare the two. A thread reads ahead. All blocks have the same
number of rows but for the last one, whatever the file's own blocks are: an engine's rounding may depend on how many
rows it is given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vecml.data.addresses import here
from vecml.data.column_names import typeable_names
from vecml.data.data_file import DataFile, count_rows_from
from vecml.data.dialect import LOOK, AskedFormat, Dialect, Span
from vecml.data.encoding import KIND_IN_WORDS, Encoding
from vecml.data.files import TEXTS, Say, arrow_errors, check_distinct, check_file, read_file, suffix_of, tell, warn_of
from vecml.data.origin import has_partition, is_single_file, read_data
from vecml.data.raw import raw_columns, read_as_text, word_names
from vecml.data.read_ahead import read_ahead, rebatch
from vecml.data.selection import did_you_mean, listed_columns, shortened
from vecml.data.stream_csv import csv_names, csv_tables, with_typeable_names
from vecml.data.table import Column
from vecml.data.text_stream import find_dialect
from vecml.errors import DataError

BUFFER_BYTES = 1 << 20  # of a Parquet column that is read piece by piece: a row group may be as large as the file
WHOLE_GROUP_BYTES = 1 << 26  # a smaller one is read whole: its columns are then decoded side by side


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file.

    Attributes:
        first_row: index of its first row in the file, from 0.
        columns: the columns that the encoding needs, in its order, for `Encoding.transform`.
        carried: the columns that are copied unchanged to the output.
    """

    first_row: int
    columns: tuple[Column, ...] = field(repr=False)
    carried: "pa.Table" = field(repr=False)

    @property
    def n_rows(self) -> int:
        return len(self.columns[0].values_N)


def open_data(
    data: str, encoding: Encoding, carried: Sequence[str] = (), asked: AskedFormat = LOOK, query: str | None = None
) -> DataFile:
    """Check the names and types of the columns of any source that can be trained on; one that is no file is read whole.

    Args:
        data: as `TrainingConfig.data`: a file, a folder, a pattern, `-`, the address of a database.
        encoding, carried, asked: as for `open_file`.
        query: of a database.

    Raises DataError as `open_file` does.
    """
    data = here(data)
    needed = [column.name for column in encoding.columns]
    if is_single_file(data) and not has_partition(Path(data).expanduser(), needed):
        return open_file(Path(data).expanduser(), encoding, carried, asked)
    table, name = read_data(data, query, read_as_text(encoding), asked, warn_of, word_names(encoding), needed)
    table = table.rename_columns(typeable_names(table.column_names))
    return checked_file(
        DataFile(Path(name), encoding, tuple(carried), {}, (), table.num_rows, table), table.schema, name
    )


def open_file(
    path: Path,
    encoding: Encoding,
    carried: Sequence[str] = (),
    asked: AskedFormat = LOOK,
    say: Say = warn_of,
    span: Span | None = None,
) -> DataFile:
    """Check the names and types of a file's columns before its rows are read.

    Args:
        path: of the file.
        encoding: names the columns that the model reads.
        carried: columns to copy to the output.
        asked: what the user says of a text file; the rest is found by looking, and told (VML050).
        say: hears what was found by looking.
        span: the part of a text file to read; None: all of it.

    Raises DataError if it cannot be opened, or a column is missing, occurs twice or has another type than in training.
    """
    check_file(path)
    dialect = None
    if is_csv(path):
        dialect = replace(find_dialect(path, asked), span=span)
        tell(path, dialect, say)
        dialect = with_typeable_names(path, dialect)
    schema, n_rows = _schema(path, dialect)
    check_distinct(schema.names, path.name)
    file = DataFile(path, encoding, tuple(carried), {}, (), n_rows, dialect=dialect)
    return checked_file(file, schema, path.name)


def checked_file(file: DataFile, schema: "pa.Schema", source: str) -> DataFile:
    """The file with what its schema says of the carried columns and of the others; `source` is its name for people.

    Raises DataError for a column that is missing or has another type than in training.
    """
    needed = [column.name for column in file.encoding.columns]
    missing = [name for name in (*needed, *file.carried) if name not in schema.names]
    if missing:
        raise _missing(missing, schema.names, needed, source)
    if file.table is not None or is_parquet(file.path):
        _check_types(schema, file.encoding)
    chosen = tuple(dict.fromkeys(file.carried))
    extra = tuple(name for name in schema.names if name not in {*needed, *chosen})
    types = {name: schema.field(name).type for name in chosen}
    return replace(file, carried=chosen, carried_types=types, extra=extra)


def blocks(file: DataFile, block_rows: int) -> Iterator[Block]:
    """Yield the file's rows in order as blocks of `block_rows` rows; a thread reads ahead.

    Raises DataError if the file or a value cannot be used; for a value it names the row.
    """
    with read_ahead(lambda: rebatch(tables_of(file, block_rows), block_rows)) as tables:
        first_row = 0
        for table in tables:
            needed = len(file.encoding.columns)
            columns = _columns(table.select(range(needed)), file, first_row)
            yield Block(first_row, columns, table.select(range(needed, table.num_columns)))
            first_row += table.num_rows


def tables_of(file: DataFile, most_rows: int) -> "Iterator[pa.Table]":
    """Read the file's rows in order as tables of any size, each with the columns `file.block_columns`.

    Args:
        file: from `open_file`; of a Parquet file with `groups`, only those row groups are read.
        most_rows: rows of a table where the format leaves the choice.

    Raises DataError if the file cannot be read.
    """
    if file.table is not None:
        return _unstreamed(file, most_rows)
    source = _parquet if is_parquet(file.path) else csv_tables if is_csv(file.path) else _unstreamed
    return source(file, most_rows)


def _columns(table: "pa.Table", file: DataFile, first_row: int) -> tuple[Column, ...]:
    """Call `raw_columns`; an error names the row in the file instead of the row in the block."""
    try:
        return raw_columns(table, file.encoding, file.filled)
    except DataError as error:
        raise count_rows_from(error, first_row) from None


def _missing(missing: list[str], names: list[str], needed: list[str], source: str) -> DataError:
    """Make the error for the columns that are missing; its hint names the columns that are most like the first."""
    unknown = [name for name in names if name not in needed]
    hint = did_you_mean(missing[0], unknown or names, "other columns" if unknown else "columns")
    return DataError(f"there {'is' if len(missing) == 1 else 'are'} no {listed_columns(missing)} in {source}", hint)


def _check_types(schema: "pa.Schema", encoding: Encoding) -> None:
    """Raise DataError for a column that `raw_columns` would refuse for its type alone, before anything is read."""
    empty = schema.empty_table()
    for column in encoding.columns:
        kind = schema.field(column.name).type
        try:
            raw_columns(empty.select([column.name]), Encoding((column,)))
        except DataError as error:
            shown = "a boolean" if pa.types.is_boolean(kind) else shortened(str(kind))
            was = KIND_IN_WORDS[column.kind]
            raise DataError(f"column {column.name!r} is {shown}, but was {was} in training", error.hint) from None


def is_parquet(path: Path) -> bool:
    """Whether the file's suffix says that it is Parquet."""
    return suffix_of(path) in (".parquet", ".pq")


def is_csv(path: Path) -> bool:
    """Whether the file's suffix says that it is text with a separator."""
    return suffix_of(path) in TEXTS


def _schema(path: Path, dialect: Dialect | None) -> "tuple[pa.Schema, int | None]":
    """Return the names and types of the file's columns (all text in a CSV), and its number of rows or None."""
    if is_parquet(path):
        with arrow_errors(path, "Parquet"):
            with pq.ParquetFile(path) as file:
                return file.schema_arrow, file.metadata.num_rows
    if dialect is not None:
        names = csv_names(path, dialect)
        check_distinct(names, path.name)
        return pa.schema([(name, pa.string()) for name in names]), None
    table = read_file(path)
    return table.schema, table.num_rows


def _parquet(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":
    with arrow_errors(file.path, "Parquet"):
        source = file.path if file.source is None else file.source()
        with pq.ParquetFile(source, buffer_size=BUFFER_BYTES, page_checksum_verification=True) as opened:
            row_bytes = _row_bytes(opened.schema_arrow, file.read_columns)
            # One row group at a time: Arrow's iterator over all of them keeps what it has read until it ends.
            for group in range(opened.metadata.num_row_groups) if file.groups is None else file.groups:
                if row_bytes and opened.metadata.row_group(group).num_rows * row_bytes <= WHOLE_GROUP_BYTES:
                    table = opened.read_row_group(group, columns=file.read_columns, use_threads=True)
                    table.validate(full=True)
                    yield table.select(file.block_columns)
                    continue
                for batch in opened.iter_batches(block_rows, [group], columns=file.read_columns, use_threads=True):
                    batch.validate(full=True)
                    yield pa.Table.from_batches([batch]).select(file.block_columns)


def _row_bytes(schema: "pa.Schema", names: list[str]) -> int | None:
    """Return the bytes of a row in memory; None if a column, of text for example, has values of different sizes."""
    kinds = [schema.field(name).type for name in names]
    if not all(pa.types.is_primitive(kind) for kind in kinds):
        return None
    return int(sum(-(-kind.bit_width // 8) for kind in kinds))


def _unstreamed(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":
    """Read a source that cannot be streamed; yield tables of at most `block_rows` rows."""
    whole = read_file(file.path, text=read_as_text(file.encoding), words=()) if file.table is None else file.table
    table = whole.select(file.block_columns)
    for start in range(0, table.num_rows, block_rows):
        yield table.slice(start, block_rows)
