"""The rows of a query as a table: PostgreSQL through ADBC, SQLite through Python's own module, DuckDB through its own.

ADBC and DuckDB give columns and not rows, and are an extra (`pip install "vecml[database]"`). SQLite has no types by
column, and ADBC takes them from the first rows alone; so its rows are read, and each column is what its values are.
Everything is read only. A password is taken out of the address before anybody keeps it, see `vecml.passwords`.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecml.data.memory_limit import MemoryLimit
from vecml.errors import DataError, one_line
from vecml.passwords import with_password, without_passwords, without_secrets
from vecml.progress import stage

if TYPE_CHECKING:
    import pyarrow as pa

POSTGRES = ("postgresql://", "postgres://")
SQLITE_BEGINS = b"SQLite format 3\0"
SQLITE, DUCKDB = "sqlite:///", "duckdb://"
ROWS_AT_ONCE = 10_000
EXTRA = "pip install 'vecml[database]'"


def check_database(address: str) -> None:
    """Raise DataError where the file of a SQLite or DuckDB database is not there, or a library is missing."""
    if address.startswith(POSTGRES):
        _postgres()
    elif address.startswith(DUCKDB):
        _duckdb()
    path = _path(address)
    if path is not None and not path.is_file():
        raise DataError(f"there is no database {path}", "three slashes stand before a path: sqlite:///folder/file.db")


def first_table(path: Path) -> str | None:
    """The name of an SQLite database's first table; None where the file is none, or has no table."""
    with path.open("rb") as file:
        if file.read(len(SQLITE_BEGINS)) != SQLITE_BEGINS:
            return None
    names = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(f"{names} LIMIT 1").fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def read_query(address: str, query: str) -> "pa.Table":
    """The rows that `query` (SQL) gives in the database at `address`, as an Arrow table.

    Raises DataError where a library is missing, the database cannot be reached, or the query fails.
    """
    check_database(address)
    with stage("reading the database"):
        try:
            if address.startswith(POSTGRES):
                return _read_postgres(address, query)
            if address.startswith(SQLITE):
                return _read_sqlite(address, query)
            return _read_duckdb(address, query)
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 -- each library has errors of its own
            reason = without_secrets(one_line(error, whole=True, limit=None), address)[:300]
            raise DataError(
                f"{without_passwords(address)}: {reason}", "see that the query runs in its own shell"
            ) from None


def _read_postgres(address: str, query: str) -> "pa.Table":
    with _postgres().connect(with_password(address)) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query)
        table = _within_limit(cursor.fetch_record_batch())
        connection.rollback()
    return table


def _within_limit(reader: "pa.RecordBatchReader") -> "pa.Table":
    """The rows of a reader as one table; raises DataError where it takes more memory than a table may."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    limit, batches, n_rows = MemoryLimit("the query's table"), [], 0
    for batch in reader:
        batches.append(batch)
        n_rows += batch.num_rows
        limit.check(so_far=f"{n_rows:,} rows were read so far")
    return pa.Table.from_batches(batches, reader.schema)


def _read_sqlite(address: str, query: str) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for synthetic data

    path = _path(address)
    connection = sqlite3.connect(f"{Path(str(path)).resolve().as_uri()}?mode=ro", uri=True)
    try:
        cursor = connection.execute(query)
        if cursor.description is None:
            raise DataError("the query gives no rows", "it must be a SELECT")
        names = [column[0] for column in cursor.description]
        limit, rows = MemoryLimit("the query's table"), []
        while some := cursor.fetchmany(ROWS_AT_ONCE):
            rows += some
            limit.check(so_far=f"{len(rows):,} rows were read so far")
    finally:
        connection.close()
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table([_values(values) for values in columns], names=names)


def _values(values: tuple[Any, ...]) -> "pa.Array":
    """A column of SQLite's values: numbers, or text where some are text."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {int} or kinds <= {str} or kinds <= {bytes}:
        return pa.array(values)
    if kinds <= {int, float}:
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _read_duckdb(address: str, query: str) -> "pa.Table":
    duckdb, path = _duckdb(), _path(address)
    quiet = {"autoinstall_known_extensions": False}  # it would fetch them from the internet
    connection = duckdb.connect(str(path) if path else ":memory:", read_only=path is not None, config=quiet)
    try:
        # The connection's own read_only keeps the database from changes, but not from a COPY into a file.
        kinds = [statement.type for statement in connection.extract_statements(query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise DataError("the query is no single SELECT, and the database is read-only here", "give one SELECT")
        return _within_limit(connection.sql(query).to_arrow_reader(ROWS_AT_ONCE * 10))
    finally:
        connection.close()


def _path(address: str) -> Path | None:
    """The file of a SQLite or DuckDB database; None for a server, and for DuckDB in memory."""
    if address.startswith(POSTGRES):
        return None
    rest = address.partition("://")[2].removeprefix("/")
    return Path(rest).expanduser() if rest else None


def _postgres() -> Any:
    try:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 -- an extra
    except ImportError:
        raise DataError("reading PostgreSQL needs adbc-driver-postgresql", EXTRA) from None
    return dbapi


def _duckdb() -> Any:
    try:
        import duckdb  # noqa: PLC0415 -- an extra
    except ImportError:
        raise DataError("reading DuckDB needs duckdb", EXTRA) from None
    return duckdb
