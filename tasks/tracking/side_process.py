"""The files of a run that are slow to make, in a process of their own: the MLflow model and the pictures.

torch.export, MLflow's flavour and matplotlib take two seconds to import, beside torch and MLflow themselves. A process
that begins with the run does that while the run reads and trains, on a CPU that would be idle; and it needs of the run
only what it is told: it loads the model from its safetensors file. It ends when its standard input does, whatever
becomes of the run.

Run as `python -m tasks.tracking.side_process`: one JSON request on standard input, see `write_files`.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import subprocess
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
from vecml import child
from vecml.errors import StoreError

LIMIT_SECONDS = 300.0
EXAMPLE = "example.npy"
EXAMPLE_ROWS = 3  # torch.export takes a dimension of 0 or 1 for a constant
MODEL = "mlflow_model"
DONE = b"done\n"
CLASSIFIER = "classifier"
PICTURES = "pictures"


class FileWriter:
    """The process that writes a run's slow files. Make it early; ask it once."""

    def __init__(self) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        self._scratch = tempfile.TemporaryDirectory(prefix="vecml-")  # ours to remove: the other process may be ended
        self._process: subprocess.Popen[bytes] | Forked
        if can_fork() and "mlflow" in sys.modules and "torch" in sys.modules:
            self._process = Forked(partial(_serve, Path(self._scratch.name)), self._said)
        else:
            self._process = subprocess.Popen(
                child.python("tasks.tracking.side_process", self._scratch.name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=child.environment(),
                start_new_session=True,  # Ctrl-C is for the run, which ends this process by closing its input
            )
        atexit.register(self.close)

    def write(self, folder: Path, request: dict[str, Any]) -> None:
        """Have the files written into `folder`; returns when they are there.

        Raises StoreError with what the process said last when it fails or takes longer than `LIMIT_SECONDS`.
        """
        ask, answer = self._process.stdin, self._process.stdout
        if ask is None or answer is None:
            raise RuntimeError("the process was made without pipes")
        with contextlib.suppress(BrokenPipeError):  # it has ended: what it said tells why
            ask.write(json.dumps({"folder": str(folder), **request}).encode())
            ask.close()
        ready, _, _ = select.select([answer], [], [], LIMIT_SECONDS)
        if not ready:
            self.close()
            raise StoreError(f"the run's model was not exported within {LIMIT_SECONDS:.0f} s", "run it again")
        if answer.readline() != DONE:
            self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode(errors="replace")
            raise StoreError(
                f"the run's model could not be exported: {child.cause(said)}",
                "see that the temporary folder has room and that there is memory for another process",
            )

    def close(self) -> None:
        """End the process, if it still runs."""
        self._process.terminate()
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C finds it ending anyway
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
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

    warm_up(scratch)
    asked = question.read()
    if asked:  # nothing: the run ended without a result
        request = json.loads(asked)
        write_files(Path(request["folder"]), request)
        answer.write(DONE)
        answer.flush()
    gc.freeze()  # what is left is torn down a second faster


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
