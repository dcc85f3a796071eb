"""From a configuration to a labelled `Table`: synthetic data, a set of scikit-learn's, or a file.

Reading, labels, columns and checks in that order; every source ends in the same last step, so that each of them is
refused for the same reasons in the same words.
"""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml.config import TrainingConfig
from vecml.data import builtin, synthetic
from vecml.data.digest import table_digest
from vecml.data.files import check_file, read_file
from vecml.data.findings import Findings
from vecml.data.remedy import command
from vecml.data.selection import listed, select_features
from vecml.data.table import MISSING_CODE, Column, Table, is_constant, is_missing, take_rows
from vecml.errors import DataError
from vecml.numbers import count
from vecml.progress import stage


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

    Rows without a label and columns that are empty or constant are left out, with the warnings VML002, VML004 and
    VML001; `row_N` keeps the row numbers of the source. The digest covers the constant columns as well.

    Raises DataError for whatever cannot be read, or not be used to train a classifier; with `config.strict` also where
    something had to be decided.
    """
    findings = Findings()
    if config.data is None:
        columns, label_N = synthetic.synthetic_columns(config.rows, config.features, config.seed)
        return _labelled("synthetic", columns, label_N, synthetic.CLASSES, synthetic.TARGET, config, findings)

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
    columns = columns_from_arrow(arrow.select(names), config.max_categories, findings)
    return _labelled(source, columns, label_N, classes, target, config, findings)


def _labelled(
    source: str,
    columns: tuple[Column, ...],
    label_N: NDArray[np.int64],
    classes: tuple[str, ...],
    target: str,
    config: TrainingConfig,
    findings: Findings,
) -> Table:
    """The table of what was read (`label_N` is -1 where missing), without unlabelled rows and useless columns."""
    row_N = np.flatnonzero(label_N != MISSING_CODE)
    unlabelled = len(label_N) - len(row_N)
    if unlabelled == len(label_N):
        raise DataError(f"target {target!r} has no value in any row of {source}", "name another column with --target")
    if unlabelled:
        findings.decided("VML002", None, f"{count(unlabelled, 'row')} without a label in {target!r} dropped")
        label_N = label_N[row_N]
        columns = tuple(take_rows(column, row_N) for column in columns)
    present = np.flatnonzero(np.bincount(label_N, minlength=len(classes)))
    if len(present) < 2:
        where = f"all {len(label_N):,} rows" if len(label_N) > 1 else "the only row"
        raise DataError(
            f"target {target!r} has one class only: {classes[present[0]]!r} in {where}",
            "a classifier needs two classes or more",
        )
    # What is missing everywhere has another type in every format, so that the digest does not cover it.
    columns = tuple(column for column in columns if not _is_empty(column, findings))
    varying = tuple(column for column in columns if not _is_constant(column, findings))
    if not varying and not findings.refusals:
        raise DataError(
            "no feature column is left: every one of them is constant or has no value",
            f"columns: {listed([decision.column for decision in findings.decisions if decision.column])}",
        )
    findings.settle(config.strict, partial(command, config))
    with stage("hashing"):
        digest = table_digest(columns, label_N, classes, target)
    return Table(source, varying, label_N, classes, target, digest, row_N, tuple(findings.decisions))


def _is_empty(column: Column, findings: Findings) -> bool:
    empty = is_missing(column)
    if empty:
        findings.dropped("VML004", column.name, "no value in any row")
    return empty


def _is_constant(column: Column, findings: Findings) -> bool:
    """Whether the column has one value; a missing value beside it does not make a column vary."""
    constant = is_constant(column)
    if constant:
        findings.dropped("VML001", column.name, "constant")
    return constant
