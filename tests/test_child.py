"""A child process: it is talked with, its end is noticed and told, and it ends for sure."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from vecml.child import Child, EndedError, SilentError, spawn

Start = Callable[..., Child]

ECHO = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""


@pytest.fixture
def start() -> Iterator[Start]:
    children: list[Child] = []

    def start_code(code: str, **options: object) -> Child:
        children.append(spawn([sys.executable, "-c", code], **options))  # type: ignore[arg-type]
        return children[-1]

    yield start_code
    for child in children:
        child.close()
        child.close()
        assert not psutil.pid_exists(child.pid)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_lines_go_to_and_fro(start: Start) -> None:
    child = start(ECHO)
    child.send(b"abc\n")
    assert child.receive(30) == b"cba"
    child.send(b"def\nghi\n", last=True)
    assert [child.receive(30), child.receive(30)] == [b"fed", b"ihg"]
    with pytest.raises(EndedError, match=r"^its process ended with 0 and said: nothing$"):
        child.receive(30)
    assert child.code == 0
    child.send(b"nobody reads this\n")


def test_one_that_does_not_answer_still_runs(start: Start) -> None:
    child = start(ECHO)
    with pytest.raises(SilentError):
        child.receive(0.1)
    assert child.code is None


def test_half_a_line_is_no_answer(start: Start) -> None:
    child = start("import time; print('half', end='', flush=True); time.sleep(600)")
    assert child.readable(30)
    with pytest.raises(SilentError):
        child.receive(0.1)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "raise ValueError('not so fine')",
            "its process ended with 1 and said: ValueError: not so fine",
        ),
        ("import os; os.abort()", "its process was ended by SIGABRT"),
        (
            "import os; os.kill(os.getpid(), 9)",
            "its process was killed (SIGKILL), which is what the system does when memory runs out",
        ),
    ],
)
def test_its_end_is_told(start: Start, code: str, said: str) -> None:
    child = start(f"print('line', flush=True); {code}")
    child.receive(30)
    with pytest.raises(EndedError) as caught:
        child.receive(30)
    assert str(caught.value) == said


def test_one_that_closes_its_answers_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecml.child.LAST_WORDS_SECONDS", 0.1)
    child = start("import os, time; os.close(1); time.sleep(600)")
    with pytest.raises(EndedError, match=r"^it closed its answers and went on, and was ended$"):
        child.receive(30)


@pytest.mark.parametrize("then", ["time.sleep(600)", "sys.stdin.close()"], ids=["running", "ended"])
def test_what_it_started_ends_with_it(start: Start, then: str) -> None:
    child = start(PARENT + then)
    below = int(child.receive(30))
    if then != "time.sleep(600)":
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.close()
    limit = time.monotonic() + 10
    while not gone(below) and time.monotonic() < limit:
        time.sleep(0.01)
    assert gone(below)


@pytest.mark.parametrize(("heard", "code"), [(True, 3), (False, -signal.SIGKILL)])
def test_one_with_patience_may_end_by_itself(start: Start, heard: bool, code: int) -> None:
    answer = "lambda *_: sys.exit(3)" if heard else "signal.SIG_IGN"
    child = start(
        f"import signal, sys, time\nsignal.signal(signal.SIGTERM, {answer})\nprint('up', flush=True)\ntime.sleep(600)"
    )
    assert child.receive(30) == b"up"
    child.close(patience_seconds=30 if heard else 0.2)
    assert child.code == code


def test_errors_and_folder_as_asked(start: Start, tmp_path: Path) -> None:
    child = start(
        "import os, sys; print(os.getcwd(), os.environ['NAME'], file=sys.stderr)",
        variables={**os.environ, "NAME": "value"},
        folder=tmp_path,
        errors_too=True,
    )
    assert child.receive(30).decode() == f"{tmp_path} value"


def test_a_killed_optimize_leaves_no_process_that_computes(tmp_path: Path) -> None:
    """The user's function may run for long, and reads nothing meanwhile."""
    (tmp_path / "busy.py").write_text(
        "import os\n"
        "def run(payload, say):\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    while True: pass\n"
    )
    code = "from vecml.optimize.worker import ask; ask('busy:run', {}, 60)"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))}
    with subprocess.Popen([sys.executable, "-c", code], env=variables, cwd=Path(__file__).parents[1]) as parent:
        try:
            until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
            worker = psutil.Process(int((tmp_path / "pid").read_text()))
        finally:
            parent.kill()
    try:
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    finally:
        if worker.is_running():
            worker.kill()


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, a minute at most."""
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)
