"""Further ways through that were found by reading the referee's source, each closed."""

from pathlib import Path

import pytest

from tests.referee.made_matches import HONEST, name_of, play

SAYS = """
import sys
class Said:
    size, parts, offsets = 0, (), ()
    text = {text}
def solve(x, share):
    sys.modules["vecml_referee_handover"].pack = lambda _: Said()
"""
ENDED_LEADER = """
import ctypes, os, threading, time
import numpy as np
def solve(x, share):
    if os.fork() == 0:
        threading.Thread(target=time.sleep, args=(30,)).start()
        ctypes.CDLL(None).pthread_exit(None)
    time.sleep(0.05)
    return np.cumsum(x) + share * np.sort(x)
"""
ONE_AFTER_THE_OTHER = """
import os, signal, time
import numpy as np
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.time() + 10
if os.fork() == 0:
    while time.time() < end:
        if os.fork():
            os._exit(0)
    os._exit(0)
def solve(x, share):
    return np.cumsum(x) + share * np.sort(x)
"""
NESTED = """
import os
home = os.getcwd()
for _ in range(1_500):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
os.chdir(home)
"""


@pytest.mark.parametrize("candidate", [ENDED_LEADER, ONE_AFTER_THE_OTHER], ids=["ended leader", "one after the other"])
def test_a_process_that_seems_to_have_ended_is_found(candidate: str, tmp_path: Path) -> None:
    said = play(candidate, tmp_path, calls=2)
    assert name_of(said) == "work-left-to-a-process", said


@pytest.mark.long
def test_folders_nested_deeper_than_a_path_are_refused_and_removed(tmp_path: Path) -> None:
    said = play(f"{NESTED}{HONEST}", tmp_path, calls=2)
    assert name_of(said) == "left-files", said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_more_files_than_can_be_counted_are_refused(tmp_path: Path) -> None:
    said = play(f"for number in range(21_000):\n    open(str(number), 'w').close()\n{HONEST}", tmp_path, calls=2)
    assert name_of(said) == "left-files", said


@pytest.mark.parametrize(
    "text",
    [
        """b'{"a":["<U0",[70368744177664],0]}'""",
        """('{"d":[%s]}' % ",".join('[{"i":"%x"},null]' % (k * (2**61 - 1)) for k in range(1, 30_000))).encode()""",
    ],
    ids=["values without bytes", "keys of one hash"],
)
def test_a_result_that_takes_long_or_much_to_read_is_refused(text: str, tmp_path: Path) -> None:
    said = play(SAYS.format(text=text), tmp_path, calls=2)
    assert name_of(said) == "unfit-result", said


def test_a_pipe_of_requests_that_is_full_holds_nobody_up(tmp_path: Path) -> None:
    fill = """
import os, sys
frame = sys._getframe()
while "requests" not in frame.f_locals:
    frame = frame.f_back
pipe = os.open(f"/proc/self/fd/{frame.f_locals['requests']}", os.O_WRONLY | os.O_NONBLOCK)
try:
    while True:
        os.write(pipe, b"x")
except BlockingIOError:
    pass
import time
def solve(x, share):
    return x
"""
    said = play(fill, tmp_path, calls=2)
    assert name_of(said) in ("no-answer", "answers-early", "raised", "its-process-ended"), said


@pytest.mark.long
def test_the_precision_of_parts_with_few_values_is_told_from_many_calls(tmp_path: Path) -> None:
    text = "import numpy as np\ndef make_inputs(random, size):\n    return random.normal(size=size), 0.25\n"
    reference = f"{text}def solve(x, share):\n    return x[:10] * share, x[10:20] / share\n"
    candidate = """
    import numpy as np
    def solve(x, share):
        return tuple(one.astype(np.float32).astype(float) for one in (x[:10] * share, x[10:20] / share))
    """
    said = play(candidate, tmp_path, reference_text=reference, rtol=1e-3)
    assert name_of(said) == "lower-precision", said


def test_what_a_candidate_gives_is_told_in_text_that_can_be_kept(tmp_path: Path) -> None:
    """A lone surrogate among its texts ended the whole measurement: JSON and the store take none."""
    text = "import numpy as np\ndef make_inputs(random, size):\n    return random.normal(size=size), 0.25\n"
    reference = f"{text}def solve(x, share):\n    return np.array(['a', 'b'])\n"
    candidate = """
    import numpy as np
    def solve(x, share):
        return np.array([0xD800, 0x1B], '<u4').view('<U1')
    """
    said = play(candidate, tmp_path, calls=2, reference_text=reference)
    assert name_of(said) == "wrong-result", said
    assert str(said).isprintable()
