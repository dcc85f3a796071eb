"""Commands under a referee: each call starts one anew, with bytes on its standard input, and its output is the result.

A command becomes a function that starts it, so that everything else is as for functions: the function's process starts
the command, in the same confinement, and the clock is the referee's.
"""

import base64
import contextlib
import io
import shlex
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from vecml.errors import SettingError
from vecml.referee.contestant import Source
from vecml.regular_file import read_regular

FILE, FUNCTION = "_command.py", "run"
LARGEST_TREE = 1 << 26  # bytes of a revision's files
TEXT = '''"""Starts a command for each call."""
import ctypes
import subprocess
from pathlib import Path

SET_DUMPABLE = 4
ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)  # a command opens nothing of this process, to leave things there
WORDS = {words!r}
HERE = Path(__file__).resolve().parent


def run(content):
    """Give what the command prints when it is given `content` (bytes or text)."""
    data = content.encode() if isinstance(content, str) else content
    words = [str(HERE / WORDS[0]) if "/" in WORDS[0] else WORDS[0], *WORDS[1:]]
    done = subprocess.run(words, input=data, capture_output=True, cwd=HERE, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"exit code {{done.returncode}}: {{said[-1] if said else ''}}")
    return done.stdout
'''


def wrapped(command: str, told: str) -> str:
    """The text of a Python file with a function that starts the command. Raises SettingError for no command."""
    return TEXT.format(words=words_of(command, told))


def words_of(command: str, told: str) -> list[str]:
    """A command's words. Raises SettingError for one without any, or with a quote that is not closed."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingError(f"{told}: {command}: {error}", "close the quote") from None
    if "\0" in command:
        raise SettingError(f"{told}: no word of a command has a byte of zero", "leave it out")
    if not words:
        raise SettingError(f"{told} is empty", "name a program, for example './fast'")
    return words


def named_files(command: str, folder: Path, told: str) -> list[str]:
    """The names of the files below `folder` that stand in a command as words of their own."""
    found = []
    for word in words_of(command, told):
        path = Path(word)
        if path.is_absolute() or ".." in path.parts:
            continue
        with contextlib.suppress(OSError):  # a word may be longer than any name
            if (folder / path).is_file():
                found.append(path.as_posix())
    return found


def command_source(command: str, folder: Path, told: str) -> Source:
    """A candidate's command, with the files below `folder` that it names."""
    files = {name: read_regular(folder / name) for name in named_files(command, folder, told)}
    return source_with(command, files, told)


def revision_source(command: str, folder: Path, revision: str) -> Source:
    """A command at a revision of the git repository that `folder` is in, with all files of that revision below it.

    Raises SettingError for a folder in no repository, an unknown revision, and one with very large files.
    """
    hint = "git branch --all, or git fetch first"
    done = subprocess.run(
        ["git", "-C", str(folder), "archive", "--format=tar", "--end-of-options", revision, "."],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SettingError(f"--ref {revision}: {said[-1] if said else 'git archive failed'}", hint)
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                files[member.name.removeprefix("./")] = content.read()
    if sum(map(len, files.values())) > LARGEST_TREE:
        raise SettingError(f"--ref {revision}: its files have more than {LARGEST_TREE:,} bytes", "cd to a folder of it")
    return source_with(command, files, f"--ref {revision}")


def source_with(command: str, files: Mapping[str, bytes], told: str) -> Source:
    """A command and the files that it has beside it."""
    beside = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return Source(FILE, wrapped(command, told), FUNCTION, beside)
