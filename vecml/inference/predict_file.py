"""Labels for a file of any size: blocks are read ahead, labelled, and written by a thread, under a temporary name.

The file takes its name when it is complete and on the disk; whatever happens before that leaves nothing behind.
"""

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from vecml.atomic import check_folder, published
from vecml.config import Setting
from vecml.data.data_file import DataFile
from vecml.data.lines import name_lines
from vecml.data.stream import Block, blocks
from vecml.device import usable_cpus
from vecml.engines.base import Loaded
from vecml.engines.blocks import choose_block_rows
from vecml.engines.registry import check, load_engine
from vecml.errors import DataError, SettingError, one_line
from vecml.inference.infer import in_layout
from vecml.model.network import AnyModel
from vecml.model.store import Classifier
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

SUFFIXES = (".csv", ".parquet", ".pq")
LABEL, ROW, PROBABILITY = "prediction", "row", "probability_"
BLOCK_BYTES = 1 << 24  # of a block's features
MOST_ROWS = 1 << 19
WRITE_BEHIND = 2  # blocks
WRITE_ROWS = 1 << 16  # that Arrow encodes at once; it would take 1,024
_ENDING = 0.1  # seconds between looks at whether the writer still writes


@dataclass(frozen=True)
class Written:
    """The summary of a file of labels.

    Attributes:
        path: the new file.
        n_rows: number of rows in it.
        count_C: int64, number of rows with each class as their label.
        setting: the setting that labelled them.
        seconds: time from the first block until the file was complete.
        unseen: number of values whose category was not in the training part.
        filled: number of markers of a missing value, such as `?`, among numbers and booleans.
    """

    path: Path
    n_rows: int
    count_C: NDArray[np.int64] = field(repr=False)
    setting: Setting
    seconds: float
    unseen: int
    filled: int


def runnable(model: AnyModel, setting: Setting) -> tuple[Setting, str | None]:
    """Adapt the setting that is stored with a model to this machine; return it, and what was changed or None.

    If this machine cannot run it, NumPy in float32 takes its place (torch for a module of the user's own). Raises
    EngineUnavailableError if that cannot run either.
    """
    wanted = dataclasses.replace(setting, request_rows=None)
    cpus = usable_cpus()
    try:
        check(model, wanted)
    except SettingError as error:
        engine = "torch" if model.chain is None else "numpy"
        other = Setting(engine=engine, threads=cpus)
        check(model, other)
        return other, f"the setting that is stored with the model cannot run here, {engine} runs it: {error.message}"
    if wanted.threads > cpus:
        fewer = dataclasses.replace(wanted, threads=cpus)
        return fewer, f"the setting that is stored with the model has {wanted.threads} threads; here are {cpus} CPUs"
    return wanted, None


