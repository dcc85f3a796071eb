"""A real MLflow or Prefect server that is killed, halted or restarted at a change of its database."""

import contextlib
import mmap
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.system.conftest import BIN, answers, free_port, wait_for

NEVER = 1 << 40  # a count that passes no number at which something happens


class Server:
    """A server in a folder of its own, started with the shim between it and its files.

    Args:
        kind: `mlflow` or `prefect`.
        folder: Where its database lies.
        environment: What it is started with.
        shim: The library that makes the faults.
    """

    def __init__(self, kind: str, folder: Path, environment: Mapping[str, str], shim: Path) -> None:
        self.kind, self.folder, self.environment, self.shim = kind, folder, environment, shim
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}" + ("/api" if kind == "prefect" else "")
        self._count = folder / "count"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, at: int = 0, action: str = "") -> None:
        """Start it; `action` happens at the change number `at` after the next `arm`."""
        self._count.write_bytes(NEVER.to_bytes(8, "little"))
        host = ("--host", "127.0.0.1", "--port", str(self.port))
        if self.kind == "mlflow":
            store = ("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db")
            more = ("--workers", "1", *store, "--artifacts-destination", str(self.folder / "artifacts"))
            command = [BIN / "mlflow", "server", *host, *more]
        else:
            command = [BIN / "prefect", "server", "start", *host]
        faults = {
            "LD_PRELOAD": str(self.shim),
            "FAULT_COUNT": str(self._count),
            "FAULT_UNDER": str(self.folder),
            "FAULT_AT": str(at),
            "FAULT_DO": action,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for what language models need
        }
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                env={**self.environment, "PREFECT_HOME": str(self.folder), **faults},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(lambda: answers(f"{self.address}/health"), 240, f"the {self.kind} server")

    def arm(self) -> None:
        """From here on changes are counted."""
        with self._count.open("r+b") as file, mmap.mmap(file.fileno(), 8) as count:
            count[:] = bytes(8)

    @property
    def changes(self) -> int:
        """How many changes of files it has made since `arm`."""
        return int.from_bytes(self._count.read_bytes(), "little")

    def end(self) -> None:
        """End it and what it has started, halted or not."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None
