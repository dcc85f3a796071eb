"""Reading a data file into an Arrow table: CSV and TSV, Parquet, Feather, numpy's own. The suffix says which.

Whatever is wrong with a file ends in one line that names the file and what to do; a library's own error never gets out.
"""

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vecml.data.selection import listed
from vecml.errors import DataError, one_line
from vecml.progress import stage

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = (".gz", ".bz2", ".zst")
SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".npy", ".npz")


def check_file(path: Path) -> None:
    """Raise DataError when there is no such file, it cannot be opened, or its suffix is none that is read."""
    _check_opens(path)
    suffix_of(path)


def read_file(path: Path, text: Collection[str] = ()) -> "pa.Table":
    """The whole file as an Arrow table.

    A CSV or TSV may be compressed (`.csv.gz`, `.bz2`, `.zst`). Its column types are inferred from the whole file, but
    columns named in `text` are taken as text, so that "007" stays "007".

    Raises DataError when there is no such file, it cannot be opened or read, or is damaged.
    """
    from vecml.data.arrays import read_npy, read_npz  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need
    from vecml.data.delimited import read_delimited  # noqa: PLC0415 -- the same

    _check_opens(path)
    suffix = suffix_of(path)
    with stage(f"reading {path.name}"):
        if suffix in DELIMITERS:
            table = read_delimited(path, DELIMITERS[suffix], text)
        elif suffix == ".npy":
            table = read_npy(path)
        elif suffix == ".npz":
            table = read_npz(path)
        elif suffix in (".parquet", ".pq"):
            with arrow_errors(path, "Parquet"):
                table = _read_parquet(path)
        else:
            with arrow_errors(path, "Feather"):
                table = _read_feather(path)
    return table


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


def suffix_of(path: Path) -> str:
    """The suffix that says what kind of file it is, without the one of a compression: `.csv` for `table.csv.gz`.

    Raises DataError when no reader is known for it.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in COMPRESSIONS and suffixes[-2] in DELIMITERS:
        return suffixes[-2]
    if suffixes and suffixes[-1] in SUFFIXES:
        return suffixes[-1]
    raise DataError(f"{path.name}: its suffix does not say what kind of file it is", f"known: {', '.join(SUFFIXES)}")


def _check_opens(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except FileNotFoundError:
        raise DataError(f"no such file: {path}", _nearby(path)) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a file", "name one file in it") from None
    except PermissionError:
        raise DataError(f"{path} may not be read by this user", f"allow it: chmod u+r {path.name}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise DataError(f"{str(path)!r} cannot be opened: {getattr(error, 'strerror', None) or error}") from None


def _nearby(path: Path) -> str:
    """A hint: files of the same folder, those with a similar name if there are any."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(repr(name) for name in close)}?"
    readable = [name for name in names if Path(name).suffix.lower() in (*SUFFIXES, *COMPRESSIONS)]
    return f"files in {folder}: {listed(readable)}" if readable else f"there is no data file in {folder}"


def _read_parquet(path: Path) -> "pa.Table":
    import pyarrow.parquet as pq  # noqa: PLC0415 -- heavy, and needed for this format only

    # One file as it is: pq.read_table goes through data sets, which may take folder names for columns.
    with pq.ParquetFile(path) as file:
        return file.read()


def _read_feather(path: Path) -> "pa.Table":
    from pyarrow import feather  # noqa: PLC0415 -- heavy, and needed for this format only

    return feather.read_table(path)
