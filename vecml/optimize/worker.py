"""Where the user's code runs: `python -m vecml.optimize.worker`, a process for each task, with a time limit.

The request is a line of JSON on standard input; the answer, and before it the name of each stage, lines on a copy of
standard output. What the user's code prints goes to standard error.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import IO, Any

from vecml import child
from vecml.errors import DataError, MeasureError, SettingError, VecmlError

Say = Callable[[str], None]  # a worker's word for what it does now
ERRORS: Mapping[str, type[VecmlError]] = {"DataError": DataError, "SettingError": SettingError}
LAST_WORDS = 500


class OutOfTimeError(MeasureError):
    """A stage of a task did not end in its time."""


class WorkerDiedError(MeasureError):
    """A task's process ended without an answer."""


def ask(task: str, payload: Mapping[str, Any], limit_seconds: float) -> dict[str, Any]:
    """Run `package.module:function` in a process of its own, and give its answer.

    Args:
        task: called with `payload` and a function that tells the stage.
        payload: JSON.
        limit_seconds: of each stage.

    Raises what the task raised of vecml's errors, OutOfTimeError naming the stage, WorkerDiedError naming the end.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            child.python("vecml.optimize.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=child.environment(),
            start_new_session=True,
        )
        try:
            if process.stdin is None or process.stdout is None:
                raise WorkerDiedError(f"{task}: its process has no pipes")
            process.stdin.write(json.dumps({"task": task, "payload": dict(payload)}).encode() + b"\n")
            process.stdin.close()
            return _answer(process, process.stdout, limit_seconds, said)
        finally:
            _end(process)
            if process.stdout is not None:
                process.stdout.close()


def _answer(
    process: "subprocess.Popen[bytes]", answers: IO[bytes], limit_seconds: float, said: IO[bytes]
) -> dict[str, Any]:
    stage, buffer = "starting Python", b""
    end = time.monotonic() + limit_seconds
    while True:
        ready, _, _ = select.select([answers], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise OutOfTimeError(
                f"{stage} did not end within {limit_seconds:g} s", "smaller inputs, or a larger --limit"
            )
        chunk = os.read(answers.fileno(), 1 << 16)
        if not chunk:
            raise WorkerDiedError(f"{stage}: {_end_of(process, said)}")
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "stage" in told:
                stage, end = told["stage"], time.monotonic() + limit_seconds
            elif "error" in told:
                raise ERRORS.get(told["kind"], MeasureError)(told["error"], told["hint"])
            else:
                return dict(told["answer"])


def _end_of(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> str:
    code = process.wait()
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name}" + (" (memory ran out?)" if name == "SIGKILL" else "")
    said.seek(0)
    return f"its process ended with code {code}: {child.cause(said.read().decode(errors='replace'))}"[:LAST_WORDS]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill it with all that it started."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    process.wait()


def _serve(request: bytes, answers: IO[bytes]) -> None:
    def tell(told: dict[str, Any]) -> None:
        answers.write(json.dumps(told).encode() + b"\n")
        answers.flush()

    asked = json.loads(request)
    module, _, name = asked["task"].partition(":")
    warnings.simplefilter("ignore")  # the user's code may warn as it likes: differences are looked for in results
    try:
        answer = getattr(import_module(module), name)(asked["payload"], lambda stage: tell({"stage": stage}))
    except VecmlError as error:
        tell({"error": error.message, "hint": error.hint, "kind": type(error).__name__})
    except MemoryError:
        tell({"error": "memory ran out", "hint": "smaller inputs", "kind": "DataError"})
    else:
        tell({"answer": answer})


if __name__ == "__main__":
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer.readline(), channel)
    sys.stderr.flush()
    os._exit(0)
