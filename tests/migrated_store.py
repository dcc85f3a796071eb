"""A tracking database that MLflow has migrated once: tests copy it instead of waiting for the migrations again.

The migrations take two to three seconds of CPU for each new store, and they are MLflow's. That vecml makes a store on
its own is tested in tests/tracking/test_store.py and by the default run in tests/system/test_run.py.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tasks.tracking import store

make_database = store._make_database  # vecml's own, also where the tests' stores are copies
MIGRATED = "migrated-store"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills once for all workers of a test run; nobody changes it afterwards."""
    base = factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}-unfinished")
            unfinished.mkdir()
            make(unfinished)
            unfinished.replace(folder)
    return folder


def migrate_mlflow(folder: Path) -> None:
    """Make an empty `mlflow.db` in a folder, as vecml does."""
    make_database(folder)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated `mlflow.db`: it is copied and never opened."""
    return made_once(tmp_path_factory, MIGRATED, migrate_mlflow) / "mlflow.db"


@pytest.fixture(scope="session", autouse=True)
def _stores_are_copies(migrated_database: Path) -> Iterator[None]:
    """Within the tests of this folder, a new store's database is a copy of the migrated one."""

    def copy(folder: Path) -> None:
        if not (folder / "mlflow.db").exists():
            shutil.copy(migrated_database, folder / "mlflow.db")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_make_database", copy)
        yield
