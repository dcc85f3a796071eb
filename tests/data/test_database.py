"""The rows of a query: the table that the CSV is, in training and in `predict`; passwords are seen nowhere."""

import csv
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from vecml.config import PipelineConfig, make_config
from vecml.data.database import read_query
from vecml.data.encoding import Encoding
from vecml.data.sources import check_source, load_table
from vecml.data.stream import blocks, open_data
from vecml.data.table import Table
from vecml.errors import DataError, SettingError
from vecml.passwords import taken_out, with_password, without_secrets

pytestmark = pytest.mark.filterwarnings("ignore:VML04:UserWarning")

COLOURS = ("red", "grün", "a, b")
ROWS = [
    (
        i,
        i % 7 + (0 if i % 5 else 0.5),
        COLOURS[i % 3] if i % 11 else None,
        f"2024-01-{i % 28 + 1:02}",
        "no" if i % 2 else "yes",
    )
    for i in range(80)
]
HEADER = ("whole", "real", "colour", "day", "label")
QUERY = "SELECT * FROM flowers"


@pytest.fixture
def plain(tmp_path: Path) -> Table:
    with (tmp_path / "flowers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    return load_table(PipelineConfig(data=str(tmp_path / "flowers.csv"), target="label"))


def sqlite(folder: Path) -> str:
    with sqlite3.connect(folder / "flowers.db") as connection:
        connection.execute(f"CREATE TABLE flowers ({', '.join(HEADER)})")
        connection.executemany("INSERT INTO flowers VALUES (?, ?, ?, ?, ?)", ROWS)
    connection.close()
    return f"sqlite:///{folder}/flowers.db"


def duck(folder: Path) -> str:
    with duckdb.connect(str(folder / "flowers.duckdb")) as connection:
        connection.execute("CREATE TABLE flowers (whole INT, real DOUBLE, colour TEXT, day DATE, label TEXT)")
        connection.executemany("INSERT INTO flowers VALUES (?, ?, ?, ?, ?)", ROWS)
    return f"duckdb:///{folder}/flowers.duckdb"


def duck_over_files(folder: Path) -> str:
    columns = zip(*ROWS, strict=True)
    pa.parquet.write_table(pa.table(list(map(pa.array, columns)), names=list(HEADER)), folder / "flowers.parquet")
    return "duckdb://"


@pytest.mark.parametrize("make", [sqlite, duck, duck_over_files])
def test_a_database_is_the_csv(make: Callable[[Path], str], plain: Table, tmp_path: Path) -> None:
    address = make(tmp_path)
    query = QUERY if make is not duck_over_files else f"FROM '{tmp_path}/flowers.parquet'"
    check_source(address)
    table = load_table(PipelineConfig(data=address, query=query, target="label"))
    assert [column.kind for column in table.columns] == [column.kind for column in plain.columns]
    assert table.digest == plain.digest
    assert table.classes == ("no", "yes")
    np.testing.assert_array_equal(table.label_N, plain.label_N)
    assert table.source == address
    encoding = Encoding.fit(plain.columns, np.arange(plain.n_rows), plain.target, plain.classes)
    file = open_data(address, encoding, ["label"], query=query)
    made = np.concatenate([encoding.transform(block.columns)[0] for block in blocks(file, 9)], axis=1)
    np.testing.assert_array_equal(made, encoding.transform(plain.columns)[0])


def test_sqlites_columns_are_what_their_values_are(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (mixed, number INT, label)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?)",
            [(1 if i % 2 else "x", 2.5 if i % 3 else None, "ab"[i % 2]) for i in range(30)],
        )
    connection.close()
    from vecml.data.database import read_query

    table = read_query(f"sqlite:///{tmp_path}/t.db", "SELECT mixed, number FROM t")
    assert table.schema.types == [pa.string(), pa.float64()]
    assert table.slice(0, 2).to_pydict() == {"mixed": ["x", "1"], "number": [None, 2.5]}


