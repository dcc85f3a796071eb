"""`vecml bisect`: what is refused in one line before anything runs."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vecml.cli.app import app
from vecml.cli.bisect import BISECTION, _asked
from vecml.cli.calls_file import read_calls
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
    for words, text in ((["./p 'a b'"], "./p 'a b'"), (["./p", "a b", "--x"], "./p 'a b' --x")):
        assert _asked({"command": words, "good": "HEAD~1", "bad": "HEAD", "at_least": "5%"}).command == text


def test_a_file_says_the_same_as_flags(tmp_path: Path) -> None:
    file = tmp_path / "slower.toml"
    file.write_text(
        'good = "v1"\nbad = "v2"\ncommand = "./p x"\nbuild = "make"\nat-least = "5%"\nbudget = "1h"\nshell = "sh"\n'
        'prepare = "sync"\nstdin = "in"\nwarmup = 2\nignore_failure = true\nname = "n"\n'
    )
    found = read_calls(file, BISECTION.flags, "bisect")
    assert sorted(found) == sorted(BISECTION.flags)
    assert (found["command"], found["build"], found["at_least"]) == (["./p x"], ["make"], "5%")
    assert (found["stdin"], found["warmup"], found["ignore_failure"]) == (Path("in"), 2, True)


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ('good = "a"\n', (), "bisect needs --bad"),
        ('good = "a"\nbad = "b"\ncommand = "true"\n', (), "--good: {folder} is in no git repository"),
        ('bad = "b"\ncommand = "true"\n', ("--good", "a"), "--good: {folder} is in no git repository"),
        ('at_least = "3"\ngood = "a"\nbad = "b"\ncommand = "true"\n', (), "--at-least 3: it is no share"),
        ("rows = 3\n", (), "--config slower.toml: rows = 3: vecml bisect has no such setting"),
        ("command = 3\n", (), "--config slower.toml: command = 3: it must be a list of texts"),
        ("warmup = 0\n", (), "--config slower.toml: warmup = 0: it must be 1 or more"),
    ],
)
def test_a_file_is_read_under_the_flags(
    text: str, flags: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slower.toml").write_text(text)
    done = CliRunner().invoke(app, ["bisect", "--config", "slower.toml", *flags], standalone_mode=False)
    assert isinstance(done.exception, VecmlError), done.output
    assert done.exception.message == said.format(folder=tmp_path)
    assert done.exception.hint
