"""What a shell, a locale or a service may give a process, put right before a command begins."""

import codecs
import errno
import io
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from vecml.errors import SettingError, StoreError
from vecml.numbers import whole

# What vecml itself prints and a terminal without it still understands.
PLAIN = str.maketrans(
    {"µ": "u", "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "±": "+-", "→": "->", "≤": "<=", "≥": ">=", "·": "."}
)
HANDLER = "vecml.plain"
DISK = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT)
UNWRITABLE = (*DISK, errno.EPIPE)
WIDEST = 10_000  # columns of a terminal
_printed_to_a_pipe = False  # when this process began


def settle() -> None:
    """Open standard streams that are closed, let them write every character in some way, and forget odd settings.

    A closed one would otherwise lend its number to the next file or socket, and whatever is printed would go there.
    """
    for name in ("COLUMNS", "LINES"):
        if not 1 <= (whole(os.environ.get(name, "")) or 0) <= WIDEST:  # rich fails at `²`, and fills what it is told
            os.environ.pop(name, None)
    if hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or nobody learns how a child ended
    if not os.environ.get("TORCH_LOGS", "-"):
        del os.environ["TORCH_LOGS"]  # torch fails at an empty one
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # it takes the lowest free number
    global _printed_to_a_pipe  # noqa: PLW0603 -- rich puts another file in its place when the pipe breaks
    _printed_to_a_pipe = _is_pipe(os.fstat(1))
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 -- it stays open
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        stream = getattr(sys, name)
        if (
            stream.errors in ("strict", "backslashreplace", "surrogateescape")
            and stream.encoding.lower().replace("-", "") != "utf8"
        ):
            stream.reconfigure(errors=HANDLER)
    told = sys.__stderr__
    if told is not None and sys.stderr is told:
        raw = io.BufferedWriter(_Forgiving(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, told.encoding, told.errors, line_buffering=True)


class _Forgiving(io.FileIO):
    """Standard error, of which what cannot be written is lost: a log on a full disk ends no command."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content) or 0
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            return memoryview(content).nbytes


def check_current_folder() -> None:
    """Raise SettingError where the current folder was removed: no path that is given could be found."""
    try:
        os.getcwd()  # noqa: PTH109 -- this is what fails
    except FileNotFoundError:
        raise SettingError("the current folder is not there any more", "go to another one: cd ~") from None


def reader_is_gone(error: BaseException | None) -> bool:
    """Whether an error came because whoever read standard output has ended, as `head` does once it has its lines.

    What could not be written is thrown away. A broken pipe to anybody else is an error like any other.
    """
    while error is not None and not isinstance(error, BrokenPipeError):
        error = error.__cause__ or error.__context__
    if error is None:
        return False
    now, nowhere = os.fstat(1), Path(os.devnull).stat()
    if stat.S_ISCHR(now.st_mode) and now.st_rdev == nowhere.st_rdev:  # rich has thrown it away already
        return _printed_to_a_pipe
    if not _is_pipe(now):
        return False
    try:
        os.write(1, b"\n")
    except BrokenPipeError:
        _throw_away()
        return True
    return False


def _is_pipe(found: os.stat_result) -> bool:
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)


def _throw_away() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def unwritten(error: OSError) -> StoreError | None:
    """The error in words where it is standard output's, whose disk is full, say. Else None.

    What could not be written is thrown away, so that the interpreter does not try again when it ends.
    """
    if error.errno not in UNWRITABLE or error.filename:
        return None
    try:
        os.write(1, b"\n")  # Python's own stream may have thrown away what it could not write
    except OSError as again:
        _throw_away()
        return StoreError(
            f"what the command prints cannot be written: {again.strerror}", "its work is done; see: vecml leaderboard"
        )
    return None


def disk_failed(error: OSError) -> StoreError | None:
    """The error in words where it is a disk's, full or broken, at a file that the error names. Else None."""
    named = isinstance(error.filename, str | bytes) and error.filename  # or the number of an open file
    if error.errno not in (*DISK, errno.EROFS) or not named:
        return None
    place = Path(os.fsdecode(named))
    return StoreError(f"{place}: {error.strerror}", f"see that {place.parent} has room and can be written")


def _as_plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """A character that the terminal's encoding lacks, in letters that it has, or by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(HANDLER, _as_plain)
