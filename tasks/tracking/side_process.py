"""A process beside the run that makes the files that are slow to make: the MLflow model and the pictures.

The imports of torch.export, MLflow's flavour and matplotlib take two seconds, beside torch and MLflow themselves. The
process begins with the run and imports them while the run reads and trains, on a CPU that would be idle. It gets
everything by the request and loads the model from its safetensors file. It ends when its standard input ends, whatever
happens to the run.

Run as `python -m tasks.tracking.side_process`: one JSON request on standard input, see `write_files`.
"""

import atexit
import gc
import json
import os
import sys
import tempfile
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tasks.tracking.forked import Forked, can_fork
from vecml.child import Child, EndedError, SilentError, python, spawn
from vecml.errors import StoreError

LIMIT_SECONDS = 300.0
EXAMPLE = "example.npy"
EXAMPLE_ROWS = 3  # torch.export takes a dimension of 0 or 1 for a constant
MODEL = "mlflow_model"
DONE = b"done\n"
CLASSIFIER = "classifier"
PICTURES = "pictures"


class FileWriter:
    """The process that writes a run's slow files. Make it early; ask it once.

    Attributes:
        child: the process.
    """

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="vecml-")  # removed here: the other process may be killed
        scratch = self._scratch.name
        if can_fork() and "mlflow" in sys.modules and "torch" in sys.modules:
            self.child = Child(partial(Forked, partial(_serve, Path(scratch))))
        else:
            self.child = spawn(python("tasks.tracking.side_process", scratch))
        atexit.register(self.close)

    def write(self, folder: Path, request: dict[str, Any]) -> None:
        """Have the files written into `folder`; returns when they are there.

        Raises StoreError, with the last words of the process, when it fails or takes longer than `LIMIT_SECONDS`.
        """
        self.child.send(json.dumps({"folder": str(folder), **request}).encode(), last=True)
        try:
            self.child.receive(LIMIT_SECONDS)
        except SilentError:
            self.close()
            raise StoreError(f"the run's model was not exported within {LIMIT_SECONDS:.0f} s", "run it again") from None
        except EndedError as error:
            raise StoreError(
                f"the run's model could not be exported: {error}",
                "see that the temporary folder has room and that there is memory for another process",
            ) from None

    def close(self) -> None:
        self.child.close()
        self._scratch.cleanup()
        atexit.unregister(self.close)


_early: list[FileWriter] = []


def begin_early() -> None:
    """Import what both processes need and start the other one; the next run takes it. Best before there are threads."""
    for name in ("torch", "mlflow"):
        import_module(name)
    _early.append(FileWriter())


def file_writer() -> FileWriter:
    """The process that was started early, or a new one."""
    return _early.pop() if _early else FileWriter()


def input_example(x_FN: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first rows of float32 x_FN (F, N), by row (`EXAMPLE_ROWS`, F); repeated when there are fewer."""
    return np.resize(np.ascontiguousarray(x_FN[:, :EXAMPLE_ROWS].T), (EXAMPLE_ROWS, len(x_FN)))


def write_files(folder: Path, request: dict[str, Any]) -> None:
    """Write `mlflow_model/` and `pictures/` into `folder`, which holds `classifier/` (a saved one) and `example.npy`.

    Args:
        folder: where the files come from and go to.
        request: run_id, model_id; losses (one float an epoch; none where nothing was trained), confusion (rows of
            ints) and classes (names); of a module of the user's own also architecture and path, what it is imported by.
    """
    from tasks.tracking.pt2 import export  # noqa: PLC0415 -- it takes seconds, and only this process needs it
    from vecml.model.store import load  # noqa: PLC0415
    from vecml.report.run_pictures import confusion_matrix, loss_curve  # noqa: PLC0415

    pictures = folder / PICTURES
    pictures.mkdir()
    if request["losses"]:
        (pictures / "loss.png").write_bytes(loss_curve(request["losses"]))
    confusion_CC = np.array(request["confusion"], dtype=np.int64)
    (pictures / "confusion.png").write_bytes(confusion_matrix(confusion_CC, request["classes"]))
    example_NF = np.load(folder / EXAMPLE, allow_pickle=False)
    architecture = request.get("architecture")
    if architecture is not None:  # the run's own, from its config: what it imported itself
        sys.path.extend(entry for entry in request["path"] if entry not in sys.path)
    classifier = load(folder / CLASSIFIER, architecture)
    export(classifier, example_NF, folder / MODEL, request["run_id"], request["model_id"])


def _serve(scratch: Path, question: IO[bytes], answer: IO[bytes]) -> None:
    """Import everything, trying it out in `scratch`; wait for the request; write the files."""
    gc.disable()  # it lives for seconds, and what it imports stays
    warnings.simplefilter("ignore")  # nobody would read them here, and where they count as errors they would end it
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the export is made on the CPU
    from tasks.tracking.pt2 import warm_up  # noqa: PLC0415 -- after the environment is set

    warm_up(scratch, EXAMPLE_ROWS)
    asked = question.read()
    if asked:  # nothing: the run ended without a result
        request = json.loads(asked)
        write_files(Path(request["folder"]), request)
        answer.write(DONE)
        answer.flush()
    gc.freeze()  # what is left is torn down a second faster


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
