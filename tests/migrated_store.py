"""A tracking database that MLflow has migrated once: tests copy it instead of waiting for the migrations again.

The migrations take two to three seconds of CPU for each new store, and they are MLflow's. That vecml makes a store on
its own is tested in tests/tracking/test_store.py and by the default run in tests/system/test_run.py.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

NAME = "migrated-mlflow.db"


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated `mlflow.db`, which all workers of a test run share; it is copied and never opened."""
    from tasks.tracking import store

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    database = shared / NAME
    with FileLock(shared / f"{NAME}.lock"):
        if not database.exists():
            made = shared / "migrated"
            made.mkdir()
            store._make_database(made)
            (made / "mlflow.db").replace(database)
    return database


@pytest.fixture(scope="session", autouse=True)
def _stores_are_copies(migrated_database: Path) -> Iterator[None]:
    """Within the tests of this folder, a new store's database is a copy of the migrated one."""
    from tasks.tracking import store

    def copy(folder: Path) -> None:
        if not (folder / "mlflow.db").exists():
            shutil.copy(migrated_database, folder / "mlflow.db")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_make_database", copy)
        yield
