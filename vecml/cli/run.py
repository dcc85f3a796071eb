"""`vecml run`: the whole pipeline once."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from vecml.cli.terminal import own_name, progress_bars, show_result, shown_warnings
from vecml.config import PipelineConfig, flag, make_config, read_config_file
from vecml.errors import SettingError

EPILOG = """**Examples**

- `vecml run`: the notebook's job, 5,000 generated rows and a 10-32-2 network

- `vecml run --data sklearn:digits --epochs 60`: a set that ships with scikit-learn

- `vecml run --data table.csv --target label --drop id --hidden 64,32`: a table of your own

- `vecml run --architecture examples.own_model:ConvClassifier`: a torch.nn.Module class of your own

- `vecml run --config job.toml --seed 7`: settings from a file, flags on top
"""


def option(field: str, panel: str, *names: str, metavar: str | None = None, default: str | None = None) -> Any:
    """A flag whose help is the config field's own description, with its default."""
    information = PipelineConfig.model_fields[field]
    value = information.default
    shown = default or (",".join(map(str, value)) if isinstance(value, tuple) else value)
    text = (information.description or "").rstrip(".")
    if get_origin(information.annotation) is Literal:
        text += f": {', '.join(get_args(information.annotation))}"
    tail = f" [default: {shown}]" if shown not in (None, "", ()) else ""
    return typer.Option(
        *(names or (flag(field),)),
        help=f"{text[0].upper()}{text[1:]}.{tail}",
        rich_help_panel=panel,
        metavar=metavar,
        show_default=False,
    )


DATA, TRAINING, INFERENCE, RUN = "Data", "Training", "Inference", "Run"


def run(
    data: Annotated[str | None, option("data", DATA, metavar="FILE|sklearn:NAME")] = None,
    target: Annotated[str | None, option("target", DATA, metavar="COLUMN")] = None,
    drop: Annotated[list[str] | None, option("drop", DATA, metavar="COLUMN,...")] = None,
    keep: Annotated[list[str] | None, option("keep", DATA, metavar="COLUMN,...")] = None,
    max_categories: Annotated[str | None, option("max_categories", DATA, metavar="N")] = None,
    rows: Annotated[str | None, option("rows", DATA, metavar="N")] = None,
    features: Annotated[str | None, option("features", DATA, metavar="N")] = None,
    test_fraction: Annotated[str | None, option("test_fraction", DATA, metavar="SHARE")] = None,
    hidden: Annotated[str | None, option("hidden", TRAINING, metavar="N,...")] = None,
    activation: Annotated[str | None, option("activation", TRAINING, metavar="NAME")] = None,
    architecture: Annotated[str | None, option("architecture", TRAINING, metavar="MODULE:CLASS")] = None,
    weights: Annotated[str | None, option("weights", TRAINING, metavar="FILE")] = None,
    epochs: Annotated[str | None, option("epochs", TRAINING, metavar="N")] = None,
    batch_size: Annotated[str | None, option("batch_size", TRAINING, metavar="N")] = None,
    learning_rate: Annotated[str | None, option("learning_rate", TRAINING, metavar="RATE")] = None,
    seed: Annotated[str | None, option("seed", TRAINING, metavar="N")] = None,
    replicas: Annotated[str | None, option("replicas", TRAINING, metavar="N")] = None,
    engine: Annotated[str | None, option("engine", INFERENCE, metavar="NAME")] = None,
    budget: Annotated[str | None, option("budget", INFERENCE, metavar="TIME")] = None,
    device: Annotated[str | None, option("device", INFERENCE, metavar="NAME")] = None,
    precision: Annotated[str | None, option("precision", INFERENCE, metavar="NAME")] = None,
    layout: Annotated[str | None, option("layout", INFERENCE, metavar="NAME")] = None,
    isa: Annotated[str | None, option("isa", INFERENCE, metavar="NAME")] = None,
    threads: Annotated[str | None, option("threads", INFERENCE, metavar="N")] = None,
    block_rows: Annotated[str | None, option("block_rows", INFERENCE, metavar="N|auto", default="auto")] = None,
    name: Annotated[str | None, option("name", RUN, metavar="TEXT")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with any of these settings; flags win over it.", rich_help_panel=RUN, metavar="FILE"
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="Write the result as JSON as well; `-` prints it instead of the table.",
            rich_help_panel=RUN,
            metavar="FILE",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            help="A warning's code, not to be shown (docs/warnings.md).", rich_help_panel=RUN, metavar="VMLnnn"
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option(help="Show the traceback of an error, and Prefect's log.", rich_help_panel=RUN)
    ] = False,
) -> None:
    """Train a classifier and run its inference: generate, split, train, vectorized-infer, evaluate.

    Without arguments it is the notebook's job. The run is tracked in MLflow (in mlruns/, or where MLFLOW_TRACKING_URI
    says) and is a Prefect flow run, on your Prefect server if there is one and on a temporary one otherwise.
    """
    values: dict[str, Any] = {
        "data": data,
        "target": target,
        "drop": columns(drop),
        "keep": columns(keep),
        "max_categories": max_categories,
        "rows": rows,
        "features": features,
        "test_fraction": test_fraction,
        "hidden": _widths(hidden),
        "activation": activation,
        "architecture": architecture,
        "weights": weights,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "replicas": replicas,
        "engine": engine,
        "budget": budget,
        "device": device,
        "precision": precision,
        "layout": layout,
        "isa": isa,
        "threads": threads,
        "block_rows": _block_rows(block_rows),
        "name": name,
    }
    settings = make_config(values, read_config_file(config) if config else None)
    refuse_idle_flags(settings, values)
    for option_name, given in (("--rows", rows), ("--features", features)):
        if given is not None and settings.data is not None:
            raise SettingError(
                f"{option_name} {given}: only generated data has it to choose", f"leave out {option_name} or --data"
            )
    if json is not None and not json.resolve().parent.is_dir():
        raise SettingError(f"--json {json}: there is no folder {json.parent}", "make it, or name another")
    from vecml.cli.launch import check_here, launch

    with shown_warnings(ignore or ()), progress_bars():
        check_here(settings)
        result = launch(settings, debug)
    _show(result, json)


