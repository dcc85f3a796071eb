"""`vecml trigger`: the same comparison on several machines at once, each by the worker that serves its queue."""

import json as json_text
from dataclasses import asdict
from typing import Annotated, Any

import typer

from vecml.cli.options import command, option
from vecml.cli.terminal import console, own_name
from vecml.comparison.config import ComparisonConfig
from vecml.errors import SettingError
from vecml.fields import flag

EPILOG = """**Examples**

- `vecml trigger --queues cpu,laptop`: the comparison of the deployment compare/devices, on both

- `vecml trigger --queues cpu,laptop --set engines=all --set budget=5m --wait`: with other settings, until both ended

- `vecml diff RUN RUN`, afterwards: which differences between the machines are real
"""
SET_TEXT = "A field of its form: engines=numpy,halide, rows=4000000, subject.hidden=64,32 ... Repeatable."


@command(warns=False)
def trigger(
    queues: Annotated[
        str, option("Work queues, one for each machine: its worker serves it with --work-queue.", "NAME,...")
    ],
    deployment: Annotated[str, typer.Option(help="What is run.", metavar="FLOW/NAME")] = "compare/devices",
    set_: Annotated[list[str] | None, option(SET_TEXT, "FIELD=VALUE", "--set")] = None,
    wait: Annotated[bool, option("Wait until all have ended; 1 when one failed.", None, "--wait")] = False,
    json: Annotated[bool, option("Print the flow runs as JSON.", None, "--json")] = False,
) -> None:
    """Run the same comparison on several machines: a flow run of one deployment in each of their work queues."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    if not names:
        raise SettingError(f"--queues {queues!r}: name at least one")
    config = _config(set_ or [])
    from flows.trigger import trigger as ask

    found = ask(deployment, names, config, None if wait else 0)
    if json:
        typer.echo(json_text.dumps({"version": 1, "flow_runs": [asdict(one) for one in found]}, indent=1))
    else:
        for one in found:
            line = f"{one.queue}: flow run {one.name} ({one.flow_run_id}): {one.state.lower()}"
            console().print(line + (f": {one.message}" if one.message else ""), soft_wrap=True, markup=False)
        if not wait:
            console().print(f"When they have ended, {own_name()} diff compares their runs.", soft_wrap=True)
    if wait and any(one.state != "COMPLETED" for one in found):
        raise typer.Exit(1)


def _config(given: list[str]) -> dict[str, Any]:
    """The fields as the flow's form takes them; raises SettingError for one that it would refuse."""
    config: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SettingError(f"--set {text}: not FIELD=VALUE", "for example --set engines=numpy,halide")
        if name.startswith("subject."):
            config.setdefault("subject", {})[name.removeprefix("subject.")] = value
        else:
            config[name] = value
    try:
        dumped: dict[str, Any] = ComparisonConfig.checked(config).model_dump(mode="json", exclude_unset=True)
    except SettingError as error:
        raise _as_written(error, given) from None
    return dumped


def _as_written(error: SettingError, given: list[str]) -> SettingError:
    """Name the field as this command takes it, `--set rows=x`, where the error names the flag of others, `--rows x`."""
    for text in given:
        name, _, value = text.partition("=")
        other = flag(name.removeprefix("subject."))
        for part in ("", value, *map(str.strip, value.split(","))):
            start = f"{other} {part}: " if part else f"{other}: "
            if error.message.startswith(start):
                hint = error.hint and error.hint.replace(f"{other} ", f"--set {name}=")
                return SettingError(f"--set {name}={part or value}: {error.message.removeprefix(start)}", hint)
    return error
