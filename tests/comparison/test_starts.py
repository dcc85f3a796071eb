"""Commands in real worker processes: how they end, what they use, and that nothing they started is left behind."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from vecml.child import ROOT
from vecml.comparison.command_lines import line_of
from vecml.comparison.starts import OPENER
from vecml.measure.coordinator import WorkerError
from vecml.measure.processes import Process, ProcessCrew
from vecml.measure.records import Arm, Plan

PLAN = Plan(launches=1, budget_seconds=None, warm_calls=1, warm_seconds=0.0, patience_seconds=20.0)
Start = Callable[..., Process]


def payload(text: str, folder: Path, **more: Any) -> dict[str, Any]:
    line = line_of(text, "none")
    return {
        "directory": str(folder),
        "program": line.program,
        "argv": list(line.argv),
        "prepare": None,
        "environment": dict(os.environ),
        "stdin": os.devnull,
        "folder": str(folder),
        "number": 0,
        "same_output": False,
        "same_file": None,
        "ignore_failure": False,
        "sample": False,
        "facts": {},
        **more,
    }


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    crews: list[ProcessCrew] = []

    def make(text: str, plan: Plan = PLAN, **more: Any) -> Process:
        arm = Arm("a", OPENER, payload(text, tmp_path, **more), starts_processes=True)
        crews.append(ProcessCrew([arm], plan))
        worker = crews[-1].workers["a"]
        worker.started()
        worker.open()
        return worker

    yield make
    for crew in crews:
        crew.close()


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -S -c {shlex.quote(code)}"


def test_starts_are_counted_with_what_the_kernel_counts(start: Start) -> None:
    worker = start(python("sum(range(300_000))"), sample=True, facts={"command": "it"})
    calls, _, _ = worker.warm()
    assert calls >= 1
    reading = worker.block(2, 0.1)
    assert reading.calls == 2
    assert reading.cpu_seconds is not None
    assert reading.cpu_seconds > 0
    facts, peak = worker.finish()
    assert facts["starts"] == 2
    assert facts["user_seconds"] > 0
    assert facts["exit_codes"] == [0]
    assert peak is not None
    assert 1e6 < peak < 30e6  # the command's own, and not that of the worker, which has loaded NumPy


def test_what_it_starts_counts_as_its_own_cpu_time(start: Start) -> None:
    worker = start(python("sum(range(2_000_000))"))
    before = worker.cpu_seconds()
    reading = worker.block(3, 0.1)
    assert reading.cpu_seconds is not None
    assert worker.cpu_seconds() - before > 0.8 * reading.cpu_seconds - 0.02  # the kernel counts in ticks of 10 ms


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('the\\nlast line')", "it ended with exit code 1: last line"),
        ("import sys; sys.exit(7)", "it ended with exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it was ended by SIGSEGV"),
        ("raise KeyError('x')", "it ended with exit code 1: KeyError: 'x'"),
    ],
)
def test_a_start_that_fails_says_how(start: Start, code: str, said: str) -> None:
    with pytest.raises(WorkerError) as caught:
        start(python(code)).block(1, 0.0)
    assert str(caught.value) == said


def test_signals_mean_to_a_command_what_they_mean_in_a_terminal(start: Start) -> None:
    """Python ignores SIGPIPE, and what it starts would too: `yes | head` would not end."""
    with pytest.raises(WorkerError, match=r"^it was ended by SIGPIPE$"):
        start("sh -c 'kill -PIPE $$'").block(1, 0.0)


def test_a_failure_that_is_to_be_ignored_is_recorded(start: Start) -> None:
    worker = start("false", ignore_failure=True)
    worker.block(2, 0.0)
    assert worker.finish()[0]["exit_codes"] == [1]


def test_every_start_is_prepared_and_has_its_input(start: Start, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("abc")
    code = "import sys; assert sys.stdin.read() == 'abc'; open('made', 'w').close()"
    prepare = line_of(f"rm {tmp_path / 'made'}", "none")
    (tmp_path / "made").touch()
    more = {"stdin": str(tmp_path / "in"), "prepare": [prepare.program, list(prepare.argv)]}
    worker = start(python(code.replace("made", str(tmp_path / "made"))), **more)
    worker.warm()
    assert worker.block(2, 0.0).calls == 2
    (tmp_path / "made").unlink()
    with pytest.raises(WorkerError, match=r"^what prepares it ended with exit code 1: rm: cannot remove "):
        worker.block(1, 0.0)


def test_a_file_that_it_does_not_write_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("of another")
    worker = start("true", same_file=str(tmp_path / "out"))
    with pytest.raises(WorkerError, match=rf"^it did not write {tmp_path}/out$"):
        worker.block(1, 0.0)


def test_the_answer_is_what_the_timed_start_printed(start: Start) -> None:
    same = [start(f"echo {word}", same_output=True).block(1, 0.0).answer for word in ("a", "a", "b")]
    assert same[0] == same[1] != same[2]


TREE = """
import os, subprocess, sys, time
own = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
away = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
open(sys.argv[1], "w").write(f"{os.getpid()} {own.pid} {away.pid}\\n")
"""


def gone(pids: list[int]) -> bool:
    """Whether these processes end within some seconds; one that nobody waits for yet has ended."""
    end = time.monotonic() + 20

    def runs(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    while any(map(runs, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(runs, pids))


def started(file: Path) -> list[int]:
    """The process ids in a file, once they are in it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if file.exists() and (text := file.read_text()).endswith("\n"):
            return list(map(int, text.split()))
        time.sleep(0.05)
    raise AssertionError(f"{file} was not written")


