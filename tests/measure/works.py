"""Small arms for the tests of real worker processes."""

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecml.measure.work import Work


class Sleeping(Work):
    """A call sleeps for `seconds` of the payload, the first one for `first` seconds if that is given.

    `spin`: a thread of it goes on for so long after the first call.

    `meets`: it does not finish before another worker has come to this folder, too.
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.payload = payload
        self.each = bool(payload.get("each"))
        self.share = float(payload.get("share", 1))
        self.calls = 0

    def open(self) -> None:
        sys.stdout.write("libraries print on standard output\n")
        os.write(1, b"and C libraries too\n")

    def facts(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "variable": os.environ.get("VECML_TEST_VARIABLE")}

    def call(self) -> None:
        self.calls += 1
        seconds = self.payload.get("seconds", 0.0)
        time.sleep(self.payload.get("first", seconds) if self.calls == 1 else seconds)
        if self.calls == 1 and self.payload.get("spin"):
            threading.Thread(target=_spin, args=(self.payload["spin"],), daemon=True).start()
        if self.calls == self.payload.get("raise_at"):
            raise ValueError("call\nfailed")
        if self.calls == self.payload.get("exit_at"):
            sys.stderr.write("Traceback\nRuntimeError: the last words\n")
            sys.stderr.flush()
            os._exit(3)

    def answer(self) -> int:
        return self.calls

    def finish(self) -> dict[str, Any]:
        if (folder := self.payload.get("meets")) is not None:
            (Path(folder) / str(os.getpid())).touch()
            limit = time.monotonic() + 60
            while len(list(Path(folder).iterdir())) < 2 and time.monotonic() < limit:
                time.sleep(0.01)
            return {"met": len(list(Path(folder).iterdir()))}
        return {"calls": self.calls}

    def close(self) -> None:
        pass


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def open_sleeping(payload: Mapping[str, Any]) -> Sleeping:
    return Sleeping(payload)
