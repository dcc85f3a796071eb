"""Where the user's code runs: `python -m vecml.optimize.worker`, a process for each task, with a time limit.

The request is a line of JSON on standard input; the answer, and before it the name of each stage, lines on a copy of
standard output. What the user's code prints goes to standard error.
"""

import json
import os
import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any

from vecml import child
from vecml.errors import DataError, MeasureError, SettingError, VecmlError

ERRORS: Mapping[str, type[VecmlError]] = {"DataError": DataError, "SettingError": SettingError}


class OutOfTimeError(MeasureError):
    """A stage of a task did not end in its time."""


class WorkerDiedError(MeasureError):
    """A task's process ended without an answer."""


def ask(task: str, payload: Mapping[str, Any], limit_seconds: float) -> dict[str, Any]:
    """Run a task in a process of its own, and return its answer.

    Args:
        task: `package.module:function`; the function is called with `payload` and a `Say`.
        payload: what JSON holds.
        limit_seconds: how long each stage may take that names no limit of its own.

    Raises:
        OutOfTimeError: a stage took longer; the error names the stage.
        WorkerDiedError: the process ended without an answer; the error says how.
        VecmlError: what the task raised.
    """
    worker = child.spawn(child.python("vecml.optimize.worker"))
    stage, limit = "starting Python", limit_seconds
    try:
        worker.send(json.dumps({"task": task, "payload": dict(payload)}).encode() + b"\n", last=True)
        while True:
            answer = json.loads(worker.receive(limit))
            if "answer" in answer:
                return dict(answer["answer"])
            if "error" in answer:
                raise ERRORS.get(answer["kind"], MeasureError)(answer["error"], answer["hint"])
            stage, limit = answer["stage"], answer["limit"] or limit_seconds
    except child.SilentError:
        raise OutOfTimeError(f"{stage} did not end within {limit:g} s", "smaller inputs, or a larger --limit") from None
    except child.EndedError as error:
        raise WorkerDiedError(f"{stage}: {error}") from None
    finally:
        worker.close()


def _serve(request: bytes, answers: IO[bytes]) -> None:
    def tell(told: dict[str, Any]) -> None:
        answers.write(json.dumps(told).encode() + b"\n")
        answers.flush()

    def say(stage: str, limit: float | None = None) -> None:
        tell({"stage": stage, "limit": limit})

    asked = json.loads(request)
    module, _, name = asked["task"].partition(":")
    warnings.simplefilter("ignore")  # the user's code may warn as it likes: differences are looked for in results
    try:
        answer = getattr(import_module(module), name)(asked["payload"], say)
    except VecmlError as error:
        tell({"error": error.message, "hint": error.hint, "kind": type(error).__name__})
    except MemoryError:
        tell({"error": "memory ran out", "hint": "smaller inputs", "kind": "DataError"})
    else:
        tell({"answer": answer})


if __name__ == "__main__":
    child.end_with_parent()
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer.readline(), channel)
    sys.stderr.flush()
    os._exit(0)
