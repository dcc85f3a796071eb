"""What a referee holds a candidate to, fixed by a digest: the spec's text, and what the files that it names hold."""

import ast
import base64
import hashlib
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vecml.comparison.budget import check_budget
from vecml.errors import SettingError
from vecml.foreign_text import is_text
from vecml.referee.commands import FILE, FUNCTION, command_source, named_files, revision_source, wrapped
from vecml.referee.contestant import Source
from vecml.referee.judging import PRECISIONS
from vecml.regular_file import read_regular

KEYS = (
    "reference",
    "command",
    "inputs",
    "files",
    "sizes",
    "between",
    "rtol",
    "precision",
    "at_least",
    "budget",
    "candidate",
)
BUDGET = "60s"
LARGEST_SIZE = 1 << 48
EXAMPLE = 'for example reference = "reference.py:solve"'


@dataclass(frozen=True)
class Spec:
    """A reference, and what a candidate is held to.

    Attributes:
        path: the spec's file.
        digest: sha256 of its text and of the files that it names.
        files: those by their names relative to the spec's folder, with what they hold.
        reference: `FILE.py:FUNCTION`, whose place the candidate would take; of a command what starts it.
        command: the command whose place the candidate would take; None: it is a function.
        inputs: `FILE.py:FUNCTION`, which makes the arguments of a call from a random generator, and a size.
        sizes: each a number, or a pair of which one between is drawn for each run of the referee; empty: no sizes.
        between: whether the maker is asked for sizes between these, too.
        rtol: the largest relative difference of floating-point values.
        precision: in which a result must have been computed; `same` as the reference's dtype says.
        at_least: the rate, as a multiple of the reference's, that a candidate must be shown to have.
        budget: time for the measurement.
        candidate: `FILE.py:FUNCTION`, or a command, where none is given; None: one must be.
    """

    path: Path
    digest: str
    files: Mapping[str, bytes] = field(repr=False)
    reference: str
    inputs: str
    sizes: tuple[int | tuple[int, int], ...] = ()
    between: bool = True
    rtol: float = 1e-9
    precision: str = "same"
    at_least: float = 1.0
    budget: str = BUDGET
    candidate: str | None = None
    command: str | None = None

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The smallest and the largest size of calls that are not timed: of all sizes together, or of each of them."""
        pairs = [size if isinstance(size, tuple) else (size, size) for size in self.sizes]
        if not self.between or not pairs:
            return pairs
        return [(min(low for low, _ in pairs), max(high for _, high in pairs))]


def read_spec(path: Path, budget: str | None = None) -> Spec:
    """Read a spec and the files that it names. Nothing of them is run.

    Args:
        path: the TOML file.
        budget: of a flag, for a spec that names none.

    Raises SettingError for anything that is missing, unknown, of a wrong kind, or not there.
    """
    text = _content(path, str(path))
    try:
        said = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{path}: {error}", "it must be TOML, see docs/referee.md") from None
    if unknown := [key for key in said if key not in KEYS]:
        raise SettingError(f"{path}: {unknown[0]}: no such key", f"choose from {', '.join(KEYS)}")
    if "command" in said and "reference" in said:
        raise SettingError(f"{path}: both reference and command", "leave out one of them")
    needed = ("command" if "command" in said else "reference", "inputs")
    for key in needed:
        if not isinstance(said.get(key), str):
            raise SettingError(f"{path}: {key} is missing", EXAMPLE.replace("reference =", f"{key} ="))
    if budget is not None and said.get("budget", budget) != budget:
        raise SettingError(f"--budget {budget}: {path.name} says {said['budget']}", "leave out --budget")
    command = said.get("command")
    functions = [said[key] for key in needed if key != "command"]
    names = [*(function_in(one, path)[0] for one in functions), *_files(said, path)]
    for name in names:
        _check_below(name, path)
    names += [] if command is None else named_files(command, path.parent, f"{path}: command")
    files = {name: _content(path.parent / name, f"{path}: {name}") for name in sorted(set(names))}
    for one in functions:
        name, qualified = function_in(one, path)
        check_defined(files[name], name, qualified)
    found = digest(text, files)
    if command is not None:
        files[FILE] = wrapped(command, f"{path}: command").encode()
    candidate = said.get("candidate")
    if not isinstance(candidate, str | None):
        raise SettingError(f"{path}: candidate = {_shown(candidate)}", 'for example candidate = "fast.py:solve"')
    spec = Spec(
        path=path,
        digest=found,
        files=files,
        reference=said["reference"] if command is None else f"{FILE}:{FUNCTION}",
        command=command,
        inputs=said["inputs"],
        sizes=_sizes(said.get("sizes", []), path),
        between=_switch(said, "between", path),
        rtol=_number(said, "rtol", Spec.rtol, path, at_most=0.1),
        precision=str(said.get("precision", Spec.precision)),
        at_least=_number(said, "at_least", Spec.at_least, path, at_most=1e6),
        budget=str(budget or said.get("budget", BUDGET)),
        candidate=candidate,
    )
    if spec.precision not in PRECISIONS:
        raise SettingError(f"{path}: precision = {spec.precision!r}", f"choose from {', '.join(PRECISIONS)}")
    check_budget(spec.budget)
    return spec


def candidate_of(text: str, folder: Path, spec: Spec, revision: str | None = None) -> Source:
    """Read the files of a candidate below `folder`; nothing of them is run.

    Args:
        text: `FILE.py:FUNCTION`, or a command where the spec has one.
        folder: where its files are.
        spec: what it is held to.
        revision: of the git repository that `folder` is in, at which they are read; None: as they are.

    Raises SettingError for another form, a file that is not there or is one of the spec's, a missing function, and a
    revision that is unknown.
    """
    if "\0" in text or not is_text(text):
        raise SettingError(f"candidate {text}: no file has this name", "for example fast.py:solve")
    if spec.command is not None and revision is not None:
        return revision_source(text, folder, revision)
    if spec.command is not None:
        return command_source(text, folder, f"candidate {text}")
    if revision is not None:
        return _at_revision(text, folder, revision)
    name, qualified = function_in(text, None)
    try:
        path = folder / Path(name).expanduser()
        is_own = any(path.resolve() == (spec.path.parent / one).resolve() for one in spec.files)
    except (OSError, RuntimeError) as error:  # of a link to itself, and of a home that nobody has
        raise SettingError(f"candidate {text}: {error}", "name a file that is there") from None
    if is_own:
        hint = "move the candidate into a file of its own"
        raise SettingError(f"candidate {text}: {path.name} is one of the spec's own files", hint)
    content = _content(path, f"candidate {text}")
    check_defined(content, path.name, qualified)
    return Source(path.name, content.decode(), qualified)


def _at_revision(text: str, folder: Path, revision: str) -> Source:
    name, qualified = function_in(text, None)
    command = ["git", "-C", str(folder), "show", "--end-of-options", f"{revision}:./{name}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SettingError(f"--ref {revision}: {said[-1] if said else 'git show failed'}", "git branch --all")
    check_defined(done.stdout, name, qualified)
    return Source(Path(name).name, done.stdout.decode(), qualified)


def reference_source(spec: Spec) -> Source:
    """The reference as a function that runs in a process of its own, with all files of the spec."""
    name, qualified = function_in(spec.reference, spec.path)
    beside = {file: base64.b64encode(content).decode() for file, content in spec.files.items() if file != name}
    return Source(name, spec.files[name].decode(), qualified, beside)


def digest(text: bytes, files: Mapping[str, bytes]) -> str:
    """The sha256 of a spec's text and files, whose names and lengths count."""
    found = hashlib.sha256()
    for name, content in (("", text), *sorted(files.items())):
        found.update(f"{name}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def function_in(text: str, spec: Path | None) -> tuple[str, str]:
    """The file and the function of `FILE.py:FUNCTION`. Raises SettingError for another form."""
    name, colon, qualified = text.rpartition(":")
    if not colon or not name.endswith(".py") or not qualified.isidentifier():
        told = f"{text}" if spec is None else f"{spec}: {text}"
        raise SettingError(f"{told}: not of the form FILE.py:FUNCTION", "for example fast.py:solve")
    return name, qualified


def check_defined(content: bytes, file: str, qualified: str) -> None:
    """Raise SettingError where a file is no Python, or gives no such name at its top level."""
    try:
        content.decode()
        tree = ast.parse(content)
    except UnicodeDecodeError:
        raise SettingError(f"{file} is not UTF-8", "save it as UTF-8") from None
    except (MemoryError, RecursionError):
        raise SettingError(f"{file} is nested too deeply to be read", "it must be Python that imports") from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise SettingError(f"{file}{line}: {error}", "it must be Python that imports") from None
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {
        one.asname or one.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for one in node.names
    }
    if qualified not in names:
        raise SettingError(f"{file} has no function {qualified}", f"define it with def {qualified}(...):")


def _content(path: Path, told: str) -> bytes:
    try:
        return read_regular(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a byte that no name has
        said = error.strerror if isinstance(error, OSError) else None
        raise SettingError(f"{told}: {said or error}", "name a file that is there") from None


def _files(said: Mapping[str, Any], path: Path) -> list[str]:
    found = said.get("files", [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise SettingError(f"{path}: files is a list of names", 'for example files = ["table.npy"]')
    return list(found)


def _check_below(name: str, path: Path) -> None:
    """Raise SettingError for a file that is not below the spec's folder: its copy would be written there, too."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SettingError(f"{path}: {name} is not below the spec's folder", "put it there")


def _sizes(found: Any, path: Path) -> tuple[int | tuple[int, int], ...]:
    sizes: list[int | tuple[int, int]] = []
    for one in found if isinstance(found, list) else [None]:
        low, high = one if isinstance(one, list) and len(one) == 2 else (one, one)
        if not (type(low) is int and type(high) is int and 0 < low <= high <= LARGEST_SIZE):
            raise SettingError(f"{path}: sizes = {_shown(found)}", "for example sizes = [1000, [20000, 40000]]")
        sizes.append(low if low == high else (low, high))
    return tuple(sizes)


def _shown(value: Any) -> str:
    """A value of the spec as it stands there, as far as it is short."""
    try:
        text = repr(value)
    except ValueError:  # of a whole number with thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _switch(said: Mapping[str, Any], key: str, path: Path) -> bool:
    value = said.get(key, True)
    if not isinstance(value, bool):
        raise SettingError(f"{path}: {key} = {value!r}", "true or false")
    return value


def _number(said: Mapping[str, Any], key: str, default: float, path: Path, at_most: float) -> float:
    value = said.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= at_most:
        raise SettingError(
            f"{path}: {key} = {_shown(value)}", f"a number from 0 to {at_most:g}, for example {default:g}"
        )
    return float(value)
