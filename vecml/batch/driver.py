"""The process that talks to Ray, on behalf of its parent: `python -m vecml.batch.driver FOLDER`.

FOLDER holds the order, the units and what the parent asks for. What happens is told in lines of JSON on standard
output, each an object with one of these names:

    rows       labelled since the last such line; negative where a node was lost with a part that was not complete
    part       the record of a part; `node` is the name of who made it
    said       what was found by looking at a text file
    note       what became of a node
    alive      nothing happened; how many nodes there are
    failure    how the work ended before its end: `kind`, `message` and `hint` of an error
    end        the work is complete: `nodes`, `retries`, `filled`

It ends when its standard input is closed, and the nodes then give up what they are labelling.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from vecml.batch.assignment import Assignment
from vecml.batch.folder import Folder
from vecml.batch.node_work import told_of
from vecml.batch.order import ORDER, UNITS, read_files
from vecml.batch.ray_cluster import connected
from vecml.batch.sharing import Asked, Sharing
from vecml.data.places import place_of
from vecml.errors import VecmlError

ASKED = "asked.json"
END_SECONDS = 25.0  # from the end of the input to the end of this process, whatever Ray does


def main(folder: Path) -> None:
    """Do the work that lies in `folder`."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no line of ours
    stopping = threading.Event()

    def tell(message: dict[str, Any]) -> None:
        _tell(told, message)

    threading.Thread(target=_watch, args=(stopping,), daemon=True).start()
    try:
        share_out(folder, tell, stopping)
    except VecmlError as error:
        tell({"failure": told_of(error)})
    _leave(0)


def share_out(folder: Path, tell: Any, stopping: threading.Event) -> None:
    """Join the cluster that the files in `folder` name, and share the units out.

    Args:
        folder: as `vecml.batch.cluster` has laid it.
        tell: is called with each message.
        stopping: is set to end it.

    Raises VecmlError for what ends the work.
    """
    asked = json.loads((folder / ASKED).read_bytes())
    files = read_files(folder)
    out = Folder(place_of(json.loads(files[ORDER])["out"], "--out"))
    with connected(asked["where"], asked["cpus"]) as cluster:
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())  # Ray has put its own there
        tell({"alive": 0})
        sharing = Sharing(
            cluster,
            Asked(asked["unit_seconds"], asked["variables"], tuple(map(tuple, asked["samples"]))),
            *(files, out, Assignment(_units(folder), asked["n_units"])),
            *(tell, stopping),
        )
        sharing.run()
        if sharing.assignment.is_over:
            tell({"end": sharing.summary()})


def _units(folder: Path) -> Iterator[tuple[int, str]]:
    with (folder / UNITS).open(encoding="utf-8") as file:
        for line in file:
            yield int(line[1 : line.index(",")]), line.rstrip("\n")


def _tell(file: TextIO, message: dict[str, Any]) -> None:
    try:
        file.write(f"{json.dumps(message)}\n")
        file.flush()
    except BrokenPipeError:  # the parent is gone, which the thread notices too
        return


def _watch(stopping: threading.Event) -> None:
    """End this process when its input is closed: its parent wants that, or is gone."""
    while os.read(0, 1 << 10):
        pass
    stopping.set()
    time.sleep(END_SECONDS)
    _leave(1)


def _leave(code: int) -> None:
    """End this process without waiting for Ray's own threads; the short name of Ray's folder goes with it."""
    link = Path(os.environ.get("RAY_TMPDIR", ""))
    if link.is_symlink():
        link.unlink(missing_ok=True)
    os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
