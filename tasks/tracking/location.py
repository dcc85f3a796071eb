"""Where runs are stored: the local store in `mlruns/`, or the store that MLFLOW_TRACKING_URI names. Imports no MLflow.

`mlruns/` lies in the folder that VECML_HOME names (set on a worker), else in the current one: a run from the terminal
and a run from a worker land in the same store.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tasks.tracking.answering import check_answers
from vecml.errors import StoreError
from vecml.passwords import without_passwords

EXPERIMENT = "vecml"
DATABASE = "mlflow.db"  # in the folder of a local store
UI_PORT = 5000
OTHERWISE_CALLED = {"postgres": "postgresql", "mariadb": "mysql", "sqlserver": "mssql", "sqlite3": "sqlite"}
PORT_VARIABLE = "VECML_UI_PORT"  # set for runs whose UI is brought up with another port


@dataclass(frozen=True)
class Location:
    """The place of a tracking store.

    Attributes:
        uri: the tracking URI for MLflow.
        folder: the local `mlruns/`, or None for a store that MLFLOW_TRACKING_URI names.
    """

    uri: str
    folder: Path | None

    @property
    def shown(self) -> str:
        """The store for people: a path where it is local, else the address with any password hidden."""
        return str(self.folder) if self.folder else without_passwords(self.uri)

    @property
    def artifact_root(self) -> str | None:
        """The folder of a new experiment's artifacts, beside the database; None lets the server choose."""
        if self.folder:
            return str(self.folder / "artifacts")
        if self.uri.startswith("sqlite:///"):
            return str(Path(self.uri.removeprefix("sqlite:///").partition("?")[0]).resolve().parent / "artifacts")
        return None

    @property
    def has_server(self) -> bool:
        """Whether the store is a server, which has its own UI; a database is opened with `vecml ui`."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def ui(self) -> str:
        """The address of MLflow's UI over this store (for a local one, once `vecml ui` runs)."""
        if self.has_server:
            return without_passwords(self.uri).rstrip("/")
        return f"http://127.0.0.1:{os.environ.get(PORT_VARIABLE) or UI_PORT}"


def locate() -> Location:
    """The store that this process uses: MLFLOW_TRACKING_URI if it is set, else `mlruns/`. Creates nothing."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if uri:
        return Location(uri, None)
    folder = Path(os.environ.get("VECML_HOME") or Path.cwd()).expanduser().resolve() / "mlruns"
    return Location(sqlite_uri(folder / DATABASE), folder)


def prepare(location: Location) -> None:
    """Make the local store's folder and check that it can be written; of a server, see that it answers.

    Raises StoreError naming the folder or the address, and the cause.
    """
    check_usable(location)
    reason = None if location.folder is None else refusal(location.folder)
    if reason is not None:
        raise StoreError(
            f"cannot write to {location.folder}: {reason}",
            "make room there, or set VECML_HOME to a folder that can be written",
        )


def check_usable(location: Location) -> None:
    """Check that the address can be a store's, and that its server answers. Raises StoreError."""
    if location.folder is None:
        _check_address(location.uri)
        if location.has_server:
            check_answers(location.uri)
        return
    for character in "?#%":
        if character in str(location.folder):
            raise StoreError(
                f"{location.folder} has a {character!r} in its path, which a database's address cannot have",
                "run in another folder, or set VECML_HOME to one",
            )


def refusal(folder: Path) -> str | None:
    """Say why a local store in `folder`, which is made where it is missing, cannot be written; None where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        if (folder / DATABASE).exists():
            os.close(os.open(folder / DATABASE, os.O_RDWR))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _check_address(uri: str) -> None:
    """Raise StoreError for an address that is no tracking store of MLflow."""
    known = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
    kind = uri.partition(":")[0].partition("+")[0]
    if kind not in known or ":" not in uri:
        meant = OTHERWISE_CALLED.get(kind)
        raise StoreError(
            f"MLFLOW_TRACKING_URI {without_passwords(uri)} is no address of a tracking store",
            f"MLflow calls that {meant}:// in place of {kind}://"
            if meant
            else "for example http://127.0.0.1:5000 or sqlite:////folder/mlflow.db; unset it to use mlruns/",
        )


def sqlite_uri(path: Path) -> str:
    """The address of a SQLite database."""
    return f"sqlite:///{path}"
