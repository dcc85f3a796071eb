"""A real PostgreSQL (Debian's), through the whole command: the table that the CSV is; a password that is nowhere."""

import csv
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.conftest import runs_in

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
PASSWORD = "qz9w:t"  # noqa: S105 -- of a server that lives for a test
HEADER = ("id", "size", "price", "colour", "day", "moment", "member", "label")
ROWS = [
    (
        row * 7 % 100,
        f"{row % 9 / 4}",
        f"{row % 13}.{row % 10}5",
        ("red", "grün", "a, b")[row % 3] if row % 11 else None,
        f"2024-02-{row % 28 + 1:02}",
        f"2024-02-01 {row % 24:02}:30:00",
        "true" if row % 5 else "false",
        "yes" if (row % 9) * 3 + row % 13 > 16 else "no",
    )
    for row in range(240)
]
COLUMNS = (
    "id INTEGER, size DOUBLE PRECISION, price NUMERIC(8, 2), colour TEXT, day DATE, moment TIMESTAMP, member BOOLEAN,"
    " label VARCHAR(9)"
)


def programs() -> Path | None:
    """The folder of Debian's PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a server of our own with the table `flowers`, and a password that it demands."""
    folder = programs()
    if folder is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    home = Path(tempfile.mkdtemp(prefix="vecml-pg-", dir="/tmp"))
    if user:
        shutil.chown(home, "postgres", "postgres")

    def run(*command: object) -> None:
        subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=120, cwd=home, **user)  # type: ignore[call-overload]

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "password").write_text(PASSWORD)
    (home / "password").chmod(0o644)
    run(
        folder / "initdb",
        *("-D", home / "data", "-U", "ann", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8"),
        f"--pwfile={home}/password",
    )
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
    run(folder / "pg_ctl", "-D", home / "data", "-w", "-l", home / "log", "-o", options, "start")
    address = f"postgresql://ann:{PASSWORD.replace(':', '%3A')}@127.0.0.1:{port}/postgres"
    try:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE flowers ({COLUMNS})")
            for row in ROWS:
                written = ", ".join("NULL" if value is None else f"'{value}'" for value in row)
                cursor.execute(f"INSERT INTO flowers VALUES ({written})")  # noqa: S608 -- our own values
        yield address
    finally:
        run(folder / "pg_ctl", "-D", home / "data", "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)


def test_a_query_of_postgresql(vecml: Vecml, postgres: str, tmp_path: Path, prefect_home: Path) -> None:
    with (tmp_path / "flowers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    query = "SELECT * FROM flowers"
    flags = ("--target", "label", "--epochs", "3", "--drop", "id")
    done = vecml("run", "--data", postgres, "--query", query, *flags, "--name", "from-database")
    assert done.returncode == 0, done.stderr
    again = vecml("run", "--data", "flowers.csv", *flags, "--name", "from-file")
    assert again.returncode == 0, again.stderr
    base, file_run = sorted(runs_in(tmp_path), key=lambda run: run.info.start_time)
    for tag in ("vecml.data_digest", "vecml.model_digest"):
        assert base.data.tags[tag] == file_run.data.tags[tag]
    assert base.data.params["data_source"] == postgres.replace("ann:qz9w%3At@", "")
    assert base.data.params["n_rows"] == "240"
    labelled = []
    for source in (("--data", postgres, "--query", query), ("--data", "flowers.csv")):
        predicted = vecml("predict", *source, "--model", "from-database", "--out", "labels.csv", "--keep", "id")
        assert predicted.returncode == 0, predicted.stderr
        assert "qz9w" not in predicted.stdout + predicted.stderr
        labelled.append((tmp_path / "labels.csv").read_text().replace('"', ""))
    assert labelled[0] == labelled[1]
    assert labelled[0].count("\n") == 241

    refused = vecml("run", "--data", postgres, "--query", "DELETE FROM flowers", "--target", "label")
    assert refused.returncode == 2
    assert "read-only transaction" in refused.stderr
    wrong = vecml("run", "--data", postgres.replace("qz9w", "qz8w"), "--query", query, "--target", "label")
    assert wrong.returncode == 2
    assert "password authentication failed" in wrong.stderr
    said = "".join(one.stdout + one.stderr for one in (done, refused, wrong))
    assert "qz9w" not in said
    assert "qz8w" not in said
    for path in (*(tmp_path / "mlruns").rglob("*"), *prefect_home.rglob("*")):
        assert not path.is_file() or b"qz9w" not in path.read_bytes(), path