def test_one_that_hangs_takes_its_whole_tree_along(start: Start, tmp_path: Path) -> None:
    text = f"{python(TREE + 'time.sleep(600)')} {tmp_path / 'pids'}"
    worker = start(text, Plan(patience_seconds=4.0))
    with pytest.raises(WorkerError, match=r"^it hung: no answer within 4 s, and it was ended$"):
        worker.block(1, 0.0)
    assert gone(started(tmp_path / "pids"))
    assert gone([worker.pid])


def test_what_a_start_leaves_running_is_ended_after_the_block(start: Start, tmp_path: Path) -> None:
    worker = start(f"{python(TREE)} {tmp_path / 'pids'}")
    worker.block(1, 0.0)
    assert gone(started(tmp_path / "pids"))
    assert worker.finish()[0]["left_processes"] == 2


HOPPING = """
import os, time
end = time.monotonic() + 0.3
for _ in range(8):
    if not os.fork():
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
        time.sleep(600)
"""


def test_what_starts_others_while_it_is_ended_is_ended_too(start: Start) -> None:
    """Each of them lives for less than a millisecond, so that a list of them is out of date when it is read."""
    worker = start(python(HOPPING), Plan(patience_seconds=8.0))
    worker.block(1, 0.0)
    assert not psutil.Process(worker.pid).children(recursive=True)
    assert worker.finish()[0]["left_processes"] >= 8


PARENT = """
import json, sys
from vecml.measure.processes import ProcessCrew
from vecml.measure.records import Arm, Plan
crew = ProcessCrew([Arm("a", sys.argv[1], json.loads(sys.argv[2]), starts_processes=True)], Plan())
worker = crew.workers["a"]
worker.started()
worker.open()
worker.block(1, 0.0)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_one_who_measures(number: signal.Signals, tmp_path: Path) -> None:
    text = f"{python(TREE + 'time.sleep(600)')} {tmp_path / 'pids'}"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, OPENER, json.dumps(payload(text, tmp_path))],
        env={**os.environ, "PYTHONPATH": ROOT},
        stderr=subprocess.DEVNULL,
    )
    try:
        pids = started(tmp_path / "pids")
        parent.send_signal(number)
        parent.wait(30)
        assert gone(pids)
    finally:
        parent.kill()
        parent.wait()
