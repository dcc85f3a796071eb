"""A candidate as a patch, and the only place that writes to the user's file: when it is asked to, and whole."""

import difflib
import io
from pathlib import Path

from vecml.atomic import write_bytes
from vecml.errors import SettingError
from vecml.optimize.target import Place, source_of


def lines_of(text: str) -> list[str]:
    """Its lines with their ends, counted as `ast`, git and editors do: a form feed, say, ends none."""
    return list(io.StringIO(text))


def unified(old: str, new: str, name: str) -> str:
    """The unified diff of a file's two texts, as `git apply` and `patch -p1` take it; empty where they are equal."""
    lines = difflib.unified_diff(lines_of(old), lines_of(new), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def write_patch(path: Path, diff: str) -> None:
    """Write the patch file; raises StoreError when it cannot be."""
    write_bytes(path, diff.encode())


def apply(target: Place, old: str, new: str) -> None:
    """Put the new text in the user's file.

    Raises SettingError when the file is no longer what was measured, StoreError when it cannot be written; what is
    there is then untouched.
    """
    if source_of(target) != old:
        raise SettingError(
            f"{target.file} was changed meanwhile, and is left as it is",
            "run vecml optimize again, over what it is now",
        )
    path = Path(target.file)
    mode = path.stat().st_mode
    write_bytes(path, new.encode())
    path.chmod(mode)
