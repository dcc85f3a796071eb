"""`vecml optimize` as a user types it, over the examples."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import ROOT, runs_in

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(1_200)]
EXAMPLES = ROOT / "examples" / "optimize"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_an_example_from_end_to_end(vecml: Command, tmp_path: Path) -> None:
    file = tmp_path / "masked_clip.py"
    shutil.copy(EXAMPLES / "masked_clip.py", file)
    done = vecml(
        "optimize", "masked_clip.py:masked_clip", "--inputs", "masked_clip.py:make_inputs",
        "--budget", "quick", "--json", "found.json", "--patch", "faster.patch",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first = " ".join(done.stdout.partition("\n\n")[0].split())
    assert first.startswith("Measure again with --budget 60s: ")
    assert first.endswith("; one launch gives figures, and no verdict.")
    assert "--patch faster.patch: not written: no candidate is shown to be faster" in done.stderr
    assert file.read_text() == (EXAMPLES / "masked_clip.py").read_text()
    content = json.loads((tmp_path / "found.json").read_text())
    assert [one["candidate"]["name"] for one in content["tried"]][:2] == ["numpy", "numba"]
    faults = {one["candidate"]["name"]: one["fault"] for one in content["tried"]}
    faults.pop("torch.compile", None)  # whether it knows np.copyto is torch's own
    assert set(faults.values()) == {None}
    (run,) = runs_in(tmp_path)
    assert (run.info.status, run.data.tags["vecml.kind"]) == ("FINISHED", "optimize")


def test_a_table_that_is_not_vectorisable(vecml: Command) -> None:
    file = EXAMPLES / "edit_distance.py"
    done = vecml("optimize", f"{file}:edit_distance", "--inputs", f"{file}:make_inputs", "--budget", "quick")
    assert done.returncode == 0, done.stderr
    assert "a loop-carried dependence" in done.stdout
    assert "numpy: not tried:" in done.stdout


def test_a_wrong_candidate_fails_the_check(vecml: Command, tmp_path: Path) -> None:
    file = EXAMPLES / "moving_average.py"
    (tmp_path / "fast.py").write_text(
        "import numpy as np\n\n\ndef fast(series, width):\n"
        "    return np.convolve(series, np.ones(width) / width, mode='same')\n"
    )
    done = vecml(
        "optimize", f"{file}:moving_average", "--inputs", f"{file}:make_inputs",
        "--budget", "quick", "--candidate", "fast.py:fast", "--check",
    )  # fmt: skip
    assert done.returncode == 1
    assert "error: --check: fast.py:fast: its result has the shape (20000,)" in done.stderr


def test_bad_input_is_one_line(vecml: Command) -> None:
    done = vecml("optimize", "none.py:f", "--inputs", "none.py:make_inputs", "--limit", "5")
    assert done.returncode == 2
    assert "error: TARGET none.py:f: there is no file none.py" in done.stderr
    assert "Traceback" not in done.stderr
