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
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from vecml.batch.assignment import Assignment
from vecml.batch.folder import Folder
from vecml.batch.order import ORDER, UNITS, read_files
from vecml.batch.sharing import Asked, Sharing
from vecml.cluster.driver import Tell, drive, stop_when_terminated
from vecml.cluster.ray_cluster import connected
from vecml.data.places import place_of

ASKED = "asked.json"


def share_out(folder: Path, tell: Tell, stopping: threading.Event) -> None:
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
        stop_when_terminated(stopping)
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


if __name__ == "__main__":
    drive(share_out, Path(sys.argv[1]))
