"""Several files as one table: a folder, a pattern with `*`, or names with commas between them.

Folders called `year=2024` within it (Hive partitions) are columns. A CSV's types follow from all files together, as
those of one file follow from all of its rows.
"""

import glob
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from vecml.data.dialect import AskedFormat, Span
from vecml.data.disk import Disk
from vecml.data.files import (
    KNOWN,
    PARQUET,
    TEXTS,
    Say,
    arrow_errors,
    check_file,
    is_known,
    read_file,
    suffix_of,
)
from vecml.data.reading import Words
from vecml.data.selection import listed, shortened
from vecml.errors import DataError
from vecml.progress import stage

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_BYTES = 1 << 26  # of a part of a text file that is put on the disk
PATTERN = re.compile(r"[*?\[]")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Source:
    """A file of several.

    Attributes:
        name: its path or address, for people.
        path: for its suffix and its Hive folders; of a file elsewhere it is no path of this machine.
        opened: gives its path on this machine for a `with` block.
        span: the part of a text file that is read; None: all of it.
    """

    name: str
    path: PurePath
    opened: Callable[[], AbstractContextManager[Path]] = field(repr=False, compare=False)
    span: Span | None = None


def local_source(path: Path) -> Source:
    """A file of this machine."""
    return Source(str(path), path, lambda: nullcontext(path))


def several(data: str) -> list[Path] | None:
    """The files of a folder (those in folders below it too), a pattern or a list, sorted; None for a single file.

    Files and folders whose names begin with `.` or `_` are no data. Raises DataError where there are none.
    """
    path = Path(data).expanduser()
    if path.is_file():
        return None
    if path.is_dir():
        return _within(path)
    parts = parts_of_list(data)
    if len(parts) > 1:
        return _of_parts(parts)
    if PATTERN.search(data):
        files = sorted(one for one in _matching(data) if one.is_file() and not one.name.startswith((".", "_")))
        if not files:
            raise DataError(f"no file matches {data!r}", "put the pattern in quotes; ** stands for any folders")
        return files
    return None


def parts_of_list(data: str) -> list[str]:
    """The names of a list with commas between them: files, folders and patterns; the text alone where it is no list."""
    parts = [part.strip() for part in data.split(",")]
    if len(parts) == 1 or Path(data).expanduser().exists() or (PATTERN.search(data) and any(_matching(data))):
        return [data]
    paths = [Path(part).expanduser() for part in parts if part]
    is_list = any(path.exists() or PATTERN.search(str(path)) for path in paths) or all(map(is_known, paths))
    return parts if is_list and len(paths) == len(parts) else [data]


def _of_parts(parts: Sequence[str]) -> list[Path]:
    """The files of the parts of a list, in its order; raises DataError where one is not there."""
    paths = [Path(part).expanduser() for part in parts]
    missing = [path for path in paths if not path.exists() and not PATTERN.search(str(path))]
    if len(missing) > 1:
        raise DataError(
            f"no such files: {', '.join(map(str, missing))}, {len(missing)} of {len(parts)}",
            "mend their names, or leave them out",
        )
    files: list[Path] = []
    for part, path in zip(parts, paths, strict=True):
        found = several(part)
        if found is None:
            check_file(path)
        files += [path] if found is None else found
    return files


