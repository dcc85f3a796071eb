"""The work on units: read, encoded, labelled and written, each into its part. One worker does any number of them.

A thread reads ahead, also into the next unit; this one encodes and labels; a third writes, hashes and publishes. So all
three go on at the same time, and what waits between them is a few blocks, whatever the size of the files.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from vecml.batch.folder import Folder
from vecml.batch.part import Part, Tally, finish
from vecml.batch.plan import Share, Unit
from vecml.batch.schemas import Wanted
from vecml.batch.unit import Reader, Rows, name_place
from vecml.config import Setting
from vecml.data.files import Say
from vecml.data.filled import Filled
from vecml.data.memory_limit import MemoryLimit
from vecml.data.raw import raw_columns
from vecml.data.read_ahead import read_ahead
from vecml.data.stream import Block
from vecml.engines.base import Loaded
from vecml.engines.registry import load_engine
from vecml.errors import DataError
from vecml.inference.output_columns import OutputColumns, opened_output
from vecml.inference.predict_file import label_block
from vecml.inference.write_behind import written_behind
from vecml.model.store import Classifier

Done = Callable[[Part], None]
IDLE = object()  # comes while there is no unit


@dataclass(frozen=True)
class _End:
    """Comes after the last block of a unit.

    Attributes:
        filled: the markers of missing values that were found while the unit was read, from text.
    """

    filled: Filled


class _GivenUp(Exception):  # noqa: N818 -- no error of its own: what ended the work is raised where it happened
    """The blocks of a unit ended before the unit."""


@dataclass(frozen=True)
class Worker:
    """A process's means to label units; its engine is compiled once, in `worker`.

    Attributes:
        classifier: what labels.
        setting: the way to run it; its block size is the plan's.
        plan: to which the units belong.
        wanted: what is read of every file.
        columns: of the parts.
        folder: the parts are written into it.
        engine: the model, ready to run.
        filled: counts the markers of missing values, by column.
    """

    classifier: Classifier
    setting: Setting
    plan: Share = field(repr=False)
    wanted: Wanted = field(repr=False)
    columns: OutputColumns = field(repr=False)
    folder: Folder = field(repr=False)
    engine: Loaded = field(repr=False)
    filled: Filled = field(default_factory=Filled, repr=False)

    def label(self, units: Iterable[Unit | None], say: Say, done: Done, advance: Callable[[float], None]) -> None:
        """Label the units one after the other and publish a part for each.

        Args:
            units: of the plan, in any order; None where the next one is not known yet, so that a part that could not
                be written is noticed meanwhile.
            say: hears what was found by looking at text files.
            done: is called by the writing thread with each part that is complete.
            advance: is called with the number of rows that were labelled.

        Raises DataError for what is wrong with the data, naming file and row, StoreError where a part cannot be
        written. The parts that were done before that stay; of the others nothing stays.
        """
        reader = Reader(self.plan, self.wanted, say, MemoryLimit("the data"))

        def read() -> Iterator[Any]:
            for unit in units:
                if unit is None:
                    yield IDLE
                    continue
                yield unit
                end = _End(Filled())
                yield from reader.rows(unit, end.filled)
                yield end

        with written_behind(lambda items: self._write(items, done)) as write, read_ahead(read) as items:
            for item in items:
                if isinstance(item, Rows):
                    write(self._labelled(item))
                    advance(item.table.num_rows)
                    continue
                if isinstance(item, _End):
                    self.filled.rows.update(item.filled.rows)
                write(item)

    def _labelled(self, rows: Rows) -> tuple[Any, ...]:
        """The rows as a block, its class indices, the logits if they are wanted, and what was unseen and filled in."""
        needed = len(self.wanted.encoding.columns)
        before = self.filled.total
        try:
            columns = raw_columns(rows.table.select(range(needed)), self.wanted.encoding, self.filled)
            first_row = (rows.unit.first_row or 0) + rows.first_row
            block = Block(first_row, columns, rows.table.select(range(needed, rows.table.num_columns)))
            x_FN, unseen = self.wanted.encoding.transform(columns)
        except DataError as error:
            raise name_place(error, rows, self.wanted, self.plan.options) from None
        label_N, logits_NC = label_block(self.engine, x_FN, self.setting, probabilities=self.plan.way.probabilities)
        return block, label_N, logits_NC, unseen, self.filled.total - before

    def _write(self, items: Iterator[Any], done: Done) -> None:
        """Write the parts of the items: of each unit the unit itself, its blocks, and the mark of its end."""
        for unit in items:
            part = None if unit is IDLE else self._part(unit, items)
            if part is not None:
                done(finish(self.folder, part))

    def _part(self, unit: Unit, items: Iterator[Any]) -> Part | None:
        """Publish the unit's part, or nothing where the items end before the unit does."""
        name, tally = self.plan.part_name(unit), Tally(len(self.columns.classes))
        try:
            with self.folder.published(name) as path:
                with opened_output(path, self.columns) as put:
                    for item in items:
                        if isinstance(item, _End):
                            tally.filled += item.filled.total
                            break
                        block, label_N, logits_NC, unseen, filled = item
                        put(block, label_N, logits_NC)
                        tally.add(label_N, unseen, filled)
                    else:
                        raise _GivenUp
                with path.open("rb") as content:
                    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
                size = path.stat().st_size
        except _GivenUp:
            return None
        counts = tuple(map(int, tally.count_C))
        return Part(unit.number, name, tally.rows, counts, sha256, size, tally.unseen, tally.filled)


@contextmanager
def worker(
    classifier: Classifier, setting: Setting, plan: Share, wanted: Wanted, columns: OutputColumns, folder: Folder
) -> Iterator[Worker]:
    """Yield a worker whose engine is ready; it is closed after the `with` block.

    Args:
        classifier, plan, wanted, columns, folder: as for `Worker`.
        setting: its number of threads is this machine's affair.

    Raises EngineUnavailableError when the engine cannot run here.
    """
    exact = replace(setting, block_rows=plan.way.block_rows)
    engine = load_engine(classifier.model, exact)
    try:
        yield Worker(classifier, exact, plan, wanted, columns, folder, engine)
    finally:
        engine.close()
