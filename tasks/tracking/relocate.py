"""Update the artifacts' addresses of a local store that was moved or copied: MLflow stores absolute addresses.

One query at each opening reads the artifact folder of vecml's experiment. Where that is another `mlruns/artifacts`, the
artifacts are searched in the folder of this store. Where some are in the former folder and none in this one, they are
elsewhere on purpose, and nothing is changed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from tasks.tracking.location import DATABASE, EXPERIMENT
from vecml.errors import StoreError
from vecml.numbers import count
from vecml.warnings import warn

ARTIFACTS = "artifacts"
WAIT_SECONDS = 60.0
# Every column of MLflow's tables that holds an address of artifacts.
ROOTS = (("experiments", "artifact_location"),)
FILES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class _Address:
    """An address in a database cell, its new value, and whether its files are in the new or in the former folder."""

    table: str
    column: str
    row: int
    new: str
    here: bool
    there: bool


def update_addresses(folder: Path, database: Path | None = None) -> None:
    """Make the addresses in the database name `folder`/artifacts; warn (VML015) where they were changed.

    An address is changed if its files are in the new folder or in neither, all in one transaction. Call it under the
    store's lock. `database` is `folder`/mlflow.db, or a copy of it, of which nobody is told. Raises StoreError where
    the database cannot be written.
    """
    path, here = database or folder / DATABASE, str(folder / ARTIFACTS)
    former = former_artifacts(folder, path)
    if former is None:
        return
    try:
        with closing(_connect(path)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            runs = _update_all(connection, former, here)
    except sqlite3.Error as error:
        raise StoreError(
            f"{folder} was moved from {Path(former).parent}, and its addresses could not be updated: {error}",
            "end what else uses mlflow.db there, and try again",
        ) from None
    if runs and database is None:
        warn("VML015", f"the store was moved: addresses of {count(runs, 'run')} now name {here}")


def former_artifacts(folder: Path, database: Path) -> str | None:
    """Give the folder that the database's addresses name, if that is vecml's default in another place than `folder`."""
    try:
        with closing(_connect(database)) as connection:
            former = _artifact_folder(connection)
    except sqlite3.Error:  # MLflow, which is about to open it, says what is wrong
        return None
    return None if former is None or former == str(folder / ARTIFACTS) or not _is_default(former) else former


def _connect(database: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(database))}?mode=rw"
    return sqlite3.connect(address, timeout=WAIT_SECONDS, isolation_level=None, uri=True)


def _artifact_folder(database: sqlite3.Connection) -> str | None:
    """Read the artifact folder of vecml's experiment; None where there is no such experiment."""
    row = database.execute("SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def _is_default(address: str) -> bool:
    """Whether vecml gives such an address by default; if not, the user chose it."""
    path = Path(address)
    return path.is_absolute() and path.parts[-2:] == ("mlruns", ARTIFACTS)


def _update_all(database: sqlite3.Connection, former: str, here: str) -> int:
    """Replace `former` by `here` in the addresses, unless files are in `former` only; return how many runs changed."""
    found = [one for table, column in FILES for one in _addresses(database, table, column, former, here)]
    if any(one.there for one in found) and not any(one.here for one in found):
        return 0
    changed = [one for one in found if one.here or not one.there]
    changed += [one for table, column in ROOTS for one in _addresses(database, table, column, former, here)]
    for one in changed:
        statement = f"UPDATE {one.table} SET {one.column} = ? WHERE rowid = ?"  # noqa: S608 -- names of our own
        database.execute(statement, (one.new, one.row))
    return sum(one.table == "runs" for one in changed)


def _addresses(database: sqlite3.Connection, table: str, column: str, former: str, here: str) -> Iterator[_Address]:
    """Yield the addresses in a column that lie below the folder `former`; none if the table has no such column."""
    columns = database.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
    if (column,) not in columns:
        return
    written = ((former, here), (Path(former).as_uri(), Path(here).as_uri()))
    rows = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608 -- names of our own
    for row, address in rows:
        for old, new in written:
            rest = str(address)[len(old) :]
            if str(address).startswith(old) and rest[:1] in ("", "/"):
                place = unquote(rest)
                is_here, is_there = Path(here + place).exists(), Path(former + place).exists()
                yield _Address(table, column, row, new + rest, is_here, is_there)
