"""Commands as their user writes them: texts become programs with arguments, and what cannot work is refused at once.

By default no shell reads a command, so that no shell's start is in its time. What only a shell would understand is
refused with the flag that brings one.
"""

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vecml.errors import SettingError
from vecml.numbers import count
from vecml.passwords import without_passwords

NO_SHELL = "none"
OPERATOR = re.compile(r"[|&;<>()\n\r]+")
TWICE = "--command a='CMD' --command b='CMD'"


_HIDDEN = r"password|passwd|passphrase|token|secret|api[-_]?key|access[-_]?key|credentials?"
# A value after such a name: PGPASSWORD=..., --api-key=..., --token ..., and a header's `Authorization: Bearer ...`.
SECRET = re.compile(
    rf"""(?ix) ( (?<![\w-]) (?: [\w-]*? (?:{_HIDDEN}) = | --(?:[\w-]+-)? (?:{_HIDDEN}) \s+ | authorization:\s*\w+\s+ ) )
    ( '[^']*' | "[^"]*" | [^\s'"&]+ )"""
)


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Holds the commands that are compared, and how they are.

    Attributes:
        texts: the commands by their names, the baseline first.
        shell: what reads them: `none`, or a shell with its options, such as `bash` or `zsh -f`.
        setup, cleanup: run once before everything, and once after it.
        prepare: run before every start, outside of the clock: nothing, one for all, or one for each command.
        stdin: the file that every start reads; None: nothing to read.
        same_output: whether the standard outputs must be the same.
        same_file: a file that every start writes, and whose content must be the same; or None.
        ignore_failure: whether a start may end with another exit code than 0.
        warmup: fewest starts before an arm is measured; None: one.
        budget, name: as in `ComparisonConfig`.
        folders: by a command's name, where it is run; a command that is not there runs in this process's folder.
        commits: by a command's name, the commit of which its folder is the worktree.
    """

    texts: Mapping[str, str]
    shell: str = NO_SHELL
    setup: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    cleanup: tuple[str, ...] = ()
    stdin: Path | None = None
    same_output: bool = False
    same_file: Path | None = None
    ignore_failure: bool = False
    warmup: int | None = None
    budget: str = "60s"
    name: str | None = None
    folders: Mapping[str, Path] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)

    def folder_of(self, name: str) -> Path:
        """Give the folder that a command is run in."""
        return self.folders.get(name, Path()).absolute()

    def prepare_of(self, place: int) -> str | None:
        """Give what is run before each start of the command at this place."""
        return None if not self.prepare else self.prepare[place if len(self.prepare) > 1 else 0]


@dataclass(frozen=True)
class Line:
    """A command as the system starts it: the program's file, and the arguments, the command's own name first."""

    program: str
    argv: tuple[str, ...]

    def state(self) -> list[Any]:
        """Arguments and files, with sizes and times: where one of them changes, it is another command."""
        files = [Path(word) for word in (self.program, *self.argv)]
        known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
        return [list(self.argv), known]


def named_commands(positional: Sequence[str], named: Sequence[str], baseline: str | None) -> dict[str, str]:
    """The commands by name, the baseline first: a command without a name is called by its text, without its passwords.

    Args:
        positional: texts.
        named: `NAME=TEXT`.
        baseline: a name, or None for the first.

    Raises SettingError for an empty one, a name that is there twice, one command alone and an unknown baseline.
    """
    pairs = [(recorded_text(" ".join(text.split())), text) for text in positional]
    for one in named:
        name, mark, text = one.partition("=")
        if not mark or not name.strip() or not text.strip():
            raise SettingError(
                f"--command {one}: not of the form NAME='COMMAND'", "for example --command old='./a.out'"
            )
        pairs.append((recorded_text(name.strip()), text))
    found: dict[str, str] = {}
    for name, text in pairs:
        if not name:
            raise SettingError("a command is empty", "vecml compare -- 'COMMAND' 'COMMAND'")
        if name in found:
            raise SettingError(f"two commands are called {name!r}", f"give each a name of its own: {TWICE}")
        found[name] = text
    if len(found) < 2:
        raise SettingError(
            f"{count(len(found), 'command')}: a comparison needs two or more",
            f"put each in quotes: vecml compare -- {shlex.quote(next(iter(found)))} 'ANOTHER COMMAND'",
        )
    baseline = None if baseline is None else recorded_text(baseline)
    if baseline is not None and baseline not in found:
        raise SettingError(f"--baseline {baseline}: it is none of the commands", f"choose from {', '.join(found)}")
    first = baseline or next(iter(found))
    return {first: found[first], **found}


def recorded_text(text: str) -> str:
    """A command as it may be recorded and shown to others: without passwords and tokens, and with bytes that are no
    text as question marks.
    """
    bare = SECRET.sub(r"\1***", without_passwords(text))
    return bare.encode("utf-8", "replace").decode()


def check(asked: Commands) -> None:
    """Raise SettingError for what cannot be, before anything is run: a command that is not there, files, folders."""
    for name, text in asked.texts.items():
        line_of(text, asked.shell, asked.folder_of(name))
    for text in (*asked.setup, *asked.cleanup):
        line_of(text, asked.shell)
    for text in asked.prepare:
        line_of(text, asked.shell, asked.folder_of(next(iter(asked.texts))))
    if len(asked.prepare) > 1 and len(asked.prepare) != len(asked.texts):
        said = f"--prepare is given {len(asked.prepare)} times for {count(len(asked.texts), 'command')}"
        raise SettingError(said, "give it once for all of them, or once for each")
    if asked.stdin is not None and not os.access(asked.stdin, os.R_OK):
        why = "it cannot be read" if asked.stdin.exists() else "there is no such file"
        raise SettingError(f"--stdin {asked.stdin}: {why}", "name a file that every start reads")
    if asked.stdin is not None and (asked.stdin.is_fifo() or asked.stdin.is_dir()):
        raise SettingError(f"--stdin {asked.stdin}: it is no regular file", "name a file that every start reads")
    if asked.same_file is not None and not asked.same_file.absolute().parent.is_dir():
        raise SettingError(
            f"--same-file {asked.same_file}: there is no folder {asked.same_file.parent}",
            "name the file that the commands write",
        )


def line_of(text: str, shell: str, folder: Path | None = None) -> Line:
    """Find what is started for a command's text in a folder; None: in this process's.

    Raises SettingError where there is no such program, and where only a shell could read the text.
    """
    if shell != NO_SHELL:
        words = _split(shell, f"--shell {shell}")
        return Line(
            _program(words[0], f"--shell {shell}", "name one that is installed, such as sh"), (*words, "-c", text)
        )
    if (sign := _only_for_a_shell(text)) is not None:
        sign = sign.strip() or "a line break"
        raise SettingError(f"{text!r}: {sign} is a shell's own", "--shell sh lets a shell read the commands")
    words = _split(text, repr(text))
    hint = "check its name and PATH; a shell's own words need --shell sh"
    return Line(_program(words[0], repr(text), hint, folder), tuple(words))


def _split(text: str, told: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingError(
            f"{told}: {str(error).lower()}", "close the quotes, or write \\' for an apostrophe"
        ) from None
    if not words:
        raise SettingError(f"{told}: there is nothing to run", "name a program")
    return words


def _only_for_a_shell(text: str) -> str | None:
    """The first word that stands outside of quotes and that means something to a shell alone; None if there is none."""
    lexer = shlex.shlex(re.sub(r"\\.", "_", text.strip()), posix=False, punctuation_chars="|&;<>()\n\r")
    lexer.whitespace_split, lexer.commenters, lexer.whitespace = True, "", " \t"
    try:
        words = list(lexer)
    except ValueError:
        return None
    if words and re.match(r"[A-Za-z_]\w*=", words[0]):
        return words[0]
    return next((word for word in words if OPERATOR.fullmatch(word)), None)


def _program(word: str, told: str, hint: str, folder: Path | None = None) -> str:
    if folder is not None and os.sep in word:
        word = str(folder / word)
    found = shutil.which(word)
    if found is not None:
        return str(Path(found).absolute())
    if os.sep in word and Path(word).is_file():
        raise SettingError(f"{told}: {word} may not be run", f"chmod +x {shlex.quote(word)}, or name what runs it")
    there = f"there is no file {word}" if os.sep in word else f"there is no program {word}"
    raise SettingError(f"{told}: {there}", hint)
