"""Commands as they are written: names, programs, and what is refused before anything runs."""

import os
from pathlib import Path
from typing import Any

import pytest

from vecml.comparison.command_lines import Commands, check, line_of, named_commands
from vecml.errors import SettingError

TO_A_SHELL = "--shell sh lets a shell read the commands"


def test_a_command_is_called_by_its_text_and_the_baseline_comes_first() -> None:
    assert list(named_commands(["sleep  1", "true"], [], None)) == ["sleep 1", "true"]
    named = named_commands(["true"], ["slow=sleep 1", "env=env A=1 true"], "slow")
    assert list(named.items()) == [("slow", "sleep 1"), ("true", "true"), ("env", "env A=1 true")]


@pytest.mark.parametrize(
    ("positional", "named", "baseline", "said", "hint"),
    [
        (
            ["sleep 1"],
            [],
            None,
            "1 command: a comparison needs two or more",
            "put each in quotes: vecml compare -- 'sleep 1' 'ANOTHER COMMAND'",
        ),
        (
            ["true", "true"],
            [],
            None,
            "two commands are called 'true'",
            "give each a name of its own: --command a='CMD' --command b='CMD'",
        ),
        (["true", " "], [], None, "a command is empty", "vecml compare -- 'COMMAND' 'COMMAND'"),
        (
            [],
            ["true"],
            None,
            "--command true: not of the form NAME='COMMAND'",
            "for example --command old='./a.out'",
        ),
        (["true", "false"], [], "sh", "--baseline sh: it is none of the commands", "choose from true, false"),
    ],
)
def test_names_that_cannot_be(
    positional: list[str], named: list[str], baseline: str | None, said: str, hint: str
) -> None:
    with pytest.raises(SettingError) as caught:
        named_commands(positional, named, baseline)
    assert (caught.value.message, caught.value.hint) == (said, hint)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("psql postgres://joe:abc@h/db", "psql postgres://***@h/db"),
        ("env PGPASSWORD=abc psql", "env PGPASSWORD=*** psql"),
        ("env X_API_KEY='a b' ./a", "env X_API_KEY=*** ./a"),
        ("curl --api-key=abc x", "curl --api-key=*** x"),
        ("login --password abc --user joe", "login --password *** --user joe"),
        ('sh -c "a --token=abc"', 'sh -c "a --token=***"'),
        ("curl -H 'Authorization: Bearer abc' x", "curl -H 'Authorization: Bearer ***' x"),
        ("curl 'https://h/a?token=abc&b=1'", "curl 'https://h/a?token=***&b=1'"),
        ("llm --max-tokens 100 --tokenizer fast", "llm --max-tokens 100 --tokenizer fast"),
        ("sort pass.txt token", "sort pass.txt token"),
        ("cat \udcff.txt", "cat ?.txt"),
    ],
)
def test_what_is_recorded_holds_no_secret_and_can_be_stored(text: str, shown: str) -> None:
    assert next(iter(named_commands([text, "true"], [], None).items())) == (shown, text)
    assert next(iter(named_commands(["true", text], [], text))) == shown


def test_what_is_started() -> None:
    plain = line_of(r"""sh -c 'exit "3"; a|b' x\;y "<" '&&'""", "none")
    assert plain.argv == ("sh", "-c", 'exit "3"; a|b', "x;y", "<", "&&")
    assert Path(plain.program).is_absolute()
    assert line_of("\n echo 'a\nb' \n", "none").argv == ("echo", "a\nb")
    assert line_of("a | b", "sh -e").argv == ("sh", "-e", "-c", "a | b")


@pytest.mark.parametrize(
    ("text", "shell", "said", "hint"),
    [
        (
            "no-such-program -v",
            "none",
            "'no-such-program -v': there is no program no-such-program",
            "check its name and PATH; a shell's own words need --shell sh",
        ),
        (
            "./nowhere.sh",
            "none",
            "'./nowhere.sh': there is no file ./nowhere.sh",
            "check its name and PATH; a shell's own words need --shell sh",
        ),
        ("true | cat", "none", "'true | cat': | is a shell's own", "--shell sh lets a shell read the commands"),
        ("true>out", "none", "'true>out': > is a shell's own", "--shell sh lets a shell read the commands"),
        ("echo a\necho b", "none", "'echo a\\necho b': a line break is a shell's own", TO_A_SHELL),
        ("echo a \\\n b", "none", "'echo a \\\\\\n b': a line break is a shell's own", TO_A_SHELL),
        ("true;\r\ntrue", "none", "'true;\\r\\ntrue': ; is a shell's own", TO_A_SHELL),
        ("A=1 true", "none", "'A=1 true': A=1 is a shell's own", "--shell sh lets a shell read the commands"),
        (
            "echo 'a",
            "none",
            '"echo \'a": no closing quotation',
            "close the quotes, or write \\' for an apostrophe",
        ),
        (
            "true",
            "no-such-shell",
            "--shell no-such-shell: there is no program no-such-shell",
            "name one that is installed, such as sh",
        ),
    ],
)
def test_commands_that_cannot_be_started(text: str, shell: str, said: str, hint: str) -> None:
    with pytest.raises(SettingError) as caught:
        line_of(text, shell)
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_a_file_that_may_not_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("script").write_text("#!/bin/sh\n")
    with pytest.raises(SettingError, match=r"^'./script': ./script may not be run$"):
        line_of("./script", "none")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stdin": Path("nothing.txt")}, "--stdin nothing.txt: there is no such file"),
        ({"same_file": Path("nowhere/out")}, "--same-file nowhere/out: there is no folder nowhere"),
        ({"prepare": ("true",) * 3}, "--prepare is given 3 times for 2 commands"),
        ({"setup": ("no-such-program",)}, "'no-such-program': there is no program no-such-program"),
        ({"cleanup": ("a && b",)}, "'a && b': && is a shell's own"),
    ],
)
def test_what_is_refused_round_them(more: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        check(Commands(texts={"a": "true", "b": "false"}, **more))
    assert caught.value.message == said


def test_a_file_that_changes_makes_another_command(tmp_path: Path) -> None:
    file = tmp_path / "bench.py"
    file.write_text("1")
    line = line_of(f"python3 {file}", "none")
    before = line.state()
    assert line.state() == before
    file.write_text("12")
    assert line.state() != before


def test_a_pipe_as_the_input_of_every_start_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingError, match="it is no regular file"):
        check(Commands(texts={"a": "true", "b": "true"}, stdin=tmp_path / "pipe"))
