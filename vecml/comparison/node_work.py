"""A node's part in a comparison: it says what machine it is, and starts the process that compares.

What goes to and fro is text: vecml unpickles nothing itself. Ray does, so that a cluster must be one that is trusted.
"""

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vecml import child
from vecml.cluster.failure import told_of
from vecml.comparison.node_order import write_files
from vecml.engines.registry import availability
from vecml.environment import describe
from vecml.leftovers import scratch_folder
from vecml.numbers import count

PATIENCE_SECONDS = 10.0  # that the process has to end in order
ORPHAN_SECONDS = 60.0  # without a word from the driver: it is gone, and another may be at work
LOOK_SECONDS = 2.0  # between looks at whether the driver is gone; something is timed meanwhile


def look(engines: Sequence[str]) -> tuple[None, str]:
    """Say what this node is, as JSON: `machine_key`, `host`, which is its CPUs in words, `software`, and `lacking`.

    The last two are versions of the computing libraries by name, null where one is missing, and, by the name of each
    of the `engines` that cannot run here, the reason.
    """
    lacking = {name: reason for name in engines if (reason := availability(name)) is not None}
    environment = describe()
    host = f"{environment.cpu_name}, {count(environment.usable_cpus or 1, 'CPU')}"
    known = {"machine_key": environment.machine_key, "host": host, "software": environment.software}
    return None, json.dumps({**known, "lacking": lacking})


def begin(files: Mapping[str, bytes], folder: str, variables: Mapping[str, str]) -> tuple["NodeWork", str]:
    """Start the comparison.

    Args:
        files: of the order, from `vecml.comparison.node_order.order_files`.
        folder: the current folder of the process, from which paths are looked for, where there is such a one.
        variables: of the environment.
    """
    return NodeWork(files, folder, variables), json.dumps({})


class NodeWork:
    """The process that compares, and what it has told."""

    def __init__(self, files: Mapping[str, bytes], folder: str, variables: Mapping[str, str]) -> None:
        """Start the process, and the thread that hears it; the arguments are those of `begin`."""
        self._news = threading.Condition()
        self._lines: list[str] = []
        self._is_over = False
        self._stopping = threading.Event()
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(files, folder, variables), daemon=True)
        self._thread.start()

    def exchange(self, wait_seconds: float) -> str:
        """Tell what was said since the last call, after waiting for something for at most so long.

        Returns a JSON object: `lines`, each of them JSON as `vecml.comparison.node_process` says; `over`, whether the
        process has ended.
        """
        with self._news:
            self._heard = time.monotonic()
            self._news.wait_for(lambda: self._lines or self._is_over, wait_seconds)
            told, self._lines = self._lines, []
            self._heard = time.monotonic()
            return json.dumps({"lines": told, "over": self._is_over})

    def stop(self, wait_seconds: float) -> bool:
        """End the process, with all that it has started; whether it has ended in time."""
        self._stopping.set()
        self._thread.join(wait_seconds)
        return not self._thread.is_alive()

    def _run(self, files: Mapping[str, bytes], folder: str, variables: Mapping[str, str]) -> None:
        try:
            with scratch_folder() as scratch:
                write_files(files, scratch)
                here = Path(folder) if Path(folder).is_dir() else scratch
                process = child.spawn(
                    child.python("vecml.comparison.node_process", str(scratch)), _environment(variables), folder=here
                )
                try:
                    self._hear(process)
                finally:
                    process.close(PATIENCE_SECONDS)
        except BaseException as error:  # noqa: BLE001 -- the driver raises it
            self._say(json.dumps({"failure": told_of(error)}))
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def _hear(self, process: child.Child) -> None:
        parent = os.getppid()
        while not self._stopping.is_set():
            with suppress(child.SilentError):
                try:
                    line = process.receive(LOOK_SECONDS).decode()
                except child.EndedError as error:
                    self._say(json.dumps({"lost": str(error)}))
                    return
                self._say(line)
                if line.startswith(('{"comparison"', '{"failure"')):
                    return
            if time.monotonic() - self._heard > ORPHAN_SECONDS or os.getppid() != parent:
                return

    def _say(self, line: str) -> None:
        with self._news:
            self._lines.append(line)
            self._news.notify_all()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of the process: as if a user of this node had started it, without what Ray has put there."""
    own: dict[str, Any] = {
        name: value
        for name, value in child.environment(**variables).items()
        if not name.startswith("RAY_") and name not in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    }
    return own
