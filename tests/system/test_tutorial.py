"""docs/tutorial.md is true: run from top to bottom in an empty folder, it prints what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.tutorial import agrees, tutorial

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(1200)]  # two minutes on a quiet machine


def test_the_tutorial_from_top_to_bottom(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> None:
    env = environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),  # or a comparison of an earlier test would go on
        "COLUMNS": "200",
    }
    for step in tutorial():
        if step.name is not None:
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", step.text], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.text}\n{done.stdout}{done.stderr}"
        assert agrees(step.output, done.stdout, tmp_path), f"$ {step.text}\n{done.stdout}"
