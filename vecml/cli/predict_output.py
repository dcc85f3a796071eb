"""What `vecml predict` does: labels into one file, or into a folder of parts, and the check of such a folder."""

import dataclasses
import json as json_text
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vecml.cli.champion import words
from vecml.cli.terminal import console, opening
from vecml.errors import SettingError
from vecml.numbers import count, rate


@dataclass(frozen=True)
class Wish:
    """The flags that say what to label, whatever the output is.

    Attributes:
        data, model, engine, threads, architecture, query: as the flags.
        text: separator, encoding and whether there is a header.
        keep, probabilities, rows: the columns of the output beside the label.
    """

    data: str
    model: str
    engine: str | None
    threads: int | None
    architecture: str | None
    query: str | None
    text: tuple[str | None, str | None, bool]
    keep: tuple[str, ...]
    probabilities: bool
    rows: bool


@dataclass(frozen=True)
class How:
    """The flags that say how a folder of parts is made.

    Attributes:
        resume: whether parts that are there are taken over.
        part_size: about how much of the input becomes a part, such as `256MiB`.
        cluster: `auto`, `local:N` or `ray://HOST:PORT`; None: this process alone.
        node_timeout: seconds without a labelled row after which a node is given up.
        track: whether it becomes a run in MLflow.
    """

    resume: bool = True
    part_size: str | None = None
    cluster: str | None = None
    node_timeout: float | None = None
    track: bool = False


def into_folder_or_file(wish: Wish, out: str, how: How, *, json: bool) -> None:
    """Label what is wished for, into a folder of parts where `out` names one, else into a file.

    Args:
        wish: what the flags say.
        out: a file with a known suffix, a folder, or the address of a folder.
        how: how a folder of parts is made.
        json: whether the summary is printed as JSON.

    Raises SettingError for what cannot be together; further as `into_file` and `into_folder` do.
    """
    from vecml.batch.label import is_folder_of_parts
    from vecml.data.addresses import is_address
    from vecml.data.places import place_of

    if is_folder_of_parts(out):
        if wish.query is not None:
            raise SettingError("--query: a folder of parts is made of files, not of a database", "leave --query out")
        into_folder(wish, out, how, json=json)
        return
    if how.cluster is not None:
        raise SettingError(
            f"--cluster {how.cluster}: what several nodes write is a folder of parts", "name a folder: --out labels/"
        )
    if how.part_size is not None:
        raise SettingError(f"--part-size {how.part_size}: a single file has no parts", "name a folder: --out labels/")
    if how.track:
        raise SettingError("--track: a single file of labels is no run", "name a folder: --out labels/")
    if is_address(wish.data) and not wish.data.startswith("file:"):
        raise SettingError(
            f"--out {out}: what comes from an address becomes a folder of parts", "name a folder: --out labels/"
        )
    into_file(wish, Path(place_of(out, "--out").path) if is_address(out) else Path(out), json=json)


def into_folder(wish: Wish, out: str, how: How, *, json: bool) -> None:
    """Label files into parts; the arguments are those of `into_folder_or_file`.

    Raises what `label_files` raises.
    """
    from tasks import batch
    from vecml.batch.config import BatchConfig

    config = BatchConfig.checked(
        {
            **{name: getattr(wish, name) for name in ("data", "model", "engine", "threads", "architecture", "keep")},
            **{name: getattr(how, name) for name in ("resume", "part_size", "cluster", "node_timeout")},
            "probabilities": wish.probabilities,
            "row": wish.rows,
            "out": out,
        }
    )
    batch.check(config)
    asked, named, setting, notes = ready(wish)
    classifier = named.run.classifier
    say(notes)
    with _writer(how) as writer:
        labelled = batch.label(config, named, setting, asked)
        if writer is not None:
            from tasks.tracking.batch import log_batch

            log_batch(writer, config, named, labelled)
    more = not_used(labelled.extra, classifier.encoding.target)
    if labelled.taken_over:
        more.append(
            f"{labelled.taken_over:,} of {count(labelled.parts, 'part')} were there and are taken over; --no-resume"
            " labels them again"
        )
    say(more)
    counts = dict(zip(classifier.model.classes, labelled.counts, strict=True))
    if json:
        typer.echo(json_text.dumps(_folder_as_json(labelled, named, counts, [*notes, *more]), indent=1))
        return
    made = f"{count(labelled.n_rows, 'row')} of {count(labelled.files, 'file')} are labelled in {labelled.folder}"
    by = words(setting) if how.cluster is None else f"{setting.engine} on {_nodes_in_words(labelled.crew)}"
    _print(f"{made}, {count(labelled.parts, 'part')}, by {by}.", counts)


@contextmanager
def _writer(how: How) -> Iterator[Any]:
    """The writer of a run in MLflow for the `with` block, or None where no run is asked for."""
    if not how.track:
        yield None
        return
    from flows.signals import leaving_in_order
    from tasks.tracking.batch import tracked_batch

    with leaving_in_order(), tracked_batch(None, None) as writer:
        yield writer
        _show_page(writer.run.url)


