"""Revisions of a git repository as folders of their own, in which one command is run: the user's tree is never touched.

Each commit has a worktree in the cache folder. One that `--build` was run in is kept, by commit and build, so that the
next comparison finds what was built; any other is removed when the comparison ends. A build counts once it ended well.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import Timeout

from vecml import cache
from vecml.child import cause
from vecml.comparison.budget import Budget, check_budget
from vecml.comparison.command_lines import NO_SHELL, Commands, line_of
from vecml.comparison.commands import compare_commands
from vecml.comparison.comparison import Comparison
from vecml.comparison.session import Tracking, W
from vecml.errors import MeasureError, SettingError
from vecml.locks import locked
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

HIDING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
)  # that a hook sets, and that hide the folder asked
LAST_LINES = 3  # of a build that fails
OWN_CODE = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")  # a worktree runs no hooks
LOCK_SECONDS = 5.0  # two comparisons are never made at once: who waits longer for a worktree is told


class CheckoutError(SettingError):
    """A revision in which the command cannot be run: its build fails, or the folder is not there.

    Attributes:
        revision: its name.
    """

    revision = ""


@dataclass(frozen=True)
class Repository:
    """A git repository, and where in it the user is.

    Attributes:
        root: the folder of the user's tree.
        below: the user's folder, relative to it.
        shared: git's own folder, which all worktrees share.
    """

    root: Path
    below: Path
    shared: Path


@dataclass(frozen=True)
class Revision:
    """A revision that is compared.

    Attributes:
        name: as the user wrote it; with a number where it is there twice.
        commit: the whole hash.
    """

    name: str
    commit: str


@dataclass(frozen=True)
class Revisions:
    """Holds what is compared: one command at several revisions.

    Attributes:
        command: how it is run; its only text is the command.
        refs: the revisions as the user wrote them.
        build: commands that are run once at each.
        baseline: one of `refs`; None: the first.
    """

    command: Commands
    refs: tuple[str, ...]
    build: tuple[str, ...] = ()
    baseline: str | None = None


def compare_revisions(
    asked: Revisions,
    tracking: Tracking[W],
    *,
    began: float | None = None,
    announce: Callable[[Budget], None] = lambda _budget: None,
    json: Path | None = None,
    fresh: bool = False,
) -> tuple[Comparison, W]:
    """Measure one command at several revisions beside each other, and record the comparison.

    Args:
        asked: what is compared.
        tracking, began, announce, json, fresh: as in `compare_commands`; building takes nothing of the budget.

    Raises what `found_revisions`, `checked_out` and `compare_commands` raise. Warns VML052 as `warn_of` says.
    """
    repository, revisions = found_revisions(asked)
    warn_of(repository, revisions)
    started = time.perf_counter()
    began = started if began is None else began
    with checked_out(repository, revisions, asked.build, asked.command.shell) as folders:
        (text,) = asked.command.texts.values()
        commands = replace(
            asked.command,
            texts={one.name: text for one in revisions},
            folders=folders,
            commits={one.name: one.commit for one in revisions},
        )
        began += time.perf_counter() - started
        return compare_commands(commands, tracking, began=began, announce=announce, json=json, fresh=fresh)


def found_revisions(asked: Revisions) -> tuple[Repository, list[Revision]]:
    """Find the repository that this process is in, and the revisions, the baseline first; nothing is changed.

    Raises SettingError for a budget that is none, and where there is no repository, no such revision or no baseline.
    """
    check_budget(asked.command.budget)
    repository = repository_of(Path.cwd())
    revisions = revisions_of(repository, asked.refs)
    first = asked.baseline or asked.refs[0]
    if first not in asked.refs:
        raise SettingError(f"--baseline {first}: it is no --ref", f"choose from {', '.join(asked.refs)}")
    return repository, sorted(revisions, key=lambda one: one.name != first)


def repository_of(folder: Path, flag: str = "--ref") -> Repository:
    """Find the repository that a folder is in; `flag` asks. Raises SettingError where there is none, or no git."""
    if shutil.which("git") is None:
        raise SettingError(f"{flag}: there is no program git", "install git")
    found = git(folder, "rev-parse", "--show-toplevel", "--show-prefix", "--git-common-dir")
    if found.returncode:
        raise SettingError(
            f"{flag}: {folder} is in no git repository", "cd to the repository whose revisions you compare"
        )
    root, below, shared = found.stdout.split("\n")[:3]
    return Repository(Path(root), Path(below), (folder / shared).resolve())


def revisions_of(repository: Repository, names: Sequence[str]) -> list[Revision]:
    """Find the commits that names mean; one that is there twice gets a number.

    Raises SettingError for one name alone and for one that is no commit.
    """
    if len(names) < 2:
        raise SettingError(f"--ref {names[0]}: a comparison needs two or more", f"--ref main --ref {names[0]}")
    found: list[Revision] = []
    for name in names:
        told = sum(one.name.partition(" (")[0] == name for one in found)
        found.append(Revision(name if not told else f"{name} ({told + 1})", commit_of(repository, name)))
    return found


def commit_of(repository: Repository, name: str, flag: str = "--ref") -> str:
    """Find the hash of the commit that a name means; `flag` asks. Raises SettingError where there is none."""
    done = git(repository.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.returncode:
        raise SettingError(f"{flag} {name}: there is no such commit here", "git branch --all, or git fetch first")
    return done.stdout.strip()


def warn_of(repository: Repository, revisions: Sequence[Revision]) -> None:
    """Warn (VML052) where two are the same commit, or where the user's tree has changes that no commit has."""
    first: dict[str, str] = {}
    for one in revisions:
        if one.commit in first:
            same = f"{first[one.commit]} and {one.name} are the same commit, {one.commit[:10]}"
            warn("VML052", f"{same}: a difference between them is the machine's")
        first.setdefault(one.commit, one.name)
    changed = git(repository.root, "status", "--porcelain", "--untracked-files=no").stdout.splitlines()
    if changed:
        is_there = f"{count(len(changed), 'file')} with changes that are not committed"
        warn("VML052", f"{is_there}: what is compared is {_listed(revisions)} as committed")


