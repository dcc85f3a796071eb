"""docs/tutorial.md is true: run from top to bottom in an empty folder, it prints what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.tutorial import Step, agrees, steps

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


@pytest.mark.system
@pytest.mark.timeout(1200)
def test_the_tutorial_from_top_to_bottom(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    unset = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "VECML_HOME", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "COLUMNS": "200",
        "PYTHONWARNINGS": "ignore",
    }
    for step in steps(PAGE):
        if step.name is not None:
            (tmp_path / step.name).write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", step.text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {step.text}\n{done.stdout}{done.stderr}"
        assert agrees(step.output, done.stdout, tmp_path), f"$ {step.text}\n{done.stdout}"


def test_every_block_is_saved_or_run() -> None:
    found = steps(PAGE)
    assert [step.name for step in found if step.name] == ["make_table.py"]
    commands = [step.text for step in found if not step.name]
    for command in ("vecml run", "vecml compare", "vecml report", "vecml champion", "vecml predict"):
        assert any(text.startswith(command) for text in commands), command


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("95.3 % of 359 rows", "88 % of  1,200\nrows", True),
        ("by torch at 838 krow/s", "by torch at 1.07 Mrow/s", True),
        ("train 231 ms", "train 1.2 s", True),
        ("run first in ~/shop/mlruns", "run first in /there/mlruns", True),
        ("Engines\n...\nnumpy ready\n...", "Engines row_loop ready numpy ready", True),
        ("p 9.5e-37", "p 1", True),
        ("by torch", "by numpy", False),
        ("95 % of 359 rows", "95 % of 359 rows and a warning", False),
        ("Engines\n...\nnumpy ready", "Engines row_loop ready", False),
        ("network 8-32-2, relu", "network 8-32-2, tanh", False),
    ],
)
def test_the_rule_for_outputs(expected: str, printed: str, same: bool) -> None:
    assert agrees(expected, printed, Path("/there")) is same


def test_the_reader_of_blocks() -> None:
    page = '```sh\nmake run\n```\n```python title="a.py"\nx = 1\n```\n```console\n$ python a.py\n$ echo 2\n2\n```\n'
    assert steps(page) == [Step("x = 1\n", "a.py"), Step("python a.py"), Step("echo 2", output="2\n")]
    with pytest.raises(AssertionError, match="neither run nor saved"):
        steps("```python\nx = 1\n```\n")
