"""Revisions of a real git repository: found, checked out beside the user's tree, built once, and nothing is left."""

import os
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from vecml import cache
from vecml.comparison.revisions import Repository, Revision, checked_out, repository_of, revisions_of, warn_of
from vecml.errors import SettingError
from vecml.warnings import VecmlWarning

BUILD = ("cp source built",)
STRANGERS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Two commits of a file, the first with a tag; in the second there is a folder, and a hook that would be seen."""
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    for name, value in STRANGERS.items():
        monkeypatch.setenv(name, value)
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "-q", "-b", "main")
    (tree / "source").write_text("old\n")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "old")
    git(tree, "tag", "-m", "the first", "v1")
    (tree / "source").write_text("new\n")
    (tree / "below").mkdir()
    (tree / "below" / "file").write_text("new\n")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "new")
    hook = tree / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    return repository_of(tree)


def state(tree: Path) -> list[object]:
    """What must not change of a user's tree: its files, their times, branch and commit."""
    files = [(str(one), one.stat().st_mtime_ns) for one in sorted(tree.rglob("*")) if ".git" not in one.parts]
    return [files, git(tree, "status", "--porcelain", "--branch"), git(tree, "rev-parse", "HEAD")]


def kept() -> list[Path]:
    return [one for one in (cache.folder() / "revisions").glob("*/*") if one.is_dir()]


def test_the_tree_is_not_touched_and_nothing_is_left(repository: Repository, tmp_path: Path) -> None:
    before = state(repository.root)
    revisions = revisions_of(repository, ("v1", "HEAD"))
    with checked_out(repository, revisions) as folders:
        assert {name: (folder / "source").read_text() for name, folder in folders.items()} == {
            "v1": "old\n",
            "HEAD": "new\n",
        }
        (folders["HEAD"] / "made").write_text("by the command")
    assert state(repository.root) == before
    assert kept() == []
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1
    assert not (tmp_path / "hooked").exists()


def test_what_was_built_is_kept_by_commit_and_build(repository: Repository) -> None:
    revisions = revisions_of(repository, ("v1", "HEAD"))
    for _ in range(2):
        with checked_out(repository, revisions, BUILD) as folders:
            times = {name: (folder / "built").stat().st_mtime_ns for name, folder in folders.items()}
            assert (folders["v1"] / "built").read_text() == "old\n"
            (folders["v1"] / "source").write_text("changed by the command")
        assert len(kept()) == 2
    with checked_out(repository, revisions, BUILD) as folders:
        assert {name: (folder / "built").stat().st_mtime_ns for name, folder in folders.items()} == times
        assert (folders["v1"] / "source").read_text() == "old\n"
    with checked_out(repository, revisions, ("cp source other",)) as folders:
        assert not (folders["v1"] / "built").exists()


def test_a_build_that_fails_is_told_and_not_kept(repository: Repository) -> None:
    build = ("echo one; echo two; echo three; echo four >&2; exit 7",)
    revisions = revisions_of(repository, ("v1", "HEAD"))
    with pytest.raises(SettingError) as caught, checked_out(repository, revisions, build, "sh"):
        pass
    commit = revisions[0].commit[:10]
    assert caught.value.message == (
        f"--build {build[0]}: at v1 ({commit}) it ended with exit code 7: two / three / four"
    )
    assert kept() == []


def test_what_a_killed_process_left_is_removed(repository: Repository) -> None:
    revisions = revisions_of(repository, ("v1", "HEAD"))
    with checked_out(repository, revisions) as folders:
        home = folders["v1"].parent
    left = home / "left"
    git(repository.root, "worktree", "add", "--detach", str(left), "v1")
    with checked_out(repository, revisions):
        assert not left.exists()


def test_in_the_folder_that_the_user_is_in(repository: Repository) -> None:
    below = repository_of(repository.root / "below")
    with checked_out(below, revisions_of(below, ("HEAD", "main"))) as folders:
        assert (folders["HEAD"] / "file").read_text() == "new\n"


def test_a_folder_that_a_revision_does_not_have(repository: Repository) -> None:
    below = repository_of(repository.root / "below")
    revisions = revisions_of(below, ("v1", "HEAD"))
    with pytest.raises(SettingError) as caught, checked_out(below, revisions):
        pass
    assert caught.value.message == "--ref v1: there is no folder below in it"
    assert kept() == []


def told(repository: Repository, names: Sequence[str]) -> tuple[list[Revision], list[str]]:
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        found = revisions_of(repository, names)
        warn_of(repository, found)
    return found, [one.message.message for one in given if isinstance(one.message, VecmlWarning)]


def test_the_same_commit_twice_is_allowed_and_told(repository: Repository) -> None:
    found, said = told(repository, ("HEAD", "main", "HEAD"))
    assert [one.name for one in found] == ["HEAD", "main", "HEAD (2)"]
    commit = found[0].commit[:10]
    assert said == [
        f"HEAD and {name} are the same commit, {commit}: a difference between them is the machine's"
        for name in ("main", "HEAD (2)")
    ]


def test_a_tree_with_changes_is_told(repository: Repository) -> None:
    (repository.root / "source").write_text("not committed\n")
    (repository.root / "untracked").write_text("not of git\n")
    found, said = told(repository, ("v1", "HEAD"))
    commits = [one.commit[:10] for one in found]
    assert said == [
        "1 file with changes that are not committed: what is compared is"
        f" v1 ({commits[0]}), HEAD ({commits[1]}) as committed"
    ]


@pytest.mark.parametrize("name", ["nowhere", "--all", "HEAD:source", "", "HEAD~99"])
def test_an_unknown_revision(repository: Repository, name: str) -> None:
    with pytest.raises(SettingError) as caught:
        revisions_of(repository, ("HEAD", name))
    assert caught.value.message == f"--ref {name}: there is no such commit here"


def test_one_revision_is_no_comparison(repository: Repository) -> None:
    with pytest.raises(SettingError, match=r"^--ref v1: a comparison needs two or more$"):
        revisions_of(repository, ("v1",))


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        repository_of(tmp_path)
    assert caught.value.message == f"--ref: {tmp_path} is in no git repository"


def test_inside_a_hook(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git tells a hook's children where the repository is, which hides the folder that is asked about."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert repository_of(repository.root) == repository


def test_what_was_built_serves_a_new_clone_in_the_same_place(repository: Repository, tmp_path: Path) -> None:
    """As in CI, where the repository is cloned anew and the cache folder comes back."""
    marked = ("cp source built", "touch marked")
    with checked_out(repository, revisions_of(repository, ("v1", "HEAD")), marked) as folders:
        (folders["v1"] / "marked").write_text("by the first build")
    (repository.root).rename(tmp_path / "gone")
    git(tmp_path, "clone", "-q", str(tmp_path / "gone"), str(repository.root))
    again = repository_of(repository.root)
    with checked_out(again, revisions_of(again, ("v1", "HEAD")), marked) as folders:
        assert (folders["v1"] / "marked").read_text() == "by the first build"
        assert (folders["v1"] / "source").read_text() == "old\n"
        assert git(folders["v1"], "status", "--porcelain", "--untracked-files=no") == ""
        assert git(folders["v1"], "rev-parse", "HEAD") == git(again.root, "rev-parse", "v1^{commit}")
    assert len(git(again.root, "worktree", "list").splitlines()) == 3
