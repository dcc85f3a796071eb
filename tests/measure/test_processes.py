"""Real worker processes: what they answer, how they fail, that neighbours rest, and that none is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from vecml.child import ROOT
from vecml.measure.context import process_cpu_seconds
from vecml.measure.coordinator import WorkerError, measure
from vecml.measure.processes import ProcessCrew, ProcessSource
from vecml.measure.records import Arm, Plan

OPENER = "tests.measure.works:open_sleeping"
PLAN = Plan(launches=1, budget_seconds=None, rounds=6, block_seconds=0.004, warm_seconds=0.0, patience_seconds=3.0)


def arm(name: str, **payload: Any) -> Arm:
    return Arm(name, OPENER, payload, environment={"VECML_TEST_VARIABLE": name})


@pytest.fixture
def crew_of() -> Iterator[Any]:
    crews: list[ProcessCrew] = []

    def make(*arms: Arm, plan: Plan = PLAN) -> ProcessCrew:
        crews.append(ProcessCrew(arms, plan))
        for worker in crews[-1].workers.values():
            worker.started()
        return crews[-1]

    yield make
    for crew in crews:
        crew.close()


def test_a_worker_answers_though_libraries_print(crew_of: Any) -> None:
    worker = crew_of(arm("a", seconds=0.001)).workers["a"]
    assert worker.canary() > 0
    opened = worker.open()
    assert opened.load_seconds >= 0
    assert opened.facts == {"pid": worker.pid, "variable": "a"}
    calls, seconds, call_seconds = worker.warm()
    assert calls >= PLAN.warm_calls
    assert 0.001 <= call_seconds <= seconds
    reading = worker.block(3, 0.003)
    assert reading.calls == 3
    assert reading.seconds >= 0.003
    assert reading.answer == 1 + calls + 3  # the first call is none of the warm-up's
    assert reading.cpu_seconds is not None
    assert reading.cpu_seconds >= 0
    facts, peak = worker.finish()
    assert facts["calls"] == 1 + calls + 3
    assert facts["first_call_seconds"] >= 0.001
    assert peak is None or peak > 1 << 20


def test_calls_that_do_a_part_of_the_work_count_as_that_part(crew_of: Any) -> None:
    worker = crew_of(arm("a", share=0.25, seconds=0.001)).workers["a"]
    worker.open()
    worker.warm()
    reading = worker.block(6, 0.006)
    assert reading.calls == 1.5
    assert reading.seconds >= 0.006


def test_single_calls_are_counted_by_latency(crew_of: Any) -> None:
    worker = crew_of(arm("a", each=True, seconds=0.001)).workers["a"]
    worker.open()
    worker.warm()
    worker.block(7, 0.007)
    worker.block(2, 0.002)
    facts, _ = worker.finish()
    assert sum(facts["latency"].values()) == 9
    assert all(2 ** (int(bucket) / 64) > 0.9e6 for bucket in facts["latency"])


def test_what_an_arm_raises_is_one_line(crew_of: Any) -> None:
    worker = crew_of(arm("a", raise_at=2)).workers["a"]
    worker.open()
    with pytest.raises(WorkerError, match=r"^it raised ValueError: call failed$"):
        worker.warm()


def test_the_last_words_of_one_that_ends(crew_of: Any) -> None:
    worker = crew_of(arm("a", exit_at=2)).workers["a"]
    worker.open()
    with pytest.raises(WorkerError, match=r"^its process ended with 3 and said: RuntimeError: the last words$"):
        worker.warm()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "its process was killed (SIGKILL), which is what the system does when memory runs out"),
        (signal.SIGSEGV, "its process was ended by SIGSEGV"),
    ],
)
def test_a_signal_that_ends_it_is_named(crew_of: Any, number: signal.Signals, said: str) -> None:
    worker = crew_of(arm("a")).workers["a"]
    os.kill(worker.pid, number)
    with pytest.raises(WorkerError) as caught:
        worker.open()
    assert str(caught.value) == said


def test_one_that_hangs_is_ended(crew_of: Any) -> None:
    plan = Plan(patience_seconds=0.3, warm_calls=1)
    worker = crew_of(arm("a", seconds=600.0), plan=plan).workers["a"]
    worker.open()
    with pytest.raises(
        WorkerError,
        match=r"^it hung, or its first call is too slow for this budget: no answer within 0 s, and it was ended$",
    ):
        worker.warm()
    worker.close()
    assert not psutil.pid_exists(worker.pid)


def test_a_later_call_that_hangs_is_no_first_call(crew_of: Any) -> None:
    plan = Plan(patience_seconds=0.3, warm_calls=1, first_call_seconds=60.0)
    worker = crew_of(arm("a", first=0.0, seconds=600.0), plan=plan).workers["a"]
    worker.open()
    with pytest.raises(WorkerError, match=r"^it hung, or one call is too slow for this budget: no answer within 0 s"):
        worker.warm()


def test_a_first_call_may_take_longer_than_all_that_comes_after_it() -> None:
    """A first call of more than half of the patience was "too slow to be measured", one of all of it "hung"."""
    plan = replace(PLAN, warm_seconds=0.05, patience_seconds=1.0, first_call_seconds=60.0, block_seconds=0.02)
    group = [Arm("a", OPENER, {"seconds": 0.001}, "baseline"), Arm("b", OPENER, {"seconds": 0.001, "first": 1.5})]
    plain, slow = measure([group], plan, ProcessSource()).arms
    assert (plain.failure, slow.failure) == (None, None)
    assert len(slow.blocks) == len(plain.blocks) == plan.rounds
    assert min(slow.blocks.seconds) >= plan.block_seconds
    assert slow.launches[0].warm_calls >= plan.warm_calls
    assert slow.launches[0].facts["first_call_seconds"] >= 1.5 > plan.patience_seconds


def test_an_opener_that_is_not_there(crew_of: Any) -> None:
    with pytest.raises(WorkerError, match=r"^it raised ModuleNotFoundError: No module named 'nowhere'$"):
        crew_of(Arm("a", "nowhere:open", {}))


def test_a_turn_waits_until_the_neighbours_rest(crew_of: Any) -> None:
    """A thread that spins on after a call slows whoever comes next: the wait ends with the spinning, not before."""
    crew = crew_of(arm("spinning", spin=0.4), arm("other"))
    worker = crew.workers["spinning"]
    worker.open()
    worker.warm()
    assert crew.wait_idle("other") is True
    spent = process_cpu_seconds(worker.pid)
    time.sleep(0.05)
    assert process_cpu_seconds(worker.pid) == pytest.approx(spent, abs=0.005)


def test_one_that_never_rests_is_noticed(crew_of: Any) -> None:
    crew = crew_of(arm("spinning", spin=60.0), arm("other"))
    crew.workers["spinning"].open()
    crew.workers["spinning"].warm()
    # On a busy machine the spinning thread may not have its turn in a whole window.
    assert not all(crew.wait_idle("other") for _ in range(5))
    assert crew.wait_idle("spinning") is True


def test_a_whole_measurement(crew_of: Any) -> None:
    group = [Arm("a", OPENER, {"seconds": 0.001}, "baseline"), Arm("b", OPENER, {"seconds": 0.002})]
    measured = measure([group], PLAN, ProcessSource())
    first, second = measured.arms
    assert len(first.blocks) == len(second.blocks) == 6
    assert first.launches[0].facts["pid"] != second.launches[0].facts["pid"]
    assert sorted(first.blocks.position + second.blocks.position) == [0] * 6 + [1] * 6
    assert psutil.Process().children() == []


ORPHANS = """
import sys, time
from vecml.measure.processes import ProcessCrew
from vecml.measure.records import Arm, Plan
crew = ProcessCrew([Arm("a", "tests.measure.works:open_sleeping", {"seconds": 600.0})], Plan(patience_seconds=600))
worker = crew.workers["a"]
worker.started()
worker.open()
print(worker.pid, flush=True)
worker.warm()
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a worker in the middle of a call outlives a killed parent"
)
def test_no_worker_outlives_a_killed_coordinator(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert psutil.pid_exists(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    worker_is_gone = False
    for _ in range(100):
        worker_is_gone = not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        if worker_is_gone:
            break
        time.sleep(0.05)
    assert worker_is_gone


def test_many_workers_share_one_input(tmp_path: Path) -> None:
    """Eight workers over a mapped file hold it once: their own memory does not grow with it."""
    import numpy as np

    from tests.comparison.test_bad_engines import small_model
    from vecml.comparison.arms import make_groups
    from vecml.comparison.compare import Job, write_files
    from vecml.config import Setting

    x_FN = np.zeros((10, 1_500_000), np.float32)  # 60 MB
    settings = {f"a{number}": Setting("numpy", threads=1) for number in range(4)}
    write_files(Job(small_model(), x_FN), settings, tmp_path)
    (group,) = make_groups(settings, tmp_path, None)
    crew = ProcessCrew([one for one in group if one.role != "limit"], Plan(warm_calls=1, warm_seconds=0.0))
    try:
        for worker in crew.workers.values():
            worker.started()
            worker.open()
            worker.warm()
        for worker in crew.workers.values():
            own = psutil.Process(worker.pid).memory_full_info().uss
            labels = 8 * x_FN.shape[1]
            assert own < labels + 50e6, own
    finally:
        crew.close()


def test_workers_finish_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other: one after the other, the first would wait in vain."""
    found = measure([[arm("a", meets=str(tmp_path)), arm("b", meets=str(tmp_path))]], PLAN, ProcessSource())
    assert [one.launches[0].facts["met"] for one in found.arms] == [2, 2]
