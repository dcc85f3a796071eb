"""Labels for a file of any size: blocks are read ahead, labelled, and written by a thread, under a temporary name.

The file takes its name when it is complete and on the disk; whatever happens before that leaves nothing behind.
"""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.atomic import check_folder, published
from vecml.config import Setting
from vecml.data.data_file import DataFile
from vecml.data.lines import name_lines
from vecml.data.stream import blocks
from vecml.device import usable_cpus
from vecml.engines.base import Loaded
from vecml.engines.blocks import choose_block_rows
from vecml.engines.registry import check, load_engine
from vecml.errors import DataError, SettingError
from vecml.inference.infer import in_layout
from vecml.inference.output_columns import OutputColumns, opened_output
from vecml.inference.write_behind import written_behind
from vecml.model.network import AnyModel
from vecml.model.store import Classifier
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

SUFFIXES = (".csv", ".parquet", ".pq")
BLOCK_BYTES = 1 << 24  # of a block's features
MOST_ROWS = 1 << 19


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
    layout = OutputColumns(data, model.classes, probabilities, rows)
    engine = load_engine(model, setting)
    began, n_rows, unseen = time.perf_counter(), 0, 0
    count_C = np.zeros(len(model.classes), np.int64)
    try:
        with published(path) as temporary, written_behind(lambda items: _write(items, temporary, layout)) as write:
            with stage("predicting", data.n_rows) as advance:
                for block in blocks(data, block_rows or block_rows_of(model, setting)):
                    rows_there = range(block.first_row, block.first_row + block.n_rows)
                    x_FN, new = classifier.encoding.transform(block.columns, None, rows_there)
                    label_N, logits_NC = label_block(engine, x_FN, setting, probabilities=probabilities)
                    write((block, label_N, logits_NC))
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


def label_block(
    engine: Loaded, x_FN: NDArray[np.float32], setting: Setting, *, probabilities: bool
) -> tuple[NDArray[np.int64], NDArray[np.floating] | None]:
    """Label the columns of x_FN (F, N), float32: class indices int64 (N,), and the logits (N, C) where they are wanted.

    Args:
        engine: a loaded model.
        x_FN: the features, by column.
        setting: the one that `engine` was loaded in, for its layout.
        probabilities: whether the logits are wanted.
    """
    x = in_layout(x_FN, setting.layout)
    label_N = np.empty(x_FN.shape[1], np.int64)
    engine.labels(x, label_N)
    engine.synchronize()
    return label_N, engine.logits(x) if probabilities else None


def _write(items: Iterator[Any], path: Path, layout: OutputColumns) -> None:
    with opened_output(path, layout) as put:
        for block, label_N, logits_NC in items:
            put(block, label_N, logits_NC)
