"""A table that is read and split before its flow begins, so that what is refused starts no server and leaves no run.

The flow's own tasks then take it, with the seconds that it took and the warnings that it gave. It is handed over in
this process alone and once: it is no parameter of the flow, and whoever has taken it is the only one who keeps it.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import Split, split_columns
from vecml.data.table import Table
from vecml.measure.clock import Timed, timed
from vecml.warnings import VecmlWarning, hear_again, heard


@dataclass
class Prepared:
    """A table and its split, each until a task has taken it.

    Attributes:
        table: what `load_table` made, without its columns, and the seconds that it took.
        split: what was made of it and its columns, and the seconds.
        said: the warnings that both gave; they were shown then.
    """

    table: Timed[Table] | None
    split: Timed[Split] | None
    said: tuple[VecmlWarning, ...]


_waiting: ContextVar[Prepared | None] = ContextVar("vecml_prepared", default=None)


def read_beforehand(config: PipelineConfig) -> Prepared:
    """Read the data that `config` names and split it; raises DataError for what is refused."""
    with heard() as said:
        loaded = timed(load_table, config)
        # The columns are kept by nobody else from here on: what is encoded is free for what comes.
        columns, seconds = list(loaded.value.columns), loaded.seconds
        table = dataclasses.replace(loaded.value, columns=())
        del loaded
        split = timed(split_columns, table, columns, config.test_fraction, config.seed, config.sample)
    return Prepared(Timed(table, seconds), split, tuple(said))


@contextmanager
def handed_over(prepared: Prepared | None) -> Iterator[None]:
    """Let the tasks of a flow that runs in the `with` block take what is prepared; None: they read by themselves."""
    token = _waiting.set(prepared)
    try:
        yield
    finally:
        _waiting.reset(token)


@contextmanager
def read_before(config: PipelineConfig) -> Iterator[None]:
    """Read the data of a flow that runs in the `with` block, where it has to be read and nobody has done so yet."""
    if config.data is None or _waiting.get() is not None:
        yield
        return
    with handed_over(read_beforehand(config)):
        yield


def take_table() -> Timed[Table] | None:
    """Give the prepared table; its warnings are heard again, not shown. None where nothing is prepared."""
    prepared = _waiting.get()
    if prepared is None or prepared.table is None:
        return None
    table, prepared.table = prepared.table, None
    hear_again(prepared.said)
    return table


def take_split() -> Timed[Split] | None:
    """Give the split of the prepared table; None where nothing is prepared."""
    prepared = _waiting.get()
    if prepared is None:
        return None
    split, prepared.split = prepared.split, None
    return split
