"""docs/batch.md and docs/cluster.md are true: run from top to bottom in an empty folder, they print what they say."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.tutorial import Step, agrees, steps

PAGE = Path(__file__).parents[2] / "docs" / "batch.md"
CLUSTER = PAGE.with_name("cluster.md")
pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]


def run_through(found: Sequence[Step], tmp_path: Path, environment: dict[str, str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment | {"PATH": path, "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    for step in found:
        if step.name is not None:
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", step.text], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.text}\n{done.stdout}{done.stderr}"
        assert agrees(step.output, done.stdout, tmp_path), f"$ {step.text}\n{done.stdout}"


def test_the_page_from_top_to_bottom(tmp_path: Path, environment: dict[str, str]) -> None:
    run_through(steps(PAGE.read_text(encoding="utf-8")), tmp_path, environment)


def test_the_page_of_the_cluster(tmp_path: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vecml[ray]'")
    before = steps(PAGE.read_text(encoding="utf-8"))[:3]
    assert "vecml run" in before[-1].text
    run_through([*before, *steps(CLUSTER.read_text(encoding="utf-8"))], tmp_path, environment)
