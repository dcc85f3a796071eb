"""docs/batch.md is true: run from top to bottom in an empty folder, it prints what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.tutorial import agrees, steps

PAGE = Path(__file__).parents[2] / "docs" / "batch.md"
pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]


def test_the_page_from_top_to_bottom(tmp_path: Path, environment: dict[str, str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment | {"PATH": path, "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    for step in steps(PAGE.read_text(encoding="utf-8")):
        if step.name is not None:
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", step.text], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.text}\n{done.stdout}{done.stderr}"
        assert agrees(step.output, done.stdout, tmp_path), f"$ {step.text}\n{done.stdout}"