@pytest.mark.parametrize("make", [sqlite, duck])
def test_a_database_is_only_read(make: Callable[[Path], str], tmp_path: Path) -> None:
    address = make(tmp_path)
    with pytest.raises(DataError, match=r"read-only|readonly"):
        load_table(PipelineConfig(data=address, query="DELETE FROM flowers", target="label"))
    assert load_table(PipelineConfig(data=address, query=QUERY, target="label")).n_rows == 80


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        (
            {"data": "sqlite:///a.db", "target": "y"},
            "--data sqlite:///a.db: which rows?",
            "--query 'SELECT * FROM table'",
        ),
        ({"data": "a.csv", "target": "y", "query": "SELECT"}, "--query needs a database: --data with one of ", None),
    ],
)
def test_a_query_goes_with_a_database(values: dict[str, object], message: str, hint: str | None) -> None:
    with pytest.raises(SettingError) as caught:
        make_config(values)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint


def test_databases_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no database .*none\.db"):
        check_source(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DataError, match="no such table: nowhere"):
        load_table(PipelineConfig(data=sqlite(tmp_path), query="SELECT * FROM nowhere", target="label"))
    with pytest.raises(DataError, match="--data mysql://host/database: there is no reader"):
        check_source("mysql://host/database")


@pytest.mark.parametrize(
    ("address", "bare"),
    [
        ("postgresql://ann:s3cret@host:5432/db", "postgresql://ann@host:5432/db"),
        ("postgresql://ann:s3:cr@t@host/db?sslmode=require", "postgresql://ann@host/db?sslmode=require"),
        ("postgresql://host/db?user=ann&password=s3cret", "postgresql://host/db?user=ann"),
        ("postgresql://host/db?password=s3cret&user=ann", "postgresql://host/db?user=ann"),
        ("postgresql://ann:pa/ss@slash/db", "postgresql://ann@slash/db"),
        ("postgresql://key/db?sslpassword=s3cret", "postgresql://key/db"),
        ("postgresql://host/db?sslmode=require&SSLPassword=s3cret", "postgresql://host/db?sslmode=require"),
        ("postgresql://host:5432/db?user=a@b", "postgresql://host:5432/db?user=a@b"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("sqlite:///folder/a.db", "sqlite:///folder/a.db"),
        ("a:b@c.csv", "a:b@c.csv"),
    ],
)
def test_a_password_is_taken_out_and_put_back(address: str, bare: str) -> None:
    assert taken_out(address) == bare
    assert with_password(bare) == address
    assert taken_out(bare) == bare


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://h/db?user=u&password=100%zzpw", 'invalid percent-encoded token: "100%zzpw"'),
        ("postgresql://h/db?sslpassword=s3cret", 'the key is locked with "s3cret"'),
        ("postgresql://u:pa/s3cret@h/db", 'could not translate host name "s3cret@h"'),
        ("postgresql://u:s3%3Acret@h/db", "no s3:cret here, nor s3%3Acret"),
    ],
)
def test_no_error_says_a_password(address: str, said: str) -> None:
    found = without_secrets(said, taken_out(address))
    for secret in ("100%zzpw", "s3cret", "s3:cret", "s3%3Acret"):
        assert secret not in found
    assert "***" in found


@pytest.mark.parametrize(
    "query", ["COPY (SELECT 1) TO '{}'", "SELECT 1; COPY (SELECT 1) TO '{}'", "CREATE TABLE t (a INT)"]
)
def test_duckdb_only_reads(tmp_path: Path, query: str) -> None:
    written = tmp_path / "written.csv"
    with pytest.raises(DataError, match=r"^the query is no single SELECT, and the database is read-only here$"):
        read_query("duckdb://", query.format(written))
    assert not written.exists()


def test_no_configuration_holds_a_password() -> None:
    config = PipelineConfig(data="postgresql://ann:s3cret@127.0.0.1:9/db", query="SELECT 1", target="y")
    assert "s3cret" not in config.model_dump_json() + repr(config)
    again = PipelineConfig(**config.model_dump())
    with pytest.raises(DataError) as caught:
        load_table(again)
    assert "127.0.0.1" in caught.value.message
    assert "s3cret" not in caught.value.message + str(caught.value.hint)
