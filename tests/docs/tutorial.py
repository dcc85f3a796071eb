"""Reads docs/tutorial.md: the files to save, the commands to run, and what they should print.

The rule for outputs (of stdout: progress and warnings go to stderr), in this order:

1. How many spaces and line ends there are does not matter: a terminal's width decides that.
2. The folder that the tutorial works in is written as `~/shop`.
3. A number stands for any number, with its sign, separators, exponent, and the prefix of its rows/s or seconds.
4. `...` stands for anything, also for nothing.

All else has to be the same.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: [kMG](?=row/s)| (?:[mµn]s|s)\b)?")


@dataclass(frozen=True)
class Step:
    """A file to save under `name`, or, where `name` is None, a command to run and what it should print."""

    text: str
    name: str | None = None
    output: str = ""


def steps(page: str) -> list[Step]:
    """The steps of the page in their order. Blocks of `sh` are what the test's own installation stands for."""
    found = []
    for block in FENCE.finditer(page):
        if block["language"] == "console":
            commands = re.split(r"^\$ ", block["text"], flags=re.MULTILINE)
            assert not commands[0], f"a console block begins with {commands[0]!r} and not with a command"
            for command in commands[1:]:
                line, _, output = command.partition("\n")
                found.append(Step(line, output=output))
        elif block["title"] is not None:
            found.append(Step(block["text"], block["title"]))
        else:
            assert block["language"] == "sh", f"a block of {block['language']} is neither run nor saved"
    return found


def normal(text: str, folder: Path | None = None) -> str:
    """The text with one space between words, the folder as `~/shop`, and `#` for every number."""
    if folder is not None:
        text = text.replace(str(folder), "~/shop")
    return " ".join(NUMBER.sub("#", text).split())


def agrees(expected: str, printed: str, folder: Path) -> bool:
    """Whether a command printed what the page says, by the rule above."""
    parts = [re.escape(normal(part)) for part in expected.split("...")]
    pattern = r"\s?.*\s?".join(parts)
    return re.fullmatch(pattern, normal(printed, folder), flags=re.DOTALL) is not None


def tutorial() -> list[Step]:
    """The steps of docs/tutorial.md."""
    return steps((Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8"))
