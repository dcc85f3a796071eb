"""The referee's work in a real worker process of the ordinary protocol: what is counted, and what is left."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.referee.made_matches import HONEST, payload
from vecml.measure.coordinator import WorkerError
from vecml.measure.processes import ProcessCrew
from vecml.measure.records import Arm, Plan
from vecml.referee.work import OPENER

BURNT_SECONDS = 0.03  # of CPU time, in a call
BURNING = f"""
import time
import numpy as np
def solve(x, share):
    begun = time.process_time()
    while time.process_time() < begun + {BURNT_SECONDS}:
        pass
    return np.cumsum(x) + share * np.sort(x)
"""
PLAN = Plan(patience_seconds=20.0)


def crew_of(candidate: str, folder: Path) -> ProcessCrew:
    arm = Arm("candidate", OPENER, payload(candidate, folder, sizes=[1_000]), "arm", starts_processes=True)
    return ProcessCrew([arm], PLAN)


def test_the_candidates_time_is_the_arms_and_nothing_is_left(tmp_path: Path) -> None:
    crew = crew_of(BURNING, tmp_path)
    try:
        worker = crew.workers["candidate"]
        worker.started()
        assert set(worker.open().facts) >= {"confined", "apart"}
        before = worker.cpu_seconds()
        reading = worker.block(2, 0.3)
        assert reading.calls == 2
        assert reading.seconds >= 2 * BURNT_SECONDS
        assert reading.cpu_seconds is not None
        assert reading.cpu_seconds >= 2 * BURNT_SECONDS
        assert worker.cpu_seconds() - before >= 2 * BURNT_SECONDS  # though it still runs: others did not use it
        started = psutil.Process(worker.pid).children(recursive=True)
        assert started
        facts, _ = worker.finish()
        assert facts["calls_checked"] > 2
        assert list(tmp_path.iterdir()) == []
    finally:
        crew.close()
    assert not psutil.wait_procs(started, 5)[1]


def test_nothing_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    crew = crew_of(HONEST, tmp_path)
    try:
        worker = crew.workers["candidate"]
        worker.started()
        worker.open()
        worker.block(1, 0.3)
        started = psutil.Process(worker.pid).children(recursive=True)
        assert started
        os.kill(worker.pid, signal.SIGKILL)
        assert not psutil.wait_procs(started, 5)[1]
    finally:
        crew.close()


def test_a_refusal_reaches_the_coordinator_by_its_name(tmp_path: Path) -> None:
    crew = crew_of("def solve(x, share):\n    return x\n", tmp_path)
    try:
        worker = crew.workers["candidate"]
        worker.started()
        with pytest.raises(WorkerError, match=r"^wrong-result: "):
            worker.open()
    finally:
        crew.close()
