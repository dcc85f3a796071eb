"""Temporary folders and files whose names say which process made them: the next start removes what a killed one left.

A name holds pid and start time of the process, and hashes of its boot, its machine and its pid namespace. What is of a
process that still runs, of another user, or of a process that nobody here can know of (another container's, another
machine's), is left alone.

A hidden file beside an output, `.out.csv.TOKEN-x.csv`, may lie in a folder that no later start looks into: a note in
the folder for temporary files says where it is.
"""

import errno
import functools
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from vecml.errors import ScratchError, StoreError

PREFIX = "vecml-"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- names in it are random, and made for their owner alone
NOTE = ".beside"
LONGEST_NAME = 150  # of an output, within the name of its temporary file; names have 255 bytes at most
HINT = "make room there, or name another folder for temporary files: TMPDIR=/other/folder vecml ..."

_TOKEN = r"([0-9]+)-([0-9]+|x)-([0-9a-f]{8})-([0-9a-f]{8}|x)-([0-9a-f]{8}|x)"  # noqa: S105 -- nothing secret
_NAME = re.compile(rf"vecml-{_TOKEN}-[a-z0-9_]+(\.beside)?")
_HIDDEN = re.compile(rf"\..*\.{_TOKEN}-[0-9a-f]+(\.[^.]*)?", re.DOTALL)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Give a new folder for the `with` block and remove it afterwards; by default in the folder that TMPDIR names.

    Raises ScratchError, which names TMPDIR, where it cannot be made; by default also for an error within the block
    whose cause is that it cannot be written.
    """
    folder = make_scratch(parent)
    try:
        with nullcontext() if parent is not None else naming_scratch(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def naming_scratch(folder: Path) -> Iterator[None]:
    """Raise ScratchError for an error of the `with` block whose cause is that nothing can be written in `folder`.

    Where a result is kept is said as well.
    """
    try:
        yield
    except Exception as error:
        reason = _why_unwritable(folder, error)
        if reason is None:
            raise
        failure = _unwritable(folder.parent, reason)
        if isinstance(error, StoreError) and error.kept is not None:
            failure.hint = f"the result is kept in {error.kept}, and logged by the next start of vecml; {HINT}"
        raise failure from error


def make_scratch(parent: Path | None = None) -> Path:
    """Make a folder that the caller removes, or the next start if this process is killed. Raises ScratchError."""
    sweep_once()
    try:
        parent = parent or Path(tempfile.gettempdir())
        return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{token()}-", dir=parent))
    except OSError as error:
        raise _unwritable(parent, error.strerror or str(error)) from None


def hidden_name(path: Path) -> Path:
    """Give a new name beside `path` for a temporary file of this process."""
    return path.with_name(f"{_start(path)}{token()}-{secrets.token_hex(4)}{path.suffix[:16]}")


@contextmanager
def noted(hidden: Path) -> Iterator[None]:
    """Tell later starts, during the `with` block, where a hidden file is that a kill would leave.

    Where the note cannot be written, a kill leaves the file until the same output is written again.
    """
    note: Path | None = None
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix=f"{PREFIX}{token()}-", suffix=NOTE)
        note = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.fsencode(hidden.absolute()))
    try:
        yield
    finally:
        if note is not None:
            with suppress(OSError):
                note.unlink()


def sweep_beside(path: Path) -> None:
    """Remove the hidden files that killed processes left beside the output `path`."""
    start = _start(path)
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(start):
                _remove_hidden(Path(entry.path))


def sweep_within(folder: Path) -> None:
    """Remove the hidden files that killed processes left beside outputs in `folder` and below it."""
    with suppress(OSError):
        for path in folder.rglob(".*"):
            _remove_hidden(path)


def _start(path: Path) -> str:
    """Give the beginning of the names of hidden files beside `path`."""
    return f".{os.fsdecode(os.fsencode(path.name)[:LONGEST_NAME])}."


def sweep() -> None:
    """Remove what this user's killed processes left: their folders, and what their notes name."""
    places = {SHARED_MEMORY}
    with suppress(OSError):  # there is no folder for temporary files at all
        places.add(Path(tempfile.gettempdir()))
    for place in places:
        with suppress(OSError), os.scandir(place) as entries:
            for path in [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]:
                _remove(path)


@functools.cache
def sweep_once() -> None:
    """Sweep at the first call in this process."""
    sweep()


def token() -> str:
    """Give the part of a name that identifies this process."""
    return _token(os.getpid())


@functools.lru_cache(maxsize=1)  # a fork has a token of its own
def _token(_pid: int) -> str:
    from vecml.identity import process_identity  # noqa: PLC0415 -- it imports psutil, which help need not wait for

    pid, start, boot, machine, namespace = process_identity().split()
    return "-".join([pid, "x" if start == "-" else start, *map(_short, (boot, machine, namespace))])


def _short(text: str) -> str:
    return "x" if text == "-" else hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _is_gone(parts: tuple[str, ...]) -> bool:
    """Whether the process of these parts of a token has provably ended."""
    from vecml.identity import is_alive, process_identity  # noqa: PLC0415 -- as above

    own = process_identity().split()[2:]
    known = [
        name if _short(name) == part != "x" else f"other-{part}" for name, part in zip(own, parts[2:], strict=True)
    ]
    boot, machine, namespace = (name if part != "x" else "-" for name, part in zip(known, parts[2:], strict=True))
    return is_alive(f"{parts[0]} {parts[1]} {boot} {machine} {namespace}") is False


def _remove(path: Path) -> None:
    """Remove a folder, or a note and the file that it names, if it is this user's and its process is gone."""
    match = _NAME.fullmatch(path.name)
    if match is None or not _is_own(path) or not _is_gone(match.groups()[:5]):
        return
    if not path.name.endswith(NOTE):
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            hidden = Path(os.fsdecode(path.read_bytes()))
            if hidden.name and "-".join(match.groups()[:5]) in hidden.name:
                _remove_hidden(hidden)
            path.unlink()


def _remove_hidden(path: Path) -> None:
    match = _HIDDEN.fullmatch(path.name)
    with suppress(OSError):
        if match and stat.S_ISREG(path.lstat().st_mode) and _is_own(path) and _is_gone(match.groups()[:5]):
            path.unlink()


def _is_own(path: Path) -> bool:
    try:
        return not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def no_room(parent: Path) -> ScratchError:
    """Make the error for a folder for temporary files in which another process had no room."""
    return _unwritable(parent, os.strerror(errno.ENOSPC))


def _unwritable(parent: Path | None, reason: str) -> ScratchError:
    named = "the folder for temporary files" if parent is None else f"{parent}, the folder for temporary files,"
    return ScratchError(f"{named} cannot be written: {reason}", HINT)


def _why_unwritable(folder: Path, error: BaseException) -> str | None:
    """Give the reason if the error came from writing in `folder`; None for any other error."""
    seen: BaseException | None = error
    reasons = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
    while seen is not None:
        named = isinstance(seen, OSError) and str(seen.filename or "").startswith(f"{folder}/")
        if isinstance(seen, OSError) and seen.errno in reasons and named:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as found:
        return found.strerror or str(found)
    return None
