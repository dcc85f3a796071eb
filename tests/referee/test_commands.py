"""Commands and revisions under a referee: bytes in, what is printed out, and everything else as for functions."""

import base64
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.referee.made_matches import name_of, play
from vecml.errors import SettingError
from vecml.referee.folder import empty
from vecml.referee.refusals import RefusalError
from vecml.referee.spec import Spec, candidate_of, read_spec, reference_source

MAKER = """
def make_inputs(random, size):
    return "".join(f"{number}\\n" for number in random.integers(0, 10**9, size))
"""
IN_ITS_HOME = """#!/bin/sh
if [ -e "$HOME/.kept/one" ]; then exit 7; fi
mkdir "$HOME/.kept" && touch "$HOME/.kept/one"
exec sort -n
"""
IN_THE_RESULTS_MEMORY = """#!/usr/bin/env python3
import glob, os, subprocess, sys
for path in glob.glob(f"/proc/{os.getppid()}/fd/*"):
    try:
        if "memfd:results" in os.readlink(path):
            with open(path, "r+b") as file:
                file.seek(1 << 22)
                if file.read(4) == b"kept":
                    sys.exit(7)
                file.seek(1 << 22)
                file.write(b"kept")
    except OSError:
        pass
subprocess.run(["sort", "-n"], check=True)
"""
SPEC = 'command = "./sorted.sh"\ninputs = "inputs.py:make_inputs"\nsizes = [20, [30, 60]]\n'


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    for name, text in {
        "inputs.py": MAKER,
        "spec.toml": SPEC,
        "sorted.sh": "#!/bin/sh\nexec sort -n\n",
        "lazy.sh": "#!/bin/sh\n(sleep 30) >/dev/null 2>&1 &\nexec sort -n\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return read_spec(tmp_path / "spec.toml")


def played(spec: Spec, command: str, folder: Path, revision: str | None = None) -> str | None:
    home = folder / "matches"
    home.mkdir(exist_ok=True)
    return play(
        None,
        home,
        calls=2,
        files={name: base64.b64encode(content).decode() for name, content in spec.files.items()},
        reference=spec.reference,
        maker=spec.inputs,
        sizes=[20, 40],
        ranges=[[20, 60]],
        source=asdict(candidate_of(command, folder, spec, revision)),
    )


def test_a_command_that_does_the_same_is_right(spec: Spec, tmp_path: Path) -> None:
    assert played(spec, "sort -n -s", tmp_path) is None


def test_the_references_own_command_agrees_with_itself(spec: Spec, tmp_path: Path) -> None:
    home = tmp_path / "matches"
    home.mkdir()
    files = {name: base64.b64encode(content).decode() for name, content in spec.files.items()}
    more = {"reference": spec.reference, "maker": spec.inputs, "sizes": [20], "ranges": [[20, 60]]}
    assert play(None, home, calls=2, files=files, source=asdict(reference_source(spec)), **more) is None


@pytest.mark.parametrize(
    ("command", "name"),
    [("cat", "wrong-result"), ("false", "raised"), ("./lazy.sh", "work-left-to-a-process")],
)
def test_a_command_that_does_not_is_refused(command: str, name: str, spec: Spec, tmp_path: Path) -> None:
    said = played(spec, command, tmp_path)
    assert name_of(said) == name, said


@pytest.mark.parametrize("text", [IN_ITS_HOME, IN_THE_RESULTS_MEMORY], ids=["a file", "the results' memory"])
def test_a_command_finds_nothing_that_the_call_before_left(text: str, spec: Spec, tmp_path: Path) -> None:
    """A command is started anew for each call, and what it made once is in the time of that call only."""
    (tmp_path / "keeping.sh").write_text(text, encoding="utf-8")
    assert played(spec, "./keeping.sh", tmp_path) is None


def test_a_folder_that_cannot_be_emptied_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="left-files: what lies in its folder cannot be removed"):
        empty(tmp_path / "none")


def test_the_digest_counts_the_files_that_the_command_names(spec: Spec, tmp_path: Path) -> None:
    assert set(spec.files) == {"inputs.py", "sorted.sh", "_command.py"}
    (tmp_path / "sorted.sh").write_text("#!/bin/sh\nexec sort -n -r\n", encoding="utf-8")
    assert read_spec(spec.path).digest != spec.digest


def test_a_revision_is_taken_as_it_was_committed(spec: Spec, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
        subprocess.run(["git", "-C", str(tmp_path), *settings, *words], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    (tmp_path / "sorted.sh").write_text("#!/bin/sh\nexec sort -n -r\n", encoding="utf-8")
    assert played(spec, "./sorted.sh", tmp_path, "HEAD") is None
    assert name_of(played(spec, "./sorted.sh", tmp_path)) == "wrong-result"
    with pytest.raises(SettingError, match="--ref none"):
        candidate_of("./sorted.sh", tmp_path, spec, "none")


def test_a_function_may_be_of_a_revision(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "fast.py").write_text("def solve(x):\n    return x\n", encoding="utf-8")
    functions = 'reference = "inputs.py:make_inputs"\ninputs = "inputs.py:make_inputs"\n'
    (tmp_path / "functions.toml").write_text(functions, encoding="utf-8")
    held = read_spec(tmp_path / "functions.toml")
    settings = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init",), ("add", "."), ("commit", "-m", "one")):
        subprocess.run(["git", "-C", str(tmp_path), *settings, *words], check=True, capture_output=True)
    (tmp_path / "fast.py").write_text("def other(x):\n    return x\n", encoding="utf-8")
    assert candidate_of("fast.py:solve", tmp_path, held, "HEAD").text.startswith("def solve")
    with pytest.raises(SettingError, match="has no function solve"):
        candidate_of("fast.py:solve", tmp_path, held)
