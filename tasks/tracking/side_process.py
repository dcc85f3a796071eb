"""A second process that writes the slow files of a run: the MLflow model and the pictures.

The imports of torch.export, MLflow's flavour and matplotlib take two seconds, in addition to torch and MLflow. The
process starts with the run and imports them while the run reads and trains, on a CPU that would be idle. One request
tells it everything; it loads the model from its safetensors file. It ends when its standard input ends, whatever
happens to the run.

Run as `python -m tasks.tracking.side_process`: one JSON request on standard input, see `write_files`.
"""

import atexit
import gc
import json
import os
import shutil
import sys
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tasks.tracking.forked import ForkedProcess, can_fork, ending_held
from vecml.child import Child, EndedError, SilentError, cause, python, spawn
from vecml.errors import StoreError
from vecml.leftovers import make_scratch, no_room

LIMIT_SECONDS = 300.0
EXAMPLE = "example.npy"
EXAMPLE_ROWS = 3  # torch.export treats a dimension of 0 or 1 as a constant
MODEL = "mlflow_model"
DONE = b"done"
CLASSIFIER = "classifier"
PICTURES = "pictures"


class FileWriter:
    """The process that writes a run's slow files; create it early, and call `write` once."""

    def __init__(self) -> None:
        # A signal meanwhile would leave the folder, or the child, to nobody who ends it.
        with ending_held():
            self._scratch = scratch = make_scratch()  # deleted here: the child may be killed
            if can_fork() and "mlflow" in sys.modules and "torch" in sys.modules:
                self.child = Child(partial(ForkedProcess, partial(_serve, scratch)))
            else:
                self.child = spawn(python("tasks.tracking.side_process", str(scratch)))
            atexit.register(self.close)

    def write(self, folder: Path, request: dict[str, Any]) -> None:
        """Let the process write the files into `folder`, and wait for it; `write_files` says what `request` holds.

        Raises StoreError, with the last lines of the process, when it fails or takes longer than `LIMIT_SECONDS`.
        """
        self.child.send(json.dumps({"folder": str(folder), **request}).encode(), last=True)
        try:
            answer = self.child.receive(LIMIT_SECONDS)
        except SilentError:
            self.close()
            raise StoreError(f"the run's model was not exported within {LIMIT_SECONDS:.0f} s", "run it again") from None
        except EndedError as error:
            if "No space left" in str(error):  # it writes temporary files only, and has removed them by now
                raise no_room(folder.parent) from None
            raise StoreError(
                f"the run's model could not be exported: {error}",
                "see that the temporary folder has room and that there is memory for another process",
            ) from None
        if answer != DONE:
            said = cause(answer.decode(errors="replace"))
            if "No space left" in said:  # it writes temporary files only, and has removed them by now
                raise no_room(folder.parent)
            raise StoreError(f"the run's model could not be exported: its process answered: {said}", "run it again")

    def close(self) -> None:
        self.child.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        atexit.unregister(self.close)


_early: list[FileWriter] = []


def begin_early() -> None:
    """Import torch and MLflow, and start the process for the next run, best before this process has threads."""
    for name in ("torch", "mlflow"):
        import_module(name)
    _early.append(FileWriter())


def file_writer() -> FileWriter:
    """Give the process that was started early, or start a new one."""
    return _early.pop() if _early else FileWriter()


def input_example(x_FN: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the first rows of x_FN, float32 (F, N), as an array (`EXAMPLE_ROWS`, F); few rows are repeated."""
    return np.resize(np.ascontiguousarray(x_FN[:, :EXAMPLE_ROWS].T), (EXAMPLE_ROWS, len(x_FN)))


def write_files(folder: Path, request: dict[str, Any]) -> None:
    """Write `mlflow_model/` and `pictures/` into `folder`.

    Args:
        folder: must hold the saved classifier in `classifier/`, and `example.npy`.
        request: run_id, model_id; losses (one float an epoch; empty where nothing was trained), confusion (rows of
            ints) and classes (names); for a module of the user's own also architecture and the import path; where
            held-out rows ended the training also its course, with the fields of `vecml.model.course.Course`.
    """
    from tasks.tracking.pt2 import export  # noqa: PLC0415 -- it takes seconds, and only this process needs it
    from vecml.model.course import Course  # noqa: PLC0415
    from vecml.model.store import load  # noqa: PLC0415
    from vecml.report.course_picture import course_curves  # noqa: PLC0415
    from vecml.report.run_pictures import confusion_matrix, loss_curve  # noqa: PLC0415

    pictures = folder / PICTURES
    pictures.mkdir()
    course = request.get("course")
    if course is not None:
        (pictures / "loss.png").write_bytes(course_curves(Course(**course)))
    elif request["losses"]:
        (pictures / "loss.png").write_bytes(loss_curve(request["losses"]))
    confusion_CC = np.array(request["confusion"], dtype=np.int64)
    (pictures / "confusion.png").write_bytes(confusion_matrix(confusion_CC, request["classes"]))
    example_NF = np.load(folder / EXAMPLE, allow_pickle=False)
    architecture = request.get("architecture")
    if architecture is not None:  # the run itself imported this class
        sys.path.extend(entry for entry in request["path"] if entry not in sys.path)
    classifier = load(folder / CLASSIFIER, architecture)
    export(classifier, example_NF, folder / MODEL, request["run_id"], request["model_id"])


def _serve(scratch: Path, question: IO[bytes], answer: IO[bytes]) -> None:
    """Make an export into `scratch`, which imports all that is needed; then wait for a request and write its files.

    The answer goes to a copy of standard output. What the user's module prints goes to standard error.
    """
    channel = os.fdopen(os.dup(answer.fileno()), "wb", buffering=0)
    os.dup2(2, answer.fileno())
    gc.disable()  # the process lives for seconds, and imported modules are no garbage
    warnings.simplefilter("ignore")  # nobody would read them here, and as errors they would end the process
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the export is made on the CPU
    from tasks.tracking.pt2 import warm_up  # noqa: PLC0415 -- after the environment is set

    warm_up(scratch, EXAMPLE_ROWS)
    asked = question.read()
    if asked:  # nothing: the run ended without a result
        request = json.loads(asked)
        write_files(Path(request["folder"]), request)
        channel.write(DONE + b"\n")
    gc.freeze()  # the interpreter then ends a second faster


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
