"""Do something in a child process without root's powers, so that permissions hold for tests that run as root, too."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_VERSION_3 = 0x20080522  # capabilities(7): the form of capset's data


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a child process."""

    code: int
    out: str
    err: str


def drop_powers() -> None:
    """Give up every capability of this process; a user's process has none."""
    header, none = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


def in_child(work: Callable[[], object], folder: Path) -> Ended:
    """Run `work` in a fork of this process without powers; `folder` takes what it prints."""
    out, err = folder / "out.txt", folder / "err.txt"
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            for path, number in ((out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
            drop_powers()
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(code, out.read_text(), err.read_text())


def vecml(folder: Path, *arguments: str) -> Ended:
    """Run the command without powers in a fork of this process; `folder` takes what it prints."""
    from vecml.cli.app import main

    def work() -> None:
        sys.argv = ["vecml", *arguments]
        main()

    return in_child(work, folder)


@contextlib.contextmanager
def unwritable(*paths: Path) -> Iterator[None]:
    """Take the permission to write from these files and folders, and from all that lies in them."""
    every = [one for path in paths for one in (path, *(path.rglob("*") if path.is_dir() else ()))]
    before = {one: one.stat().st_mode for one in every}
    for one in every:
        one.chmod(before[one] & 0o555)
    try:
        yield
    finally:
        for one, mode in before.items():
            one.chmod(mode)
