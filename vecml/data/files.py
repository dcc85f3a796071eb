"""Reading a data file into an Arrow table: text, Parquet, Feather, numpy's own, ARFF, Excel. The suffix says which.

Whatever is wrong with a file ends in one line that names the file and what to do; a library's own error never gets out.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from vecml.data.database import first_table
from vecml.data.dialect import COMPRESSIONS, DEFAULTS, LOOK, AskedFormat, Dialect, Span, in_encoding, text_suffix
from vecml.data.reading import Words
from vecml.data.remedy import SettingHelpsError, flags
from vecml.data.selection import listed
from vecml.errors import DataError, one_line
from vecml.progress import stage
from vecml.warnings import warn

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = (".parquet", ".pq")
OTHERS = (*PARQUET, ".feather", ".arrow", ".npy", ".npz", ".arff", ".xlsx")
TEXTS = tuple(DEFAULTS)
JSON = (".json", ".jsonl", ".ndjson")
KNOWN = f"known: {', '.join(TEXTS)}, each also with {', '.join(COMPRESSIONS)}; {', '.join(OTHERS)}"

# Hears what was found by looking at a file, as a sentence, and the settings that say it openly.
Say = Callable[[str, dict[str, Any] | None], None]


def warn_of(what: str, instead: dict[str, Any] | None) -> None:  # noqa: ARG001 -- one way to hear it
    """Tell what was found by looking at a file as the warning VML050."""
    warn("VML050", what)


def is_known(path: PurePath) -> bool:
    """Whether the file's suffix is one that is read."""
    return text_suffix(path) is not None or path.suffix.lower() in OTHERS


def check_file(path: Path) -> None:
    """Raise DataError when there is no such file, it cannot be opened, or its suffix is none that is read."""
    _check_opens(path)
    suffix_of(path)


def read_file(
    path: Path,
    text: Collection[str] = (),
    asked: AskedFormat = LOOK,
    say: Say = warn_of,
    words: Words = None,
    span: Span | None = None,
) -> "pa.Table":
    """The whole file as an Arrow table.

    Args:
        path: of the file. Text files may be compressed (`.csv.gz` and the like, see `COMPRESSIONS`).
        text: columns of a text file to take as text, so that "007" stays "007"; the types of the others are inferred
            from the whole file.
        asked: what the user says of a text file's separator, encoding and header; the rest is found by looking.
        say: hears what was found and is not what the suffix says.
        words: the columns of a text file in which `NA` without quotes is a word; None: that is found by looking.
        span: the part of a text file to read; None: all of it.

    Raises:
        DataError: there is no such file, it cannot be opened or read, or is damaged.
    """
    from vecml.data.arrays import read_npy, read_npz  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need

    _check_opens(path)
    suffix = suffix_of(path)
    with stage(f"reading {path.name}"):
        if suffix in TEXTS:
            table = _read_text(path, text, asked, say, words, span)
        elif suffix == ".npy":
            table = read_npy(path)
        elif suffix == ".npz":
            table = read_npz(path)
        elif suffix == ".arff":
            from vecml.data.arff import read_arff  # noqa: PLC0415 -- needed for this format only

            table = read_arff(path, text)
        elif suffix == ".xlsx":
            from vecml.data.excel import read_excel  # noqa: PLC0415 -- the same

            table, sheet = read_excel(path)
            if sheet:
                say(f"{path.name}: {sheet}", None)
        elif suffix in PARQUET:
            from vecml.data.parquet import read_parquet  # noqa: PLC0415 -- the same

            with arrow_errors(path, "Parquet"):
                table = read_parquet(path)
        else:
            from vecml.data.feather import read_feather  # noqa: PLC0415 -- the same

            with arrow_errors(path, "Feather"):
                table = read_feather(path)
    return table


