"""`vecml.TabularClassifier`: vecml's reading, training and engines as an estimator of scikit-learn's kind.

It works wherever scikit-learn takes a classifier: in a pipeline, in cross-validation, in a search over settings.
Columns are read by the rules of a file (`vecml.data`), so that text, dates and missing values need no preparation.
Every row that `fit` is given is a training row; nothing is tracked.
"""

import ast
import numbers
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from vecml.config import PipelineConfig
from vecml.data.encoding import Encoding
from vecml.data.filled import Filled
from vecml.data.frames import arrow_of
from vecml.data.handed import handing_over
from vecml.data.name_list import read_names
from vecml.data.raw import raw_columns
from vecml.data.sources import table_from_arrow
from vecml.data.split import Part, Split
from vecml.errors import VecmlError
from vecml.inference.predict import label_indices
from vecml.inference.setting import resolve_setting
from vecml.model.store import Classifier
from vecml.model.train import train
from vecml.numbers import count
from vecml.warnings import warn

SOURCE = "X"
MOST_SEED = 2**32 - 1


class InvalidInputError(VecmlError, ValueError):
    """An estimator was given what vecml refuses: the ValueError that scikit-learn's tools expect."""


class TabularClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A neural network on a table, trained as `vecml run --data` trains it.

    `fit` takes a DataFrame of pandas or Polars, an Arrow table, arrays by name or an array (rows, features), and labels
    of any kind.
    Missing values, text, dates and booleans are read as they are in a file; a column that says nothing is left out
    with a warning.

    Args:
        hidden: widths of the hidden layers; None lets the table decide.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        epochs: passes over the training rows; None goes on until rows that are held out of them say that it is enough.
        batch_size: rows of a training step; None lets the table decide.
        learning_rate: Adam's step size; None lets the table decide.
        weight_decay: share of the weights that a step of size 1 takes away; None lets the table decide.
        max_steps, max_seconds: where training without `epochs` ends at the latest; steps None lets the table decide.
        class_weight: None, or `balanced`: a row of a rare class counts more.
        tune: settings to try on held-out rows; 0 takes the rule's.
        drop: columns to leave out.
        categorical: columns that are categories whatever they say.
        missing: what stands for a missing value: `("?", "-99")`.
        day_first: dates such as `01/02/2024` that could be both have the day first.
        max_categories: distinct values of a text column that are kept as categories.
        strict: raise an error where vecml would decide something and warn.
        engine: the library that `predict` runs the network with.
        threads: CPU threads of `predict`; None takes every CPU.
        random_state: seed of the training; the same seed, data and number of threads give the same network.

    Attributes:
        classes_: the labels, sorted, as NumPy keeps them.
        n_features_in_, feature_names_in_: columns of X; the names only where X has names.
        training_: how the training went (`vecml.model.train.Training`): losses, steps, and what the table decided.
        classifier_: the network and the encoding of its columns, which `vecml.predict` and `vecml.compare` take.

    >>> TabularClassifier(epochs=20).fit(frame[["age", "city"]], frame["bought"]).predict(new)  # doctest: +SKIP
    """

    def __init__(  # noqa: PLR0913 -- scikit-learn wants every setting as a parameter of its own
        self,
        *,
        hidden: tuple[int, ...] | None = None,
        activation: str = "relu",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        max_steps: int | None = None,
        max_seconds: float = 300.0,
        class_weight: str | None = None,
        tune: int = 0,
        drop: tuple[str, ...] = (),
        categorical: tuple[str, ...] = (),
        missing: tuple[str, ...] = (),
        day_first: bool = False,
        max_categories: int | None = None,
        strict: bool = False,
        engine: str = "torch",
        threads: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_steps = max_steps
        self.max_seconds = max_seconds
        self.class_weight = class_weight
        self.tune = tune
        self.drop = drop
        self.categorical = categorical
        self.missing = missing
        self.day_first = day_first
        self.max_categories = max_categories
        self.strict = strict
        self.engine = engine
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "TabularClassifier":
        """Train on every row.

        Args:
            X: columns by name, or an array (N, F); text and missing values are welcome.
            y: labels (N,), two classes or more.

        Raises:
            ValueError: what cannot be a table or its labels; the message names the column. Also for a parameter that
                cannot be.
        """
        arrow = self._as_arrow(X, reset=True)
        _, label_N = check_X_y(np.zeros((arrow.num_rows, 1)), y, dtype=None)
        check_classification_targets(label_N)
        self.classes_, code_N = np.unique(label_N, return_inverse=True)
        with _as_value_errors(), handing_over(X):  # settings are keywords here
            config = self._config(_unused("label", arrow.column_names))
            table = table_from_arrow(_with_labels(arrow, config.target or "", code_N), SOURCE, config)
            encoding = Encoding.fit(table.columns, None, table.target, _names(self.classes_))
            x_FN, _ = encoding.transform(table.columns)
            none_FN, none_N = x_FN[:, :0], np.empty(0, np.int64)
            split = Split(
                Part(x_FN, table.label_N, table.row_N), Part(none_FN, none_N, none_N), encoding, encoding.classes
            )
            training = train(split, config, "cpu")
        self.classifier_ = Classifier(training.model, encoding)
        self.training_ = training
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Label every row of X: an array (N,) of the kind of labels that `fit` was given.

        Raises:
            ValueError: X has other columns than in `fit`, or values that do not fit their kinds.
        """
        x_FN = self._features(X)
        with _as_value_errors():
            setting = resolve_setting(PipelineConfig.checked({**self._inference(), "device": "cpu"}))
            indices_N = label_indices(self.classifier_.model, x_FN, setting)
        labels_N: NDArray[Any] = self.classes_[indices_N]
        return labels_N

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of every class for every row of X: (N, C), in the order of `classes_`.

        They are computed in float64, whatever engine gives the labels. Raises ValueError as `predict` does.
        """
        x_FN = self._features(X)
        probabilities_NC: NDArray[np.float64] = softmax(self.classifier_.model.wide_logits(x_FN), axis=1)
        return probabilities_NC

    def __sklearn_tags__(self) -> Any:
        """Say to scikit-learn that missing values and text are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def _config(self, target: str) -> PipelineConfig:
        """The configuration that the parameters say; raises SettingError for one that cannot be."""
        values = {name: value for name, value in self.get_params().items() if name != "random_state"}
        given = {name: value for name, value in values.items() if value is not None}
        fixed = {"data": SOURCE, "target": target, "seed": self._seed(), "device": "cpu"}
        return PipelineConfig.checked({**given, **fixed})

    def _inference(self) -> dict[str, Any]:
        return {"engine": self.engine, **({} if self.threads is None else {"threads": self.threads})}

    def _seed(self) -> int:
        """The seed of the training; of a generator, or of NumPy's global one, the next number that it draws."""
        if isinstance(self.random_state, numbers.Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(0, MOST_SEED, dtype=np.int64))

    def _features(self, X: Any) -> NDArray[np.float32]:
        """The encoded features x_FN of new rows."""
        check_is_fitted(self)
        arrow = self._as_arrow(X, reset=False)
        encoding = self.classifier_.encoding
        with _as_value_errors():
            filled = Filled()
            x_FN, unseen = encoding.transform(raw_columns(arrow, encoding, filled))
        filled.tell()
        if unseen:
            values = count(unseen, "value")
            warn("VML003", f"in the data, {values} of a category that the training part has not: encoded as zeros")
        return x_FN

    def _as_arrow(self, X: Any, *, reset: bool) -> pa.Table:
        """X as an Arrow table, after scikit-learn's own checks of names, numbers and shape."""
        if isinstance(X, Mapping) and not issparse(X):  # one of SciPy's sparse kinds is a dict
            with _as_value_errors():
                X = arrow_of(X)
        if hasattr(X, "__arrow_c_stream__"):  # a table of pandas, Polars or Arrow
            data = checked = X
        else:
            checked = check_array(X, dtype=None, ensure_all_finite=False, estimator=self)
            data = {f"x{i}": _column(checked[:, i]) for i in range(checked.shape[1])}
        validate_data(self, checked, reset=reset, skip_check_array=True)
        with _as_value_errors():
            table = arrow_of(data)
        if not table.num_rows:
            raise ValueError(f"Found array with 0 sample(s) (shape={table.shape}) while a minimum of 1 is required.")
        return table


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """Raise what vecml refuses in the block as an InvalidInputError of the same words."""
    try:
        yield
    except VecmlError as error:
        raise InvalidInputError(error.message, in_python(error.hint)) from error


