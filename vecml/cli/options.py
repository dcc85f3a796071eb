"""Flags: those that are made from a model's fields, and those that several commands share.

A command is a function with `command` before it. It is called with one dict of values for each group of fields, and
with its own parameters, which typer reads from the signature as ever.

>>> @command(Fields(PipelineConfig))
... def run(values: dict[str, Any], json: JsonFlag = False) -> None: ...
"""

import functools
import inspect
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from vecml.atomic import check_folder, write_bytes
from vecml.cli.terminal import progress_bars, shown_warnings
from vecml.data.memory_limit import VARIABLE, bytes_of
from vecml.data.name_list import read_names
from vecml.errors import SettingError
from vecml.fields import Declared, choices, flag, flag_of, is_list, shown, value_type
from vecml.foreign_text import clean_json
from vecml.leftovers import sweep_once


@dataclass(frozen=True)
class Fields:
    """The flags of a model's fields.

    Attributes:
        model: its fields that have a `vecml.fields.Flag`, in their order.
        panel: one heading of the help for all of them; by default each field's own.
        without: names of fields that get no flag.
    """

    model: type[Declared]
    panel: str | None = None
    without: tuple[str, ...] = ()

    def parameters(self) -> list[inspect.Parameter]:
        """A parameter for each flag; its default is None, which means that the flag was not given."""
        made = []
        for name, field in self.model.model_fields.items():
            mark = flag_of(field)
            if mark is None or name in self.without:
                continue
            information = option(help_of(field), mark.metavar or None, flag(name), panel=self.panel or mark.panel)
            kind = list[str] | None if _repeats(field) else bool | None if value_type(field) is bool else str | None
            made.append(_keyword(name, Annotated[kind, information], None))
        return made

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take the values of this group's flags that were given out of `given`, in the model's order."""
        values = {
            name: given.pop(name) for name in self.model.model_fields if name in given and name not in self.without
        }
        return {
            name: columns(value) if _repeats(self.model.model_fields[name]) else value
            for name, value in values.items()
            if value not in (None, [])
        }


@dataclass(frozen=True)
class Listed:
    """A group of flags that are written out, for what is no field of a model.

    Attributes:
        flags: by the parameter's name, what typer reads: a type annotated with `option(...)`.
    """

    flags: Mapping[str, Any]

    def parameters(self) -> list[inspect.Parameter]:
        """A parameter for each flag; its default is None, which means that the flag was not given."""
        return [_keyword(name, annotation, None) for name, annotation in self.flags.items()]

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take the values of this group's flags that were given out of `given`."""
        values = {name: given.pop(name) for name in self.flags if name in given}
        for value in values.values():
            check_local(value)
        return {name: value for name, value in values.items() if value not in (None, [], False)}


def option(text: str, metavar: str | None = None, *names: str, panel: str | None = None, **more: Any) -> Any:
    """A flag whose help is `text`; a default is said in the text, where there is one to say."""
    return typer.Option(*names, help=text, metavar=metavar, rich_help_panel=panel, show_default=False, **more)


def help_of(field: FieldInfo) -> str:
    """The help of a field's flag: its description, the words that it takes, and its default."""
    text = (field.description or "").rstrip(".")
    if words := choices(field):
        text += f": {', '.join(words)}"
    mark = flag_of(field)
    default = (mark and mark.default) or ("" if field.default is False else shown(field.default))
    return f"{text[0].upper()}{text[1:]}." + (f" [default: {default}]" if default else "")


def output_file(text: str, name: str, panel: str | None = None) -> Any:
    """A flag for a file that is written at the end: what could only fail then is refused at once."""

    def check(value: Path | None) -> Path | None:
        return check_file(name, value)

    return option(text, "FILE", name, panel=panel, callback=check)


ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+")  # of more than one letter: a single one is a drive
JSON_TEXT = "Write everything as JSON; `-` prints it instead."


def _allow(value: str | None) -> str | None:
    """Let this process, and its children, read tables within so much memory."""
    if value is not None:
        bytes_of(value)
        os.environ[VARIABLE] = value
    return value


