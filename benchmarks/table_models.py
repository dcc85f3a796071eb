"""One table, every model: vecml as `vecml run --data FILE --target T` does it, and scikit-learn on the same rows.

vecml's own functions are called one after another in this process, without Prefect and MLflow: they are what the run's
tasks call. scikit-learn's models get the usual preparation, and the rows of vecml's training and test part.
"""

import hashlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.table_sources import TableFile, is_counter, read
from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import Split, split_table
from vecml.errors import VecmlError
from vecml.model.train import train
from vecml.warnings import VecmlWarning

MODELS: dict[str, Callable[[], ClassifierMixin]] = {
    "logistic": lambda: LogisticRegression(max_iter=1_000),
    "boosting": lambda: HistGradientBoostingClassifier(random_state=0),
    "mlp": lambda: MLPClassifier(random_state=0),
}
MOST_SECONDS = 20  # of the CPU, for one model on one table
VECML_SECONDS = 400  # more than vecml's own bound on its training
Record = dict[str, Any]


@dataclass(frozen=True)
class Seeded:
    """A table whose split and whose trainings have this seed."""

    table: TableFile
    seed: int

    @property
    def name(self) -> str:
        """The table's name and the seed."""
        return f"{self.table.name} {self.seed}"


class OutOfTimeError(BaseException):
    """A model took longer than it may; no `except Exception` on the way takes it for a fault."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError in the block once it has used so many seconds of this process's CPU time."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def config_of(table: TableFile, seed: int = 0) -> PipelineConfig:
    """The configuration of `vecml run --data FILE --target T`."""
    return PipelineConfig(data=table.data, target=table.target, device="cpu", seed=seed)


def vecml_record(table: TableFile) -> Record:
    """Train and score as a run does.

    Returns:
        `outcome` (`trained`, `refused`, `exception` or `out of time`); where it was trained, accuracies, the standard
        error of the difference to the majority, warnings by code, and a key of the rows; else what was said.
    """
    begin = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with at_most(VECML_SECONDS):
                record = _trained(table)
        except OutOfTimeError:
            record = {"outcome": "out of time"}
        except VecmlError as error:
            record = {"outcome": "refused", "message": error.message, "hint": error.hint}
        except Exception as error:  # noqa: BLE001 -- each of them is a finding of this benchmark
            record = {"outcome": "exception", "message": f"{type(error).__name__}: {error}"[:500]}
    said = [entry.message for entry in caught]
    record["warnings"] = [f"{one.code} {one.message}" for one in said if isinstance(one, VecmlWarning)]
    record["other_warnings"] = sorted({str(one)[:200] for one in said if not isinstance(one, VecmlWarning)})
    return {"name": table.name, **record, "cpu_s": round(time.process_time() - begin, 3)}


def _trained(table: TableFile) -> Record:
    config = config_of(table)
    labelled = load_table(config)
    split = split_table(labelled, config.test_fraction, config.seed)
    read_s = time.process_time()
    training = train(split, config, "cpu")
    train_s = time.process_time() - read_s
    correct_N = training.model.wide_logits(split.test.x_FN).argmax(axis=1) == split.test.label_N
    majority_N = split.test.label_N == np.bincount(split.train.label_N).argmax()
    difference_N = correct_N.astype(np.float64) - majority_N
    return {
        "outcome": "trained",
        "rows": labelled.n_rows,
        "test_rows": len(correct_N),
        "classes": len(labelled.classes),
        "features": split.encoding.n_features,
        "columns": [column.name for column in split.encoding.columns],
        "accuracy": float(correct_N.mean()),
        "majority": float(majority_N.mean()),
        "to_majority_se": float(difference_N.std(ddof=1) / np.sqrt(len(difference_N))),
        "steps": None if training.course is None else training.course.steps,
        "train_cpu_s": round(train_s, 3),
        "digest": labelled.digest,
        "rows_key": rows_key(split),
    }


def rows_key(split: Split) -> str:
    """A hash of which rows the models see, with which labels, and of which columns vecml uses."""
    content = [part.tobytes() for half in (split.train, split.test) for part in (half.row_N, half.label_N)]
    content += [column.name.encode() for column in split.encoding.columns]
    return hashlib.sha256(b"|".join(content)).hexdigest()[:16]


def peers_record(table: TableFile, models: list[str]) -> Record:
    """Accuracies of scikit-learn's models on vecml's rows; None where one took too long or could not be trained."""
    config = config_of(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled = load_table(config)
        split = split_table(labelled, config.test_fraction, config.seed)
        record: Record = {"name": table.name, "rows_key": rows_key(split)}
        frame, _ = read(table.data)
        if not _same_rows(frame[table.target], split):
            return {**record, "misaligned": True}
        features = usual_features(frame, table.target, split)
        train_rows, test_rows = features.iloc[split.train.row_N], features.iloc[split.test.row_N]
        for name in models:
            begin = time.process_time()
            try:
                with at_most(MOST_SECONDS):
                    pipeline = make_pipeline(usual_preparation(train_rows), MODELS[name]())
                    pipeline.fit(train_rows, split.train.label_N)
                    record[name] = float((pipeline.predict(test_rows) == split.test.label_N).mean())
            except OutOfTimeError:
                record[name] = None
            except ValueError as error:
                record[name], record[f"{name}_error"] = None, str(error)[:200]
            record[f"{name}_cpu_s"] = round(time.process_time() - begin, 3)
    return record


def seeded_record(seeded: Seeded) -> Record:
    """The accuracies of vecml and of scikit-learn's MLP on the same split, both trained with the split's seed."""
    config = config_of(seeded.table, seeded.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        split = split_table(load_table(config), config.test_fraction, config.seed)
        predicted_N = train(split, config, "cpu").model.wide_logits(split.test.x_FN).argmax(axis=1)
        frame, _ = read(seeded.table.data)
        features = usual_features(frame, seeded.table.target, split)
        train_rows, test_rows = features.iloc[split.train.row_N], features.iloc[split.test.row_N]
        mlp = make_pipeline(usual_preparation(train_rows), MLPClassifier(random_state=seeded.seed))
        mlp.fit(train_rows, split.train.label_N)
    return {
        "name": seeded.name,
        "vecml": float((predicted_N == split.test.label_N).mean()),
        "mlp": float((mlp.predict(test_rows) == split.test.label_N).mean()),
    }


def _same_rows(label_N: pd.Series, split: Split) -> bool:
    """Whether pandas's rows are vecml's: each of vecml's classes is one value of pandas's column."""
    row_N = np.concatenate([split.train.row_N, split.test.row_N])
    code_N = np.concatenate([split.train.label_N, split.test.label_N])
    if row_N.max() >= len(label_N):
        return False
    values = pd.DataFrame({"code": code_N, "value": label_N.iloc[row_N].map(str).to_numpy()})
    return int(values.groupby("code")["value"].nunique().max()) == 1


def usual_features(frame: pd.DataFrame, target: str, split: Split) -> pd.DataFrame:
    """The features as one has them for scikit-learn: without what is empty, counts the rows, or tells the label.

    A column tells the label where each of its values has one label, and it has no more values than twice the classes.
    What counts the rows or tells the label stays where vecml uses it as well.
    """
    used = {column.name for column in split.encoding.columns}
    kept = {}
    for column in frame.columns:
        values = frame[column]
        if column == target or values.notna().sum() == 0:
            continue
        if column not in used and (is_counter(values) or _tells(values, frame[target])):
            continue
        if pd.api.types.is_datetime64_any_dtype(values):
            values = values.astype("int64") / 1e9
        elif pd.api.types.is_bool_dtype(values):
            values = values.astype(object).where(values.notna()).map(str)
        elif not pd.api.types.is_numeric_dtype(values):
            values = values.map(str).where(values.notna(), np.nan).astype(object)
        else:
            values = values.astype(np.float64).replace([np.inf, -np.inf], np.nan)
        kept[str(column)] = values
    if not kept:
        raise ValueError("no feature is left")
    return pd.DataFrame(kept)


def _tells(values: pd.Series, label_N: pd.Series) -> bool:
    """Whether each of a few values has one label."""
    if values.nunique() > 2 * label_N.nunique():
        return False
    labels = label_N.groupby(values, dropna=False, observed=True).nunique()
    return len(labels) > 1 and labels.max() <= 1


def usual_preparation(features: pd.DataFrame) -> ColumnTransformer:
    """Median and standard scale for numbers; for text the commonest value and one-hot, rare values as one."""
    numbers = [name for name in features if pd.api.types.is_numeric_dtype(features[name])]
    texts = [name for name in features if name not in numbers]
    scaled = Pipeline([("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=2, max_categories=100, sparse_output=False
    )
    encoded = Pipeline([("fill", SimpleImputer(strategy="most_frequent")), ("encode", one_hot)])
    return ColumnTransformer([("numbers", scaled, numbers), ("texts", encoded, texts)])
