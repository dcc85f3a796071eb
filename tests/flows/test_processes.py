"""Processes that start together end together, whatever ends them, and leave nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows.processes import SIGNALS, Ended, ProcessGroup, Service

# Says who it is, and when it is told to end, how long it took its time.
SERVER = """
import signal, sys, time
def end(*_):
    print("ended", time.monotonic_ns(), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True:
    time.sleep(0.02)
"""
DIES = "import sys; print('about to'); sys.exit('ValueError: that is why')"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
)
# What Prefect's worker does with a flow run: a session of its own, and the worker may be gone before it.
DETACHES = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], start_new_session=True, stdout=subprocess.DEVNULL)
print("child", child.pid, flush=True)
{SERVER}
"""


def service(name: str, code: str) -> Service:
    return Service(name, [sys.executable, "-c", code], dict(os.environ))


def run(
    folder: Path, *services: Service, when_up: Callable[[ProcessGroup], None] | None = None
) -> tuple[Ended, list[tuple[str, str]]]:
    """Run them, the one named `worker` ending first; what came of it, and the lines that were heard."""
    heard: list[tuple[str, str]] = []
    up = threading.Event()

    def hear(name: str, line: str) -> None:
        heard.append((name, line))
        if when_up is not None and {name for name, _ in heard} == {one.name for one in services} and not up.is_set():
            up.set()
            threading.Thread(target=when_up, args=(together,)).start()

    together = ProcessGroup(services, folder, folder, first="worker", hear=hear)
    before = [signal.getsignal(number) for number in SIGNALS]
    ended = together.run(started=lambda: None)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    return ended, heard


def test_the_first_ends_before_the_others(tmp_path: Path) -> None:
    ended, heard = run(
        tmp_path, service("server", SERVER), service("worker", SERVER), when_up=lambda together: together.end()
    )
    assert ended == Ended()
    times = {name: int(line.split()[1]) for name, line in heard if line.startswith("ended")}
    assert times["worker"] < times["server"]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_them(tmp_path: Path, number: signal.Signals) -> None:
    ended, heard = run(
        tmp_path,
        service("server", SERVER),
        service("worker", SERVER),
        when_up=lambda _: os.kill(os.getpid(), number),
    )
    assert ended == Ended(signal=number)
    assert [line.split()[0] for _, line in heard].count("ended") == 2


def test_the_one_that_dies_is_named_with_what_it_said(tmp_path: Path) -> None:
    ended, _ = run(tmp_path, service("server", SERVER), service("other", DIES), service("worker", SERVER))
    assert (ended.signal, ended.died, ended.status) == (None, "other", 1)
    assert ended.said == "about to\nValueError: that is why"
    assert (tmp_path / "other.log").read_text().splitlines()[-1].endswith(" ValueError: that is why")
    assert psutil.Process().children() == []


def test_one_that_cannot_be_started_leaves_no_file_open(tmp_path: Path) -> None:
    missing = Service("other", [str(tmp_path / "missing")], dict(os.environ))
    with pytest.raises(FileNotFoundError):  # pytest holds the error, and by it the log's file object
        run(tmp_path, service("worker", SERVER), missing)
    assert (tmp_path / "other.log").read_bytes() == b""
    assert [file.path for file in psutil.Process().open_files() if Path(file.path).parent == tmp_path] == []
    assert psutil.Process().children() == []


def test_one_that_was_killed(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    ended, _ = run(tmp_path, service("server", SERVER), service("worker", code))
    assert (ended.died, ended.status, ended.said) == ("worker", -9, "")


def test_one_that_hears_no_sigterm_is_killed(tmp_path: Path) -> None:
    ended, _ = run(
        tmp_path, service("server", STUBBORN), service("worker", SERVER), when_up=lambda together: together.end()
    )
    assert ended == Ended()
    assert psutil.Process().children() == []


def test_what_was_put_into_another_session_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.processes.LEFT_SECONDS", 1.0)
    _, heard = run(
        tmp_path, service("server", SERVER), service("worker", DETACHES), when_up=lambda together: together.end()
    )
    (child,) = [int(line.split()[1]) for _, line in heard if line.startswith("child")]
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_an_order_before_they_have_started_is_kept(tmp_path: Path) -> None:
    together = ProcessGroup([service("worker", SERVER)], tmp_path, tmp_path, first="worker", hear=lambda *_: None)
    together.end()
    assert together.run(started=lambda: None) == Ended()


def test_an_interrupted_command_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of a terminal's group: those that watch the services too."""
    code = f"""
import os, sys
from pathlib import Path
from flows.processes import Service, ProcessGroup
services = [Service(name, [sys.executable, "-c", {SERVER!r}], dict(os.environ)) for name in ("server", "worker")]
home = Path({str(tmp_path)!r})
together = ProcessGroup(services, home, home, "worker", lambda *line: print(*line, flush=True))
print(together.run(lambda: None).signal)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert sorted(lines) == ["server up\n", "worker up\n"]
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    said = process.stdout.read()
    assert process.wait(30) == 0
    process.stdout.close()
    assert said.splitlines()[-1] == "2"
    limit = time.monotonic() + 5
    while any(member.is_running() for member in family) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not [member for member in family if member.is_running()]