def block_rows_of(model: AnyModel, setting: Setting) -> int:
    """Compute how many rows to read at a time: whole blocks of the engine, so that it rounds the same as in memory."""
    own = setting.block_rows or choose_block_rows(model.architecture)
    fitting = min(MOST_ROWS, BLOCK_BYTES // (4 * model.architecture.n_features))
    return own * max(setting.threads, fitting // own)


def check_output(path: Path, data: Path) -> None:
    """Raise SettingError if the file `path` cannot be written, or is the file `data`, before that is read."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"--out {path}: its suffix does not say what to write", f"known: {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise SettingError(f"--out {path}: it is a folder", "name a file in it")
    check_folder(path, f"--out {path}")
    if path.exists() and data.exists() and path.samefile(data):
        raise SettingError(f"--out {path}: it is the data", "name another file")


def predict_file(
    classifier: Classifier,
    data: DataFile,
    setting: Setting,
    path: Path,
    *,
    probabilities: bool = False,
    rows: bool = False,
    block_rows: int | None = None,
) -> Written:
    """Label every row of `data` into the CSV or Parquet file `path`: the same labels as in memory.

    Its columns: `row` (number of the row in the data, from 0), the carried ones, `prediction` (the class's name), and
    `probability_CLASS` (float32) for each class.

    Args:
        classifier: what labels.
        data: from `open_file`, with the classifier's encoding.
        setting: from `runnable`.
        path: what is there is replaced when the new file is complete.
        probabilities, rows: whether to write those columns.
        block_rows: rows at a time; None: as many as suit the engine.

    Raises DataError for what is wrong with the data, naming column and row, SettingError for two columns of one name,
    EngineUnavailableError when the engine cannot run here, StoreError when the file cannot be written.
    """
    model = classifier.model
    layout = _Layout(data, model.classes, probabilities, rows)
    engine = load_engine(model, setting)
    began, n_rows, unseen = time.perf_counter(), 0, 0
    count_C = np.zeros(len(model.classes), np.int64)
    try:
        with published(path) as temporary, _writing(temporary, layout) as write:
            with stage("predicting", data.n_rows) as advance:
                for block in blocks(data, block_rows or block_rows_of(model, setting)):
                    rows_there = range(block.first_row, block.first_row + block.n_rows)
                    x_FN, new = classifier.encoding.transform(block.columns, None, rows_there)
                    label_N, logits_NC = _labelled(engine, x_FN, setting, probabilities=probabilities)
                    write(block, label_N, logits_NC)
                    count_C += np.bincount(label_N, minlength=len(count_C))
                    unseen, n_rows = unseen + new, n_rows + block.n_rows
                    advance(block.n_rows)
    except DataError as error:
        if data.dialect is not None:
            name_lines(error, data.path, data.dialect)
        raise
    finally:
        engine.close()
    if unseen:
        values = count(unseen, "value")
        warn("VML003", f"in the data, {values} of a category that the training part has not: encoded as zeros")
    data.filled.tell()
    return Written(path, n_rows, count_C, setting, time.perf_counter() - began, unseen, data.filled.total)


def _labelled(
    engine: Loaded, x_FN: NDArray[np.float32], setting: Setting, *, probabilities: bool
) -> tuple[NDArray[np.int64], NDArray[np.floating] | None]:
    x = in_layout(x_FN, setting.layout)
    label_N = np.empty(x_FN.shape[1], np.int64)
    engine.labels(x, label_N)
    engine.synchronize()
    return label_N, engine.logits(x) if probabilities else None


class _Layout:
    """The columns of the new file, and a block in them."""

    def __init__(self, data: DataFile, classes: tuple[str, ...], probabilities: bool, rows: bool) -> None:
        self.carried = data.carried
        self.types = data.carried_types
        self.classes, self.rows = classes, rows
        self.added = [f"{PROBABILITY}{name}" for name in classes] if probabilities else []
        for name in ([ROW] if rows else []) + [LABEL, *self.added]:
            if name in data.carried:
                raise SettingError(
                    f"--keep {name}: the new file has a column of its own of that name",
                    "rename the data's, or leave it out",
                )

    def schema(self, *, text: bool) -> "pa.Schema":
        """Names and types; `text`: the label as plain text, which a CSV needs, else as codes of it."""
        label = pa.string() if text else pa.dictionary(pa.int32(), pa.string())
        return pa.schema(
            [
                *([(ROW, pa.int64())] if self.rows else []),
                *((name, self._type(name, text)) for name in self.carried),
                (LABEL, label),
                *((name, pa.float32()) for name in self.added),
            ]
        )

    def _type(self, name: str, text: bool) -> "pa.DataType":
        kind = self.types[name]
        return kind.value_type if text and pa.types.is_dictionary(kind) else kind

    def table(
        self, block: Block, label_N: NDArray[np.int64], logits_NC: NDArray[np.floating] | None, schema: "pa.Schema"
    ) -> "pa.Table":
        """The block's rows as they are written."""
        label = pa.DictionaryArray.from_arrays(label_N.astype(np.int32), pa.array(self.classes, pa.string()))
        columns: list[Any] = []
        if self.rows:
            columns.append(np.arange(block.first_row, block.first_row + block.n_rows))
        columns += [
            column.cast(schema.field(name).type) for name, column in zip(self.carried, block.carried, strict=True)
        ]
        columns.append(label.cast(schema.field(LABEL).type))
        if logits_NC is not None:
            columns += list(np.ascontiguousarray(_softmax(logits_NC).T))
        return pa.table(columns, schema=schema)

    def is_plain(self) -> bool:
        """Whether no text of a CSV needs quotes: nothing is carried over, and the classes' names need none."""
        return not self.carried and not any(set(name) & set('",\r\n') for name in (*self.classes, *self.added))


def _softmax(logits_NC: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the probabilities (N, C), float32, of each row; NaN if a logit of the row is NaN."""
    with np.errstate(all="ignore"):
        shifted_NC = logits_NC.astype(np.float64) - logits_NC.max(axis=1, keepdims=True)
        power_NC = np.exp(shifted_NC)
        share_NC: NDArray[np.float32] = (power_NC / power_NC.sum(axis=1, keepdims=True)).astype(np.float32)
    return share_NC


@contextmanager
def _writing(path: Path, layout: _Layout) -> Iterator[Any]:
    """Yield a function that gives blocks to a thread that writes them; after the `with` all are in the file."""
    queue: Queue[Any] = Queue(WRITE_BEHIND)
    failed: list[BaseException] = []
    over = threading.Event()

    def work() -> None:
        try:
            with _opened(path, layout) as put:
                while (item := queue.get()) is not None:
                    put(*item)
        except BaseException as error:  # noqa: BLE001 -- it is raised again by whoever hands over blocks
            failed.append(error)
            over.set()

    thread = threading.Thread(target=work, name="vecml-write", daemon=True)
    thread.start()

    def put(item: Any) -> None:
        while not over.is_set():
            with suppress(Full):
                queue.put(item, timeout=_ENDING)
                return

    def write(*item: Any) -> None:
        put(item)
        if failed:
            raise failed[0]

    try:
        yield write
    except BaseException:
        with suppress(Empty):  # what waits is not worth writing any more
            while True:
                queue.get_nowait()
        raise
    finally:
        put(None)
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def _opened(path: Path, layout: _Layout) -> Iterator[Any]:
    """Yield a function that appends a block to the file. Raises DataError for a type that the format lacks."""
    as_csv = path.suffix.lower() == ".csv"
    schema = layout.schema(text=as_csv)
    try:
        if as_csv:
            options = csv.WriteOptions(quoting_style="none" if layout.is_plain() else "needed")
            writer: Any = csv.CSVWriter(str(path), schema, write_options=options)
        else:
            texts = [LABEL, *(name for name in layout.carried if not pa.types.is_primitive(layout.types[name]))]
            # Least and greatest label are the classes' own, and finding them in each block takes as long as writing it.
            numbers = [name for name in schema.names if name != LABEL]
            writer = pq.ParquetWriter(
                str(path),
                schema,
                use_dictionary=texts,
                store_schema=False,
                write_statistics=numbers or False,
                write_batch_size=WRITE_ROWS,
                write_page_checksum=True,
            )
        with writer:
            yield lambda block, label_N, logits_NC: writer.write_table(layout.table(block, label_N, logits_NC, schema))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = one_line(error)
        raise DataError(
            f"a column that is kept cannot be written as {path.suffix}: {reason}", "leave it out of --keep"
        ) from None
