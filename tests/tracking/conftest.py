"""New stores are copies of a migrated one; and two machines with a store each, for what is carried between them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.tracking import write
from tasks.tracking.store import open_store
from tests.migrated_store import _stores_are_copies, migrated_database
from tests.tracking.test_read import NoFiles

__all__ = ["_stores_are_copies", "migrated_database"]
Use = Callable[[str], Path]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that has no run; to be copied, since to make one takes MLflow seconds."""
    home = tmp_path_factory.mktemp("empty")
    with machine(home):
        open_store()
    return home


@pytest.fixture
def use(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """`use("there")`: from here on this process is on that machine; gives its folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(write, "file_writer", NoFiles)

    def on(name: str) -> Path:
        home = tmp_path / name
        if not home.exists():
            shutil.copytree(empty, home)
        monkeypatch.setenv("VECML_HOME", str(home))
        return home

    return on


@contextmanager
def machine(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        yield
