"""`vecml compare`: several ways to run one model, measured beside each other, with a verdict for each."""

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.run import columns, option, refuse_idle_flags
from vecml.cli.terminal import console, own_name, progress_bars, show_comparison, shown_warnings
from vecml.config import PipelineConfig, make_config, read_config_file
from vecml.errors import MeasureError, SettingError

if TYPE_CHECKING:
    from vecml.comparison.config import ComparisonConfig

EPILOG = """**Examples**

- `vecml compare`: numpy against torch, a million generated rows, a verdict within a minute

- `vecml compare --engines all --threads 1,2 --budget auto`: every engine that is here, with one thread and with two

- `vecml compare --run RUN_ID --engines numpy,torch --layout columns,rows`: a tracked model on its test part

- `vecml compare --request-rows 1,32,1024`: the latency of single requests, with the tails that the sample supports

- `vecml compare --json result.json`, and later `vecml compare --from result.json`: the same verdicts, from raw blocks
"""
BESIDE_FROM = ("from_", "json", "ignore", "debug")
SETTINGS, DATA, MEASURING = "Settings", "Data and model", "Measuring"


def _listed(text: str, metavar: str, panel: str = SETTINGS) -> Any:
    return typer.Option(help=text, metavar=metavar, rich_help_panel=panel, show_default=False)


