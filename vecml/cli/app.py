"""The command's front door: subcommands, and how errors and interrupts end a process.

Exit codes: 0 it ran; 1 and 3 a check was missed, or could not be decided (`qualify`, `compare --fail-if`, `referee`,
`bisect`); 2 wrong use or bad input; 70 a fault of vecml itself; 130 interrupted; 141 whoever read the output has ended,
as `head` does; 143 terminated. Nothing heavy is imported here, so that help comes at once.
"""

import gc
import signal
import sys
import traceback
from typing import Any

import typer

from vecml import __version__
from vecml.cli import (
    bisect,
    champion,
    compare,
    diff,
    doctor,
    exchange,
    history,
    lab,
    ladder,
    leaderboard,
    optimize,
    predict,
    qualify,
    referee,
    report,
    run,
    trigger,
    ui,
    up,
)
from vecml.cli.surroundings import check_current_folder, disk_failed, reader_is_gone, settle, unwritten
from vecml.cli.terminal import show_error
from vecml.errors import SettingError, VecmlError, interrupted, one_line

INTERRUPTED = 130
SIGNALLED = 128
UNREAD = SIGNALLED + 13  # SIGPIPE, as a shell shows it for other programs
FAILED = 70  # sysexits.h: an internal software error
# The base of typer's usage errors; typer itself exports only this one of those that are derived from it.
UsageError: type[Any] = typer.BadParameter.mro()[1]

app = typer.Typer(
    name="vecml",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a classifier on a table, run its inference every way this machine offers, and track what came of it.",
)
app.command("run", epilog=run.EPILOG)(run.run)
app.command("compare", epilog=compare.EPILOG)(compare.compare)
app.command("bisect", epilog=bisect.EPILOG)(bisect.bisect)
app.command("referee", epilog=referee.EPILOG)(referee.referee)
app.command("qualify", epilog=qualify.EPILOG)(qualify.qualify)
app.command("diff", epilog=diff.EPILOG)(diff.diff)
app.command("trigger", epilog=trigger.EPILOG)(trigger.trigger)
app.command("report", epilog=report.EPILOG)(report.report)
app.command("history", epilog=history.EPILOG)(history.history)
app.command("leaderboard", epilog=leaderboard.EPILOG)(leaderboard.leaderboard)
app.command("lab", epilog=lab.EPILOG)(lab.lab)
app.command("ladder", epilog=ladder.EPILOG)(ladder.ladder)
app.command("optimize", epilog=optimize.EPILOG)(optimize.optimize)
app.command("export", epilog=exchange.EXPORT_EPILOG)(exchange.export_run)
app.command("import", epilog=exchange.IMPORT_EPILOG)(exchange.import_runs)
app.command("champion", epilog=champion.EPILOG)(champion.champion)
app.command("predict", epilog=predict.EPILOG)(predict.predict)
app.command("doctor")(doctor.doctor)
app.command("ui")(ui.ui)
app.command("up", epilog=up.EPILOG)(up.up)


@app.callback(invoke_without_command=True)
def _front(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        typer.echo(f"vecml {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def main() -> None:
    """Run the command line and end the process with its exit code."""
    debug = "--debug" in sys.argv
    settle()
    try:
        check_current_folder()
        code = app(standalone_mode=False, prog_name="vecml")
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer's word for Ctrl-C
            show_error(VecmlError("interrupted"))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else FAILED
        if isinstance(error.__context__, BrokenPipeError):  # rich and typer say no more of it
            code = _failed(error.__context__, debug)
        elif code > SIGNALLED:
            show_error(VecmlError(f"ended by {signal.Signals(code - SIGNALLED).name}"))
    except VecmlError as error:
        code = _ended(error, debug)
    except typer.Exit as error:
        code = error.exit_code
    except UsageError as error:
        named = [command.name for command in app.registered_commands if command.name in sys.argv[1:2]]
        command = error.ctx.command_path if error.ctx else " ".join(["vecml", *map(str, named)])
        said = " ".join(error.format_message().split())
        hint = f"{command} --help"
        if "extra argument" in said and "--data" in sys.argv:
            hint = "several files are one value: put the pattern in quotes, --data 'parts/*.csv'"
        code = _ended(SettingError(said, hint), debug)
    except MemoryError as error:
        text = one_line(error, whole=True, limit=None) if str(error) else "an allocation failed"
        code = _ended(VecmlError(f"not enough memory: {text}", "fewer rows or features, or a larger machine"), debug)
    except (KeyboardInterrupt, typer.Abort):
        show_error(VecmlError("interrupted"))
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the last resort, which names the cause and says how to see all of it
        code = _failed(error, debug)
    gc.freeze()  # or the interpreter looks through a million objects before it lets go: 0.8 s against 0.15
    sys.exit(code or 0)


def _failed(error: Exception, debug: bool) -> int:
    """Say what an error is that is none of vecml's own; the exit code for it."""
    if interrupted(error):
        show_error(VecmlError("interrupted"))
        return INTERRUPTED
    if reader_is_gone(error):
        return UNREAD
    if isinstance(error, OSError) and (said := unwritten(error) or disk_failed(error)):
        return _ended(said, debug)
    text = one_line(error, named=True, whole=True, limit=None)
    if "alloc" in text:  # torch's word for it is a RuntimeError
        return _ended(VecmlError(f"not enough memory: {text}", "a smaller network or table"), debug)
    _ended(VecmlError(f"vecml failed: {text}", "run it again with --debug for the traceback"), debug)
    return FAILED


def _ended(error: VecmlError, debug: bool) -> int:
    """Say what went wrong, with --debug by the traceback; the exit code for it."""
    if debug:
        traceback.print_exc()
    show_error(error)
    return error.exit_code
