"""From a configuration to a labelled `Table`: synthetic data, a set of scikit-learn's, or a file.

Reading, labels, columns and checks in that order; every source ends in the same last step, so that each of them is
refused for the same reasons in the same words.
"""

import dataclasses
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vecml.config import TrainingConfig
from vecml.data import builtin, synthetic
from vecml.data.addresses import here
from vecml.data.advice import Advice
from vecml.data.classes import check_classes, check_fewest, rows_for_testing, without_rare
from vecml.data.column_names import typeable_names
from vecml.data.dialect import asked_of
from vecml.data.digest import table_digest
from vecml.data.disk import Disk, placed
from vecml.data.doubts import tell_doubts
from vecml.data.findings import Findings
from vecml.data.fitting import disk_for
from vecml.data.handed import is_python
from vecml.data.leaks import without_leaks
from vecml.data.origin import check_origin, is_text_file, read_origin
from vecml.data.remedy import Follow, is_on_trial, on_trial, whole_commands
from vecml.data.selection import Chosen, choose_columns, features_of, listed, nearest, no_such_columns
from vecml.data.table import MISSING_CODE, Column, Table, is_constant, is_missing, take_rows
from vecml.errors import DataError
from vecml.progress import stage

if TYPE_CHECKING:
    import pyarrow as pa

MOST_FOLLOWED = 8
FOLLOWED_SECONDS = 1.5


def check_source(data: str | None) -> None:
    """Raise DataError when the data set of `TrainingConfig.data` does not exist, or its file cannot be opened."""
    if data is None:
        return
    if data.startswith(builtin.PREFIX):
        builtin.check_name(data.removeprefix(builtin.PREFIX))
    else:
        check_origin(data)


def load_table(config: TrainingConfig, needed: Collection[str] = ()) -> Table:
    """The table that `config` describes, checked and labelled; leaks that are `needed` stay, because a model has them.

    Without `data` it is generated from rows, features and seed. `sklearn:NAME` is a set that comes with scikit-learn;
    its label is `target`, unless `config.target` names one of its features, which is then predicted from the others.
    Every other `data` is a file.

    Rows without a label are left out (VML002), and so are columns that are empty (VML004), constant (VML001), count the
    rows or copy the label (VML041); `row_N` keeps the row numbers of the source. The digest covers all of these columns
    but empty ones.

    Raises DataError for whatever cannot be read, or not be used to train a classifier; with `config.strict` also where
    something had to be decided.
    """
    follow = partial(followed, began=time.monotonic())
    with whole_commands(config, follow):
        return _load(config, needed, follow)


def followed(config: TrainingConfig, began: float) -> TrainingConfig:
    """The configuration, with what else has to be changed until its table can be read and split.

    Each refusal's own proposal is taken, a few times. Where there is none, or the data cannot be read twice, or reading
    takes long, it is the configuration as it is: a refusal must come soon. `began` is when reading began
    (`time.monotonic`).
    """
    if not config.data or config.data == "-" or "://" in config.data:
        return config
    tried = config
    for _ in range(MOST_FOLLOWED):
        if time.monotonic() - began > FOLLOWED_SECONDS:
            break
        with on_trial() as proposed:
            try:
                table = load_table(tried)
                advice = table.advice and dataclasses.replace(table.advice, columns=table.columns)
                count_C = np.bincount(table.label_N, minlength=len(table.classes))
                rows_for_testing(count_C, table.classes, tried.test_fraction, advice)
            except DataError:
                if not proposed:
                    return config
                tried = proposed[-1]
            else:
                return tried
    return tried


