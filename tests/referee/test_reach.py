"""What a candidate's process cannot reach, and what is no fault of a candidate's."""

import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.referee.made_matches import HONEST, own_spaces, payload, play
from vecml.referee.confine import CALLS, NEW_USERS, landlock_version
from vecml.referee.contestant import WHILE_STOPPED_SECONDS
from vecml.referee.refusals import RefusalError, of_the_spec
from vecml.referee.work import RefereeWork

CONFINED = pytest.mark.skipif(landlock_version() < 6, reason="the kernel has no Landlock that keeps signals in")
APART = pytest.mark.skipif("--mount-proc" not in own_spaces(), reason="no namespaces here")
SLEEP_SECONDS = 0.02
PATCHED = f"""
import time
sleep = time.sleep
time.perf_counter = time.monotonic = time.time = lambda: 0.0
time.perf_counter_ns = time.monotonic_ns = time.time_ns = lambda: 0
import gc, sys
gc.collect = gc.disable = lambda *_: 0
import numpy as np
def solve(x, share):
    frame = sys._getframe(1)
    for names in (frame.f_globals, frame.f_builtins):
        names["time"] = time
    sleep({SLEEP_SECONDS})
    return np.cumsum(x) + share * np.sort(x)
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[RefereeWork]:
    work = RefereeWork(payload(PATCHED, tmp_path, sizes=[1_000]))
    try:
        work.open()
        yield work
    finally:
        work.close()


def test_a_patched_clock_is_not_the_one_that_measures(opened: RefereeWork) -> None:
    opened.prepare()
    begun = time.perf_counter()
    opened.call()
    assert time.perf_counter() - begun >= SLEEP_SECONDS
    opened.rest()


SPINNING = f"""
import threading
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
{HONEST}"""


def test_a_thread_has_no_cpu_time_while_others_have_their_turn(tmp_path: Path) -> None:
    work = RefereeWork(payload(SPINNING, tmp_path))
    try:
        work.open()
        work.begin()
        work.rest()
        process, limit = psutil.Process(work.contestant.pid), time.monotonic() + 5
        while process.status() != psutil.STATUS_STOPPED and time.monotonic() < limit:
            time.sleep(0.01)
        assert process.status() == psutil.STATUS_STOPPED
        before = work.cpu_seconds()
        os.kill(work.contestant.pid, signal.SIGCONT)  # as something that the referee does not know might
        while work.cpu_seconds() < before + 2 * WHILE_STOPPED_SECONDS:
            time.sleep(0.01)
        with pytest.raises(RefusalError, match="work-after-the-clock"):
            work.begin()
    finally:
        work.close()


def tried(statement: str, folder: Path) -> str | None:
    """Play an honest candidate that does this once, when its file is read; what it raises is its refusal."""
    return play(f"{statement}\n{HONEST}", folder, calls=2)


@CONFINED
def test_the_reference_cannot_be_read(tmp_path: Path) -> None:
    secret = tmp_path / "reference.py"
    secret.write_text("known = 1\n", encoding="utf-8")
    said = tried(f"open({str(secret)!r}).read()", tmp_path)
    assert said is not None
    assert said.startswith("raised: PermissionError")


@CONFINED
@pytest.mark.parametrize("place", ["/dev/shm/vecml-left", "/tmp/vecml-left", "{tmp_path}/left"])
def test_no_file_is_left_elsewhere(place: str, tmp_path: Path) -> None:
    path = Path(place.format(tmp_path=tmp_path))
    said = tried(f"open({str(path)!r}, 'w').write('kept')", tmp_path)
    assert said is not None
    assert said.startswith("raised: PermissionError")
    assert not path.exists()


def test_each_launch_has_an_empty_folder_and_home(tmp_path: Path) -> None:
    look = "import os, tempfile as t; assert not os.listdir(os.environ['HOME']); open(t.gettempdir() + '/kept', 'w')"
    for _ in range(2):
        assert tried(look, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@CONFINED
def test_the_referee_cannot_be_signalled(tmp_path: Path) -> None:
    said = tried(f"import os, signal; os.kill({os.getpid()}, signal.SIGTERM)", tmp_path)
    assert said is not None
    assert said.startswith(("raised: PermissionError", "raised: ProcessLookupError"))


@APART
def test_no_other_process_is_seen(tmp_path: Path) -> None:
    assert (
        tried("import os; assert all(int(one) < 50 for one in os.listdir('/proc') if one.isdigit())", tmp_path) is None
    )


@APART
def test_no_network_is_there(tmp_path: Path) -> None:
    said = tried("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))", tmp_path)
    assert said is not None
    assert said.startswith("raised: OSError")


@pytest.mark.parametrize("name", ["handover", "json"])
def test_a_candidate_may_have_any_name(name: str, tmp_path: Path) -> None:
    source = {"file": f"{name}.py", "text": HONEST, "qualified": "solve"}
    assert play(None, tmp_path, calls=2, source=source) is None


def test_much_that_is_printed_blocks_nothing(tmp_path: Path) -> None:
    assert tried("print('x' * 300_000)", tmp_path) is None


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("import numpy as np\ndef make_inputs(random, size):\n    return np.ones(size), 0.25\n", "gives the same"),
        ("def make_inputs(random, size):\n    raise ValueError('no')\n", "the maker of inputs raised ValueError: no"),
        ("def make_inputs(random, size):\n    return {1, 2}\n", "cannot be handed over"),
    ],
)
def test_a_maker_that_fails_is_the_specs_fault(reference: str, words: str, tmp_path: Path) -> None:
    said = play(HONEST, tmp_path, reference_text=reference + HONEST)
    seen = None if said is None else of_the_spec(said)
    assert seen is not None
    assert words in seen


CALL = (
    "import ctypes; one = ctypes.CDLL(None, use_errno=True); assert one.{call} == -1 and ctypes.get_errno() == {error}"
)


@pytest.mark.skipif(os.uname().machine not in CALLS, reason="no numbers of this machine's system calls")
def test_the_kernels_own_work_is_out_of_reach(tmp_path: Path) -> None:
    """A user space of its own has all capabilities over a network, whose packets go round while the process rests."""
    (_, clone, clone3, _, refused), looks = CALLS[os.uname().machine], []
    for number in refused:
        looks.append(CALL.format(call=f"syscall({number}, 0, 0, 0, 0, 0)", error=errno.EPERM))
    looks.append(CALL.format(call=f"syscall({clone}, {NEW_USERS | signal.SIGCHLD}, 0, 0, 0, 0)", error=errno.EPERM))
    looks.append(CALL.format(call=f"syscall({clone3}, 0, 0)", error=errno.ENOSYS))
    threads = (
        "import threading, subprocess; threading.Thread(target=print).start(); subprocess.run(['true'], check=True)"
    )
    assert tried("\n".join((*looks, threads)), tmp_path) is None


TIMERS = """
import ctypes, struct
library = ctypes.CDLL(None, use_errno=True)
for number in range(100):
    timer = library.timerfd_create(1, 0)
    assert timer >= 0, "no timer"
    library.timerfd_settime(timer, 0, struct.pack("=4q", 0, 0, 0, 1_000 * number + 1), None)
