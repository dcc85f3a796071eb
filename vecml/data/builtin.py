"""The classification sets that come with scikit-learn, as `sklearn:NAME`: real data without a file or a network."""

from typing import TYPE_CHECKING

from vecml.data.remedy import SettingHelpsError
from vecml.data.selection import listed, nearest

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
        message = f"{PREFIX}{name} is a regression set; vecml trains classifiers"
        example = PREFIX + SETS[0]
        words = f"choose from {_choices()}, for example:"
        raise SettingHelpsError(message, words, {"data": example, "target": None}, f"--data {example}")
    if name not in SETS:
        close = nearest(name, SETS)
        words = f"sets: {listed(SETS)}; " + (f"did you mean {close!r}?" if close else "for example:")
        raise SettingHelpsError(f"there is no set {PREFIX}{name}", words, {"data": PREFIX + (close or SETS[0])})


def _choices() -> str:
    return ", ".join(PREFIX + name for name in SETS)
