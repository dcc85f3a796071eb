"""`vecml history`: each setting's rate over the days, where it changed, and whether the machine or the program did."""

import json as json_text
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from vecml.cli.options import JsonFlag, NetworkDigest, command, option
from vecml.cli.terminal import console
from vecml.errors import SettingError

if TYPE_CHECKING:
    from vecml.history.recorded import RecordedSetting

REGRESSED, UNDECIDED = 1, 3
EPILOG = """**Examples**

- `vecml history`: every series, with its changes

- `vecml history --setting "numpy threads=2" --since 90d`: one setting's last three months

- `vecml history --check`: for a script: 1 on a confirmed slowdown, 3 where that is open
"""


@command(warns=False)
def history(
    setting: Annotated[
        str | None, option("Only settings with this engine, or these params.", "'ENGINE NAME=VALUE ...'")
    ] = None,
    architecture: NetworkDigest = None,
    since: Annotated[str | None, option("Only sittings since a day, or of the last days: 30d.", "DATE|DAYS")] = None,
    check: Annotated[
        bool,
        option("End with 1 on a confirmed slowdown in the latest sittings, with 3 where it is open.", None, "--check"),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Show each setting's rate over the recorded comparisons, where it changed, and what else changed there.

    A series is one setting on one machine with one network. The canary that every sitting measures tells a changed
    machine from a changed program. Without --check it ends with 0, whatever it finds.
    """
    oldest = None if since is None else _since(since, datetime.now(UTC))
    wanted = None if setting is None else _wanted(setting)
    from tasks.tracking.sittings import recorded_settings
    from vecml.history.changes import history_of
    from vecml.history.series import series_of
    from vecml.report.history import as_json, lines, names_of, sentence, title

    recorded = [one for one in chosen(recorded_settings(), architecture) if oldest is None or one.started >= oldest]
    if wanted is not None:
        recorded = _of_setting(recorded, wanted, setting or "")
    found = [history_of(series) for series in series_of(recorded)]
    if json:
        typer.echo(json_text.dumps(as_json(found), indent=1, allow_nan=False))
    else:
        from rich.padding import Padding
        from rich.text import Text

        out, names = console(), names_of(found)
        ascii_only = not out.encoding.lower().startswith("utf")
        out.print(Text(sentence(found), style="bold"))
        for one in found:
            out.print()
            out.print(Text(title(one.series, names[id(one)]), style="bold"))
            for line in lines(one, ascii_only=ascii_only):
                out.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    if check:
        states = {one.state for one in found}
        raise typer.Exit(REGRESSED if "regressed" in states else 0 if states == {"steady"} else UNDECIDED)


def chosen(recorded: "list[RecordedSetting]", architecture: str | None) -> "list[RecordedSetting]":
    """Select the settings whose network's digest begins with `architecture`; None selects all.

    Raises SettingError if there is none; its hint has some of the recorded digests.
    """
    if architecture is None:
        return recorded
    digest = architecture.strip().lower()
    found = [one for one in recorded if one.architecture_digest.startswith(digest)]
    if not found:
        known = sorted({one.architecture_digest[:8] for one in recorded})[:5]
        raise SettingError(
            f"--architecture {architecture}: no recorded setting ran such a network",
            f"recorded: {', '.join(known)}" if known else "nothing is recorded yet: vecml compare",
        )
    return found


def _of_setting(recorded: "list[RecordedSetting]", wanted: dict[str, str], asked: str) -> "list[RecordedSetting]":
    found = [one for one in recorded if all(one.setting.get(name) == value for name, value in wanted.items())]
    if not found:
        known = sorted({one.name for one in recorded})[:5]
        raise SettingError(
            f"--setting {asked}: no such setting is recorded",
            f"recorded: {', '.join(known)}" if known else "nothing is recorded yet: vecml compare",
        )
    return found


def _wanted(text: str) -> dict[str, str]:
    """Read the argument of `--setting`, such as `numpy threads=2`, as values by the params' names."""
    from vecml.keys import SETTING_PARAMS

    wanted = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            name, value = "engine", word
        if name not in SETTING_PARAMS or not value:
            raise SettingError(f"--setting {text}: {word!r} names no param", f"params: {', '.join(SETTING_PARAMS)}")
        wanted[name] = value
    if not wanted:
        raise SettingError(f"--setting {text!r}: name an engine or a param", "for example 'numpy threads=2'")
    return wanted


def _since(text: str, now: datetime) -> datetime:
    """Read the argument of `--since`, a date or a number of days before `now` such as `30d`, as a time."""
    if match := re.fullmatch(r"(\d{1,5})d", text.strip()):
        return now - timedelta(days=int(match[1]))
    try:
        day = datetime.fromisoformat(text.strip())
        day.astimezone()  # which the first and the last days there are have none of
    except (ValueError, OverflowError):
        raise SettingError(
            f"--since {text}: it is no date and no number of days", "2026-01-31, or 30d for the last 30 days"
        ) from None
    return day if day.tzinfo is not None else day.astimezone()
