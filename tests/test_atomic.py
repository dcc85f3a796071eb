"""The old file or the whole new one."""

import subprocess
import sys
from pathlib import Path

import pytest

from vecml.atomic import write_bytes
from vecml.errors import StoreError

# No file may grow past 4 kB: what a full disk looks like to a writer. In a process of its own, whose output is a pipe.
ON_A_FULL_DISK = """
import pathlib, resource, signal, sys
from vecml.atomic import write_bytes
from vecml.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_bytes(pathlib.Path(sys.argv[1]), bytes(10_000))
except StoreError as error:
    print(error.message)
"""


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"cannot write {path}: File too large\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        write_bytes(tmp_path / "none" / "a", b"")


def test_only_one_function_says_that_a_folder_is_missing() -> None:
    root = Path(__file__).parents[1]
    files = [path for package in ("vecml", "tasks", "flows") for path in (root / package).rglob("*.py")]
    saying = [path.name for path in files if '"make it, or name another"' in path.read_text(encoding="utf-8")]
    assert saying == ["atomic.py"]