"""


@pytest.mark.skipif(os.uname().machine not in CALLS, reason="no numbers of this machine's system calls")
def test_no_timer_interrupts_others_while_its_owner_is_stopped(tmp_path: Path) -> None:
    """Fifteen thousand of them, 20 us apart, made a loop in another process 78 % slower."""
    assert tried(TIMERS, tmp_path) == "raised: AssertionError: no timer"


@pytest.mark.skipif(os.uname().machine not in CALLS, reason="no numbers of this machine's system calls")
def test_no_program_that_listens_in_a_file_is_reached(tmp_path: Path) -> None:
    """A service manager or a container's daemon would do the work outside; Landlock does not keep from either."""
    place = str(tmp_path / "listening")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        said = tried(f"import socket; socket.socket(socket.AF_UNIX).connect({place!r})", tmp_path)
    assert said is not None
    assert said.startswith("raised: OSError")
    host = tried("import socket; socket.socket(getattr(socket, 'AF_VSOCK', 40), socket.SOCK_STREAM, 0)", tmp_path)
    assert host is not None
    assert host.startswith("raised: OSError")
    assert tried("import socket; socket.socketpair(); socket.socket(socket.AF_INET)", tmp_path) is None


@pytest.mark.skipif(os.uname().machine not in CALLS, reason="no numbers of this machine's system calls")
@pytest.mark.parametrize("call", ["shmget(0, 4096, 0o1600)", "msgget(0, 0o1600)", "semget(0, 1, 0o1600)"])
def test_nothing_outlives_a_process_in_the_kernel(call: str, tmp_path: Path) -> None:
    said = tried(f"import ctypes; assert ctypes.CDLL(None).{call} == -1, 'kept'", tmp_path)
    assert said is None


@CONFINED
@pytest.mark.skipif(os.getuid() != 0, reason="nobody else may read it anyway")
def test_not_even_roots_candidate_reads_the_passwords(tmp_path: Path) -> None:
    assert tried("open('/etc/passwd').read()", tmp_path) is None
    said = tried("open('/etc/shadow').read()", tmp_path)
    assert said is not None
    assert said.startswith("raised: PermissionError")
