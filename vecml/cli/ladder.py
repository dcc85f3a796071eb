"""`vecml ladder`: the model's inference climbed rung by rung, from a Python loop to the best that this machine has."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

from vecml.cli.compare import process_start
from vecml.cli.options import JsonFile, Quick, RunName, command, is_printed, option, output_file, write_json
from vecml.cli.terminal import opening, show_comparison

EPILOG = """**Examples**

- `vecml ladder`: vecml's own network, in under two minutes

- `vecml ladder --run RUN --picture ladder.png`: a tracked model on its test part, with a picture

- `vecml ladder --quick --json -`: one launch, figures without verdicts, for a program
"""


@command()
def ladder(
    run: Annotated[str | None, option("A run's id or its name: its model and test part.", "RUN")] = None,
    rows: Annotated[
        int | None,
        option(
            "Rows of the quick rungs. [default: by the network's size, a million for 10-32-2]", "N", min=1, max=10**8
        ),
    ] = None,
    quick: Quick = False,
    picture: Annotated[Path | None, output_file("Write the picture as a PNG.", "--picture")] = None,
    json: JsonFile = None,
    name: RunName = None,
) -> None:
    """Climb from a row-by-row Python loop to the best that this machine has, one idea a rung, and measure each.

    Rungs: row loop, ufuncs, whole-array BLAS, float32, blocks, columns, threads, a fused kernel, a GPU. Each is
    compared with the one before (with a verdict), its labels with the reference's, its rate with the machine's limit.
    """
    result, address = _measure(run, rows, name, quick=quick, json=json, picture=picture)
    if not is_printed(json):
        _show(result, address)


def _measure(
    run: str | None, rows: int | None, name: str | None, *, quick: bool, json: Path | None, picture: Path | None
) -> tuple[Any, str]:
    """Model, measurement, files and tracking, in that order; the ladder, and its page's address."""
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from tasks.tracking.location import locate, prepare

        prepare(locate())  # before anything is trained
        from tasks.tracking.read import read_run
        from tasks.tracking.results import ladder_content
        from tasks.tracking.run import tracked_result
        from vecml import keys
        from vecml.atomic import write_bytes
        from vecml.comparison.subject import job_of_run, job_of_training
        from vecml.config import PipelineConfig
        from vecml.lab.ladder import climb, plan_ladder, to_json_dict
        from vecml.lab.rungs import choose_rows
        from vecml.report.ladder import note
        from vecml.report.ladder import picture as drawn_picture

        began = process_start()
        if run is None:
            config = PipelineConfig(device="cpu")
            job = job_of_training(config, rows or choose_rows_of(config))
        else:
            recorded = read_run(run, None)
            job = job_of_run(recorded, rows)
            if rows is None:
                job = job_of_run(recorded, choose_rows(job.model.architecture))
        with tracked_result(keys.LADDER, name) as writer:
            result = climb(job, plan_ladder(quick=quick, began=began))
            content = drawn_picture(result)
            write_json(json, lambda: json_text.dumps(to_json_dict(result)))
            if picture is not None:
                write_bytes(picture, content)
            writer.log(ladder_content(result, note(result), content))
        return result, writer.run.url


def choose_rows_of(config: Any) -> int:
    """Rows for vecml's own network, before it is trained."""
    from vecml.lab.rungs import choose_rows
    from vecml.model.network import Architecture
    from vecml.model.recipe import NOTEBOOK_HIDDEN

    return choose_rows(Architecture(config.features, config.hidden or NOTEBOOK_HIDDEN, 2, config.activation))


def _show(result: Any, address: str) -> None:
    from vecml.report.ladder import HEADINGS, remarks, sentence, table

    show_comparison(sentence(result), HEADINGS, table(result), [*remarks(result), opening(address)], address)
