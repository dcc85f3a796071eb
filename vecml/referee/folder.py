"""The folder of a candidate's process: what lies in it, and how all of it goes, however it was left."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from vecml.referee.refusals import RefusalError

DEEPEST, MOST = 64, 20_000  # folders within each other, and files and folders in all


def left_bytes(folder: Path) -> int:
    """Count the bytes of all files below a folder; links are not followed.

    Raises RefusalError for more files, or a deeper nesting, than counting takes no time for, and for what is locked.
    """
    found, number = 0, 0
    open_folders = [(str(folder), 0)]
    while open_folders:
        path, depth = open_folders.pop()
        if depth > DEEPEST:
            raise RefusalError("left-files", f"more than {DEEPEST} folders lie within each other in its folder")
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    number += 1
                    if number > MOST:
                        raise RefusalError("left-files", f"more than {MOST:,} files lie in its folder")
                    if entry.is_dir(follow_symlinks=False):
                        open_folders.append((entry.path, depth + 1))
                    else:
                        found += entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            raise RefusalError("left-files", f"what lies in its folder cannot be read: {error.strerror}") from None
    return found


def remove(folder: Path) -> None:
    """Remove a folder with everything in it, also what is locked, or nested deeper than a path can name."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
    for words in (("rm", "-rf"), ("chmod", "-R", "u+rwx"), ("rm", "-rf")):
        if not folder.exists():
            return
        with contextlib.suppress(OSError):
            subprocess.run([*words, "--", str(folder)], capture_output=True, check=False)


def empty(folder: Path) -> None:
    """Remove what lies in a folder, however it was left. Raises RefusalError for a folder that is locked."""
    try:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                remove(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise RefusalError("left-files", f"what lies in its folder cannot be removed: {error.strerror}") from None
