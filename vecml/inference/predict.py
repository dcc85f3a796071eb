"""Labels for a raw table: encode it as the classifier was taught, run an engine, give the labels' names.

Or for an array, by a bare model or a module of one's own: their indices.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vecml.config import Setting, make_config
from vecml.engines.registry import load_engine
from vecml.errors import SettingError
from vecml.inference.features import features_of
from vecml.inference.infer import in_layout
from vecml.inference.setting import resolve_setting
from vecml.model.find import module_of
from vecml.model.network import AnyModel
from vecml.model.store import Classifier
from vecml.numbers import count
from vecml.warnings import warn

if TYPE_CHECKING:
    from torch import nn

Choose = Callable[[AnyModel, NDArray[np.float32]], Setting]


@overload
def predict(
    classifier: Classifier,
    data: str | Path | Any,
    *,
    engine: str = ...,
    threads: int | None = ...,
    choose: "Choose | None" = ...,
) -> NDArray[np.str_]: ...


@overload
def predict(
    classifier: "AnyModel | nn.Module",
    data: Any,
    *,
    engine: str = ...,
    threads: int | None = ...,
    choose: "Choose | None" = ...,
) -> NDArray[np.int64]: ...


def predict(
    classifier: "Classifier | AnyModel | nn.Module",
    data: str | Path | Any,
    *,
    engine: str = "torch",
    threads: int | None = None,
    choose: "Choose | None" = None,
) -> NDArray[np.str_] | NDArray[np.int64]:
    """The label of every row of `data`, by name, as a text array (N,); of a bare model its index, int64 (N,).

    Args:
        classifier, data, engine, threads: as in `vecml.predict`.
        choose: gives the setting for a model and its features (F, N); instead of `engine` and `threads`.

    Raises DataError naming a column that is missing or of another kind, and for an array that does not fit,
    SettingError for an engine that is not there and a module that is no classifier.
    A value of a category that training has not seen becomes zeros, with the warning VML003 saying how many there are. A
    marker such as `?` among numbers is a missing value, and VML032 says where.
    """
    if choose is None:
        setting = resolve_setting(make_config({"engine": engine, "threads": threads, "device": "cpu"}))

        def choose(model: AnyModel, x_FN: NDArray[np.float32]) -> Setting:  # noqa: ARG001
            return setting

    if not isinstance(classifier, Classifier):
        x_FN = features_of(data)
        model = bare_model(classifier, len(x_FN))
        return label_indices(model, x_FN, choose(model, x_FN))
    from vecml.data.filled import Filled  # noqa: PLC0415 -- imports pyarrow, which workers do not need
    from vecml.data.raw import features_of_columns  # noqa: PLC0415 -- the same

    filled = Filled()
    x_FN, unseen = features_of_columns(data, classifier.encoding, filled)
    filled.tell()
    if unseen:
        values = count(unseen, "value")
        warn("VML003", f"in the data, {values} of a category that the training part has not: encoded as zeros")
    return np.array(classifier.model.classes, dtype=np.str_)[
        label_indices(classifier.model, x_FN, choose(classifier.model, x_FN))
    ]


def bare_model(model: "AnyModel | nn.Module", n_features: int) -> AnyModel:
    """The model itself, or the one that a torch.nn.Module is over n_features features.

    Raises SettingError when that is no classifier that vecml can run, or it is none of these.
    """
    if isinstance(model, AnyModel):
        return model
    module = module_of(model)
    if module is None:
        raise SettingError(
            f"a model of type {type(model).__name__} cannot be run",
            "a classifier from vecml.load, a Model or a torch.nn.Module is needed",
        )
    from vecml.model.own_module import model_from  # noqa: PLC0415 -- torch, which others do without

    return model_from(module, n_features)


def label_indices(model: AnyModel, x_FN: NDArray[np.float32], setting: Setting) -> NDArray[np.int64]:
    """The class index of every column of x_FN (F, N), by the engine of the setting: int64 (N,)."""
    label_N = np.empty(x_FN.shape[1], np.int64)
    loaded = load_engine(model, setting)
    try:
        loaded.labels(in_layout(x_FN, setting.layout), label_N)
        loaded.synchronize()
    finally:
        loaded.close()
    return label_N
