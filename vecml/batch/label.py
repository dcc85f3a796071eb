"""Labels for many files: checked, planned, labelled by this process alone, and complete when `_SUCCESS` is there."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vecml import __version__
from vecml.batch import plan as plan_module
from vecml.batch.cluster import Crew, Wish, check_wish, label_on_cluster
from vecml.batch.delta import check_delta, commit, folder_of, is_delta
from vecml.batch.folder import Folder
from vecml.batch.footers import Surveyed, survey
from vecml.batch.inputs import Inputs, find_inputs
from vecml.batch.manifest import PLAN, check_parts, complete, done_parts, found_plan
from vecml.batch.part import Part
from vecml.batch.plan import UNIT_BYTES, Piece, Plan, Unit, Way, check_same, cut, part_name
from vecml.batch.schemas import Schemas, Wanted, without_constants
from vecml.batch.work import worker
from vecml.config import Setting
from vecml.data.addresses import is_address
from vecml.data.dialect import LOOK, AskedFormat
from vecml.data.files import Say, warn_of
from vecml.data.memory_limit import MemoryLimit, used_bytes
from vecml.data.places import local_file, naming, of_address, place_of
from vecml.data.remote import matching
from vecml.data.several import Once
from vecml.data.stream import open_file, tables_of
from vecml.engines.blocks import choose_block_rows
from vecml.errors import DataError, SettingError
from vecml.inference.output_columns import ROW, OutputColumns
from vecml.inference.predict_file import SUFFIXES, block_rows_of
from vecml.model.store import Classifier
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

IN_FLIGHT = 24  # blocks' worth of features that reading, labelling and writing hold at a time, raw columns included


@dataclass(frozen=True)
class Ask:
    """The wishes of a caller beside model, data and setting.

    Attributes:
        keep: names of columns to carry over.
        probabilities: whether each class has a column with its probability.
        rows: whether there is a column with the number of the row in the data, from 0.
        text: what the user says of text files.
        resume: whether parts of the same plan that are there are taken over.
        unit_bytes: about how much of the input becomes one part.
        cluster: who labels; None: this process alone.
    """

    keep: tuple[str, ...] = ()
    probabilities: bool = False
    rows: bool = False
    text: AskedFormat = LOOK
    resume: bool = True
    unit_bytes: int = UNIT_BYTES
    cluster: Wish | None = None


@dataclass(frozen=True)
class Labelled:
    """The summary of a folder of labels.

    Attributes:
        folder: path or address of the output.
        parts: number of parts.
        taken_over: how many of them were there before.
        n_rows: rows of all parts.
        new_rows: rows of the parts that were not there before.
        counts: rows with each class as their label.
        setting: the setting that labelled them.
        seconds: of this call, from the plan to `_SUCCESS`.
        unseen: values of a category that was not in the training part.
        filled: markers of a missing value, such as `?`, among numbers and booleans.
        files: number of files that were read.
        digest: of the plan.
        extra: names of the first file's other columns, which are not read.
        crew: the nodes of the cluster that have labelled, none where this process did.
    """

    folder: str
    parts: int
    taken_over: int
    n_rows: int
    new_rows: int
    counts: tuple[int, ...]
    setting: Setting
    seconds: float
    unseen: int
    filled: int
    files: int
    digest: str
    extra: tuple[str, ...] = field(repr=False)
    crew: Crew = field(default_factory=Crew)


def is_folder_of_parts(out: str) -> bool:
    """Whether `out` names a folder of parts rather than a single file: by its form, or because it is a folder."""
    if is_delta(out):
        return True
    if is_address(out) and not out.lower().startswith("file:"):
        return True
    path = Path(place_of(out, "--out").path)
    return out.endswith("/") or path.is_dir() or (not path.suffix and not path.exists())


def label_files(
    classifier: Classifier, data: str | Path | Sequence[str | Path], setting: Setting, out: str, ask: Ask
) -> Labelled:
    """Label every row of all files that `data` names into parts in the folder `out`.

    The labels are those that the model gives in memory. Run again after it was interrupted, it labels what is missing.

    Args:
        classifier: what labels.
        data: as for `find_inputs`.
        setting: from `runnable`.
        out: path or address of a folder, which is made; `delta:` before it makes a Delta table of it.
        ask: what else is asked for.

    Raises:
        DataError: a file does not fit the model or the others, has changed or is gone, or `out` holds labels of
            another plan; the message names the file.
        SettingError: `out` lies within the data or holds other files, or an address cannot be.
        EngineUnavailableError: the engine cannot run here.
        StoreError: a part cannot be written.
        ServerError: the cluster cannot be reached, or has no node left.
    """
    began = time.perf_counter()
    if ask.cluster is not None:
        check_wish(ask.cluster, setting)
    planned = plan_files(classifier, data, setting, out, ask)
    plan, folder = planned.plan, planned.folder
    folder.sweep()
    done = done_parts(folder, plan, planned.names) if ask.resume else {}
    taken_over = sorted(done)
    missing = [unit for unit in plan.units if unit.number not in done]

    def keep_record(part: Part) -> None:
        done[part.unit] = part

    crew = Crew()
    if missing:
        order = (classifier, setting, plan, planned.wanted, planned.columns)
        crew = _label(order, missing, folder, (ask.cluster, out), (planned.say, keep_record))
    parts = [done[unit.number] for unit in plan.units]
    complete(folder, plan, parts, classifier.model.classes)
    if is_delta(out):
        commit(folder, plan, parts, planned.columns.schema(text=False))
    summary = _summary(folder, plan, parts, taken_over, setting, began, planned.surveyed)
    return replace(summary, crew=crew)


@dataclass(frozen=True)
class Planned:
    """A plan that lies in its folder, and what was found while it was made.

    Attributes:
        plan, folder, surveyed: of the output and the input.
        wanted: what is read of every file.
        columns: of the parts.
        names: of the files that the folder held before.
        say: hears what is found by looking at text files, once of all of them.
    """

    plan: Plan
    folder: Folder
    surveyed: Surveyed
    wanted: Wanted
    columns: OutputColumns
    names: set[str] = field(repr=False)
    say: Say = field(repr=False)


def plan_files(
    classifier: Classifier, data: str | Path | Sequence[str | Path], setting: Setting, out: str, ask: Ask
) -> Planned:
    """Look at all files, make the plan, and write it into the folder.

    `classifier`, `data`, `setting`, `out`, `ask` and what is raised are as for `label_files`.
    """
    wanted = Wanted(classifier.encoding, tuple(dict.fromkeys(ask.keep)), ask.text)
    inputs = find_inputs(data, [column.name for column in classifier.encoding.columns])
    folder = Folder(place_of(folder_of(out), "--out"))
    _check_apart(folder, inputs)
    say = Once(warn_of)
    surveyed = survey(inputs, Schemas(wanted, inputs.options, say), ask.unit_bytes)
    columns = OutputColumns(surveyed.first, classifier.model.classes, ask.probabilities, ask.rows)
    _check_type(columns)
    schema = columns.schema(text=False)
    _check_folders(surveyed, schema.names)
    if is_delta(out):
        check_delta(folder, schema, surveyed.files[0].constants)
    if ask.rows:
        surveyed = _with_rows(surveyed, wanted, inputs.options)
    names = folder.names()
    before = found_plan(folder, names)
    plan = _plan(classifier, setting, ask, surveyed, columns, before, inputs.options)
    if before is None:
        folder.write(PLAN, plan_module.to_json(plan).encode())
    else:
        check_same(before, plan, folder.place.address)
        check_parts(folder, plan, names)
    return Planned(plan, folder, surveyed, wanted, columns, names, say)


def _label(
    order: tuple[Classifier, Setting, Plan, Wanted, OutputColumns],
    units: Sequence[Unit],
    folder: Folder,
    to: tuple[Wish | None, str],
    hear: tuple[Say, Callable[[Part], None]],
) -> Crew:
    """Label the units, here or on a cluster; `to` is who labels and the output as the user named it."""
    wish, out = to
    counts = [unit.n_rows for unit in units]
    known = None if None in counts else sum(one or 0 for one in counts)
    with stage("predicting", known) as advance:
        if wish is not None:
            where = folder.place.address if folder.place.is_local else out
            return label_on_cluster(wish, order, where, units, (*hear, advance))
        with worker(*order, folder) as labelling:
            labelling.label(units, *hear, advance)
    labelling.filled.tell()
    return Crew()


def _summary(
    folder: Folder,
    plan: Plan,
    parts: Sequence[Part],
    before: Sequence[int],
    setting: Setting,
    began: float,
    surveyed: Surveyed,
) -> Labelled:
    unseen = sum(part.unseen for part in parts)
    if unseen:
        values = count(unseen, "value")
        warn("VML003", f"in the data, {values} of a category that the training part has not: encoded as zeros")
    return Labelled(
        folder=folder.place.address,
        parts=len(parts),
        taken_over=len(before),
        n_rows=sum(part.rows for part in parts),
        new_rows=sum(part.rows for part in parts) - sum(parts[number].rows for number in before),
        counts=tuple(map(sum, zip(*(part.counts for part in parts), strict=True))),
        setting=setting,
        seconds=time.perf_counter() - began,
        unseen=unseen,
        filled=sum(part.filled for part in parts),
        files=len(plan.files),
        digest=plan.digest,
        extra=tuple(name for name in surveyed.first.extra if name not in plan.files[0].constants),
    )


def _check_apart(folder: Folder, inputs: Inputs) -> None:
    """Raise SettingError where the output is the data, lies within it, or holds it."""
    out = _resolved(folder.place.address)
    for root in inputs.roots:
        there = _resolved(root)
        if out == there:
            raise SettingError(f"--out {folder.place.address}: it is the data", "name another folder")
        if out.startswith(f"{there.rstrip('/')}/"):
            raise SettingError(
                f"--out {folder.place.address}: it lies within the data, {root}", "name a folder beside it"
            )
        if there.startswith(f"{out.rstrip('/')}/"):
            raise SettingError(f"--out {folder.place.address}: the data lies within it", "name another folder")
    parts = {
        f"{out}/{part_name(Unit(0, folder, None, ()), '0' * 64)}" for folder in {one.folder for one in inputs.files}
    }
    for base, pattern in inputs.patterns:
        if any(map(matching(_resolved(base) + pattern.removeprefix(base)).fullmatch, parts)):
            raise SettingError(
                f"--out {folder.place.address}: {pattern} would find the labels too", "name another folder"
            )
    if folder.place.is_local and Path(folder.place.path).is_file():
        raise SettingError(
            f"--out {folder.place.address}: it is a file, not a folder",
            f"name a folder, or for a single file a name that ends in {' or '.join(SUFFIXES[:2])}",
        )


def _resolved(address: str) -> str:
    return address if is_address(address) else str(Path(address).resolve())


def _check_folders(surveyed: Surveyed, names: Sequence[str]) -> None:
    """Raise SettingError where Hive folders that the output keeps are called as one of its columns, `names`."""
    for name in surveyed.files[0].constants:
        if name in names:
            raise SettingError(
                f"the data's folders {name}=... are kept in the output, which has a column {name!r}: no reader can tell"
                " them apart",
                "leave out --row" if name == ROW else "rename the folders, or label each of them by itself",
            )


def _check_type(columns: OutputColumns) -> None:
    """Raise DataError for a kept column of a type that Parquet does not have, before work starts."""
    try:
        with pq.ParquetWriter(pa.BufferOutputStream(), columns.schema(text=False)):
            pass
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"a column that is kept cannot be written as Parquet: {error}", "leave it out of --keep"
        ) from None


def _plan(
    classifier: Classifier,
    setting: Setting,
    ask: Ask,
    surveyed: Surveyed,
    columns: OutputColumns,
    before: Plan | None,
    options: str,
) -> Plan:
    """The plan; the sizes of blocks are those of the plan that was begun, if any: another machine has other caches."""
    model = classifier.model
    block_rows = setting.block_rows or (before.way.block_rows if before else choose_block_rows(model.architecture))
    read_rows = before.way.read_rows if before else _read_rows(classifier, replace(setting, block_rows=block_rows))
    encoding = json.dumps(classifier.encoding.to_json_dict(), sort_keys=True)
    way = Way(
        model=model.digest,
        encoding=hashlib.sha256(encoding.encode()).hexdigest(),
        setting=_setting_text(setting),
        block_rows=block_rows,
        read_rows=read_rows,
        keep=tuple(columns.carried),
        probabilities=ask.probabilities,
        rows=ask.rows,
        text=json.dumps([getattr(ask.text, name) for name in vars(ask.text)]),
        schema=columns.schema(text=False).to_string(show_field_metadata=False, show_schema_metadata=False),
        versions=f"vecml {__version__}, pyarrow {pa.__version__}",
    )
    return Plan(way, surveyed.files, cut(surveyed.files, surveyed.pieces, ask.unit_bytes), options)


def _setting_text(setting: Setting) -> str:
    """The setting without what differs between machines and does not change a label: the number of threads."""
    named = {name: value for name, value in vars(setting).items() if name not in ("threads", "block_rows")}
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def _read_rows(classifier: Classifier, setting: Setting) -> int:
    """Rows to read at a time: as many as suit the engine, or fewer whole blocks of it where memory is short."""
    fitting, own = block_rows_of(classifier.model, setting), setting.block_rows or 1
    row_bytes = 4 * classifier.model.architecture.n_features
    free = max(0, MemoryLimit("the data").allowed - used_bytes())
    return max(own, min(fitting, free // (IN_FLIGHT * row_bytes) // own * own))


def _with_rows(surveyed: Surveyed, wanted: Wanted, options: str) -> Surveyed:
    """With the number of rows of each file that only reading tells: --row numbers the rows of all files."""
    unknown = [piece for piece, _ in surveyed.pieces if piece.n_rows is None]
    if not unknown:
        return surveyed
    pieces: list[tuple[Piece, str]] = []
    before = dict.fromkeys((piece.file for piece in unknown), 0)  # rows of a file's earlier parts
    with stage("counting rows", len(unknown)) as advance:
        for piece, types in surveyed.pieces:
            if piece.n_rows is not None:
                pieces.append((piece, types))
                continue
            file = surveyed.files[piece.file]
            try:
                with local_file(of_address(file.address, options)) as here:
                    encoding = without_constants(wanted.encoding, file)
                    data = open_file(here, encoding, (), wanted.asked, lambda *_: None, piece.span)
                    rows = sum(table.num_rows for table in tables_of(data, 1 << 16))
            except DataError as error:
                raise naming(error, file.address) from None
            pieces.append((replace(piece, first_row=before[piece.file], n_rows=rows), types))
            before[piece.file] += rows
            advance(1)
    return replace(surveyed, pieces=tuple(pieces))
