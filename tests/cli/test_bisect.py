"""`vecml bisect`: what is refused in one line before anything runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vecml.cli.app import app
from vecml.errors import VecmlError


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--bad", "b", "--", "true"), "bisect needs --good"),
        (("--good", "a", "--", "true"), "bisect needs --bad"),
        (("--good", "a", "--bad", "b"), "bisect with 0 commands: one is run at each revision"),
        (("--good", "a", "--bad", "b", "--", "true", "x"), "bisect with 2 commands: one is run at each revision"),
        (("--good", "a", "--bad", "b", "--at-least", "5", "--", "true"), "--at-least 5: it is no share"),
        (("--good", "a", "--bad", "b", "--", "true"), "--good: {folder} is in no git repository"),
    ],
)
def test_refused(flags: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["bisect", *flags], standalone_mode=False)
    assert isinstance(done.exception, VecmlError), done.output
    assert done.exception.message == said.format(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
