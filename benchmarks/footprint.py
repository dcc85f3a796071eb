"""Memory above input and labels, and whether ten million rows go as fast as one: each engine in a fresh process."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers import make_model
from benchmarks.rounds import Figure, Floor
from benchmarks.shapes import THREADS
from vecml.config import Setting
from vecml.engines.registry import ENGINES, availability, load_engine

ROWS, FEWER = 10_000_000, 1_000_000
WIDTHS = (10, 32, 2)
FLOOR_MB, FLOOR_SHARE = 64, 0.9


def footprint(rounds: int) -> Iterator[Figure]:
    """For every block engine: megabytes above input and labels, and the rate at ten million rows over that at one."""
    for name in ENGINES:
        if name == "row_loop" or availability(name) is not None:
            continue
        command = [sys.executable, "-m", "benchmarks.footprint", name, str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        yield Figure(
            f"{name}: memory above input and labels, {ROWS:,} rows",
            (told["megabytes"],) * 3,
            Floor(FLOOR_MB, at_least=False, strict=True),
            unit="MB",
        )
        yield Figure(f"{name}: rate at {ROWS:,} rows over {FEWER:,}", tuple(told["ratios"]), Floor(FLOOR_SHARE))


def measure(name: str, rounds: int) -> dict[str, object]:
    """One engine in this process: the peak of its calls above what lay there before the first."""
    x_FN = np.random.default_rng(1).standard_normal((WIDTHS[0], ROWS), dtype=np.float32)
    label_N = np.full(ROWS, -1, np.int64)  # written to, so that its memory is there before
    few_FN, few_N = np.ascontiguousarray(x_FN[:, :FEWER]), label_N[:FEWER]
    loaded = load_engine(make_model(WIDTHS), Setting(name, threads=THREADS))
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew: proc(5)
    loaded.labels(x_FN, label_N)
    loaded.synchronize()
    peak = resident("VmHWM")

    def seconds(x: np.ndarray, out_N: np.ndarray, calls: int) -> float:
        begun = time.perf_counter()
        for _ in range(calls):
            loaded.labels(x, out_N)
        return (time.perf_counter() - begun) / calls

    seconds(few_FN, few_N, 3)
    ratios = []
    for _ in range(3 * rounds):
        few, many = seconds(few_FN, few_N, 5), seconds(x_FN, label_N, 1)
        ratios.append(few * (ROWS / FEWER) / many)
    loaded.close()
    return {"megabytes": (peak - before) / 1e6, "ratios": ratios}


def resident(field: str) -> int:
    """Bytes of this process, by a field of /proc/self/status: VmRSS now, VmHWM at its peak."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
