"""The change that a candidate is to the user's file: as a diff, and written into it."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vecml.atomic import write_bytes
from vecml.errors import SettingError
from vecml.optimize.stored import read_stored
from vecml.optimize.syntax import lines_of
from vecml.optimize.target import Place

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def unified_diff(old: str, new: str, name: str) -> str:
    """The unified diff of a file's two texts, as `git apply` and `patch -p1` take it; empty where they are equal."""
    lines = difflib.unified_diff(lines_of(old), lines_of(new), _named(f"a/{name}"), _named(f"b/{name}"))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def new_file_diff(text: str, name: str) -> str:
    """The diff that makes a new file."""
    lines = difflib.unified_diff([], lines_of(text), "/dev/null", _named(f"b/{name}"))
    return "".join(lines)


def encoded(diff: str, encoding: str) -> bytes:
    """A diff's bytes: its lines in the encoding of the file that it is for, files' names as the system has them."""
    made, old, new = [], 0, 0  # lines of a hunk that are still to come
    for line in lines_of(diff):
        if hunk := _HUNK.match(line) if old <= 0 and new <= 0 else None:
            old, new = (1 if count is None else int(count) for count in hunk.groups())
        elif line.startswith("\\"):  # No newline at end of file
            pass
        elif old <= 0 and new <= 0:
            made.append(os.fsencode(line))
            continue
        else:
            old -= line[0] in " -"
            new -= line[0] in " +"
        made.append(line.encode(encoding))
    return b"".join(made)


def _named(name: str) -> str:
    """A file's name for a diff's head: with a tab behind it where it has a blank, or `patch` reads its first word."""
    return f"{name}\t" if re.search(r"\s", name) else name


def apply(target: Place, old: str, new: str, beside: Mapping[str, str] = MappingProxyType({})) -> None:
    """Replace the text of the target's file; this is the only function that writes to a file of the user's.

    Args:
        target: stands in the file.
        old: the file's text when it was measured, as `read_stored` gives it.
        new: the text to write.
        beside: new files in the same folder, their texts by name.

    Raises:
        SettingError: the file's text is no longer `old`, or a new file is there already; nothing is written.
        StoreError: the file cannot be written; it is left as it is.
    """
    stored = read_stored(target.file)
    if stored.text != old:
        raise SettingError(
            f"{target.file} was changed meanwhile, and is left as it is",
            "run vecml optimize again, over what it is now",
        )
    path = Path(target.file)
    if there := next((name for name in beside if path.with_name(name).exists()), None):
        raise SettingError(f"{path.with_name(there)} is there already, and is left as it is", "move it away")
    for name, text in beside.items():
        write_bytes(path.with_name(name), text.encode())
    mode = path.stat().st_mode
    write_bytes(path, stored.encode(new))
    path.chmod(mode)
