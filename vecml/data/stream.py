"""A data file a block of rows at a time, so that it may be larger than memory: CSV and Parquet are streamed.

What a column is follows from the model's encoding, never from the first rows that come by; every block is read as the
whole file would be (`vecml.data.raw`), and the tests hold the two to each other. A thread reads ahead.

A CSV's number columns are parsed as float64 as they are read. Where a value is no number, the file is read again from
its start with such columns as text, which takes longer, can name the row, and knows dates and truth values by the rules
of Arrow's own inference. All blocks have the same number of rows but for the last one, whatever the file's own blocks
are: an engine's rounding may depend on how many rows it is given.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

from vecml.data.column_encoding import ColumnEncoding
from vecml.data.delimited import LONGEST_ROW_BYTES, UTF_16_MARKS, _explain, _not_utf8
from vecml.data.encoding import KIND_IN_WORDS, Encoding
from vecml.data.files import DELIMITERS, _suffix, check_distinct, check_file, read_file
from vecml.data.raw import raw_columns
from vecml.data.selection import did_you_mean, listed, shortened
from vecml.data.table import MISSING_CODE, Column
from vecml.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

CSV_BLOCK_BYTES = 1 << 22
READ_AHEAD = 2  # blocks
BUFFER_BYTES = 1 << 20  # of a Parquet column that is read piece by piece: a row group may be as large as the file
WHOLE_GROUP_BYTES = 1 << 26  # a smaller one is read whole: its columns are then decoded side by side
_ENDING = 0.1  # seconds between looks at whether anybody still wants blocks


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file.

    Attributes:
        first_row: the number of its first row in the file, from 0.
        columns: what the encoding needs, in its order, for `Encoding.transform`.
        carried: the columns that are carried over, as they were read.
    """

    first_row: int
    columns: tuple[Column, ...] = field(repr=False)
    carried: "pa.Table" = field(repr=False)

    @property
    def n_rows(self) -> int:
        """Rows of the block."""
        return len(self.columns[0].values_N)


@dataclass(frozen=True)
class DataFile:
    """A file that has the columns that an encoding needs.

    Attributes:
        path: where it is.
        encoding: whose columns are read.
        carried: names of columns that are carried over.
        carried_types: their Arrow types, by name; text in a CSV.
        extra: names of columns that nobody asked for.
        n_rows: where the file says so without being read, else None.
    """

    path: Path
    encoding: Encoding = field(repr=False)
    carried: tuple[str, ...]
    carried_types: "dict[str, pa.DataType]" = field(repr=False)
    extra: tuple[str, ...]
    n_rows: int | None


def open_file(path: Path, encoding: Encoding, carried: Sequence[str] = ()) -> DataFile:
    """Look at a file's columns, before anything of it is read.

    Raises DataError when it cannot be opened, a column is missing (with the nearest name), is of a type that cannot
    be what it was in training, or occurs twice.
    """
    check_file(path)
    schema, n_rows = _schema(path)
    check_distinct(schema.names, path.name)
    needed = [column.name for column in encoding.columns]
    missing = [name for name in (*needed, *carried) if name not in schema.names]
    if missing:
        raise _missing(missing, schema.names, needed, path.name)
    if _is_parquet(path):
        _check_types(schema, encoding)
    chosen = tuple(dict.fromkeys(carried))
    extra = tuple(name for name in schema.names if name not in {*needed, *chosen})
    types = {name: schema.field(name).type for name in chosen}
    return DataFile(path, encoding, chosen, types, extra, n_rows)


def blocks(file: DataFile, block_rows: int) -> Iterator[Block]:
    """The file's rows in order, `block_rows` at a time; a thread reads ahead.

    Raises DataError for what is wrong with the file or with a value, naming its row.
    """
    source = _parquet if _is_parquet(file.path) else _csv if _is_csv(file.path) else _whole
    with _ahead(lambda: _even(source(file, block_rows), block_rows)) as tables:
        first_row = 0
        for table in tables:
            needed = len(file.encoding.columns)
            columns = _columns(table.select(range(needed)), file.encoding, first_row)
            yield Block(first_row, columns, table.select(range(needed, table.num_columns)))
            first_row += table.num_rows


def _columns(table: "pa.Table", encoding: Encoding, first_row: int) -> tuple[Column, ...]:
    """As `raw_columns` gives them; an error names the row of the file, not of the block."""
    try:
        return raw_columns(table, encoding)
    except DataError as error:
        raise _in_file(error, first_row) from None


def _in_file(error: DataError, first_row: int) -> DataError:
    """The error with the row of the file, where it names one of a block that begins at `first_row`."""
    within = re.search(r"in row (\d+) is not one$", error.message)
    if within is None:
        return error
    return DataError(f"{error.message[: within.start()]}in row {int(within[1]) + first_row} is not one", error.hint)