MaxMemory = Annotated[
    str | None,
    option(
        "Most memory that reading a table may take. [default: four fifths of what is free]",
        "4GB",
        "--max-memory",
        callback=_allow,
    ),
]
JsonFile = Annotated[Path | None, output_file(JSON_TEXT, "--json")]
JsonFlag = Annotated[bool, option("Print it as JSON.", None, "--json")]
Quick = Annotated[bool, option("One launch: figures, and no verdict.", None, "--quick")]
RunName = Annotated[str | None, option("Name of the run in MLflow.", "TEXT", "--name")]
ModelClass = Annotated[
    str | None, option("The class of a model that is a torch.nn.Module of your own.", "MODULE:CLASS", "--architecture")
]
NetworkDigest = Annotated[str | None, option("Only networks whose digest begins so.", "DIGEST", "--architecture")]
TrackedRun = Annotated[
    str,
    typer.Argument(
        help="A tracked run: its id, the beginning of it, or its name; a setting's is its comparison's.", metavar="RUN"
    ),
]


def command(
    *groups: Fields | Listed, warns: bool = True, panel: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a function, which gets a dict of values for each group and then its own parameters.

    Args:
        groups: the fields whose flags the command has beside those of its signature.
        warns: whether it has `--ignore`; without it, only the store has something to say, which is shown as well.
        panel: the heading of the help for the shared flags.

    While it runs, warnings and progress bars are shown on standard error. `--debug` is read by `vecml.cli.app.main`; a
    function that needs it as well has a parameter of that name.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())[len(groups) :]
        takes_debug = any(parameter.name == "debug" for parameter in own)

        @functools.wraps(function)
        def run(*positional: Any, ignore: list[str] | None = None, debug: bool = False, **given: Any) -> None:
            sweep_once()
            values = [group.values(given) for group in groups]
            for value in (*positional, *given.values()):
                check_local(value)
            if takes_debug:
                given["debug"] = debug
            with shown_warnings(ignore or ()), progress_bars():
                function(*values, *positional, **given)

        made = [parameter for group in groups for parameter in group.parameters()]
        made += [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own if parameter.name != "debug"]
        if warns:
            text = "A warning's code, not to be shown (docs/warnings.md)."
            made.append(_keyword("ignore", Annotated[list[str] | None, option(text, "VMLnnn", panel=panel)], None))
        text = (
            "Show the traceback of an error, and Prefect's log." if takes_debug else "Show the traceback of an error."
        )
        made.append(_keyword("debug", Annotated[bool, option(text, None, "--debug", panel=panel)], False))
        run.__signature__ = inspect.Signature(made)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in made}
        return run

    return decorate


def write_json(json: Path | None, text: Callable[[], str]) -> bool:
    """Write the text to the file that `--json` names, if any, or print it; whether it was printed: no table follows."""
    if json is None:
        return False
    content = text().rstrip() + "\n"
    if is_printed(json):
        typer.echo(clean_json(content), nl=False)
        return True
    write_bytes(json, content.encode())
    return False


def is_printed(json: Path | None) -> bool:
    """Whether `--json -` asks for the JSON on standard output, in place of a table."""
    return json is not None and str(json) == "-"


def columns(values: list[str]) -> tuple[str, ...]:
    """`--drop a,b --drop '"c,d"'`: names by comma, a name with a comma in double quotes."""
    return tuple(name for value in values for name in read_names(value))


def _repeats(field: FieldInfo) -> bool:
    """Whether the flag may be given several times: one for names of columns, which may hold a comma themselves."""
    return is_list(field) and value_type(field) is str


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def check_local(value: object) -> None:
    """Raise SettingError where a path, or one of several, is the address of something elsewhere, with its slashes."""
    for one in value if isinstance(value, list) else [value]:
        scheme, mark, rest = str(one).partition(":/") if isinstance(one, Path) else ("", "", "")
        if not mark or not ADDRESS.fullmatch(scheme):
            continue
        if scheme == "file":
            raise SettingError(f"file:///{rest.lstrip('/')}: an address is no path", f"name /{rest.lstrip('/')}")
        raise SettingError(f"{scheme}://{rest}: it is no file of this machine", "name the path of one")


def check_file(name: str, value: Path | None) -> Path | None:
    """The path, if a file can be written there; `-` is standard output. Raises SettingError."""
    if value is None or str(value) == "-":
        return value
    check_local(value)
    check_folder(value, f"{name} {value}")
    if value.is_dir():
        raise SettingError(f"{name} {value}: it is a folder", "name a file in it")
    try:
        with tempfile.TemporaryFile(dir=value.resolve().parent):
            pass
    except OSError as error:
        why = error.strerror or error
        raise SettingError(f"{name} {value}: cannot write there: {why}", "name a file in another folder") from None
    return value
