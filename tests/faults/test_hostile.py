"""Models and exports that a stranger made: no code of theirs runs, and each is opened or refused in bounded time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.tally import row

ROOT = Path(__file__).parents[2]
AT_LEAST = 60


# In CI tests/model/test_store.py and tests/tracking/test_archive.py open some of their kinds.
@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_hostile_models_and_exports(template: Path, tmp_path: Path) -> None:
    (model,) = sorted(template.glob("mlruns/artifacts/*/artifacts/model"))[:1]
    command = [
        sys.executable,
        "-m",
        "tests.faults.open_hostile",
        str(model),
        str(template / "theirs.zip"),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3_000, check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr[-2_000:]
    for kind in ("model", "export"):
        one = row(f"hostile {kind}s, under an audit hook", "no code run, bounded time and memory")
        said = [(what, came) for found, what, came in lines if found == kind]
        one.tried += len(said)
        one.broken += [f"{what}: {came}" for what, came in said if came not in ("opened", "refused")]
        assert len(said) >= AT_LEAST
        assert one.broken == []
    assert lines[-1] == ["end", "", "no code was run"]
