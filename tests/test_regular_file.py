"""What is no regular file is refused at once, instead of waited for or read for ever."""

import os
from pathlib import Path

import psutil
import pytest

from vecml.regular_file import read_regular


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "b") == b"content"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "link to a device", "link to a pipe", "folder"])
def test_what_is_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="it is no regular file") as caught:
        read_regular(path)
    assert caught.value.strerror == "it is no regular file"
    assert caught.value.filename == str(path)


def test_more_than_there_is_memory_for(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(psutil.virtual_memory().total + 1)  # a hole, which takes no room on the disk
    with pytest.raises(OSError, match="bytes of memory are free") as caught:
        read_regular(tmp_path / "x")
    assert str(caught.value.strerror).startswith(f"it has {psutil.virtual_memory().total + 1:,} bytes, and ")
