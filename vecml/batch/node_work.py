"""A node's work: a thread that labels the units it is given, and what it has to tell about them."""

import hashlib
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from vecml.batch import part as part_module
from vecml.batch.inputs import stamp_of
from vecml.batch.order import Order, taken_up
from vecml.batch.part import Part
from vecml.batch.plan import Unit, unit_of
from vecml.batch.work import Worker, worker
from vecml.cluster.failure import told_of
from vecml.data.places import of_address
from vecml.errors import StoreError, VecmlError
from vecml.inference.predict_file import label_block

PROBE_ROWS = 4_096
IDLE_SECONDS = 0.5  # between looks at whether a part could be written, while there is no unit to read
ORPHAN_SECONDS = 60.0  # without a word from the driver: it is gone, and another may be at work

Told = dict[str, Any]


class _Stopped(BaseException):
    """The unit that is being labelled is given up."""


def begin(
    files: Mapping[str, bytes], threads: int, samples: Sequence[Sequence[Any]], beacons: tuple[str, str]
) -> tuple["NodeWork | None", Told]:
    """Make a node ready.

    Args:
        files: of the order, from `vecml.batch.order.read_files`.
        threads: CPU threads of the engine.
        samples: some files of the input, each as address, size and stamp in the plan.
        beacons: names of two files in the output: one that the driver has written, and one that this node writes.

    Returns the work, and what is to be told: `probe`, a digest of what the engine computes of some numbers; or
    `failure` in the words of `told_of`, and then there is no work.
    """
    try:
        pa.set_cpu_count(threads)  # nodes of one machine share its cores
        order = taken_up(files, threads)
        _check_reach(order, samples, beacons)
        work = NodeWork(order)
    except VecmlError as error:
        return None, {"failure": told_of(error)}
    told = work.ready()
    return (None if "failure" in told else work), told


def _check_reach(order: Order, samples: Sequence[Sequence[Any]], beacons: tuple[str, str]) -> None:
    """Raise where this node does not see the same files as the driver, or not the same output."""
    for address, size, stamp in samples:
        found = stamp_of(of_address(address, order.share.options))
        if found != (size, stamp):
            raise StoreError(f"{address} is another file here, of {found[0]:,} bytes", "name data that all nodes share")
    out = order.folder.place.address
    theirs, own = beacons
    if not order.folder.holds(theirs):
        raise StoreError(f"{out} is another folder here", "name an output that all nodes share")
    order.folder.write(own, own.encode())
    if not order.folder.holds(theirs):  # the driver has ended meanwhile, and looks for nothing any more
        order.folder.remove(own)


class NodeWork:
    """Labels units in a thread of its own, in the order in which they come."""

    def __init__(self, order: Order) -> None:
        """Start the thread, which compiles the engine first."""
        self._order = order
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._parts: list[str] = []
        self._said: list[str] = []
        self._filled: list[Any] = []
        self._rows = 0
        self._ready: Told | None = None
        self._failure: Told | None = None
        self._stopping = False
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="vecml-label", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="vecml-orphan", daemon=True).start()

    def ready(self) -> Told:
        """Wait until the engine is compiled; return what `begin` tells."""
        with self._news:
            self._news.wait_for(lambda: self._ready is not None or self._failure is not None)
            self._heard = time.monotonic()
            return self._ready or {"failure": self._failure}

    def exchange(self, lines: Sequence[str], wait_seconds: float) -> Told:
        """Take more units; wait for something to tell for at most `wait_seconds`.

        Returns `parts`, the records of those that were done since, as JSON; `rows`, that were labelled in all so far;
        `said`, what was found by looking at text files; `filled`, lists of column, marker and rows; and
        `failure` where the thread has ended.
        """
        for line in lines:
            self._lines.put(line)
        with self._news:
            self._heard = time.monotonic()
            self._news.wait_for(lambda: self._parts or self._failure is not None, wait_seconds)
            told = {"parts": self._parts, "rows": self._rows, "said": self._said, "filled": self._filled}
            self._parts, self._said = [], []
            self._heard = time.monotonic()
            return told if self._failure is None else {**told, "failure": self._failure}

    def stop(self, wait_seconds: float) -> bool:
        """Give up what is being labelled; whether the thread has ended in time."""
        self._stopping = True
        self._lines.put("")
        self._thread.join(wait_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        order = self._order
        try:
            with worker(
                order.classifier, order.setting, order.share, order.wanted, order.columns, order.folder
            ) as labelling:
                probe = _probe(labelling)
                with self._news:
                    self._ready = {"probe": probe}
                    self._news.notify_all()
                labelling.label(self._units(), self._say, lambda part: self._done(part, labelling), self._advance)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 -- the driver raises it
            with self._news:
                self._failure = told_of(error)
                self._news.notify_all()

    def _units(self) -> Iterator[Unit | None]:
        while True:
            try:
                line = self._lines.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                yield None
                continue
            if not line:
                return
            unit, files = unit_of(line)
            self._order.share.files.update(files)
            yield unit

    def _done(self, part: Part, labelling: Worker) -> None:
        filled = [[name, marker, rows] for (name, marker), rows in list(labelling.filled.rows.items())]
        with self._news:
            self._parts.append(part_module.to_json(part))
            self._filled = filled
            self._news.notify_all()

    def _say(self, what: str, instead: dict[str, Any] | None) -> None:  # noqa: ARG002 -- one way to hear it
        with self._news:
            self._said.append(what)

    def _advance(self, rows: float) -> None:
        if self._stopping:
            raise _Stopped
        with self._news:
            self._rows += int(rows)

    def _watch(self) -> None:
        """End the process once its driver or its node is gone: what it would write later is another's affair."""
        parent = os.getppid()
        while self._thread.is_alive():
            time.sleep(1.0)
            with self._news:
                silent = time.monotonic() - self._heard if self._ready is not None else 0.0
            if silent > ORPHAN_SECONDS or os.getppid() != parent:
                self.stop(5.0)
                with suppress(OSError):
                    os._exit(1)


def _probe(labelling: Worker) -> str:
    """A digest of the logits that the engine computes of the same numbers on every node."""
    features = labelling.classifier.model.architecture.n_features
    rows = max(1, min(PROBE_ROWS, (16 << 20) // (4 * features)))
    x_FN = np.random.default_rng(0).standard_normal((features, rows), np.float32)
    label_N, logits_NC = label_block(labelling.engine, x_FN, labelling.setting, probabilities=True)
    assert logits_NC is not None  # noqa: S101 -- it was asked for
    return hashlib.sha256(label_N.tobytes() + np.ascontiguousarray(logits_NC).tobytes()).hexdigest()