def _matching(pattern: str) -> Iterator[Path]:
    return (Path(one) for one in glob.iglob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 -- a path


def read_several(
    files: Sequence[Source],
    text: Collection[str],
    asked: AskedFormat,
    say: Say,
    words: Words = None,
    needed: Collection[str] = (),
    disk: Disk | None = None,
) -> "pa.Table":
    """The rows of all files, in their order, with a column for each Hive partition.

    Args:
        files: one or more.
        text, asked, say, words: as for `read_file`; what several files have in common is said once.
        needed: partitions that a model has; they are columns although all files are in the same one.
        disk: where the rows are put, a part of a file at a time; None: in memory.

    Raises:
        DataError: a file cannot be read, or its columns are not those of the first.
    """
    _check_footers(files)
    with ExitStack() as stack:
        parts = files if disk is None else [part for file in files for part in _text_parts(file, asked, stack)]
        return _read_parts(parts, text, asked, say, words, needed, disk)


def _read_parts(
    files: Sequence[Source],
    text: Collection[str],
    asked: AskedFormat,
    say: Say,
    words: Words,
    needed: Collection[str],
    disk: Disk | None,
) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    from vecml.data.na_words import marked, with_words, word_columns  # noqa: PLC0415 -- imports pyarrow

    once = Once(say)
    with stage("reading files", len(files)) as advance:
        _check_arrow_files(files)
        tables = []
        for file in files:
            tables.append(_read(file, text, asked, once, words, disk))
            _check_names(file, tables[-1].column_names, files[0], tables[0].column_names)
            advance(1)
    names = tables[0].column_names
    unlike = [name for name in names if are_unlike([table[name].type for table in tables])]
    if unlike:
        for name in unlike:
            _check_text(name, files, tables)
        again = {*text, *unlike}
        tables = [_read(file, again, asked, _nobody, words, disk) for file in files]
    codes = _codes(files, tables, names) if words is None else []
    if codes:  # what NA is, is one question for all files
        for place, file in enumerate(files):
            written = _read(file, {*text, *codes}, asked, _nobody, codes).select(codes)
            made = with_words(tables[place], written)
            tables[place] = made if disk is None else disk.table(made)
    marks = {name for table in tables for name in word_columns(table, names)}
    parts = partitions([file.path for file in files], [name for name in needed if name not in names])
    pieces = [
        _with_partitions(_plain(table.select(names)), part, file)
        for table, part, file in zip(tables, parts, files, strict=True)
    ]
    if disk is not None:
        pieces = _of_one_schema(pieces, disk)
    whole = pa.concat_tables(pieces, promote_options="permissive")
    for name in marks:
        whole = marked(whole, name)
    return whole


def _read(
    file: Source, text: Collection[str], asked: AskedFormat, say: Say, words: Words, disk: Disk | None = None
) -> "pa.Table":
    with file.opened() as path:
        if disk is None:
            return read_file(path, text, asked, say, () if words is None else words, file.span)
        if suffix_of(path) in PARQUET:
            return _parquet_on_disk(path, disk)
        return disk.table(_plain(read_file(path, text, asked, say, () if words is None else words, file.span)))


def _parquet_on_disk(path: Path, disk: Disk) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    from vecml.data.parquet import parquet_tables  # noqa: PLC0415 -- the same

    with stage(f"reading {path.name}"), arrow_errors(path, "Parquet"):
        parts = [disk.table(_plain(table)) for table in parquet_tables(path)]
        disk.forget()
        return pa.concat_tables(parts)


def _of_one_schema(tables: "Sequence[pa.Table]", disk: Disk) -> "list[pa.Table]":
    """The tables with the types that they have in common; what has to be changed is put on the disk anew."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    schema = pa.unify_schemas([table.schema for table in tables], promote_options="permissive")
    return [
        table if table.schema.equals(schema) else disk.table(table.select(schema.names).cast(schema))
        for table in tables
    ]


def _text_parts(file: Source, asked: AskedFormat, stack: ExitStack) -> list[Source]:
    """The parts of a large text file, any other file as it is; one that lies elsewhere is copied until `stack` ends."""
    from vecml.data.text_cuts import cut_text  # noqa: PLC0415 -- imports pyarrow
    from vecml.data.text_stream import find_dialect  # noqa: PLC0415 -- the same

    if suffix_of(file.path) not in TEXTS:
        return [file]
    path = stack.enter_context(file.opened())
    spans = cut_text(path, find_dialect(path, asked), TEXT_BYTES)
    here = partial(_named, path, file.name)
    return [replace(file, opened=here, span=span) for span in spans or (None,)]


@contextmanager
def _named(path: Path, name: str) -> Iterator[Path]:
    """Yield the path; an error of the `with` block names the file by its name for people, if it is another."""
    try:
        yield path
    except DataError as error:
        known = name in error.message or name == str(path)
        raise error if known else DataError(f"{name}: {error.message}", error.hint) from None


def _check_footers(files: Sequence[Source]) -> None:
    """Raise DataError where Parquet files of this machine have different columns, before any row is read."""
    paths = [(file, file.path) for file in files if isinstance(file.path, Path) and suffix_of(file.path) in PARQUET]
    if len(paths) < 2:
        return
    import pyarrow.parquet as pq  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    first: tuple[Source, list[str]] | None = None
    for file, path in paths:
        with arrow_errors(path, "Parquet"):
            names = pq.read_schema(path).names
        first = first or (file, names)
        _check_names(file, names, *first)


def _check_arrow_files(files: Sequence[Source]) -> None:
    """Let one child process read all Feather files of this machine beforehand."""
    paths = [file.path for file in files if isinstance(file.path, Path)]
    arrows = [path for path in paths if suffix_of(path) in (".feather", ".arrow")]
    if arrows:
        from vecml.data.feather import check_beforehand  # noqa: PLC0415 -- needed for this format only

        check_beforehand(arrows)


def _codes(files: Sequence[Source], tables: "Sequence[pa.Table]", names: Sequence[str]) -> list[str]:
    """The columns in which `NA` may be a word, by the values of all files together."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    from vecml.data.arrow_types import is_text  # noqa: PLC0415 -- imports it
    from vecml.data.na_words import may_be_word  # noqa: PLC0415 -- the same

    if not all(suffix_of(file.path) in TEXTS for file in files):
        return []
    found = []
    for name in names:
        columns = [table[name] for table in tables]
        if all(is_text(column.type) or pa.types.is_null(column.type) for column in columns):
            chunks = [chunk for column in columns for chunk in column.cast(pa.large_string()).chunks]
            if may_be_word(pa.chunked_array(chunks, pa.large_string())):
                found.append(name)
    return found


def partitions(files: Sequence[PurePath], needed: Collection[str] = ()) -> list[dict[str, str | None]]:
    """The names and values of the folders `name=value` above each file that all files have; None is no value.

    From the first on that differs between the files, or that is `needed`: those above it say where the table lies.
    """
    made = [partition_of(file) for file in files]
    common = [name for name in made[0] if all(name in one for one in made)]
    varying = [name for name in common if len({one[name] for one in made}) > 1]
    begins = [common.index(name) for name in (*varying, *needed) if name in common]
    return [{name: one[name] for name in common[min(begins, default=len(common)) :]} for one in made]


def partition_of(file: PurePath) -> dict[str, str | None]:
    """The names and values of the folders `name=value` above a file."""
    pairs = (folder.split("=", 1) for folder in file.parts[:-1] if "=" in folder)
    return {unquote(name): None if value == NO_VALUE else unquote(value) for name, value in pairs}


def _within(folder: Path) -> list[Path]:
    """The data files of a folder and of those below it, sorted; hidden folders are not even looked into."""
    known: list[Path] = []
    others: list[str] = []
    with stage(f"looking through {folder.name}") as advance:
        for here, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith((".", "_"))]
            for name in files:
                path = Path(here, name)
                if name.startswith((".", "_")) or not path.is_file():
                    continue
                if is_known(path):
                    known.append(path)
                else:
                    others.append(name)
            advance(len(files))
    if not known:
        what = f": {listed(sorted(others))}" if others else ""
        raise DataError(f"{folder} is a folder without a data file{what}", KNOWN)
    return sorted(known)


