"""The classification sets that come with scikit-learn, as `sklearn:NAME`: real data without a file or a network."""

from typing import TYPE_CHECKING

from vecml.data.selection import did_you_mean
from vecml.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "sklearn:"
SETS = ("breast_cancer", "digits", "iris", "wine")
REGRESSION_SETS = ("diabetes", "linnerud")
TARGET = "target"


def builtin_table(name: str) -> "pa.Table":
    """The set called `name`: its features as scikit-learn names them, and `target`, the class names as text.

    Raises DataError for any name but those in `SETS`.
    """
    check_name(name)
    import pyarrow as pa  # noqa: PLC0415 -- heavy, and needed for this source only
    from sklearn import datasets  # noqa: PLC0415 -- the same, more than a second of it

    bunch = getattr(datasets, f"load_{name}")()
    columns = {str(feature): bunch.data[:, i] for i, feature in enumerate(bunch.feature_names)}
    names = pa.array([str(value) for value in bunch.target_names])
    labels = pa.DictionaryArray.from_arrays(pa.array(bunch.target), names)
    return pa.table({**columns, TARGET: labels})


def check_name(name: str) -> None:
    """Raise DataError for any name but those in `SETS`."""
    if name in REGRESSION_SETS:
        raise DataError(f"{PREFIX}{name} is a regression set; vecml trains classifiers", f"choose from {_choices()}")
    if name not in SETS:
        raise DataError(f"there is no set {PREFIX}{name}", did_you_mean(name, SETS, "sets"))


def _choices() -> str:
    return ", ".join(PREFIX + name for name in SETS)
