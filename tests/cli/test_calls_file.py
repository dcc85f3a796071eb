"""Commands, revisions and functions in a TOML file: read as the flags of the same names, which win."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vecml.cli.app import app
from vecml.cli.calls_file import keys, with_file
from vecml.cli.compare_calls import CALLS, calls_asked
from vecml.errors import SettingError, VecmlError


def read(folder: Path, text: str, calls: dict[str, Any] | None = None, own: dict[str, Any] | None = None) -> Any:
    file = folder / "bench.toml"
    file.write_text(text)
    calls, own, left = with_file(calls or {}, own or {}, file)
    assert left in (None, file)
    return calls_asked(calls, own, (), None, quick=False) if left is None else left


def test_commands_as_a_list(tmp_path: Path) -> None:
    text = 'commands = ["true", "false"]\nbudget = "5m"\nshell = "sh"\nsame-output = true\nwarmup = 3\nsetup = "true"\n'
    found = read(tmp_path, text)
    assert found.texts == {"true": "true", "false": "false"}
    assert (found.budget, found.shell, found.same_output, found.warmup) == ("5m", "sh", True, 3)
    assert found.setup == ("true",)


def test_commands_with_names_and_a_baseline(tmp_path: Path) -> None:
    found = read(tmp_path, 'baseline = "new"\nname = "a run"\n[commands]\nold = "true"\nnew = "false"\n')
    assert list(found.texts.items()) == [("new", "false"), ("old", "true")]
    assert found.name == "a run"


def test_flags_win(tmp_path: Path) -> None:
    text = 'commands = ["true", "false"]\nbudget = "5m"\nstdin = "other"\n'
    found = read(tmp_path, text, {"commands": ["ls", "cat"], "stdin": Path("mine")}, {"budget": "2m"})
    assert (list(found.texts), found.budget, found.stdin) == (["ls", "cat"], "2m", Path("mine"))
    named = read(tmp_path, text, {"command": ["a=ls", "b=cat"]})
    assert list(named.texts) == ["a", "b"]


def test_functions(tmp_path: Path) -> None:
    for written in ('["bench.py:loop", "bench.py:fast"]', '"bench.py:loop,bench.py:fast"'):
        (tmp_path / "bench.py").write_text("def loop(x): ...\ndef fast(x): ...\ndef make(): ...\n")
        text = f'functions = {written}\ninputs = "bench.py:make"\n'.replace("bench.py", str(tmp_path / "bench.py"))
        found = read(tmp_path, text)
        assert list(found.places) == ["loop", "fast"]


def test_a_file_of_engines_is_left_to_others(tmp_path: Path) -> None:
    assert read(tmp_path, 'engines = ["numpy", "torch"]\n') == tmp_path / "bench.toml"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (
            'commands = ["true", "false"]\nengines = ["numpy"]\n',
            "engines = numpy: it does nothing for commands, revisions or functions",
            "leave out engines",
        ),
        (
            "commands = 3\n",
            "commands = 3: it must be a list of texts, or a table of texts by their names",
            "commands = ['./old data', './new data']",
        ),
        ('ref = ["a", 1]\n', "ref = a,1: it must be a list of texts", 'ref = ["..."] is the same as --ref'),
        (
            'commands = ["a", "b"]\nwarmup = true\n',
            "warmup = True: it must be a whole number",
            "warmup = 3 is the same as --warmup",
        ),
        (
            'commands = ["a", "b"]\nsame_output = "yes"\n',
            "same_output = yes: it must be true or false",
            "same_output = true is the same as --same-output",
        ),
        (
            'commands = ["a", "b"]\nwarmup = 0\n',
            "warmup = 0: it must be 1 or more",
            "warmup = 3 is the same as --warmup",
        ),
    ],
)
def test_refused(text: str, said: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        read(tmp_path, text)
    assert caught.value.message == f"--config {tmp_path / 'bench.toml'}: {said}"
    assert caught.value.hint == hint


def test_revisions_go_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the first refusal that comes from the repository, which is none."""
    monkeypatch.chdir(tmp_path)
    Path("bench.toml").write_text('ref = ["main", "HEAD"]\nbuild = "make"\ncommands = "./parse"\n')
    done = CliRunner().invoke(app, ["compare", "--config", "bench.toml"], standalone_mode=False)
    assert isinstance(done.exception, VecmlError)
    assert done.exception.message == f"--ref: {tmp_path} is in no git repository"


def test_every_flag_is_a_key() -> None:
    assert [name for name, *_ in keys()] == [name for name in CALLS.flags if name != "command"]
