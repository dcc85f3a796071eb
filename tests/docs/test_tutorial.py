"""The reader of docs/tutorial.md; tests/system/test_tutorial.py runs what it reads."""

from pathlib import Path

import pytest

from tests.docs.tutorial import Step, agrees, steps, tutorial


def test_every_block_is_saved_or_run() -> None:
    found = tutorial()
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
