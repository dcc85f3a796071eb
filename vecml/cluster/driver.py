"""A process that works on behalf of its parent, as the one that talks to Ray does: what it says, and how it ends.

What happens is told in lines of JSON on standard output, each an object. Its standard input is closed when the parent
wants the end, or is gone. Ray ends a process that talks to it, without an exception, where the cluster's head is lost.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from vecml.cluster.failure import told_of
from vecml.errors import VecmlError

LINK = "VECML_RAY_LINK"  # the variable that names the short name of Ray's folder, where vecml has made one
END_SECONDS = 25.0  # from the end of the input to the end of this process, whatever Ray does

Tell = Callable[[dict[str, Any]], None]


def drive(work: Callable[[Path, Tell, threading.Event], None], folder: Path) -> None:
    """Do the work that lies in `folder`, and end this process.

    Args:
        work: is called with the folder, what tells the parent a message, and an event that is set to end it. A
            VecmlError that it raises is told as `failure`: `kind`, `message` and `hint`.
        folder: as the parent has laid it.
    """
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no line of ours
    link = os.environ.pop(LINK, "")  # nothing that is started here ends with it
    stopping = threading.Event()

    def tell(message: dict[str, Any]) -> None:
        _tell(told, message)

    threading.Thread(target=_watch, args=(stopping, link), daemon=True).start()
    try:
        work(folder, tell, stopping)
    except VecmlError as error:
        tell({"failure": told_of(error)})
    _leave(0, link)


def stop_when_terminated(stopping: threading.Event) -> None:
    """Let SIGTERM set the event; to be called once Ray has put its own handler there."""
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())


def _tell(file: TextIO, message: dict[str, Any]) -> None:
    try:
        file.write(f"{json.dumps(message)}\n")
        file.flush()
    except BrokenPipeError:  # the parent is gone, which the thread notices too
        return


def _watch(stopping: threading.Event, link: str) -> None:
    """End this process when its input is closed: its parent wants that, or is gone."""
    while os.read(0, 1 << 10):
        pass
    stopping.set()
    time.sleep(END_SECONDS)
    _leave(1, link)


def _leave(code: int, link: str) -> None:
    """End this process without waiting for Ray's own threads; `link`, the short name of Ray's folder, goes with it."""
    if link and (path := Path(link)).is_symlink():
        path.unlink(missing_ok=True)
    os._exit(code)
