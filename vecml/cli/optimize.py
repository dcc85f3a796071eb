"""`vecml optimize`: the five steps on a function of the user's own: profile, replace, validate, dtype, measure."""

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.options import JsonFile, RunName, command, is_printed, option, output_file, write_json
from vecml.cli.terminal import console, opening, show_error
from vecml.errors import SettingError, VecmlError

if TYPE_CHECKING:
    from vecml.optimize.recording import Command
    from vecml.optimize.steps import Optimization

TARGET_TEXT = "The function, or Class.method."
BUDGET_TEXT = "Wall time of the measurement: 60s, 5m, auto; quick: figures, and no verdict."
AT_ERRORS_TEXT = "Where the function warns (0/0, overflow): a candidate must agree (numpy), or nothing counts (raise)."
INPUTS_TEXT = "A function that returns the tuple of the target's arguments."
PYTEST_TEXT = "Or: run this test, and take the arguments of the target's real calls in it."
CALL_TEXT = "Or: run this command, and take the arguments of the target's real calls in it."
CANDIDATE_TEXT = "An alternative of your own; may be given again."
WAYS = "--inputs FILE.py:make_inputs, --pytest tests/test_x.py::test_y, or --call 'python script.py --its args'"
EPILOG = """**Examples**

- `vecml optimize slow.py:distances --inputs slow.py:make_inputs`: all five steps

- `vecml optimize slow.py:f --pytest tests/test_slow.py::test_f`: with the arguments of a test's calls

- `vecml optimize slow.py:f --call 'python script.py --its args'`: with those of a script's calls

- `vecml optimize slow.py:f --inputs slow.py:make_inputs --candidate fast.py:f`: your own alternative

- `vecml optimize slow.py:f --inputs slow.py:make_inputs --patch faster.patch`: the winner as a patch

- `vecml optimize slow.py:f --inputs slow.py:make_inputs --candidate fast.py:f --check`: for CI
"""


@command()
def optimize(
    target: Annotated[str, typer.Argument(help=TARGET_TEXT, metavar="PATH.py:FUNCTION", show_default=False)],
    inputs: Annotated[str | None, option(INPUTS_TEXT, "PATH.py:FUNCTION")] = None,
    pytest: Annotated[str | None, option(PYTEST_TEXT, "TEST", "--pytest")] = None,
    call: Annotated[str | None, option(CALL_TEXT, "'COMMAND'", "--call")] = None,
    candidate: Annotated[list[str] | None, option(CANDIDATE_TEXT, "PATH.py:FUNCTION")] = None,
    rtol: Annotated[
        float, typer.Option(help="The largest relative difference of floating values; 0: bit by bit.", metavar="X")
    ] = 1e-6,
    budget: Annotated[str, typer.Option(help=BUDGET_TEXT, metavar="TIME")] = "60s",
    limit: Annotated[
        float,
        typer.Option(help="Seconds after which a call, or a stage, counts as never ending.", metavar="N", min=0.1),
    ] = 60.0,
    at_errors: Annotated[str, option(AT_ERRORS_TEXT, "numpy|raise", "--at-errors")] = "numpy",
    apply: Annotated[
        bool, option("Write the winner into the target's file; else it is never written to.", None, "--apply")
    ] = False,
    patch: Annotated[Path | None, output_file("Write the winner as a patch.", "--patch")] = None,
    check: Annotated[
        bool, option("Exit with 1 when a candidate is wrong or no faster, with 3 when it is open.", None, "--check")
    ] = False,
    json: JsonFile = None,
    name: RunName = None,
) -> None:
    """Find a function's bottleneck, try what could stand in its place, and say what is right and how much it gains.

    Its arguments come from --inputs, --pytest or --call.
    Your code runs in worker processes with a time limit; your files are read, and written to with --apply only.
    Everything is tracked in MLflow as one run.
    """
    from tasks.tracking.results import optimization_content
    from tasks.tracking.run import tracked_result
    from vecml import keys
    from vecml.optimize.steps import Request, optimize
    from vecml.optimize.steps import check as judged
    from vecml.optimize.target import find_place, parsed

    judged_as = _at_errors(at_errors)
    parsed(find_place(target, "TARGET"))
    command = _command(target, inputs, pytest, call)
    request = Request(target, inputs or "", tuple(candidate or ()), rtol, budget, limit, judged_as, command)
    err = console(sys.stderr)
    with tracked_result(keys.OPTIMIZE, name) as writer:
        found = optimize(request, lambda text: err.print(text, markup=False, soft_wrap=True))
        try:
            _write(found, patch, json)
        finally:
            writer.log(optimization_content(found))
    if not is_printed(json):
        _show(found, writer.run.url)
    if apply:
        _apply(found)
    if check:
        code, why = judged(found)
        if code:
            show_error(VecmlError(f"--check: {why}"))
            raise typer.Exit(code)


def _at_errors(text: str) -> Any:
    if text not in ("numpy", "raise"):
        raise SettingError(f"--at-errors {text}: neither numpy nor raise", "for example --at-errors raise")
    return text


def _command(target: str, inputs: str | None, pytest: str | None, call: str | None) -> "Command | None":
    """The command to record calls from; None where a function makes the inputs. One of them must be given."""
    from vecml.optimize.recording import command_of

    given = {"--inputs": inputs, "--pytest": pytest, "--call": call}
    flags = [flag for flag, value in given.items() if value is not None]
    if not flags:
        raise SettingError(f"{target}: no inputs: {WAYS}")
    if len(flags) > 1:
        raise SettingError(f"{' and '.join(flags)}: each gives the inputs", f"give one of them: {WAYS}")
    return None if inputs is not None else command_of(pytest, call)


def _show(found: "Optimization", url: str) -> None:
    from vecml.foreign_text import clean
    from vecml.report.optimize import as_text

    typer.echo(clean(as_text(found), keep="\n"))
    if "127.0.0.1" in url:
        typer.echo(opening(url))
    typer.echo(url)


def _write(found: "Optimization", patch: Path | None, json: Path | None) -> None:
    from vecml.atomic import write_bytes
    from vecml.optimize.steps import to_json_dict

    write_json(json, lambda: json_text.dumps(to_json_dict(found), indent=1, allow_nan=False))
    if patch is not None:
        diff = _diff(found)
        if diff is None:
            console(sys.stderr).print(f"--patch {patch}: not written: {_nothing(found)}", markup=False, soft_wrap=True)
        else:
            write_bytes(patch, diff)


def _apply(found: "Optimization") -> None:
    from vecml.optimize.patch import apply

    best = found.best
    if best is None or not best.candidate.written:
        raise SettingError(f"--apply: nothing was written: {_nothing(found)}")
    apply(found.place, found.source, best.candidate.written, best.candidate.beside)
    console(sys.stderr).print(f"{found.place.file}: {best.candidate.name} is in", markup=False, soft_wrap=True)


def _diff(found: "Optimization") -> bytes | None:
    """The winner's patch, encoded as the file that it is for."""
    best = found.best
    if best is None or not best.candidate.diff:
        return None
    from vecml.optimize.patch import encoded

    return encoded(best.candidate.diff, best.candidate.encoding)


def _nothing(found: "Optimization") -> str:
    if found.winner is None:
        return "no candidate is shown to be faster"
    return f"the winner, {found.winner}, is your own, and stands in its own file"
