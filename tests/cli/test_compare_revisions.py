"""`vecml compare --ref`: what is refused in one line before anything runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vecml.cli.app import app
from vecml.errors import VecmlError


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--build", "make", "--", "true"), "--build goes with --ref"),
        (("--ref", "a", "--ref", "b"), "--ref with 0 commands: one is run at each revision"),
        (("--ref", "a", "--ref", "b", "--", "true", "false"), "--ref with 2 commands: one is run at each revision"),
        (("--ref", "a", "--command", "x=true"), "--ref with --command x=true: one is run at each revision"),
        (("--ref", "a", "--engines", "numpy", "--", "true"), "--engines goes with a model, and 'true' is a command"),
        (("--ref", "a", "--functions", "a.py:f", "--inputs", "a.py:g"), "--functions beside --ref"),
        (("--ref", "a", "--fail-if", "slow", "--", "true"), "--fail-if slow: none of slower, slower:5% or not-faster"),
    ],
)
def test_refused(flags: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["compare", *flags], standalone_mode=False)
    assert isinstance(done.exception, VecmlError), done.output
    assert done.exception.message == said


def test_a_refusal_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the store of runs, which would be a new file in the user's tree."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["compare", "--ref", "a", "--ref", "b", "--", "true"], standalone_mode=False)
    assert isinstance(done.exception, VecmlError), done.output
    assert done.exception.message == f"--ref: {tmp_path} is in no git repository"
    assert list(tmp_path.iterdir()) == []
