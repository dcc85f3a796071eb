"""A folder for temporary files without room is what the error names, with the variable that chooses another one."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vecml.errors import ScratchError, StoreError
from vecml.leftovers import HINT, make_scratch, naming_scratch, scratch_folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files on a disk of its own of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=50", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk of our own here: {mounted.stderr.decode().strip()}")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(folder: Path) -> None:
    """Write until nothing more goes into it."""
    with (folder / "filling").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_no_folder_can_be_made(small: Path) -> None:
    filled(small)
    for number in range(50):  # a folder in memory needs no block, but a name
        try:
            (small / str(number)).mkdir()
        except OSError:
            break
    with pytest.raises(ScratchError) as caught:
        make_scratch()
    assert caught.value.message.startswith(f"{small}, the folder for temporary files, cannot be written: ")
    assert caught.value.hint == HINT
    assert "TMPDIR=/other/folder vecml" in HINT


def test_no_room_for_what_is_written(small: Path) -> None:
    def write() -> None:
        with scratch_folder() as folder:
            (folder / "large").write_bytes(bytes(1 << 20))

    with pytest.raises(ScratchError) as caught:
        write()
    expected = f"{small}, the folder for temporary files, cannot be written: No space left on device"
    assert (caught.value.message, caught.value.hint) == (expected, HINT)
    assert list(small.iterdir()) == []


def test_an_error_that_says_something_else_of_it(small: Path) -> None:
    """As MLflow's, which wraps what the system said, and a store's, which knows where the result is."""

    def write(kept: Path) -> None:
        with scratch_folder() as folder:
            try:
                (folder / "large").write_bytes(bytes(1 << 20))
            except OSError:
                error = StoreError("the tracking store failed", "see that it is there")
                error.kept = kept
                raise error from None

    with pytest.raises(ScratchError) as caught:
        write(small / "kept")
    assert caught.value.hint == f"the result is kept in {small / 'kept'}, and logged by the next start of vecml; {HINT}"


def test_an_error_that_is_anothers_stays(small: Path) -> None:
    def fail(error: Exception) -> None:
        with scratch_folder():
            raise error

    for error in (
        StoreError("the store is full"),
        OSError(28, "No space left on device", "/elsewhere"),
        ValueError("x"),
    ):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert caught.value is error


def test_in_a_folder_that_was_made_before(small: Path) -> None:
    folder = make_scratch()
    with pytest.raises(ScratchError, match="No space left on device"), naming_scratch(folder):
        (folder / "table.csv").write_bytes(bytes(1 << 20))