def _missing(missing: list[str], names: list[str], needed: list[str], source: str) -> DataError:
    """The error for columns that are not there; of several with one counterpart each it shows how they seem renamed."""
    word = "column" if len(missing) == 1 else "columns"
    unknown = [name for name in names if name not in needed]
    hint = did_you_mean(missing[0], unknown or names, "other columns" if unknown else "columns")
    return DataError(f"there is no {word} {listed(missing)} in {source}", hint)


def _check_types(schema: "pa.Schema", encoding: Encoding) -> None:
    """What `raw_columns` would refuse by a column's type alone, before anything is read."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    empty = schema.empty_table()
    for column in encoding.columns:
        kind = schema.field(column.name).type
        try:
            raw_columns(empty.select([column.name]), Encoding((column,)))
        except DataError as error:
            shown = "a boolean" if pa.types.is_boolean(kind) else shortened(str(kind))
            was = KIND_IN_WORDS[column.kind]
            raise DataError(f"column {column.name!r} is {shown}, but was {was} in training", error.hint) from None


def _is_parquet(path: Path) -> bool:
    return _suffix(path) in (".parquet", ".pq")


def _is_csv(path: Path) -> bool:
    return _suffix(path) in DELIMITERS


def _schema(path: Path) -> "tuple[pa.Schema, int | None]":
    """Names and types of the file's columns (all text in a CSV), and its number of rows where that is known."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    if _is_parquet(path):
        with _complaints(path, "Parquet"):
            import pyarrow.parquet as pq  # noqa: PLC0415 -- heavy, and needed for this format only

            with pq.ParquetFile(path) as file:
                return file.schema_arrow, file.metadata.num_rows
    if _is_csv(path):
        names = _csv_names(path)
        check_distinct(names, path.name)
        return pa.schema([(name, pa.string()) for name in names]), None
    table = read_file(path)
    return table.schema, table.num_rows