def _load(config: TrainingConfig, needed: Collection[str], follow: Follow) -> Table:
    if config.data is None:
        columns, label_N = synthetic.synthetic_columns(config.rows, config.features, config.seed)
        target, classes = synthetic.TARGET, synthetic.CLASSES
        return _labelled(
            Labelled("synthetic", columns, label_N, classes, target), Advice(config, follow=follow), needed
        )
    source = here(config.data)
    if source.startswith(builtin.PREFIX):
        with stage(f"reading {source}"):
            arrow = builtin.builtin_table(source.removeprefix(builtin.PREFIX))
        if config.target is None:
            config = config.model_copy(update={"target": builtin.TARGET})
        elif config.target != builtin.TARGET:  # what the set itself asks for would give the answer away
            arrow = arrow.drop_columns([builtin.TARGET])
        return table_from_arrow(arrow, source, config, needed, follow=follow)
    findings = Findings()
    disk = disk_for(config)
    arrow, shown = read_origin(config, partial(findings.decided, "VML050", None), disk)
    try:
        return table_from_arrow(arrow, shown, config, needed, findings, follow, disk)
    except DataError as error:
        if is_text_file(source) and not is_on_trial():
            from vecml.data.lines import name_lines  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need
            from vecml.data.text_stream import find_dialect  # noqa: PLC0415 -- the same

            path = Path(source).expanduser()
            name_lines(error, path, find_dialect(path, asked_of(config)))
        raise


@dataclass(frozen=True)
class Labelled:
    """A table as it was read, before anything is left out.

    Attributes:
        source, columns, classes, target: as in `Table`.
        label_N: int64 index into `classes`, -1 where missing.
        naming: the columns that got a name; that is told of those which are used.
        disk: where the columns lie; None: in memory.
    """

    source: str
    columns: tuple[Column, ...]
    label_N: NDArray[np.int64]
    classes: tuple[str, ...]
    target: str
    naming: Findings = field(default_factory=Findings)
    disk: Disk | None = None


def table_from_arrow(
    arrow: "pa.Table",
    source: str,
    config: TrainingConfig,
    needed: Collection[str] = (),
    findings: Findings | None = None,
    follow: Follow | None = None,
    disk: Disk | None = None,
) -> Table:
    """The labelled table that `config` chooses from an Arrow table.

    Args:
        arrow: the table.
        source: its name for people.
        config: names the target and the features.
        needed: as for `load_table`.
        findings: what was decided while it was read.
        follow: as for `vecml.data.remedy.command`.
        disk: where the columns are put; None: in memory.

    Raises DataError as `load_table` does.
    """
    import pyarrow as pa  # noqa: PLC0415 -- synthetic data do not need it

    from vecml.data.columns import columns_from_arrow  # noqa: PLC0415 -- the same
    from vecml.data.labels import labels_from_arrow  # noqa: PLC0415 -- the same
    from vecml.data.na_words import NA, word_columns  # noqa: PLC0415 -- the same
    from vecml.data.text_column import ColumnRules  # noqa: PLC0415 -- the same
    from vecml.data.text_values import without_declared  # noqa: PLC0415 -- the same

    findings, naming = findings or Findings(), Findings()
    names = tuple(typeable_names(arrow.column_names, naming))
    arrow = arrow.rename_columns(names)
    if not arrow.num_rows:
        raise DataError(f"{source} has no rows", "there must be at least two of every class")
    chosen = choose_columns(names, config.target, config.drop, config.keep, config.categorical)
    named = {"target": chosen.target, "drop": chosen.drop, "keep": chosen.keep, "categorical": chosen.categorical}
    given, config = config, config.model_copy(update=named)
    features = features_of(names, chosen)
    words = word_columns(arrow, [*features, *([chosen.target] if chosen.target else [])])
    for name in words if NA not in config.missing else ():
        findings.decided("VML036", name, f"holds codes of two letters, and {NA} is one of them and no missing value")
    rules = ColumnRules(
        config.max_categories, frozenset(config.categorical), config.missing, frozenset(words), config.day_first
    )
    columns = columns_from_arrow(arrow.select(features), rules, findings, disk)
    advice = Advice(config, names, columns, findings, follow, given)
    if chosen.unknown:
        raise _unknown(chosen, source, advice)
    if chosen.target is None:
        raise DataError(f"{source} needs a target: the column that holds the label", _a_target(advice))
    if not features:
        raise DataError(f"no feature column is left of {source}", _use_all(advice))
    target = chosen.target
    label_N, classes = labels_from_arrow(
        target, without_declared(arrow[target], config.missing), config.bins, findings, advice, rules
    )
    pa.default_memory_pool().release_unused()  # what counting the labels took
    label_N = placed(disk, label_N)
    return _labelled(Labelled(source, columns, label_N, classes, target, naming, disk), advice, needed)


