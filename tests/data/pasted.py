"""The command of a hint, pasted into a shell: what it would run."""

import re
import shlex

from typer.main import get_command

from vecml.cli.app import app
from vecml.cli.options import Fields
from vecml.config import PipelineConfig, make_config


def parsed(line: str) -> PipelineConfig:
    """What the command line would run: the shell's words, the flags of `vecml run`, the configuration."""
    words = shlex.split(line)
    assert words[:2] == ["vecml", "run"], line
    context = get_command(app).commands["run"].make_context("run", words[2:])
    return make_config(Fields(PipelineConfig).values(dict(context.params)))


def command_in(hint: str) -> str | None:
    """The command with which the hint ends; None where it has none."""
    found = re.search(r"vecml run .*", hint, re.DOTALL)
    return found and found[0]
