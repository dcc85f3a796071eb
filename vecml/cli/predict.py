"""`vecml predict`: labels for a file of any size, by a registered model in the setting that is stored with it."""

import dataclasses
import json as json_text
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vecml.cli.champion import words
from vecml.cli.options import JsonFlag, MaxMemory, ModelClass, columns, command, option
from vecml.cli.terminal import console
from vecml.errors import SettingError
from vecml.numbers import count, rate

EPILOG = """**Examples**

- `vecml predict --data new.parquet --out labels.parquet`: by the champion

- `vecml predict --model brave-fox-1 --data new.csv --out labels.csv --keep id --probabilities`: by a run's model
"""


@command()
def predict(
    data: Annotated[
        str,
        option("A file, or what else vecml run takes; columns that the model does not know are left alone.", "SOURCE"),
    ],
    out: Annotated[Path, option("The file to write: .csv or .parquet.", "FILE")],
    model: Annotated[
        str,
        typer.Option(help="models:/NAME@champion, models:/NAME/VERSION, or a run's name or id.", metavar="MODEL"),
    ] = "models:/vecml@champion",
    probabilities: Annotated[
        bool, option("A column with the probability of each class as well.", None, "--probabilities")
    ] = False,
    keep: Annotated[list[str] | None, option("Columns of the data to carry over.", "COLUMN,...")] = None,
    row: Annotated[
        bool, option("A column `row` with the number of the row in the data, from 0.", None, "--id")
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
    max_memory: MaxMemory = None,  # noqa: ARG001 -- its callback sets it
    json: JsonFlag = False,
) -> None:
    """Label every row of a file, which may be larger than memory: text and Parquet are read in blocks.

    The new file appears when it is complete. Its labels are those that the model gives in memory.
    """
    if engine == "auto":
        raise SettingError("--engine auto: it would have to be compared first", "vecml compare --run, vecml champion")
    from vecml.inference.predict_file import check_output

    check_output(out, Path(data).expanduser())
    from tasks.tracking.promotion import find_model
    from vecml.data.dialect import AskedFormat, check_asked
    from vecml.data.stream import open_data
    from vecml.inference.predict_file import predict_file, runnable
    from vecml.passwords import taken_out

    asked = AskedFormat(separator, encoding, no_header)
    check_asked(asked)
    named = find_model(model, architecture)
    setting, note = runnable(named.run.classifier.model, _wanted(named.setting, engine, threads))
    file = open_data(taken_out(data), named.run.classifier.encoding, columns(keep or []), asked, query)
    notes = [*([] if note is None else [note]), *_not_used(file)]
    _say(notes)
    written = predict_file(named.run.classifier, file, setting, out, probabilities=probabilities, rows=row)
    counts = dict(zip(named.run.classifier.model.classes, map(int, written.count_C), strict=True))
    if json:
        typer.echo(json_text.dumps(_as_json(written, named, counts, notes), indent=1))
    else:
        _show(written, counts, file.path.name, words(setting))


def _show(written: Any, counts: dict[str, int], source: str, setting: str) -> None:
    from rich.text import Text

    labelled = f"{count(written.n_rows, 'row')} of {source} {'is' if written.n_rows == 1 else 'are'} labelled"
    speed = "" if not written.n_rows else f", {rate(written.n_rows / written.seconds)} with reading and writing"
    console().print(Text(f"{labelled} in {written.path}, by {setting}{speed}.", style="bold"))
    console().print(Text(", ".join(f"{name}: {number:,}" for name, number in counts.items())))


def _not_used(file: Any) -> list[str]:
    """Name the file's columns that are neither read nor carried over in a note; none where there is no such column."""
    extra = [name for name in file.extra if name != file.encoding.target]
    if not extra:
        return []
    from vecml.data.selection import listed_columns

    return [f"not used: {listed_columns(extra)}"]


def _wanted(stored: Any, engine: str | None, threads: int | None) -> Any:
    """The stored setting, or another engine's own on the CPU, with the threads that are asked for."""
    from vecml.config import make_config
    from vecml.engines.registry import get_engine
    from vecml.inference.setting import resolve_setting

    if engine is not None:
        get_engine(engine)
        return resolve_setting(make_config({"engine": engine, "threads": threads, "device": "cpu"}))
    if threads is not None:
        from vecml.device import check_threads

        check_threads(threads)
        return dataclasses.replace(stored, threads=threads)
    return stored


def _say(notes: list[str]) -> None:
    from rich.text import Text

    for note in notes:
        console(sys.stderr).print(Text(f"note: {note}"), soft_wrap=True)


def _as_json(written: Any, named: Any, counts: dict[str, int], notes: list[str]) -> dict[str, Any]:
    return {
        "version": 1,
        "file": str(written.path),
        "model": named.address,
        "run_id": named.run.run_id,
        "rows": written.n_rows,
        "counts": counts,
        "setting": dataclasses.asdict(written.setting),
        "why": named.why,
        "unseen_categories": written.unseen,
        "markers_filled_in": written.filled,
        "seconds": written.seconds,
        "notes": notes,
    }
