"""`vecml bisect` as a user runs it, on a git repository with one slow commit and one that does not build."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import runs_in

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # minutes: three to five sittings

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
COMMITS, SLOW_FROM, BROKEN = 6, 5, 3  # 3 is the middle, and the first that is tried
TURNS, SLOW_TURNS = 20_000, 60_000


def git(*words: str, folder: Path) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes of a line of commits whose program becomes slower at one of them."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "-q", "-b", "main", folder=tmp_path)
    for number in range(COMMITS + 1):
        turns = SLOW_TURNS if number >= SLOW_FROM else TURNS
        (tmp_path / "source.sh").write_text(f"#!/bin/sh\ni=0; while [ $i -lt {turns} ]; do i=$((i+1)); done\n")
        (tmp_path / "build.sh").write_text(
            "echo no >&2; exit 7\n" if number == BROKEN else "cp source.sh built && chmod +x built\n"
        )
        (tmp_path / "notes").write_text(f"{number}\n")
        git("add", "source.sh", "build.sh", "notes", folder=tmp_path)
        git("commit", "-qm", f"version {number}", folder=tmp_path)
    return git("rev-list", "--reverse", "main", folder=tmp_path).split()


def test_the_slow_commit_is_found_and_the_broken_one_skipped(vecml: Vecml, tmp_path: Path, commits: list[str]) -> None:
    (tmp_path / "source.sh").write_text("not committed\n")
    before = git("status", "--porcelain", "--branch", "--untracked-files=no", folder=tmp_path)
    flags = ("--good", "main~6", "--bad", "main", "--build", "sh build.sh", "--budget", "4m", "--json", "found.json")
    done = vecml("bisect", *flags, "--", "./built")
    assert done.returncode in (0, 3), done.stderr
    assert git("status", "--porcelain", "--branch", "--untracked-files=no", folder=tmp_path) == before
    found = json.loads((tmp_path / "found.json").read_text())
    runs = {run.info.run_id for run in runs_in(tmp_path)}
    assert {step["run_id"] for step in found["steps"] if step["run_id"]} <= runs
    assert len(git("worktree", "list", folder=tmp_path).splitlines()) >= 3  # what was built is kept
    if done.returncode == 3:
        assert "while others used" in json.dumps(found["steps"]), done.stdout
        pytest.skip("other programs used the CPUs, so that nothing was decided")
    assert (found["outcome"], found["bad"]["commit"]) == ("found", commits[SLOW_FROM])
    assert [one["commit"] for one in found["skipped"]] == [commits[BROKEN]]
    assert found["slowdown"]["times"] > 1.5
    assert " ".join(done.stdout.split()).startswith(f"{commits[SLOW_FROM][:10]} (version 5) made './built' slower: ")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_command_that_fails_at_an_end_is_an_error(vecml: Vecml, tmp_path: Path, commits: list[str]) -> None:
    done = vecml("bisect", "--good", "main~6", "--bad", "main", "--", "sh -c 'exit 4'")
    assert done.returncode == 2
    assert f"{commits[0][:10]}: " in done.stderr
    assert "exit code 4" in done.stderr
    done = vecml(
        "bisect", "--good", f"main~{COMMITS - BROKEN}", "--bad", "main", "--build", "sh build.sh", "--", "./built"
    )
    assert done.returncode == 2
    assert "it ended with exit code 7: no" in done.stderr
