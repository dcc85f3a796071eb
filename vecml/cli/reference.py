"""The reference of the command line as Markdown, made from the commands themselves: for the site in docs/.

docs/hooks.py puts both into their pages while the site is built.
"""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from pydantic.fields import FieldInfo

from vecml.cli.app import app
from vecml.cli.bisect import BISECTION
from vecml.cli.calls_file import keys as calls_keys
from vecml.cli.compare import IDLE
from vecml.comparison.config import ComparisonConfig
from vecml.config import PipelineConfig, TrainingConfig
from vecml.fields import Declared, choices, flag_of, is_list, shown, value_type

BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
PAGES = (
    ("`vecml run --config FILE`", PipelineConfig),
    ("`vecml compare --config FILE`", ComparisonConfig),
    ("`vecml compare --config FILE`, table `[subject]`", TrainingConfig),
)

CALLS_TITLE = "`vecml compare --config FILE`, commands, revisions and functions"
CALLS_TEXT = """Beside them stand `budget`, `name` and `baseline` alone. A file with `commands`, `ref` or `functions`
compares no model."""


def commands_markdown() -> str:
    """Every command with its usage, what it does, all of its arguments and flags, and examples."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return "\n".join(["# Commands", "", *(line for name in commands for line in _command(name, commands[name]))])


def keys_markdown() -> str:
    """Every key of the TOML files that `--config` reads, with type, default and bounds."""
    lines = [
        "# Keys of a TOML file",
        "",
        "A flag wins over the file. A dash may be written for an underscore. The keys of the table `[subject]` may also"
        " stand beside those of a comparison, but for `rows`, which means the rows inferred there.",
    ]
    for title, model in PAGES:
        lines += ["", f"## {title}", "", *_table(("key", "type", "default", "meaning"), _keys(model))]
    rows = [(f"`{name}`", kind, meaning) for name, kind, meaning in calls_keys()]
    lines += ["", f"## {CALLS_TITLE}", "", CALLS_TEXT, "", *_table(("key", "type", "meaning"), rows)]
    rows = [(f"`{name}`", kind, meaning) for name, kind, meaning in calls_keys(BISECTION.flags)]
    lines += ["", "## `vecml bisect --config FILE`", "", *_table(("key", "type", "meaning"), rows)]
    return "\n".join([*lines, ""])


def _command(name: str, command: Any) -> list[str]:
    lines = [f"## vecml {name}", "", inspect.cleandoc(command.help or ""), ""]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(["vecml", name, *map(_place, arguments), "[OPTIONS]"])
    lines += ["```text", usage, "```", ""]
    if arguments:
        rows = [(f"`{_place(one)}`", one.help or "") for one in arguments]
        lines += [*_table(("argument", "meaning"), rows), ""]
    panels: dict[str, list[tuple[str, str]]] = {}
    for one in command.params:
        if one.param_type_name == "option":
            panels.setdefault(one.rich_help_panel or "Options", []).append(_flag(one))
    for panel, flags in panels.items():
        lines += [f"### {panel}" if len(panels) > 1 else "", "", *_table(("flag", "meaning"), flags), ""]
    return [*lines, command.epilog or ""]


def _place(argument: Any) -> str:
    """An argument in the usage: `RUN`, `RUNS...` for several, `[RUN]` for one that may be left out."""
    text = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs == -1 else "")
    return text if argument.required else f"[{text}]"


def _flag(option: Any) -> tuple[str, str]:
    names = ", ".join((*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {option.metavar}"
    default = f" [default: {option.default}]" if option.show_default and option.default not in (None, False) else ""
    return f"`{names}{value}`", f"{option.help}{default}{' **Required.**' if option.required else ''}"


def _keys(model: type[Declared]) -> Iterable[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, Declared)
        if not nested and not (model is ComparisonConfig and name in IDLE):
            mark = flag_of(field)
            default = (mark and mark.default) or shown(field.default)
            yield f"`{name}`", _type(field), f"`{default}`" if default else "", _meaning(field)


def _type(field: FieldInfo) -> str:
    one = value_type(field)
    name = {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(one, "one of the words")
    return f"list: {name}" if is_list(field) else name


def _meaning(field: FieldInfo) -> str:
    text = field.description or ""
    if words := choices(field):
        text += f": {', '.join(words)}"
    bounds = [
        f"{said} {getattr(mark, key):,}"
        for mark in field.metadata
        for key, said in BOUNDS.items()
        if hasattr(mark, key)
    ]
    return text + (f" ({', '.join(bounds)})" if bounds else "")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