def _unknown(chosen: Chosen, source: str, advice: Advice) -> DataError:
    """The error for names of columns that do not exist, with the command that names those which are meant."""
    message = no_such_columns(chosen.unknown, source)
    near = [close for name in chosen.unknown if (close := nearest(name, advice.names)) is not None]
    near = list(dict.fromkeys(near))
    hint = f"columns: {listed(advice.names)}"
    if near:
        hint += f"; did you mean {listed(near)}?"
    if chosen.target is None:
        return DataError(message, _a_target(advice))
    return DataError(message, f"{hint}{'' if near else '; without it:'} {advice.command({})}")


def _a_target(advice: Advice) -> str:
    """The hint where no column is the target."""
    return f"columns: {listed(advice.names)}; {advice.another_target('for example')}"


def _as_categories(advice: Advice) -> str:
    """The hint where nothing says anything: text that is nearly unique may be taken all the same."""
    texts = tuple(one.column for one in advice.findings.decisions if one.code == "VML030" and one.column)
    if not texts or advice.config is None:
        return f"columns: {listed(advice.names)}; none of them says anything beside the target"
    return f"to take the text as categories: {advice.command({'categorical': (*advice.config.categorical, *texts)})}"


def _use_all(advice: Advice) -> str:
    """The hint where --drop and --keep leave no feature."""
    config = advice.config
    if config is None or not (config.drop or config.keep):
        return f"a table needs a column beside the target: {listed(advice.names)} is all there is"
    everything = dataclasses.replace(advice, config=config.model_copy(update={"drop": (), "keep": ()}))
    both = "drop and keep" if is_python() else "--drop and --keep"
    return f"beside the target, {both} must leave one; with all columns: {everything.command({})}"


def _labelled(read: Labelled, advice: Advice, needed: Collection[str]) -> Table:
    """The table of what was read, without unlabelled rows, rare classes and useless columns."""
    config, findings = advice.config or TrainingConfig(), advice.findings
    if config.rare_classes == "drop":
        check_fewest(read.label_N, read.classes, config.min_class_rows, read.target, advice)
    label_N, classes = without_rare(
        read.label_N, read.classes, config.min_class_rows, config.rare_classes, read.target, findings
    )
    row_N = placed(read.disk, np.flatnonzero(label_N != MISSING_CODE))
    columns = read.columns
    if len(row_N) < len(label_N):
        label_N = placed(read.disk, label_N[row_N])
        columns = tuple(_placed(read.disk, take_rows(column, row_N)) for column in columns)
    check_classes(label_N, classes, read.target, read.source, advice)
    # What is missing everywhere has another type in every format, so that the digest does not cover it.
    columns = tuple(column for column in columns if not _is_empty(column, findings))
    varying = tuple(column for column in columns if not _is_constant(column, findings))
    if not varying and not findings.refusals:
        raise DataError(f"no feature column is left: {findings.told()}", _as_categories(advice))
    useful = without_leaks(varying, label_N, len(classes), {*config.keep, *needed}, findings)
    tell_doubts(useful, classes, findings)
    used = {read.target, *(column.name for column in useful)}
    findings.decisions += [decision for decision in read.naming.decisions if decision.column in used]
    findings.settle(config.strict, advice.command, is_rest_useful=bool(useful))
    with stage("hashing"):
        digest = table_digest(columns, label_N, classes, read.target)
    decisions, advice = tuple(findings.decisions), dataclasses.replace(advice, columns=())
    return Table(read.source, useful, label_N, classes, read.target, digest, row_N, decisions, advice, read.disk)


def _placed(disk: Disk | None, column: Column) -> Column:
    return dataclasses.replace(column, values_N=placed(disk, column.values_N))


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