def compare(
    context: typer.Context,
    engines: Annotated[
        str, _listed("Engines to compare, or all of them. [default: numpy,torch]", "NAME,...|all")
    ] = "numpy,torch",
    threads: Annotated[str | None, _listed("Numbers of CPU threads. [default: every CPU]", "N,...")] = None,
    precision: Annotated[str, _listed("Precisions to compute in. [default: float32]", "NAME,...")] = "float32",
    layout: Annotated[str, _listed("columns, rows, or columns,rows. [default: columns]", "NAME,...")] = "columns",
    isa: Annotated[
        str, _listed("Instruction sets of an engine that can choose, halide. [default: native]", "NAME,...")
    ] = "native",
    block_rows: Annotated[
        str, _listed("Rows worked on at a time inside a call. [default: auto]", "N|auto,...")
    ] = "auto",
    device: Annotated[str, _listed("cpu, cuda, mps. [default: cpu]", "NAME,...")] = "cpu",
    request_rows: Annotated[
        str | None, _listed("Measure the latency of requests of so many rows instead of the throughput.", "N,...")
    ] = None,
    baseline: Annotated[
        str | None,
        _listed("A setting's name, or an engine's: the others are held against it. [default: the first]", "NAME"),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            help="Rows inferred. [default: a million generated ones, or the data's test part; more repeat it]",
            metavar="N",
            min=1,
            max=10**10,
            rich_help_panel=DATA,
            show_default=False,
        ),
    ] = None,
    run: Annotated[str | None, _listed("A tracked run: its model and its test part.", "RUN_ID", DATA)] = None,
    data: Annotated[str | None, option("data", DATA, metavar="FILE|sklearn:NAME")] = None,
    target: Annotated[str | None, option("target", DATA, metavar="COLUMN")] = None,
    drop: Annotated[list[str] | None, option("drop", DATA, metavar="COLUMN,...")] = None,
    keep: Annotated[list[str] | None, option("keep", DATA, metavar="COLUMN,...")] = None,
    features: Annotated[str | None, option("features", DATA, metavar="N")] = None,
    hidden: Annotated[str | None, option("hidden", DATA, metavar="N,...")] = None,
    activation: Annotated[str | None, option("activation", DATA, metavar="NAME")] = None,
    architecture: Annotated[str | None, option("architecture", DATA, metavar="MODULE:CLASS")] = None,
    weights: Annotated[str | None, option("weights", DATA, metavar="FILE")] = None,
    epochs: Annotated[str | None, option("epochs", DATA, metavar="N")] = None,
    seed: Annotated[str | None, option("seed", DATA, metavar="N")] = None,
    config: Annotated[
        Path | None,
        _listed("A TOML file with data and training settings, as for vecml run; flags win over it.", "FILE", DATA),
    ] = None,
    budget: Annotated[
        str,
        _listed(
            "Wall time for everything: 60s, 5m, or auto: until intervals are narrow, 5 minutes at most. [default: 60s]",
            "TIME|auto",
            MEASURING,
        ),
    ] = "60s",
    quick: Annotated[
        bool, typer.Option("--quick", help="One launch: figures, and no verdict.", rich_help_panel=MEASURING)
    ] = False,
    json: Annotated[
        Path | None,
        _listed(
            "Write everything, raw blocks included, as JSON (docs/comparison.md); `-` prints it instead.",
            "FILE",
            MEASURING,
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Measure nothing: compute the verdicts of such a file again.",
            metavar="FILE",
            rich_help_panel=MEASURING,
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Measure anew, also where launches of the same comparison are kept that was stopped.",
            rich_help_panel=MEASURING,
        ),
    ] = False,
    name: Annotated[str | None, option("name", MEASURING, metavar="TEXT")] = None,
    ignore: Annotated[
        list[str] | None, _listed("A warning's code, not to be shown (docs/warnings.md).", "VMLnnn", MEASURING)
    ] = None,
    debug: Annotated[
        bool, typer.Option(help="Show the traceback of an error.", rich_help_panel=MEASURING)
    ] = False,  # -- main reads it
) -> None:
    """Compare ways to run a model's inference on this machine, and say which differences are real.

    Each setting runs in worker processes of its own, several times afresh, in turns of balanced random order; labels
    are held to a float64 reference. It is tracked in MLflow: a parent run, and a run for each setting.
    """
    del debug
    _check_target(json)
    if from_ is not None:
        _refuse_beside_from(context)
        _recompute(from_, json)
        return
    values = {
        "data": data,
        "target": target,
        "drop": columns(drop),
        "keep": columns(keep),
        "features": features,
        "hidden": hidden,
        "activation": activation,
        "architecture": architecture,
        "weights": weights,
        "epochs": epochs,
        "seed": seed,
        "name": name,
        "device": "cpu",
    }
    if run is not None:
        beside = ("name", "device", "architecture")  # what made the run's model is needed to load it
        given = [f"--{key}" for key, value in values.items() if value is not None and key not in beside]
        if given:
            raise SettingError(
                f"{given[0]} goes with training; --run {run} is trained already", f"leave out {given[0]} or --run"
            )
    subject = make_config(values, read_config_file(config) if config else None)
    refuse_idle_flags(subject, values)
    asked = _asked(
        subject,
        {
            "engine": _names(engines, "--engines"),
            "layout": _names(layout, "--layout"),
            "isa": _names(isa, "--isa"),
            "threads": _numbers(threads, "--threads"),
            "block_rows": _numbers(block_rows, "--block-rows"),
            "request_rows": _numbers(request_rows, "--request-rows"),
            "precision": _names(precision, "--precision"),
            "device": _names(device, "--device"),
        },
        {"baseline": baseline, "rows": rows, "run": run, "budget": "quick" if quick else budget, "name": name},
    )
    with shown_warnings(ignore or ()), progress_bars():
        result, address = _measure(asked, json, fresh=fresh)
    _show(result, json, address)


def _asked(subject: PipelineConfig, choices: dict[str, Any], rest: dict[str, Any]) -> "ComparisonConfig":
    """The flags as one record; raises SettingError for a word or a budget that there is not."""
    from vecml.comparison.budget import seconds_of
    from vecml.comparison.config import ComparisonConfig, check_words

    if rest["budget"] != "quick":
        seconds_of(rest["budget"])
    for field in ("engine", "precision", "layout", "isa", "device"):
        check_words(field, choices[field])
    given = {("engines" if field == "engine" else field): tuple(values) for field, values in choices.items()}
    return ComparisonConfig(**given, **rest, subject=subject)


