"""Where a table comes from: files, standard input, a database, or Python's memory. `TrainingConfig.data` names it."""

import re
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from vecml.config import DATABASES, TrainingConfig
from vecml.data import handed
from vecml.data.addresses import SCHEMES, here, is_elsewhere
from vecml.data.dialect import AskedFormat, asked_of, text_suffix
from vecml.data.disk import Disk
from vecml.data.files import Say, check_file, read_file
from vecml.data.reading import Words
from vecml.data.several import local_source, partition_of, read_several, several
from vecml.data.standard_input import STANDARD_INPUT, check_standard_input, spooled
from vecml.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ADDRESS = re.compile(r"[A-Za-z][\w+.-]+://|file:/")


def check_origin(data: str) -> None:
    """Raise DataError where `data` names nothing that can be opened; nothing is read."""
    data = here(data)
    if data.startswith(handed.PREFIX):
        handed.handed_over(data)
    elif data == STANDARD_INPUT:
        check_standard_input()
    elif data.startswith(DATABASES):
        from vecml.data.database import check_database  # noqa: PLC0415 -- databases are seldom read

        check_database(data)
    elif is_elsewhere(data):
        from vecml.data.remote import check_remote  # noqa: PLC0415 -- imports pyarrow

        check_remote(data)
    elif ADDRESS.match(data):
        raise _elsewhere(data)
    elif several(data) is None:
        check_file(Path(data).expanduser())


def _elsewhere(address: str) -> DataError:
    """The error for an address that is no database's; what may be a password in it is not said."""
    if address.startswith("file:"):
        path = "/" + address.removeprefix("file:").lstrip("/")
        return DataError(f"--data {shown_address(address)}: an address is no path", f"--data {shlex.quote(path)}")
    return DataError(
        f"--data {shown_address(address)}: there is no reader for such an address",
        f"files of this machine, files at {', '.join(f'{one}://' for one in SCHEMES)}, and databases:"
        f" {', '.join(DATABASES)}; a file of a web server: curl -O ADDRESS",
    )


def read_origin(config: TrainingConfig, say: Say, disk: Disk | None = None) -> "tuple[pa.Table, str]":
    """The whole table that `config.data` names, and its name for people.

    Args:
        config: names it, and says how text files are written and which columns are text.
        say: hears what was found by looking at a file.
        disk: where the rows of files are put; None: in memory.

    Raises DataError for whatever cannot be read.
    """
    data = config.data or ""
    if data.startswith(handed.PREFIX):
        from vecml.data.frames import arrow_of  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need

        def is_idle(name: str) -> bool:
            return name in config.drop or bool(config.keep and name not in (*config.keep, config.target))

        return arrow_of(handed.handed_over(data), is_idle), data
    if disk is None or data == STANDARD_INPUT or data.startswith(DATABASES):
        return read_data(data, config.query, config.categorical, asked_of(config), say)
    return _read_files(data, config.categorical, asked_of(config), say, None, (), disk)


def read_data(
    data: str,
    query: str | None,
    text: Collection[str],
    asked: AskedFormat,
    say: Say,
    words: Words = None,
    needed: Collection[str] = (),
) -> "tuple[pa.Table, str]":
    """The whole table of files, of standard input or of a query, and its name for people.

    Args:
        data: names it, as `TrainingConfig.data` does.
        query: of a database.
        text, asked, say, words: as for `read_file`.
        needed: columns that a model has; a folder `name=value` above the files may hold one.

    Raises DataError for whatever cannot be read.
    """
    if data.startswith(DATABASES):
        from vecml.data.database import read_query  # noqa: PLC0415 -- databases are seldom read
        from vecml.data.frames import stored  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need

        return stored(read_query(data, query or "")), shown_address(data)
    if data == STANDARD_INPUT:
        return read_file(spooled(), text, asked, say, words), "standard input"
    return _read_files(data, text, asked, say, words, needed, None)


def _read_files(
    data: str,
    text: Collection[str],
    asked: AskedFormat,
    say: Say,
    words: Words,
    needed: Collection[str],
    disk: Disk | None,
) -> "tuple[pa.Table, str]":
    if is_elsewhere(data):
        from vecml.data.remote import sources_of  # noqa: PLC0415 -- imports pyarrow

        return read_several(sources_of(data), text, asked, say, words, needed, disk), data.partition("?")[0]
    data = here(data)
    check_origin(data)
    files = several(data)
    path = Path(data).expanduser()
    if files is None and disk is None and not has_partition(path, needed):
        return read_file(path, text, asked, say, words), path.name
    table = read_several([local_source(one) for one in files or [path]], text, asked, say, words, needed, disk)
    return table, data if files or has_partition(path, needed) else path.name


def has_partition(path: Path, needed: Collection[str]) -> bool:
    """Whether a folder `name=value` above the file holds one of the needed columns."""
    return not set(needed).isdisjoint(partition_of(path))


def is_path(data: str) -> bool:
    """Whether the data is the path of a file or a folder; it need not be there."""
    return data != STANDARD_INPUT and not re.match(r"\w+://|" + handed.PREFIX, data) and not re.search(r"[*?\[]", data)


def is_single_file(data: str) -> bool:
    """Whether the data is one file, which can be read a block of rows at a time; DataError for an address elsewhere."""
    data = here(data)
    if is_elsewhere(data):
        return False
    if ADDRESS.match(data) and not data.startswith(DATABASES):
        raise _elsewhere(data)
    return not data.startswith(DATABASES) and data != STANDARD_INPUT and several(data) is None


def is_text_file(data: str) -> bool:
    """Whether the data is one text file of this machine."""
    data = here(data)
    path = Path(data).expanduser()
    return is_path(data) and is_single_file(data) and text_suffix(path) is not None and path.is_file()


def shown_address(address: str) -> str:
    """A database's address without user, password and options."""
    return re.sub(r"(://)[^/]*@", r"\1", address).partition("?")[0]
