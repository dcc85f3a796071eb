"""`vecml champion`: which model stands for all others, and whether another one may take its place."""

import dataclasses
import json as json_text
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.options import JsonFlag, ModelClass, command, option
from vecml.cli.terminal import console
from vecml.errors import SettingError
from vecml.numbers import count, percent

if TYPE_CHECKING:
    from rich.text import Text

    from tasks.tracking.promotion import Promotion
    from tasks.tracking.registry import RegisteredModel, Version

RUN_TEXT = "A pipeline run: its id, the beginning of it, or its name. [default: show what there is]"
EPILOG = """**Examples**

- `vecml champion brave-fox-1`: its model becomes champion, if it is not worse than the one that is

- `vecml champion`: the champion, who was before, and why

- `vecml champion --rollback`: the one before is champion again

- `vecml predict --model models:/vecml@champion --data new.parquet --out labels.parquet`: and uses it
"""
REFUSED = 1


@command()
def champion(
    run: Annotated[str | None, typer.Argument(help=RUN_TEXT, metavar="RUN", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="The registered model's name.", metavar="NAME")] = "vecml",
    comparison: Annotated[
        str | None, option("The comparison whose setting is taken. [default: the run's latest]", "RUN")
    ] = None,
    rollback: Annotated[bool, option("Make the champion before this one champion again.", None, "--rollback")] = False,
    force: Annotated[bool, option("Promote it whatever the test says; that is written down.", None, "--force")] = False,
    architecture: ModelClass = None,
    json: JsonFlag = False,
) -> None:
    """Make a run's model the champion, with the setting that suits it, if it is not worse than the one before.

    Both label the same test rows. Fewer right is refused (exit code 1), unless that may be chance and a loss of 1 % or
    more is excluded. Where the two cannot be compared, or the run has no valid setting, the exit code is 2. The former
    champion becomes the challenger.
    """
    _check(run, comparison, architecture, rollback=rollback, force=force)
    from tasks.tracking.registry import CHAMPION, no_champion, read_registered_model, roll_back

    if run is not None:
        from tasks.tracking.promotion import promote

        result = promote(run, name, comparison=comparison, architecture=architecture, force=force)
        _show_promotion(result, name, json=json)
        if not result.promoted:
            raise typer.Exit(REFUSED)
        return
    now = roll_back(name) if rollback else read_registered_model(name)
    if now.champion is None and not json:
        raise no_champion(name)
    if json:
        typer.echo(json_text.dumps(_model_as_json(now), indent=1))
        return
    if rollback and now.champion is not None:
        console().print(f"Back to version {now.champion.number}: models:/{name}@{CHAMPION} names it again.")
    _show_model(now)


def _check(run: str | None, comparison: str | None, architecture: str | None, *, rollback: bool, force: bool) -> None:
    flags = {"--comparison": comparison, "--architecture": architecture, "--force": force or None}
    given = [flag for flag, value in flags.items() if value is not None]
    if rollback and run is not None:
        raise SettingError(f"--rollback goes to the champion before, not to {run}", "leave out one of the two")
    if run is None and given:
        raise SettingError(f"{given[0]} needs a run", f"vecml champion RUN {given[0]}")


def _show_promotion(result: "Promotion", name: str, *, json: bool) -> None:
    if json:
        typer.echo(json_text.dumps(_promotion_as_json(result), indent=1))
        return
    from rich.text import Text

    out = console()
    if result.version is None:
        former = "" if result.former is None else f", version {result.former.number} stays champion"
        out.print(Text(f"Refused{former}: {result.reason}.", style="bold"))
        return
    out.print(
        Text(f"Run {result.run} is champion now, version {result.version.number}: {result.reason}.", style="bold")
    )
    out.print(Text(f"It runs by {words(result.chosen.setting)}: {result.chosen.why}."))
    if result.former is not None:
        out.print(Text(f"Version {result.former.number} is the challenger; vecml champion --rollback goes back to it."))
    address = f"vecml predict --model models:/{name}@champion --data FILE --out FILE"
    out.print(Text(address), soft_wrap=True)


def words(setting: Any) -> str:
    """A setting for people: `numpy on cpu (float32, columns, 2 threads)`."""
    threads = count(setting.threads, "thread")
    parts = [setting.precision, setting.layout, threads]
    if setting.isa != "native":
        parts.append(setting.isa)
    if setting.block_rows is not None:
        parts.append(f"blocks of {setting.block_rows:,} rows")
    return f"{setting.engine} on {setting.device} ({', '.join(parts)})"


def _show_model(now: "RegisteredModel") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title, justify in (("version", "right"), ("", "left"), ("run", "left"), ("accuracy", "right")):
        table.add_column(title, justify="right" if justify == "right" else "left", overflow="fold")
    for title in ("runs by", "since (UTC)"):
        table.add_column(title, overflow="fold")
    for version in now.versions:
        table.add_row(*_cells(version, now))
    console().print(table)
    for mark, named in (("champion", now.champion), ("challenger", now.challenger)):
        if named is not None and "vecml.reason" in named.tags:
            console().print(Text(f"{mark}, version {named.number}: {named.tags['vecml.reason']}"))


def _cells(version: "Version", now: "RegisteredModel") -> "Sequence[Text]":
    from rich.text import Text

    tags = version.tags
    mark = "champion" if version == now.champion else "challenger" if version == now.challenger else ""
    accuracy = tags.get("vecml.accuracy", "")
    shown = (
        str(version.number),
        mark,
        tags.get("vecml.run_name", version.run_id[:8]),
        percent(float(accuracy) if accuracy else None, 2),
        " ".join(tags.get(f"vecml.{key}", "-") for key in ("engine", "precision")),
        tags.get("vecml.promoted_at", version.created)[:16].replace("T", " "),
    )
    return [Text(cell, style="bold" if mark == "champion" else "") for cell in shown]


def _promotion_as_json(result: "Promotion") -> dict[str, Any]:
    return {
        "version": 1,
        "promoted": result.promoted,
        "forced": result.forced,
        "reason": result.reason,
        "run": result.run,
        "setting": dataclasses.asdict(result.chosen.setting),
        "why": result.chosen.why,
        "comparison": result.chosen.comparison,
        "decision": None if result.decision is None else dataclasses.asdict(result.decision),
        "former": None if result.former is None else _version_as_json(result.former),
        "champion": None if result.version is None else _version_as_json(result.version),
    }


def _model_as_json(now: "RegisteredModel") -> dict[str, Any]:
    return {
        "version": 1,
        "name": now.name,
        "champion": None if now.champion is None else now.champion.number,
        "challenger": None if now.challenger is None else now.challenger.number,
        "versions": [_version_as_json(version) for version in now.versions],
    }


def _version_as_json(version: "Version") -> dict[str, Any]:
    return {
        "number": version.number,
        "address": version.address,
        "run_id": version.run_id,
        "created": version.created,
        "tags": dict(version.tags),
    }
