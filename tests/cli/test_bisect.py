"""`vecml bisect`: what is refused in one line before anything runs."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vecml.cli.app import app
from vecml.cli.bisect import _asked
from vecml.errors import VecmlError


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--bad", "b", "--", "true"), "bisect needs --good"),
        (("--good", "a", "--", "true"), "bisect needs --bad"),
        (("--good", "a", "--bad", "b"), "bisect needs a command, which is run at each revision"),
        (("--good", "a", "--bad", "b", "--", " "), "bisect needs a command, which is run at each revision"),
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


def test_a_command_in_words_is_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tree"
    subprocess.run(["git", "init", "-q", folder], check=True)
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for name in ("one", "two"):
        subprocess.run(["git", *own, "commit", "-q", "--allow-empty", "-m", name], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    given = {"build": ()}
    for words, text in ((["./p 'a b'"], "./p 'a b'"), (["./p", "a b", "--x"], "./p 'a b' --x")):
        assert _asked(words, "HEAD~1", "HEAD", "5%", given).command == text
