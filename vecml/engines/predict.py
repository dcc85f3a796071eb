"""Labels for a raw table: encode it as the classifier was taught, run an engine, give the labels' names."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import make_config
from vecml.data.selection import counted
from vecml.data.sources import raw_columns
from vecml.engines.registry import load_engine
from vecml.engines.resolve import resolve_setting
from vecml.model.store import Classifier
from vecml.warnings import warn


def predict(
    classifier: Classifier, data: str | Path | Any, *, engine: str = "torch", threads: int | None = None
) -> NDArray[np.str_]:
    """The label of every row of `data`, by name, as a text array (N,).

    Args:
        classifier: from `vecml.load`.
        data: a CSV, Parquet, Feather, .npy or .npz file, a pandas DataFrame, an Arrow table, or a dict of arrays (N,)
            by column name. It needs the columns that the classifier was trained on; others are left alone.
        engine: which library runs it.
        threads: CPU threads; None takes every CPU that this process may use.

    Raises DataError naming a column that is missing or of another kind, SettingError for an engine that is not there.
    A value of a category that training has not seen becomes zeros, with the warning VML003 saying how many there are.
    """
    setting = resolve_setting(make_config({"engine": engine, "threads": threads, "device": "cpu"}))
    x_FN, unseen = classifier.encoding.transform(raw_columns(data, classifier.encoding))
    if unseen:
        values = counted(unseen, "value")
        warn("VML003", f"in the data, {values} of a category that the training part has not: encoded as zeros")
    label_N = np.empty(x_FN.shape[1], np.int64)
    loaded = load_engine(classifier.model, setting)
    try:
        loaded.labels(x_FN, label_N)
        loaded.synchronize()
    finally:
        loaded.close()
    return np.array(classifier.model.classes, dtype=np.str_)[label_N]