def _read_text(
    path: Path, text: Collection[str], asked: AskedFormat, say: Say, words: Words, span: Span | None
) -> "pa.Table":
    """The table of a text file; where its beginning is UTF-8 and the rest is not, it is read in another encoding."""
    from vecml.data.delimited import NotDecodedError, fallback_encoding, read_delimited  # noqa: PLC0415 -- pyarrow
    from vecml.data.text_stream import find_dialect  # noqa: PLC0415 -- the same

    dialect = replace(find_dialect(path, asked), span=span)
    tell(path, dialect, say)
    try:
        return read_delimited(path, dialect, text, words=words)
    except NotDecodedError:
        if dialect.is_encoding_asked or dialect.encoding != "utf-8":
            raise
        dialect = in_encoding(dialect, fallback_encoding(path))
        tell(path, dialect, say)
        return read_delimited(path, dialect, text, words=words)


def tell(path: Path, dialect: Dialect, say: Say) -> None:
    """Say what of a file's dialect was found by looking, in one sentence."""
    if dialect.said:
        openly = {name: value for _, instead in dialect.said for name, value in (instead or {}).items()}
        say(f"{path.name}: {'; '.join(what for what, _ in dialect.said)}", openly or None)


def check_distinct(names: Sequence[str], source: str) -> None:
    """Raise DataError when a name occurs twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{source} has more than one column called {listed(twice)}",
            "give every column a name of its own",
        )


@contextmanager
def arrow_errors(path: Path, kind: str) -> Iterator[None]:
    """Raise what Arrow raises in the `with` block as a DataError of one line; `kind`: the format, for the message."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = one_line(error)
        raise DataError(
            f"{path.name} cannot be read as {kind}: {reason}", "is it complete? Copy or write it again"
        ) from None


def suffix_of(path: PurePath) -> str:
    """The suffix that says what kind of file it is, without the one of a compression: `.csv` for `table.csv.gz`.

    Raises DataError when no reader is known for it.
    """
    text = text_suffix(path)
    suffix = path.suffix.lower()
    if text is not None:
        return text
    if suffix in OTHERS:
        return suffix
    raise _for_a_query(path) or DataError(f"{path.name}: its suffix does not say what kind of file it is", KNOWN)


def _for_a_query(path: PurePath) -> SettingHelpsError | None:
    """The error for a file that a database's query reads, with the query; None for any other."""
    if not isinstance(path, Path) or not path.is_file():
        return None
    if path.suffix.lower() in JSON:
        message, address = f"{path.name}: JSON is read by DuckDB", "duckdb://"
        name = "'" + str(path).replace("'", "''") + "'"
    elif table := first_table(path):
        message, address = f"{path.name} is an SQLite database", f"sqlite:///{path}"
        name = '"' + table.replace('"', '""') + '"'
    else:
        return None
    changes = {"data": address, "query": f"SELECT * FROM {name}"}  # noqa: S608 -- shown, and not run
    return SettingHelpsError(message, "ask for its rows:", changes, flags(changes))


def _check_opens(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except FileNotFoundError:
        raise _no_such_file(path) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a file", "name one file in it") from None
    except PermissionError:
        raise DataError(f"{path} may not be read by this user", f"allow it: chmod u+r {path.name}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise DataError(f"{str(path)!r} cannot be opened: {getattr(error, 'strerror', None) or error}") from None


def _no_such_file(path: Path) -> DataError:
    """The error for a file that is not there; its hint names one that is like it, or files of the same folder."""
    message, folder = f"no such file: {path}", path.parent
    if not folder.is_dir():
        return DataError(message, f"there is no folder {folder} either")
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if close:
        words = f"did you mean {' or '.join(repr(name) for name in close)}?"
        return SettingHelpsError(message, words, {"data": str(folder / close[0])})
    readable = [name for name in names if Path(name).suffix.lower() in (*TEXTS, *OTHERS, *COMPRESSIONS)]
    if len(readable) == 1:
        return SettingHelpsError(
            message, f"the only one in {folder} is:", {"data": str(folder / readable[0])}, readable[0]
        )
    return DataError(
        message, f"files in {folder}: {listed(readable)}" if readable else f"there is no data file in {folder}"
    )
