"""The old file or the whole new one."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from vecml.atomic import write_bytes
from vecml.errors import StoreError


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow past 4 kB: what a full disk looks like to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, former)


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, small_disk: None) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    with pytest.raises(StoreError, match=rf"^cannot write {path}: File too large$"):
        write_bytes(path, bytes(10_000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        write_bytes(tmp_path / "none" / "a", b"")
