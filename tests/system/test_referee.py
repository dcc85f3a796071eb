"""`vecml referee` as a user runs it: refused at once, measured, gone on with, and wrong use in one line."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.referee.made_matches import HONEST, REFERENCE
from tests.system.conftest import BIN, runs_in, wait_for

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
SPEC = 'reference = "reference.py:solve"\ninputs = "reference.py:make_inputs"\nsizes = [20000, [30000, 40000]]\n'
SLOW = REFERENCE.replace("return np.sort", "for _ in range(40):\n        np.sort(x)\n    return np.sort")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {
        "reference.py": SLOW,
        "fast.py": HONEST,
        "cheat.py": "import numpy as np\ndef solve(x, share):\n    return np.zeros_like(x)\n",
        "spec.toml": SPEC,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.system
def test_a_cheat_is_rejected_and_wrong_use_is_told(vecml: Vecml, vecml_here: Vecml, folder: Path) -> None:
    done = vecml("referee", "spec.toml", "cheat.py:solve", "--json", "out.json")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("REJECT: wrong-result: ")
    content = json.loads((folder / "out.json").read_text())
    assert (content["outcome"], content["exit_code"], content["refusal"]) == ("REJECT", 1, "wrong-result")
    assert content["spec_digest"] in done.stdout
    assert content["comparison"] is None
    for words, said in [
        (("spec.toml",), "no candidate"),
        (("spec.toml", "reference.py:solve"), "own files"),
        (("none.toml", "fast.py:solve"), "No such file"),
        (("spec.toml", "fast.py:solve", "--budget", "5s"), "too short for a verdict"),
    ]:
        refused = vecml_here("referee", *words)
        assert refused.returncode == 2, refused.stdout
        assert said in refused.stderr
        assert "hint:" in refused.stderr


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_candidate_is_measured_and_an_interrupted_match_goes_on(vecml: Vecml, folder: Path) -> None:
    cache = folder / "cache"
    command = [BIN / "vecml", "referee", "spec.toml", "fast.py:solve", "--budget", "60s", "--json", "out.json"]
    variables = {**os.environ, "VECML_CACHE": str(cache)}
    first = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: any('"launches":1' in one.read_text() for one in cache.glob("unfinished/*.json")), 300, "a launch")
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 130, errors
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=500, check=False)
    assert "VML016" in done.stderr
    content = json.loads((folder / "out.json").read_text())
    assert done.returncode == content["exit_code"]
    assert content["outcome"] in ("PROMOTE", "NEEDS_MORE_DATA")  # the latter on a busy machine
    assert done.stdout.startswith(f"{content['outcome']}: ")
    assert {arm["name"] for arm in content["comparison"]["arms"]} == {"reference", "candidate"}
    assert "compare" in {run.data.tags["vecml.kind"] for run in runs_in(folder)}
