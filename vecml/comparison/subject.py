"""What a comparison infers: a tracked run's model over its test part, or a model that is trained for the purpose."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.compare import Job
from vecml.comparison.config import ComparisonConfig
from vecml.config import PipelineConfig, TrainingConfig
from vecml.data import builtin, synthetic
from vecml.data.digest import table_digest
from vecml.data.origin import is_path
from vecml.data.sources import load_table
from vecml.data.split import split_rows, split_table
from vecml.errors import DataError, SettingError
from vecml.model.find import check_there, find_class
from vecml.model.store import Classifier
from vecml.progress import stage

GENERATED_ROWS = 1_000_000


@dataclass(frozen=True)
class RecordedRun:
    """A pipeline run that was tracked, as far as its inference can be repeated.

    Attributes:
        run_id, name: MLflow's.
        classifier: what it trained, with its encoding.
        config: what was asked for.
        data_digest: of the table that it read.
        model_digest: of the classifier's model.
    """

    run_id: str
    name: str
    classifier: Classifier
    config: PipelineConfig
    data_digest: str
    model_digest: str


ReadRun = Callable[[str, str | None], RecordedRun]


def job_of(config: ComparisonConfig, read_run: ReadRun) -> Job:
    """The job of a comparison: the named run's model over its test part, or a model that is trained for it.

    Args:
        config: what is compared.
        read_run: gives the pipeline run of an id or name; its second argument is the class of a model that is a module
            of the user's own (`package.module:Class`), or None.

    Raises as `read_run`, `job_of_run` and `job_of_training` do.
    """
    if config.run is None:
        return job_of_training(config.subject, config.rows)
    return job_of_run(read_run(config.run, config.subject.architecture), config.rows)


def job_of_run(run: RecordedRun, rows: int | None = None) -> Job:
    """The run's model over its test part, which is read again and has the same rows as in the run.

    Args:
        run: from `tasks.tracking.read`.
        rows: the test part is repeated in whole passes and cut to so many; None: as it is.

    Raises DataError when the data is not there or has changed since, SettingError for fewer than one row.
    """
    _check_rows(rows)
    _check_there(run)
    table = load_table(run.config, [column.name for column in run.classifier.encoding.columns])
    if table.digest != run.data_digest:
        raise DataError(
            f"the data has changed since run {run.run_id}: digest {table.digest}, was {run.data_digest}",
            "bring it back as it was, or train on it as it is: vecml run",
        )
    _, test_N = split_rows(table.label_N, table.classes, run.config.test_fraction, run.config.seed)
    x_FN, _ = run.classifier.encoding.transform(table.columns, test_N, table.row_N)
    x_FN, truth_N = _resized(x_FN, table.label_N[test_N], rows)
    return Job(run.classifier.model, x_FN, truth_N, table.source, table.digest, run.run_id)


def job_of_training(config: TrainingConfig, rows: int | None = None) -> Job:
    """A model that is trained as the pipeline trains it, on the CPU, over rows that it has not seen.

    Args:
        config: as for a pipeline run.
        rows: of `config.data` the test part is repeated in whole passes and cut to so many (None: as it is). Without
            `data` so many are generated with the next seed (None: a million).

    Raises DataError, TrainingError and ModelError as a pipeline run does, SettingError for fewer than one row and an
    architecture that is none.
    """
    from vecml.model.train import train  # noqa: PLC0415 -- torch, which a job without training need not wait for

    _check_rows(rows)
    check_there(config.weights)
    if config.architecture is not None:
        find_class(config.architecture)
    table = load_table(config)
    split = split_table(table, config.test_fraction, config.seed, config.sample)
    model = train(split, config).model
    if config.data is not None:
        x_FN, truth_N = _resized(split.test.x_FN, split.test.label_N, rows)
        return Job(model, x_FN, truth_N, table.source, table.digest)
    count = GENERATED_ROWS if rows is None else rows
    columns, truth_N = synthetic.synthetic_columns(count, config.features, config.seed + 1)
    x_FN, _ = split.encoding.transform(columns)
    with stage("hashing"):
        digest = table_digest(columns, truth_N, synthetic.CLASSES, synthetic.TARGET)
    return Job(model, x_FN, truth_N, table.source, digest)


def _resized(
    x_FN: NDArray[np.float32], label_N: NDArray[np.int64], rows: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The rows over and over, cut to so many; as they are for None."""
    if rows is None:
        return x_FN, label_N
    row_N = np.resize(np.arange(len(label_N)), rows)
    return np.take(x_FN, row_N, axis=1), label_N[row_N]


def _check_rows(rows: int | None) -> None:
    if rows is not None and rows < 1:
        raise SettingError(f"--rows {rows}: must be at least 1")


def _check_there(run: RecordedRun) -> None:
    """A relative path says where the data is from the run's own folder, which nobody has kept."""
    data = run.config.data
    if data is None or data.startswith(builtin.PREFIX) or not is_path(data):
        return
    path = Path(data).expanduser()
    if not path.is_absolute() and not path.exists():
        raise DataError(
            f"run {run.run_id} read {data}, and there is no such file in {Path.cwd()}",
            "run this in the folder that the run was started in",
        )