def _listed(revisions: Sequence[Revision]) -> str:
    return ", ".join(f"{one.name} ({one.commit[:10]})" for one in revisions)


@contextmanager
def checked_out(
    repository: Repository,
    revisions: Sequence[Revision],
    build: Sequence[str] = (),
    shell: str = NO_SHELL,
    flag: str = "--ref ",
) -> Iterator[Mapping[str, Path]]:
    """Give by a revision's name the folder in its worktree that is the user's in the user's tree.

    Args:
        repository, revisions: what is compared.
        build: commands that are run once in each worktree; with them it is kept.
        shell: what reads them.
        flag: that names a revision, with a blank; empty where the user did not name them.

    Raises CheckoutError where a build fails, with its last lines, and where the folder is not there in a revision.
    """
    home = cache.folder() / "revisions" / _digest(str(repository.shared))
    cache.make(home)
    held = ExitStack()
    try:
        held.enter_context(locked(home / ".lock", LOCK_SECONDS))
    except Timeout:
        raise MeasureError("another comparison of this repository's revisions is running", "wait for its end") from None
    folders: dict[str, Path] = {}
    made: list[Path] = []
    try:
        for left in home.iterdir():  # by a process that was killed
            if left.is_dir() and not _built(left).exists():
                _remove(repository, left)
        for one in revisions:
            tree = home / (f"{one.commit}-{_digest(repr((tuple(build), shell)))}" if build else one.commit)
            if tree not in made:
                made.append(tree)
                _make(repository, one, tree, build, shell)
            folder = tree / repository.below
            if not folder.is_dir():
                said = f"{flag}{one.name}: there is no folder {repository.below} in it"
                raise _unusable(one, said, f"cd {repository.root}")
            folders[one.name] = folder
        yield folders
    finally:
        for tree in made:
            if not _built(tree).exists():
                _remove(repository, tree)
        held.close()


def _make(repository: Repository, revision: Revision, tree: Path, build: Sequence[str], shell: str) -> None:
    """Check a commit out, and build it, unless an earlier comparison did."""
    if build and _built(tree).exists() and tree.is_dir():
        if git(tree, "reset", "--hard", "--quiet", revision.commit).returncode == 0 or _adopted(repository, tree):
            return
        _built(tree).unlink(missing_ok=True)
    _remove(repository, tree)
    with stage(f"checking out {revision.name}"):
        done = git(repository.root, "worktree", "add", "--detach", "--force", str(tree), revision.commit)
    if done.returncode:
        raise MeasureError(f"{revision.name}: git worktree add failed: {cause(done.stderr)}", "git worktree prune")
    for text in build:
        _build(revision, text, shell, tree / repository.below)
    if build:
        _built(tree).write_text(f"{time.time()}\n", encoding="utf-8")


def _adopted(repository: Repository, tree: Path) -> bool:
    """Make what another clone of the repository built a worktree of this one; False where that cannot be done."""
    commit, kept = tree.name.partition("-")[0], tree.with_name(f"{tree.name}.kept")
    shutil.rmtree(kept, ignore_errors=True)
    tree.rename(kept)
    git(repository.root, "worktree", "prune")
    done = git(repository.root, "worktree", "add", "--detach", "--force", "--no-checkout", str(tree), commit)
    if done.returncode == 0:
        for path in kept.iterdir():
            if path.name != ".git":
                path.rename(tree / path.name)
        done = git(tree, "reset", "--hard", "--quiet", commit)
    shutil.rmtree(kept, ignore_errors=True)
    return done.returncode == 0


def _build(revision: Revision, text: str, shell: str, folder: Path) -> None:
    if not folder.is_dir():
        raise _unusable(
            revision, f"{revision.name}: there is no folder {folder.name} in it", "cd to the repository's root"
        )
    line = line_of(text, shell, folder)
    with stage(f"building {revision.name}: {text}"):
        done = subprocess.run(
            line.argv,
            executable=line.program,
            cwd=folder,
            env=_surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        last = " / ".join(one.strip() for one in done.stdout.strip().splitlines()[-LAST_LINES:])
        said = f"ended with exit code {done.returncode}" + (f": {last}" if last else "")
        short = revision.commit[:10]
        raise _unusable(
            revision,
            f"--build {text}: at {short if revision.name == short else f'{revision.name} ({short})'} it {said}",
            f"git worktree add ../try {revision.commit[:10]}, and build there to see all of it",
        )


def _unusable(revision: Revision, message: str, hint: str) -> CheckoutError:
    error = CheckoutError(message, hint)
    error.revision = revision.name
    return error


def _remove(repository: Repository, tree: Path) -> None:
    """Remove a worktree, half-made ones too, and what git knows of it."""
    _built(tree).unlink(missing_ok=True)
    if tree.exists():
        git(repository.root, "worktree", "remove", "--force", "--force", str(tree))
        shutil.rmtree(tree, ignore_errors=True)
        git(repository.root, "worktree", "prune")


def _built(tree: Path) -> Path:
    """Name the file that says that a worktree was built to its end."""
    return tree.with_name(f"{tree.name}.built")


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, without hooks, and without what a hook's surroundings tell of another repository."""
    return subprocess.run(
        ["git", "--no-optional-locks", "-C", str(folder), *OWN_CODE, *words],
        env=_surroundings(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _surroundings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in HIDING}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
