"""One measurement at a time on a machine: between real processes, each with the lock in a folder of the test's own."""

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vecml import child
from vecml.errors import MeasureError
from vecml.measure.lock import lock_path, only_measurement

# Says what happens, and goes on when it is told to.
PROGRAM = """
import sys
from vecml.measure.lock import only_measurement
with only_measurement(lambda: print("waiting", flush=True)):
    print("inside", flush=True)
    sys.stdin.readline()
print("outside", flush=True)
"""
PATIENCE = 30.0  # for what must come


class Measuring:
    """A process that measures, or waits until it may."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=child.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def says(self) -> str:
        """The next thing that it says."""
        assert self.process.stdout is not None
        assert self.has_news(PATIENCE), "it says nothing"
        return self.process.stdout.readline().strip()

    def has_news(self, seconds: float) -> bool:
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def end(self) -> None:
        """Let it leave the block."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")

    def rest(self) -> str:
        """All that it says until its end, which must be a good one."""
        said, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0
        return said


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, here and in every process that is started."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert lock_path().parent == tmp_path
    return tmp_path


@pytest.fixture
def measuring() -> Iterator[Callable[[], Measuring]]:
    started: list[Measuring] = []

    def start() -> Measuring:
        started.append(Measuring())
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_the_second_waits_says_so_once_and_goes_on_when_the_first_ends(measuring: Callable[[], Measuring]) -> None:
    first = measuring()
    assert first.says() == "inside"
    second = measuring()
    assert second.says() == "waiting"
    assert not second.has_news(0.4)
    first.end()
    assert first.rest() == "outside\n"
    assert second.says() == "inside"
    second.end()
    assert second.rest() == "outside\n"


def test_nobody_waits_for_one_that_has_ended(measuring: Callable[[], Measuring]) -> None:
    first = measuring()
    assert first.says() == "inside"
    first.end()
    first.rest()
    second = measuring()
    assert second.says() == "inside"


def test_the_lock_goes_with_a_killed_process(measuring: Callable[[], Measuring]) -> None:
    first = measuring()
    assert first.says() == "inside"
    second = measuring()
    assert second.says() == "waiting"
    first.process.kill()
    assert second.says() == "inside"


def test_whoever_waits_in_vain_is_told_what_to_look_for(measuring: Callable[[], Measuring], place: Path) -> None:
    first = measuring()
    assert first.says() == "inside"
    calls: list[str] = []
    with pytest.raises(MeasureError) as caught, only_measurement(lambda: calls.append("waiting"), wait_seconds=0.3):
        calls.append("inside")
    assert calls == ["waiting"]
    assert caught.value.message == f"another measurement has held {lock_path()} for 0 s"
    assert caught.value.hint == "see whether a vecml hangs; the lock goes with its process"
    assert lock_path().parent == place
    assert not first.has_news(0)


def test_what_is_raised_inside_passes_and_the_lock_is_free_again(measuring: Callable[[], Measuring]) -> None:
    with pytest.raises(ZeroDivisionError) as caught, only_measurement(lambda: pytest.fail("nobody else measures")):
        raise ZeroDivisionError
    assert measuring().says() == "inside"
    assert caught.value.__traceback__ is not None  # what was inside is still at hand, and the lock is free all the same


def test_what_waiting_raises_passes_and_the_lock_is_left_to_its_holder(measuring: Callable[[], Measuring]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    first = measuring()
    assert first.says() == "inside"
    with pytest.raises(KeyboardInterrupt), only_measurement(interrupt):
        pytest.fail("the first one is inside")
    assert measuring().says() == "waiting"
    first.end()
    assert first.rest() == "outside\n"


def test_a_folder_that_cannot_be_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place / "file"
    file.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(file))  # no folder at all: root may write into any other
    with pytest.raises(MeasureError) as caught, only_measurement(lambda: pytest.fail("nobody else measures")):
        pytest.fail("there is no lock")
    assert caught.value.message.startswith(f"cannot lock {lock_path()}: ")
    assert caught.value.hint == "set TMPDIR to a folder of your own"


def test_each_user_has_a_lock_of_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = lock_path()
    if not hasattr(os, "getuid"):
        pytest.skip("users have no numbers here")
    monkeypatch.setattr(os, "getuid", lambda: 4_711)
    assert lock_path() != mine
    assert "4711" in lock_path().name
