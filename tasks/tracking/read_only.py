"""A local store that can be read and not written: on a read-only file system, of another user, on a full disk.

Its database is opened as it is, for reading only. Where that is not possible, because a killed process left a
transaction to be rolled back, or because the store was moved and its addresses name another folder, a temporary copy of
the database is mended and read instead; the artifacts are read where they are.
"""

import atexit
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from tasks.tracking.location import DATABASE, Location, sqlite_uri
from tasks.tracking.relocate import former_artifacts, update_addresses
from vecml.errors import StoreError
from vecml.leftovers import make_scratch

WAIT_SECONDS = 60.0


def to_read(location: Location) -> Location:
    """Give the local store's location with an address that reads and writes nothing. Raises StoreError."""
    folder = location.folder
    if folder is None:
        return location
    database = folder / DATABASE
    if _needs_rollback(database) or former_artifacts(folder, database) is not None:
        database = _copy(folder)
        update_addresses(folder, database)
    address = f"{sqlite_uri(Path(f'file:{database}'))}?mode=ro&uri=true"
    # MLflow would make the folders of a path after `sqlite:///`, in the current folder: `file:/home/mlruns`.
    return replace(location, uri=address.replace("sqlite:", "sqlite+pysqlite:", 1))


def _needs_rollback(database: Path) -> bool:
    """Whether a killed process left a transaction that cannot be rolled back here, since that writes."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", WAIT_SECONDS, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return _journal(database).exists()
    except sqlite3.DatabaseError:  # MLflow, which is about to open it, says what is wrong
        return False
    return False


def _copy(folder: Path) -> Path:
    """Copy the database, and what is to be rolled back, into a folder that goes with this process."""
    try:
        scratch = make_scratch()
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        for path in (folder / DATABASE, _journal(folder / DATABASE)):
            if path.exists():
                shutil.copyfile(path, scratch / path.name)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written, and its database cannot be copied to {tempfile.gettempdir()}: "
            f"{error.strerror or error}",
            "make room there, or set TMPDIR to another folder",
        ) from None
    _needs_rollback(scratch / DATABASE)  # which rolls it back here, where that can be written
    return scratch / DATABASE


def _journal(database: Path) -> Path:
    return database.with_name(f"{database.name}-journal")