def _check_names(file: Source, names: Sequence[str], first: Source, expected: Sequence[str]) -> None:
    if sorted(names) == sorted(expected):
        return
    missing = [name for name in expected if name not in names]
    more = [name for name in names if name not in expected]
    if missing:
        raise DataError(
            f"{file.name} has no column {missing[0]!r}, which {first.name} has", f"its columns: {listed(list(names))}"
        )
    raise DataError(
        f"{file.name} has a column {(more or list(names))[0]!r}, which {first.name} has not",
        "give all files the same columns",
    )


def are_unlike(kinds: "Sequence[pa.DataType]") -> bool:
    """Whether the types of a column in several files have no type in common (Arrow types)."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    plain = {kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds}
    try:
        pa.unify_schemas([pa.schema([("a", kind)]) for kind in plain], promote_options="permissive")
    except pa.ArrowTypeError:
        return True
    return any(pa.types.is_boolean(kind) for kind in plain) and len({*plain} - {pa.null()}) > 1


def _check_text(name: str, files: Sequence[Source], tables: "Sequence[pa.Table]") -> None:
    """Raise DataError where a column differs in type between files that state their types."""
    stated = [(file, table[name].type) for file, table in zip(files, tables, strict=True)]
    other = next(((file, kind) for file, kind in stated if kind != stated[0][1]), stated[-1])
    if all(suffix_of(file.path) in TEXTS for file in files):
        return
    raise DataError(
        f"{other[0].name}: column {name!r} is {shortened(str(other[1]))}, but in {files[0].name} it is"
        f" {shortened(str(stated[0][1]))}",
        "write all files with the same types",
    )


def _plain(table: "pa.Table") -> "pa.Table":
    """The table with dictionaries of text that can be put together: each file has its own."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    for place, one in enumerate(table.schema):
        kind = one.type
        if pa.types.is_dictionary(kind):
            table = table.set_column(place, one.name, table.column(place).cast(kind.value_type))
    return table


def _repeated(value: str | None, n_rows: int) -> "pa.ChunkedArray":
    """A column of one value, which is in memory a few times only."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    chunk = pa.repeat(pa.scalar(value, pa.string()), min(n_rows, 1 << 16))
    chunks = [chunk] * (n_rows // len(chunk)) if n_rows else []
    return pa.chunked_array([*chunks, *([chunk[: n_rows % len(chunk)]] if n_rows else [])], pa.string())


def _with_partitions(table: "pa.Table", values: dict[str, str | None], file: Source) -> "pa.Table":

    for name, value in values.items():
        if name in table.column_names:
            raise DataError(
                f"{file.name} has a column {name!r}, and lies in a folder {name}={value}",
                "rename the column, or the folder",
            )
        table = table.append_column(name, _repeated(value, table.num_rows))
    return table


class Once:
    """Says what several files have in common once, with the first file's name."""

    def __init__(self, say: Say) -> None:
        """`say` hears each sentence for the first time that it is said of any file."""
        self._say, self._said = say, set[str]()

    def __call__(self, what: str, instead: dict[str, Any] | None) -> None:
        sentence = what.partition(": ")[2]
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(what, instead)


def _nobody(what: str, instead: dict[str, Any] | None) -> None:
    """Hear nothing: it has been said."""
