"""`vecml predict`: labels for files of any size, by a registered model in the setting that is stored with it."""

from typing import Annotated

import typer

from vecml.cli.options import JsonFlag, MaxMemory, ModelClass, columns, command, option
from vecml.errors import SettingError

EPILOG = """**Examples**

- `vecml predict --data new.parquet --out labels.parquet`: by the champion

- `vecml predict --model brave-fox-1 --data new.csv --out labels.csv --keep id --probabilities`: by a run's model

- `vecml predict --data orders/ --out labels/`: all files of a folder, into a folder of parts; again, after it was
  interrupted, for the rest

- `vecml predict --verify labels/`: whether all parts are there, and have the bytes that were written
"""

Resume = Annotated[
    bool, option("Take over the parts that are there; --no-resume labels them again.", None, "--resume/--no-resume")
]
PartSize = Annotated[
    str | None, option("About how much of the input becomes a part. [default: 256MiB]", "256MiB", "--part-size")
]
Cluster = Annotated[
    str | None, option("Share the parts out to a cluster of Ray: auto, local:N nodes here, or its address.", "CLUSTER")
]
NodeTimeout = Annotated[
    float | None,
    option("Seconds without a labelled row after which a node is given up. [default: 900]", "S", "--node-timeout"),
]

Track = Annotated[bool, option("Keep what was labelled as a run in MLflow: counts, rates, nodes.", None, "--track")]


@command()
def predict(
    data: Annotated[
        str | None,
        option("A file, or what else vecml run takes; columns that the model does not know are left alone.", "SOURCE"),
    ] = None,
    out: Annotated[
        str | None,
        option(
            "The file to write, .csv or .parquet; or a folder of parts, its address, or delta:FOLDER.", "FILE|FOLDER"
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="models:/NAME@champion, models:/NAME/VERSION, or a run's name or id.", metavar="MODEL"),
    ] = "models:/vecml@champion",
    probabilities: Annotated[
        bool, option("A column with the probability of each class as well.", None, "--probabilities")
    ] = False,
    keep: Annotated[list[str] | None, option("Columns of the data to carry over.", "COLUMN,...")] = None,
    row: Annotated[
        bool, option("A column `row` with the number of the row in the data, from 0.", None, "--row", "--id")
    ] = False,
    engine: Annotated[str | None, option("Another engine than the one that is stored with the model.", "NAME")] = None,
    threads: Annotated[int | None, option("Another number of CPU threads.", "N", min=1)] = None,
    architecture: ModelClass = None,
    query: Annotated[str | None, option("The rows to read, of a database.", "SQL")] = None,
    separator: Annotated[str | None, option("What stands between values, as for vecml run.", "CHARACTER")] = None,
    encoding: Annotated[str | None, option("A text file's encoding, as for vecml run.", "NAME")] = None,
    no_header: Annotated[
        bool, option("A text file's first row is data, as for vecml run.", None, "--no-header")
    ] = False,
    resume: Resume = True,
    part_size: PartSize = None,
    cluster: Cluster = None,
    node_timeout: NodeTimeout = None,
    track: Track = False,
    verify: Annotated[str | None, option("Check a folder of parts, and do nothing else.", "FOLDER", "--verify")] = None,
    max_memory: MaxMemory = None,  # noqa: ARG001 -- its callback sets it
    json: JsonFlag = False,
) -> None:
    """Label every row of a file, or of many files, which may be larger than memory: they are read in blocks.

    A file appears when it is complete; a folder of parts is complete when it holds _SUCCESS, and the same command goes
    on where it was interrupted. The labels are those that the model gives in memory.
    """
    from vecml.cli import predict_output

    if verify is not None:
        predict_output.verify_folder(verify, json=json)
        return
    text = (separator, encoding, no_header)
    wish = predict_output.Wish(
        _given("--data", data),
        *(model, engine, threads, architecture, query, text),
        *(columns(keep or []), probabilities, row),
    )
    how = predict_output.How(resume, part_size, cluster, node_timeout, track)
    predict_output.into_folder_or_file(wish, _given("--out", out), how, json=json)


def _given(flag: str, value: str | None) -> str:
    if not value:
        raise SettingError(f"{flag} is missing", "vecml predict --data FILE_OR_FOLDER --out FILE_OR_FOLDER")
    return value
