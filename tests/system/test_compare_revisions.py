"""`vecml compare --ref A --ref B -- CMD` as a user runs it, on a git repository with a slow and a fast revision."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import runs_in

pytestmark = pytest.mark.long  # 25 s of CPU; what it adds to the tests of its parts is the way through them

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
SLOW = "#!/bin/sh\ni=0; while [ $i -lt 3000 ]; do i=$((i+1)); done\n"
FAST = "#!/bin/sh\n:\n"


def git(*words: str, folder: Path) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_revisions_are_built_compared_and_judged(vecml: Vecml, tmp_path: Path) -> None:
    git("init", "-q", "-b", "main", folder=tmp_path)
    for content in (SLOW, FAST):
        (tmp_path / "program.sh").write_text(content)
        git("add", "program.sh", folder=tmp_path)
        git("commit", "-qm", "a version", folder=tmp_path)
    commits = {name: git("rev-parse", name, folder=tmp_path).strip() for name in ("main~1", "main")}
    build = ("--build", "cp program.sh built", "--build", "chmod +x built")
    (tmp_path / "program.sh").write_text("#!/bin/sh\nexit 9\n")  # never run: it is not committed

    flags = ("--ref", "main", "--ref", "main~1", "--baseline", "main~1", *build, "--json", "result.json")
    done = vecml("compare", "--quick", *flags, "--fail-if", "not-faster", "--", "./built")
    assert done.returncode == 3, done.stderr  # a quick look decides nothing
    assert "--fail-if not-faster: not decided: main against main~1: " in done.stderr
    assert "VML052" in done.stderr
    assert "1 file with changes that are not committed: what is compared is main~1 (" in " ".join(done.stderr.split())

    content = json.loads((tmp_path / "result.json").read_text())
    facts = {arm["name"]: arm["launches"][0]["facts"] for arm in content["arms"]}
    assert {name: facts[name]["commit"] for name in commits} == commits
    assert not (tmp_path / "built").exists()
    assert len(git("worktree", "list", folder=tmp_path).splitlines()) == 3  # what was built is kept
    (parent,) = (run for run in runs_in(tmp_path) if run.data.tags["vecml.kind"] == "compare")
    assert parent.data.params["data_source"] == "commands"
