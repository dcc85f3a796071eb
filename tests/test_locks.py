"""A lock is held by one process alone, and what cannot be locked is said in one line, whoever wanted it."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from flows.up import UpRequest, bring_up
from tasks.tracking.location import locate
from tasks.tracking.registry import promotion_lock
from tasks.tracking.store import import_lock, open_store
from vecml import cache
from vecml.errors import StoreError
from vecml.locks import locked


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / ".lock"
    with locked(place, 0), pytest.raises(Timeout), locked(place, 0):
        pass
    with locked(place, 0):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_a_file_that_cannot_be_locked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(self: FileLock, *_: object, **__: object) -> None:
        raise OSError(number, "what the system says", self.lock_file)

    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(StoreError) as caught, locked(tmp_path / ".lock", 1):
        pass
    assert caught.value.message == f"cannot lock {tmp_path / '.lock'}: what the system says"
    assert caught.value.hint == f"see that {tmp_path} has room and can be written"


def up(home: Path) -> None:
    bring_up(UpRequest(home, 1, 2, None, (), deploy=False), lambda _: None, lambda *_: None)


def promote(_: Path) -> None:
    with promotion_lock(locate()):
        pass


def bring_in(_: Path) -> None:
    with import_lock(locate(), 1):
        pass


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("mlruns/.lock", lambda _: open_store()),
        ("mlruns/.import.lock", bring_in),
        ("mlruns/.champion.lock", promote),
        (".prefect/.up.lock", up),
    ],
)
def test_whoever_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, use: Callable[[Path], object]
) -> None:
    """In the place of the lock there is a folder, which stands for all that a file cannot be locked for."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"^cannot lock .*: Is a directory$"):
        use(tmp_path)


def test_a_cache_that_cannot_be_locked_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECML_CACHE", str(tmp_path))
    (tmp_path / "kind" / ".key.lock").mkdir(parents=True)
    assert not cache.write("kind", "key", {"a": 1})
    assert cache.read("kind", "key") is None