def in_python(hint: str | None) -> str | None:
    """Write the command of a hint as a call: `leave it out: TabularClassifier(drop=('a',))`.

    A command that no parameter can say is left out. Data, target, seed and device are `fit`'s business.
    """
    before, found, command = (hint or "").partition("vecml run ")
    if not found:
        return hint
    words = [part for word in shlex.split(command) for part in (word.split("=", 1) if word[:2] == "--" else [word])]
    given: dict[str, Any] = {}
    while words:
        name = words.pop(0).removeprefix("--").replace("-", "_")
        given[name] = words.pop(0) if words and not words[0].startswith("--") else True
    for name in ("data", "target", "seed", "device"):
        given.pop(name, None)
    known = TabularClassifier().get_params()
    if set(given) - set(known):
        return before.strip(" :") or None
    arguments = (f"{name}={_argument(value, isinstance(known[name], tuple))}" for name, value in given.items())
    return f"{before}TabularClassifier({', '.join(arguments)})"


def _argument(value: Any, names: bool) -> str:
    """The value of a flag as Python writes it."""
    if names:
        return repr(read_names(value))
    try:
        return repr(ast.literal_eval(str(value)))
    except (SyntaxError, ValueError):
        return repr(value)


def _column(values_N: NDArray[Any]) -> NDArray[Any]:
    """One column of an array; of Python objects, numbers where all of them are numbers.

    Text stays text even where this call's texts all say numbers: what it is was decided in the fit, and one row must
    get the same label whichever rows stand beside it.
    """
    if values_N.dtype.kind == "c":
        raise ValueError("Complex data not supported: a feature is a number, text or a boolean")
    if values_N.dtype.kind != "O":
        return values_N
    for value in values_N:
        if isinstance(value, Mapping | list | tuple | set):
            raise TypeError(f"argument must be a string or a number, not {type(value).__name__!r}")
        if isinstance(value, str):
            return values_N
    try:
        return values_N.astype(np.float64)
    except (TypeError, ValueError):
        return values_N


def _unused(name: str, names: list[str]) -> str:
    """A name for the label's column that no feature has."""
    while name in names:
        name += "_"
    return name


def _with_labels(arrow: pa.Table, target: str, code_N: NDArray[np.int64]) -> pa.Table:
    """The table with a column of labels, whose names sort as the codes do and look like nothing but names."""
    digits = len(str(int(code_N.max(initial=0))))
    names = pa.array([f"class {code:0{digits}d}" for code in range(int(code_N.max(initial=0)) + 1)])
    return arrow.append_column(target, pa.DictionaryArray.from_arrays(pa.array(code_N, pa.int32()), names))


def _names(classes: NDArray[Any]) -> tuple[str, ...]:
    """The classes as text; numbered where two look alike."""
    names = tuple(str(value) for value in classes)
    return names if len(set(names)) == len(names) else tuple(f"{i}: {name}" for i, name in enumerate(names))