def _show(result: Any, json: Path | None) -> None:
    from vecml.atomic import write_bytes
    from vecml.record import to_json
    from vecml.report.summary import rows as table_rows
    from vecml.report.summary import sentence

    if json is not None and str(json) == "-":
        typer.echo(to_json(result))
        return
    table = [(name, value.replace("vecml ui", f"{own_name()} ui")) for name, value in table_rows(result)]
    show_result(sentence(result), table, result.run.url)
    if json is not None:
        write_bytes(json, (to_json(result) + "\n").encode())


def refuse_idle_flags(settings: PipelineConfig, values: Mapping[str, Any]) -> None:
    """Raise SettingError for a flag of `values` that would say nothing beside --architecture or --weights."""
    layers, training = ("hidden", "activation"), ("epochs", "batch_size", "learning_rate")
    for other, idle, why in (
        ("architecture", layers, "has its own layers"),
        ("weights", training, "is trained already"),
    ):
        chosen = getattr(settings, other)
        for field in idle if chosen is not None else ():
            value = values.get(field)
            if value is not None:
                shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
                raise SettingError(
                    f"{flag(field)} {shown}: --{other} {chosen} {why}", f"leave out {flag(field)} or --{other}"
                )


def columns(values: list[str] | None) -> tuple[str, ...] | None:
    """`--drop a,b --drop '"c,d"'`: names by comma, a name with a comma in double quotes."""
    if not values:
        return None
    return tuple(name for row in csv.reader(values, skipinitialspace=True) for name in row)


def _widths(value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(width) for width in value.split(","))
    except ValueError:
        raise SettingError(f"--hidden {value}: not a list of widths", "for example --hidden 64,32") from None


def _block_rows(value: str | None) -> int | None:
    if value is None or value == "auto":
        return None
    try:
        return int(value)
    except ValueError:
        raise SettingError(f"--block-rows {value}: neither a number nor auto") from None
