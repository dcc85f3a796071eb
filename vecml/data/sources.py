"""From a configuration to a labelled `Table`: synthetic data, a set of scikit-learn's, or a file.

Reading, labels, columns and checks in that order; every source ends in the same last step, so that each of them is
refused for the same reasons in the same words.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml.config import TrainingConfig
from vecml.data import builtin, synthetic
from vecml.data.digest import table_digest
from vecml.data.files import check_file, read_file
from vecml.data.selection import drop_flag, listed, select_features
from vecml.data.table import MISSING_CODE, Column, Table, is_constant, is_missing, take_rows
from vecml.errors import DataError
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn


def check_source(data: str | None) -> None:
    """Raise DataError when the data set of `TrainingConfig.data` does not exist, or its file cannot be opened."""
    if data is None:
        return
    if data.startswith(builtin.PREFIX):
        builtin.check_name(data.removeprefix(builtin.PREFIX))
    else:
        check_file(Path(data).expanduser())


def load_table(config: TrainingConfig) -> Table:
    """The table that `config` describes, checked and labelled.

    Without `data` it is generated from rows, features and seed. `sklearn:NAME` is a set that comes with scikit-learn;
    its label is `target`, unless `config.target` names one of its features, which is then predicted from the others.
    Every other `data` is a file.

    Rows without a label and constant columns are left out, with the warnings VML002 and VML001; `row_N` keeps the row
    numbers of the source. The digest covers the rows and columns before constant ones are left out.

    Raises DataError for whatever cannot be read, or not be used to train a classifier.
    """
    if config.data is None:
        columns, label_N = synthetic.synthetic_columns(config.rows, config.features, config.seed)
        return _labelled("synthetic", columns, label_N, synthetic.CLASSES, synthetic.TARGET)

    from vecml.data.columns import columns_from_arrow  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need
    from vecml.data.labels import labels_from_arrow  # noqa: PLC0415 -- the same

    drop = set(config.drop)
    if config.data.startswith(builtin.PREFIX):
        source = config.data
        with stage(f"reading {source}"):
            arrow = builtin.builtin_table(source.removeprefix(builtin.PREFIX))
        target = config.target or builtin.TARGET
        if target != builtin.TARGET:
            drop.add(builtin.TARGET)  # what the set itself asks for would give the answer away
    else:
        path = Path(config.data).expanduser()
        source = path.name
        arrow = read_file(path)
        target = config.target or ""  # the configuration does not allow a file without one

    names = select_features(arrow.column_names, target, drop, config.keep, source)
    if not arrow.num_rows:
        raise DataError(f"{source} has no rows", "there must be at least two of every class")
    label_N, classes = labels_from_arrow(target, arrow[target])
    columns = columns_from_arrow(arrow.select(names), config.max_categories)
    return _labelled(source, columns, label_N, classes, target)


def _labelled(
    source: str, columns: tuple[Column, ...], label_N: NDArray[np.int64], classes: tuple[str, ...], target: str
) -> Table:
    """The table of what was read (`label_N` is -1 where missing), without unlabelled rows and constant columns."""
    row_N = np.flatnonzero(label_N != MISSING_CODE)
    unlabelled = len(label_N) - len(row_N)
    if unlabelled == len(label_N):
        raise DataError(f"target {target!r} has no value in any row of {source}", "name another column with --target")
    if unlabelled:
        warn("VML002", f"{count(unlabelled, 'row')} without a label in {target!r} dropped")
        label_N = label_N[row_N]
        columns = tuple(take_rows(column, row_N) for column in columns)
    present = np.flatnonzero(np.bincount(label_N, minlength=len(classes)))
    if len(present) < 2:
        where = f"all {len(label_N):,} rows" if len(label_N) > 1 else "the only row"
        raise DataError(
            f"target {target!r} has one class only: {classes[present[0]]!r} in {where}",
            "a classifier needs two classes or more",
        )
    for column in columns:
        if is_missing(column):
            place = "labelled row" if unlabelled else "row"
            raise DataError(
                f"column {column.name!r} has no value in any {place}", f"leave it out with {drop_flag(column.name)}"
            )
    with stage("hashing"):
        digest = table_digest(columns, label_N, classes, target)
    return Table(source, _varying(columns), label_N, classes, target, digest, row_N)


def _varying(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns that are not constant; a missing value beside the one value does not make a column vary."""
    varying = tuple(column for column in columns if not is_constant(column))
    left = {column.name for column in varying}
    constant = [column.name for column in columns if column.name not in left]
    if not varying:
        raise DataError("no feature column is left: every one of them is constant", f"columns: {listed(constant)}")
    if len(constant) == 1:
        warn("VML001", f"column {constant[0]!r} is constant and was dropped")
    elif constant:
        warn("VML001", f"columns {listed(constant)} are constant and were dropped")
    return varying