def _show_page(address: str) -> None:
    console(sys.stderr).print(f"{opening(address)} {address}", soft_wrap=True)


def _nodes_in_words(crew: Any) -> str:
    """How many nodes have labelled, and how many rows a second each."""
    rates = [f"{rate(node.rows / node.seconds)}" for node in crew.nodes if node.rows and node.seconds]
    again = f", {count(crew.retries, 'part')} given out again" if crew.retries else ""
    return f"{count(len(rates), 'node')}" + (f" ({', '.join(rates)})" if rates else "") + again


def verify_folder(folder: str, *, json: bool) -> None:
    """Check all parts of a folder and print what was found; raises DataError or StoreError where one is not right."""
    from vecml.batch.folder import Folder
    from vecml.batch.manifest import verify
    from vecml.data.places import place_of

    place = place_of(folder, "--verify")
    found = verify(Folder(place))
    if json:
        typer.echo(json_text.dumps({"version": 1, "folder": place.address, **dataclasses.asdict(found)}, indent=1))
        return
    say(list(found.notes))
    _print(f"{place.address} is complete: {count(found.parts, 'part')}, {count(found.rows, 'row')}.", found.counts)


def _print(sentence: str, counts: dict[str, int]) -> None:
    from rich.text import Text

    console().print(Text(sentence, style="bold"))
    console().print(Text(", ".join(f"{name}: {number:,}" for name, number in counts.items())))


def _folder_as_json(labelled: Any, named: Any, counts: dict[str, int], notes: list[str]) -> dict[str, Any]:
    return {
        "version": 1,
        "folder": labelled.folder,
        "model": named.address,
        "run_id": named.run.run_id,
        "files": labelled.files,
        "parts": labelled.parts,
        "taken_over": labelled.taken_over,
        "plan": labelled.digest,
        "rows": labelled.n_rows,
        "counts": counts,
        "setting": dataclasses.asdict(labelled.setting),
        "why": named.why,
        "unseen_categories": labelled.unseen,
        "markers_filled_in": labelled.filled,
        "seconds": labelled.seconds,
        "nodes": [dataclasses.asdict(node) for node in labelled.crew.nodes],
        "retries": labelled.crew.retries,
        "notes": notes,
    }


def into_file(wish: Wish, out: Path, *, json: bool) -> None:
    """Label one source into one file.

    Args:
        wish: what the flags say.
        out: the file.
        json: whether the summary is printed as JSON.

    Raises DataError for what is wrong with the data, SettingError where `out` cannot be written.
    """
    from vecml.inference.predict_file import check_output, predict_file

    check_output(out, Path(wish.data).expanduser())
    from vecml.data.stream import open_data
    from vecml.passwords import taken_out

    asked, named, setting, notes = ready(wish)
    classifier = named.run.classifier
    file = open_data(taken_out(wish.data), classifier.encoding, wish.keep, asked, wish.query)
    notes += not_used(file.extra, file.encoding.target)
    say(notes)
    written = predict_file(classifier, file, setting, out, probabilities=wish.probabilities, rows=wish.rows)
    counts = dict(zip(classifier.model.classes, map(int, written.count_C), strict=True))
    if json:
        typer.echo(json_text.dumps(_as_json(written, named, counts, notes), indent=1))
    else:
        _show(written, counts, file.path.name, words(setting))


def ready(wish: Wish) -> tuple[Any, Any, Any, list[str]]:
    """How text is read, the model, the setting to run it in, and notes of what was changed in that.

    Raises SettingError for flags that cannot be, StoreError where the model cannot be found.
    """
    from tasks import batch
    from vecml.data.dialect import AskedFormat, check_asked

    asked = AskedFormat(*wish.text)
    check_asked(asked)
    named, setting, notes = batch.find(wish.model, wish.engine, wish.threads, wish.architecture)
    return asked, named, setting, notes


def _show(written: Any, counts: dict[str, int], source: str, setting: str) -> None:
    from rich.text import Text

    labelled = f"{count(written.n_rows, 'row')} of {source} {'is' if written.n_rows == 1 else 'are'} labelled"
    speed = "" if not written.n_rows else f", {rate(written.n_rows / written.seconds)} with reading and writing"
    console().print(Text(f"{labelled} in {written.path}, by {setting}{speed}.", style="bold"))
    console().print(Text(", ".join(f"{name}: {number:,}" for name, number in counts.items())))


def not_used(names: tuple[str, ...], target: str) -> list[str]:
    """Name the columns that are neither read nor carried over in a note; none where there is no such column."""
    extra = [name for name in names if name != target]
    if not extra:
        return []
    from vecml.data.selection import listed_columns

    return [f"not used: {listed_columns(extra)}"]


def say(notes: list[str]) -> None:
    """Print notes on standard error."""
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