def _measure(asked: "ComparisonConfig", json: Path | None, *, fresh: bool) -> tuple[Any, str]:
    """The comparison that was asked for, measured and tracked, and the address of its page."""
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from tasks.tracking.comparison import ComparisonTracking
        from vecml.comparison import session
        from vecml.comparison.budget import Budget
        from vecml.report.comparison import expectation

        def announce(budget: Budget) -> None:
            line = expectation(budget.resolves, budget.text, budget.source)
            console(sys.stderr).print(line, soft_wrap=True, markup=False)

        done = session.compare(
            asked,
            ComparisonTracking(),
            began=_process_start(),
            announce=announce,
            json=None if json is None or str(json) == "-" else json,
            fresh=fresh,
        )
        return done.comparison, done.writer.run.url


def _check_target(json: Path | None) -> None:
    """Refuse beforehand what could only fail after minutes of measuring."""
    if json is None or str(json) == "-":
        return
    if not json.resolve().parent.is_dir():
        raise SettingError(f"--json {json}: there is no folder {json.parent}", "make it, or name another")
    if json.is_dir():
        raise SettingError(f"--json {json}: it is a folder", "name a file in it")
    try:
        with tempfile.TemporaryFile(dir=json.resolve().parent):
            pass
    except OSError as error:
        raise SettingError(
            f"--json {json}: cannot write there: {error.strerror or error}", "name a file in another folder"
        ) from None


def _refuse_beside_from(context: typer.Context) -> None:
    """`--from` measures nothing: what would shape a measurement is refused, not ignored."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in BESIDE_FROM:
            raise SettingError(
                f"{parameter.opts[0]} with --from: nothing is measured", f"leave out {parameter.opts[0]}"
            )


def _recompute(path: Path, json: Path | None) -> None:
    from vecml.atomic import write_bytes
    from vecml.comparison.document import from_json, to_json

    try:
        content = path.read_bytes()
    except OSError as error:
        raise MeasureError(
            f"--from {path}: {error.strerror or error}", "name a file that vecml compare --json wrote"
        ) from None
    comparison = from_json(content, str(path))
    if json is not None and str(json) != "-":
        write_bytes(json, to_json(comparison).encode())
    _show(comparison, json, None)


def _show(comparison: Any, json: Path | None, address: str | None) -> None:
    from vecml.comparison.document import to_json
    from vecml.report.comparison import reasons, sentence, table

    if json is not None and str(json) == "-":
        typer.echo(to_json(comparison), nl=False)
        return
    content = table(comparison)
    lines = reasons(comparison)
    if address is not None:
        lines.append(f"open it: {own_name()} ui, and there the page below" if "127.0.0.1" in address else "open it:")
    show_comparison(sentence(comparison), content.headings, content.rows, lines, address)


def _process_start() -> float:
    """When this process began, by the clock of time.perf_counter: what the user waits for counts from there."""
    import psutil

    return time.perf_counter() - max(0.0, time.time() - psutil.Process().create_time())


def _names(value: str, flag: str) -> list[str]:
    """`a,b` as a list without doubles; raises SettingError for none."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        raise SettingError(f"{flag} {value!r}: name at least one")
    return list(dict.fromkeys(names))


def _numbers(value: str | None, flag: str) -> list[int]:
    """`1,2` as a list without doubles, `auto` as 0, empty for what is left open; raises SettingError for the rest."""
    if value is None:
        return []
    numbers: list[int] = []
    for text in _names(value, flag):
        if text == "auto" and flag == "--block-rows":
            numbers.append(0)
        elif not (text.isascii() and text.isdigit() and int(text) > 0):
            raise SettingError(f"{flag} {text}: not a whole number above 0")
        else:
            numbers.append(int(text))
    return list(dict.fromkeys(numbers))
