"""The process that talks to Ray for a comparison on a cluster: `python -m vecml.comparison.cluster_driver FOLDER`.

FOLDER holds what is asked for. What happens is told in lines of JSON on standard output, each an object:

    alive       nothing happened
    note        what became of a node
    failure     how all of it ended before its end: `kind`, `message` and `hint` of an error
    end         every kind has been measured, or has failed
    kind        a machine key; with `host` and `nodes` where the kind is found, and later with `node` and one of these:
        told        what the node's process says (`vecml.comparison.node_process`)
        lost        the node is given up
        comparison  the whole comparison, as a JSON document
        failed      how it failed, as in `failure`
"""

import json
import sys
import threading
from pathlib import Path

from vecml.cluster.driver import Tell, drive, stop_when_terminated
from vecml.cluster.ray_cluster import connected
from vecml.comparison.sittings import Asked, Sittings

ASKED, FILES = "asked.json", "files"


def measure(folder: Path, tell: Tell, stopping: threading.Event) -> None:
    """Join the cluster that the files in `folder` name, and let a node of each kind measure.

    Args:
        folder: as `vecml.comparison.cluster` has laid it.
        tell: is called with each message.
        stopping: is set to end it.

    Raises VecmlError for what ends all of it.
    """
    asked = json.loads((folder / ASKED).read_bytes())
    inner = folder / FILES
    files = {str(path.relative_to(inner)): path.read_bytes() for path in sorted(inner.rglob("*")) if path.is_file()}
    with connected(asked.pop("where"), asked.pop("cpus")) as cluster:
        stop_when_terminated(stopping)
        tell({"alive": 0})
        Sittings(cluster, Asked(files=files, **asked), tell, stopping).run()
        if not stopping.is_set():
            tell({"end": True})


if __name__ == "__main__":
    drive(measure, Path(sys.argv[1]))
