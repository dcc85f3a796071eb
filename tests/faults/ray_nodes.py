"""Three nodes of Ray on this machine, in processes of their own: what is killed in them, and what labels on them."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import psutil

from vecml.cluster.ray_cluster import variables

ROOT = Path(__file__).parents[2]
# Starts the nodes, says which processes they are, and adds one for each line of its input, which may name CPUs and
# variables of the environment.
HOLDER = """
import json, os, sys
from ray.cluster_utils import Cluster
common = dict(node_ip_address="127.0.0.1", include_dashboard=False, include_log_monitor=False, no_monitor=True,
              object_store_memory=int(sys.argv[2]), num_cpus=1)
made = Cluster(initialize_head=True, head_node_args=common | json.loads(sys.argv[3]))
def told(node):
    names = ("gcs_server", "raylet")
    return {name: node.all_processes[name][0].process.pid for name in names if name in node.all_processes}
nodes = [told(made.head_node)] + [told(made.add_node(**common)) for _ in range(int(sys.argv[1]) - 1)]
print(json.dumps({"address": made.address, "nodes": nodes}), flush=True)
for line in sys.stdin:
    cpus, more = json.loads(line)
    os.environ.update(more)
    had = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or had)
    print(json.dumps(told(made.add_node(**common))), flush=True)
    os.sched_setaffinity(0, had)
    for name in more:
        del os.environ[name]
"""
# Labels files, each as a part, and says how it ended in one line.
LABEL = """
import sys, warnings
warnings.simplefilter("ignore")
from tests.batch.made import label
from vecml.batch.cluster import Wish
from vecml.errors import VecmlError
data, out, where, seconds = sys.argv[1:]
try:
    told = label(data, out, keep=("id",), rows=True, unit_bytes=1, cluster=Wish(where, float(seconds)))
except VecmlError as error:
    print(type(error).__name__, error.message)
    sys.exit(2)
print(*told.crew.notes, file=sys.stderr)
print("rows", told.n_rows, "retries", told.crew.retries)
"""


class RayNodes:
    """A cluster of Ray on this machine, of `n` nodes with a core each; the first is its head."""

    def __init__(self, n: int, store_bytes: int = 80 << 20, client_port: int | None = None) -> None:
        """Start the nodes, with so much shared memory each, and on the head the server for `ray://` on that port."""
        self._n, self._store_bytes = n, store_bytes
        self._head = json.dumps({} if client_port is None else {"ray_client_server_port": client_port})
        self._folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # the names of Ray's sockets have to be short
        self._token = secrets.token_hex(32)
        self.start()

    def start(self) -> None:
        """Start the nodes, once those that there were are ended."""
        quick = {
            "RAY_health_check_initial_delay_ms": "1000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "5000",
            "RAY_health_check_failure_threshold": "4",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.environment = {
            **inherited,
            **variables("local:1", str(self._folder), self._token),
            **quick,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }
        with (self._folder / "holder.log").open("ab") as log:
            self._holder = subprocess.Popen(
                [sys.executable, "-c", HOLDER, str(self._n), str(self._store_bytes), self._head],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        told = self._told()
        self.nodes: list[dict[str, int]] = told["nodes"]
        self.environment["RAY_ADDRESS"] = told["address"]

    def _told(self) -> Any:
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        assert line, (self._folder / "holder.log").read_text(encoding="utf-8")[-2_000:]
        return json.loads(line)

    def add(self, cpus: Collection[int] = (), **variables: str) -> None:
        """Start one more node, in the place of those that are gone, with these variables in its environment.

        It may run on these CPUs alone; its machine key has their number in it.
        """
        assert self._holder.stdin is not None
        self._holder.stdin.write(f"{json.dumps([list(cpus), variables])}\n")
        self._holder.stdin.flush()
        self.nodes = [node for node in self.nodes if psutil.pid_exists(node["raylet"])] + [self._told()]

    def workers(self) -> list[int]:
        """The processes that label."""
        found = []
        for node in self.nodes:
            with contextlib.suppress(psutil.Error):
                for one in psutil.Process(node["raylet"]).children():
                    with contextlib.suppress(psutil.Error):
                        if "ray::Node" in " ".join(one.cmdline()):
                            found.append(one.pid)
        return found

    def label(self, data: Path, out: Path, seconds: float = 60.0, where: str = "auto") -> subprocess.Popen[str]:
        """Start a process that labels on the cluster."""
        return subprocess.Popen(
            [sys.executable, "-c", LABEL, str(data), str(out), where, str(seconds)],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> None:
        """End all processes and remove their folder."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in psutil.Process(self._holder.pid).children(recursive=True):
                kill(one.pid)
        kill(self._holder.pid)
        self._holder.wait(30)
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def close(self) -> None:
        """End it for good, with what Ray leaves behind where its own processes are killed."""
        self.end()
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.environ().get("RAY_TMPDIR") == str(self._folder):
                    kill(one.pid)
        shutil.rmtree(self._folder, ignore_errors=True)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def driver_of(process: subprocess.Popen[str]) -> int | None:
    """The process that talks to Ray for the one that labels."""
    with contextlib.suppress(psutil.Error):
        for one in psutil.Process(process.pid).children():
            if "vecml.batch.driver" in " ".join(one.cmdline()):
                return one.pid
    return None


def wait_until(is_true: Callable[[], object], seconds: float, process: subprocess.Popen[str]) -> bool:
    """Wait until something is true, or the process has ended; whether it is true."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and process.poll() is None:
        if is_true():
            return True
        time.sleep(0.01)
    return bool(is_true())


def parts(out: Path) -> int:
    """How many parts there are."""
    return sum(1 for path in out.glob("part-*.parquet"))
