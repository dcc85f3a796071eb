"""`vecml run`: the whole pipeline once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from vecml.cli.options import Fields, MaxMemory, command, option, output_file, write_json
from vecml.cli.terminal import own_name, show_result
from vecml.config import RUN, PipelineConfig, TrainingConfig, make_config, read_config_file
from vecml.errors import SettingError
from vecml.fields import flag, shown

EPILOG = """**Examples**

- `vecml run`: the notebook's job, 5,000 generated rows and a 10-32-2 network

- `vecml run --data sklearn:digits`: a set that ships with scikit-learn; rows held out of the training end it

- `vecml run --data sklearn:digits --tune 16`: 16 settings of width, learning rate and weight decay are tried first

- `vecml run --data table.csv --target label --drop id --hidden 64,32`: a table of your own

- `vecml run --architecture examples.own_model:ConvClassifier`: a torch.nn.Module class of your own

- `vecml run --config job.toml --seed 7`: settings from a file, flags on top
"""


@command(Fields(PipelineConfig), panel=RUN)
def run(
    values: dict[str, Any],
    config: Annotated[
        Path | None, option("A TOML file with any of these settings; flags win over it.", "FILE", panel=RUN)
    ] = None,
    json: Annotated[
        Path | None, output_file("Write the result as JSON as well; `-` prints it instead of the table.", "--json", RUN)
    ] = None,
    max_memory: MaxMemory = None,  # noqa: ARG001 -- its callback sets it
    debug: bool = False,
) -> None:
    """Train a classifier and run its inference: generate, split, train, vectorized-infer, evaluate.

    Without arguments it is the notebook's job. The run is tracked in MLflow (in mlruns/, or where MLFLOW_TRACKING_URI
    says) and is a Prefect flow run, on your Prefect server if there is one and on a temporary one otherwise.
    """
    settings = make_config(values, read_config_file(config) if config else None)
    refuse_idle_flags(settings, values)
    for field in ("rows", "features"):
        if field in values and settings.data is not None:
            raise SettingError(
                f"{flag(field)} {values[field]}: only generated data has it to choose",
                f"leave out {flag(field)} or --data",
            )
    from vecml.cli.launch import check_here, launch

    check_here(settings)
    _show(launch(settings, debug), json)


def _show(result: Any, json: Path | None) -> None:
    from vecml.record import to_json
    from vecml.report.summary import rows as table_rows
    from vecml.report.summary import sentence

    if write_json(json, lambda: to_json(result)):
        return
    table = [(name, value.replace("vecml ui", f"{own_name()} ui")) for name, value in table_rows(result)]
    show_result(sentence(result), table, result.run.url)


def refuse_idle_flags(settings: TrainingConfig, values: Mapping[str, Any]) -> None:
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
                raise SettingError(
                    f"{flag(field)} {shown(value)}: --{other} {chosen} {why}", f"leave out {flag(field)} or --{other}"
                )
