"""The reference says everything: each flag of each command, each key of a file that `--config` reads."""

import re
from typing import Any

import pytest
import typer

from vecml.cli.app import app
from vecml.cli.bisect import BISECTION
from vecml.cli.compare_calls import CALLS
from vecml.cli.reference import commands_markdown, keys_markdown
from vecml.comparison.config import ComparisonConfig
from vecml.config import PipelineConfig, TrainingConfig

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SECTIONS = dict(re.findall(r"^## vecml (\w+)\n(.*?)(?=^## |\Z)", commands_markdown(), flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_and_argument_of_every_command_appears_with_its_help(name: str) -> None:
    command, section = COMMANDS[name], SECTIONS[name]
    assert (command.help or "").splitlines()[0] in section
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            assert (parameter.metavar or parameter.name.upper()) in section
        else:
            (line,) = [
                line
                for line in section.splitlines()
                if line.startswith(f"| `{parameter.opts[0]}") and re.match(rf"\| `{parameter.opts[0]}[`, ]", line)
            ]
            assert parameter.help.replace("|", "\\|") in line
            assert "None" not in line


def test_every_command_is_there_and_no_line_is_cut() -> None:
    assert set(SECTIONS) == set(COMMANDS)
    columns = {line.count("|") - line.count("\\|") for line in commands_markdown().splitlines() if line.startswith("|")}
    assert columns == {3}


def test_every_key_appears_with_its_default() -> None:
    _, run, compare, subject, calls, search = keys_markdown().split("\n## ")
    assert set(re.findall(r"^\| `(\w+)`", calls, flags=re.MULTILINE)) == CALLS.flags.keys() - {"command"}
    assert "| `build` | list: text | Run once at each revision; may be given again. |" in calls
    assert set(re.findall(r"^\| `(\w+)`", search, flags=re.MULTILINE)) == BISECTION.flags.keys()
    for text, model, without in (
        (run, PipelineConfig, set()),
        (compare, ComparisonConfig, {"subject", "fail_on_regression"}),
        (subject, TrainingConfig, set()),
    ):
        assert set(re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE)) == set(model.model_fields) - without
    assert "| `hidden` | list: whole number | `auto` |" in run
    assert "| `test_fraction` | number | `0.2` | share of the rows kept for testing (more than 0, less than 1) |" in run
    assert "| `engines` | list: one of the words | `numpy,torch` |" in compare