@contextmanager
def _complaints(path: Path, kind: str) -> Iterator[None]:
    """Within the block, what Arrow complains of becomes a DataError of one line."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(
            f"{path.name} cannot be read as {kind}: {reason}", "is it complete? Copy or write it again"
        ) from None


def _wanted(file: DataFile) -> list[str]:
    """What is read."""
    return list(dict.fromkeys(_placed(file)))


def _placed(file: DataFile) -> list[str]:
    """What a block's table holds: the encoding's columns, and then those that are carried over."""
    return [*(column.name for column in file.encoding.columns), *file.carried]


def _parquet(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data
    import pyarrow.parquet as pq  # noqa: PLC0415 -- heavy, and needed for this format only

    with _complaints(file.path, "Parquet"):
        with pq.ParquetFile(file.path, buffer_size=BUFFER_BYTES) as opened:
            row_bytes = _row_bytes(opened.schema_arrow, _wanted(file))
            # One row group at a time: Arrow's iterator over all of them keeps what it has read until it ends.
            for group in range(opened.metadata.num_row_groups):
                if row_bytes and opened.metadata.row_group(group).num_rows * row_bytes <= WHOLE_GROUP_BYTES:
                    yield opened.read_row_group(group, columns=_wanted(file), use_threads=True).select(_placed(file))
                    continue
                for batch in opened.iter_batches(block_rows, [group], columns=_wanted(file), use_threads=True):
                    yield pa.Table.from_batches([batch]).select(_placed(file))


def _row_bytes(schema: "pa.Schema", names: list[str]) -> int | None:
    """Bytes of a row in memory; None with columns, of text say, that a file may hold in far fewer than memory takes."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    kinds = [schema.field(name).type for name in names]
    if not all(pa.types.is_primitive(kind) for kind in kinds):
        return None
    return int(sum(-(-kind.bit_width // 8) for kind in kinds))


def _whole(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":
    """A format that is only read whole."""
    text = [column.name for column in file.encoding.columns if column.kind == "category"]
    table = read_file(file.path, text=text).select(_placed(file))
    for start in range(0, table.num_rows, block_rows):
        yield table.slice(start, block_rows)


def _even(tables: "Iterator[pa.Table]", block_rows: int) -> "Iterator[pa.Table]":
    """The same rows, `block_rows` in every table but the last, each column in one piece.

    Ten columns in pieces cost whoever takes them 170 ns a row, in one piece 1 ns; and this thread reads ahead.
    """
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    kept: list[pa.Table] = []
    held = 0
    for given in tables:
        table = given
        while held + table.num_rows >= block_rows:
            taken = block_rows - held
            yield pa.concat_tables([*kept, table.slice(0, taken)]).combine_chunks()
            table, kept, held = table.slice(taken), [], 0
        if table.num_rows:
            kept.append(table)
            held += table.num_rows
    if held:
        yield pa.concat_tables(kept).combine_chunks()


@contextmanager
def _ahead(make: "Callable[[], Iterator[pa.Table]]") -> "Iterator[Iterator[pa.Table]]":
    """The tables that `make` gives, made by a thread a few ahead of whoever takes them; it ends with the block."""
    queue: Queue[Any] = Queue(READ_AHEAD)
    over = threading.Event()

    def put(item: Any) -> bool:
        while not over.is_set():
            with suppress(Full):
                queue.put(item, timeout=_ENDING)
                return True
        return False

    def read() -> None:
        try:
            for table in make():
                if not put(table):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 -- it is raised again where the tables are taken
            put(error)

    thread = threading.Thread(target=read, name="vecml-read", daemon=True)
    thread.start()

    def taken() -> "Iterator[pa.Table]":
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    try:
        yield taken()
    finally:
        over.set()
        with suppress(Empty):
            while True:
                queue.get_nowait()
        thread.join()


def _csv_names(path: Path) -> list[str]:
    """The names in the header; raises DataError as `read_delimited` does."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in UTF_16_MARKS:
        raise _not_utf8(path, "the file", start, "UTF-16")
    delimiter = DELIMITERS[_suffix(path)]
    names = _header_in_words(path, delimiter)
    if len(names) == 1:
        other = [mark for mark in (";", "\t", "|", ",") if mark != delimiter and mark in names[0]]
        if other:
            raise DataError(
                f"{path.name} has a single column, called {shortened(names[0])}",
                f"values are separated by {delimiter!r} in a {path.suffix} file; this one seems to use {other[0]!r}",
            )
    return names


class _TextNeeded(Exception):  # noqa: N818 -- no error: the file is read in another way
    """A value of a number column is no number."""


def _csv(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":  # noqa: ARG001 -- the file's own blocks
    """The blocks of a CSV; from where a value of a number column is no number, all as text."""
    carried = set(file.carried)
    numbers = [one.name for one in file.encoding.columns if one.kind == "number" and one.name not in carried]
    done, typing = 0, _Typing(file)
    try:
        for table in _csv_tables(file, numbers):
            done += table.num_rows
            yield typing.typed(table)
        return
    except _TextNeeded:
        pass
    for given in _csv_tables(file, ()):
        known = min(done, given.num_rows)  # rows that were given already
        done -= known
        if known < given.num_rows:
            yield typing.typed(given.slice(known))


def _csv_tables(file: DataFile, numbers: Sequence[str]) -> "Iterator[pa.Table]":
    """The wanted columns, `numbers` as float64 and the others as text; a row of any length up to 64 MB."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    path, done = file.path, 0
    for block_bytes, threads in ((CSV_BLOCK_BYTES, True), (LONGEST_ROW_BYTES, True), (LONGEST_ROW_BYTES, False)):
        skip = done
        try:
            reader = _csv_reader(path, _wanted(file), numbers, block_bytes, threads=threads)
            last, end = None, _header(path, DELIMITERS[_suffix(path)])[-1]
            for batch in reader:
                table = pa.Table.from_batches([batch])
                last = table.column(end) if table.num_rows else last
                if skip >= table.num_rows:
                    skip -= table.num_rows
                    continue
                rest, skip = table.slice(skip), 0
                done += rest.num_rows
                yield rest.select(_placed(file))
            _check_closed(path, last, done)
            return
        except pa.ArrowException as error:
            reason = str(error)
            if "CSV conversion error to" in reason:
                raise _TextNeeded from None
            again = "straddling" in reason or "increase block size" in reason or "Expected" in reason
            if not (again and threads):
                raise _explain(path, reason) from None


def _csv_reader(path: Path, wanted: list[str], numbers: Sequence[str], block_bytes: int, *, threads: bool) -> Any:
    """Arrow's reader in blocks; beside the wanted columns it gives the file's last one, as text."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data
    from pyarrow import csv  # noqa: PLC0415 -- needed for this format only

    delimiter = DELIMITERS[_suffix(path)]
    names = _header_in_words(path, delimiter)
    # Last, so that it is found: where the file ends inside a quoted value, Arrow takes the rest for that value.
    kinds = {name: pa.string() for name in names} | {name: pa.float64() for name in numbers}
    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=block_bytes, use_threads=threads),
        parse_options=csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            ignore_empty_lines=len(names) > 1,  # where there is but one column, it is a missing value
        ),
        convert_options=csv.ConvertOptions(
            strings_can_be_null=True, column_types=kinds, include_columns=list(dict.fromkeys([*wanted, names[-1]]))
        ),
    )


def _header_in_words(path: Path, delimiter: str) -> list[str]:
    """The column names; raises DataError where there are none to be had."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    try:
        return _header(path, delimiter)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, "its header", error.object[error.start : error.start + 1]) from None
    except (pa.ArrowException, OSError) as error:
        raise _explain(path, str(error)) from None


def _header(path: Path, delimiter: str) -> list[str]:
    """The column names, as Arrow reads them."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data
    from pyarrow import csv  # noqa: PLC0415 -- needed for this format only

    start = b""
    with pa.input_stream(path) as stream:
        while chunk := stream.read(BUFFER_BYTES):
            start += chunk
            end = _line_end(start)
            if end is not None:
                start = start[:end]
                break
            if len(start) > LONGEST_ROW_BYTES:
                break
    if not start.strip(b"\xef\xbb\xbf\r\n "):
        raise pa.ArrowInvalid("Empty CSV file")
    table = csv.read_csv(
        BytesIO(start if start.endswith(b"\n") else start + b"\n"),
        read_options=csv.ReadOptions(block_size=len(start) + 16, use_threads=False),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    )
    names: list[str] = table.column_names
    return names


def _line_end(start: bytes) -> int | None:
    """Just after the first line that is not empty and whose quotes are closed; None where it goes on."""
    at = 0
    while (end := start.find(b"\n", at)) >= 0:
        line = start[: end + 1]
        if line.strip(b"\xef\xbb\xbf\r\n") and line.count(b'"') % 2 == 0:
            return end + 1
        at = end + 1
    return None


def _check_closed(path: Path, last: "pa.ChunkedArray | None", n_rows: int) -> None:
    """Raise DataError when the file ends inside a quoted value; `last`: its last column's last block."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    value = last[-1].as_py() if last is not None and len(last) else None
    if not isinstance(value, str) or "\n" not in value:
        return
    tail = b""
    with pa.input_stream(path) as stream:
        while chunk := stream.read(BUFFER_BYTES):
            tail = (tail + chunk)[-1024:]
    if not tail.rstrip().endswith(b'"'):
        raise DataError(
            f"{path.name} ends inside a quoted value, which begins in row {n_rows}: {shortened(value)}",
            "close the quotation mark, or double it where it belongs to the value",
        )


class _Typing:
    """Text columns as the numbers or truth values that they are to the model; by Arrow's inference where not plainly.

    In a file a column is of one sort: of a whole one Arrow would not infer dates where some values are numbers, and so
    it must not be done for a block either.
    """

    def __init__(self, file: DataFile) -> None:
        self._columns = tuple(enumerate(file.encoding.columns))
        self._sorts: dict[str, str] = {}
        self._rows = 0

    def typed(self, table: "pa.Table") -> "pa.Table":
        """The next block, its columns by place: float64 for numbers, booleans, and text for categories."""
        import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

        for place, column in self._columns:
            values = table.column(place)
            if column.kind == "category":
                continue
            if pa.types.is_string(values.type):
                table = table.set_column(place, column.name, self._made(column, values))
            elif values.null_count < len(values):
                self._sorts.setdefault(column.name, "plain")
        self._rows += table.num_rows
        return table

    def _made(self, column: ColumnEncoding, values: "pa.ChunkedArray") -> "pa.Array":
        import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

        encoding, sort = Encoding((column,)), "plain"
        try:
            (made,) = raw_columns(pa.table({column.name: values}), encoding)
        except DataError as error:
            found = _infer(values)
            kind = "text" if found is None else str(found.type)
            sort = "date" if kind.startswith(("date", "timestamp")) else kind
            if found is None or self._sorts.setdefault(column.name, sort) != sort:
                raise _in_file(error, self._rows) from None
            (made,) = raw_columns(pa.table({column.name: found}), encoding)
        if values.null_count < len(values) and self._sorts.setdefault(column.name, sort) != sort:
            row = self._rows + int(values.is_valid().to_numpy().argmax())
            raise DataError(
                f"column {column.name!r} was {KIND_IN_WORDS[column.kind]} in training: row {row + 1} has a number, and"
                " rows before it dates or times",
                "write all of its values in one way",
            )
        if column.kind == "boolean":
            return pa.array(made.values_N == 1, mask=made.values_N == MISSING_CODE)
        return pa.array(made.values_N)


def _infer(values: "pa.ChunkedArray") -> "pa.ChunkedArray | None":
    """What Arrow's CSV reader takes these texts for; None where that is text."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data
    from pyarrow import csv  # noqa: PLC0415 -- needed for this format only

    texts = values.to_pylist()
    if any(value is not None and re.search(r'[",\r\n]', value) for value in texts):
        return None
    content = "\n".join(["x", *("" if value is None else value for value in texts), ""]).encode()
    found = csv.read_csv(
        BytesIO(content),
        read_options=csv.ReadOptions(block_size=len(content) + 16, use_threads=False),
        parse_options=csv.ParseOptions(ignore_empty_lines=False),
    ).column(0)
    return None if pa.types.is_string(found.type) or pa.types.is_binary(found.type) else found
