"""What a candidate does between two calls, what it leaves of earlier ones, and which calls it can tell apart."""

import time
from pathlib import Path

import psutil
import pytest

from tests.referee.made_matches import HONEST, name_of, payload, play
from vecml.referee.work import UNTIMED, RefereeWork

MADE = "import numpy as np\ndef make_inputs(random, size):\n    return random.normal(size=size), 0.25\n"
LISTS = """
def make_inputs(random, size):
    return {'x': random.normal(size=9).tolist(), 'y': [size]}
"""
RING = """
import numpy as np
kept = {{}}
calls = 0
def solve(x, share):
    global calls
    calls += 1
    out = kept.setdefault((len(x), calls % {number}), np.empty(len(x)))
    np.cumsum(x, out=out)
    out += share * np.sort(x)
    return out
"""
FIRST_OF_A_PAIR = """
import numpy as np
before = None
def solve(x, share):
    global before
    is_first = len(x) in (1_000, 3_000) and before is None
    before = len(x) if is_first else None
    out = np.cumsum(x)
    own = x if is_first else x.copy()
    own.sort()
    return out + share * own
"""
SPINNING = f"""
import threading
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
{HONEST}"""
WRITES_SIZES = f"""
def written(function):
    def one(x, share):
        with open("sizes", "a") as file:
            file.write(f"{{len(x)}} ")
        return function(x, share)
    return one
{HONEST}
solve = written(solve)
"""
FOR_A_MOMENT = """
import subprocess
import numpy as np
def solve(x, share):
    subprocess.Popen(["sleep", "0.3"])
    return np.cumsum(x) + share * np.sort(x)
"""


@pytest.mark.parametrize("number", [1, 3])
def test_the_same_memory_given_back_again_is_refused(number: int, tmp_path: Path) -> None:
    """Whoever keeps a result would see it change; what saves the memory of each result is no faster function."""
    said = play(RING.format(number=number), tmp_path, calls=40, sizes=[1_000], ranges=[[1_000, 1_000]])
    assert name_of(said) == "overwrites-earlier-results", said


@pytest.mark.parametrize("part", ["x", "x[::-1]"])
def test_a_view_of_the_input_is_no_copy(part: str, tmp_path: Path) -> None:
    reference = f"{MADE}def solve(x, share):\n    return {part}.copy()\n"
    said = play(f"def solve(x, share):\n    return {part}\n", tmp_path, calls=40, reference_text=reference)
    assert name_of(said) == "overwrites-earlier-results", said


@pytest.mark.parametrize("reference", ["def solve(x, share):\n    return x\n", RING.format(number=1)])
def test_what_the_reference_does_itself_is_allowed(reference: str, tmp_path: Path) -> None:
    text = f"{MADE}{reference}"
    assert play(reference, tmp_path, calls=40, reference_text=text) is None


def test_the_first_of_several_sizes_is_not_changed_either(tmp_path: Path) -> None:
    said = play(FIRST_OF_A_PAIR, tmp_path, calls=60)
    assert name_of(said) == "changed-its-input", said


@pytest.mark.parametrize("change", ["x.sort()", "y.append(1)"])
def test_a_list_changed_in_place_is_seen(change: str, tmp_path: Path) -> None:
    reference = f"{LISTS}def solve(x, y):\n    return sorted(x)\n"
    candidate = f"def solve(x, y):\n    {change}\n    return sorted(x)\n"
    said = play(candidate, tmp_path, reference_text=reference)
    assert name_of(said) == "changed-its-input", said


def test_nothing_is_done_between_two_calls(tmp_path: Path) -> None:
    """A thread that makes the next results' memory there would have its work in nobody's time."""
    work = RefereeWork(payload(SPINNING, tmp_path))
    try:
        work.open()
        work.begin()
        process, limit = psutil.Process(work.contestant.pid), time.monotonic() + 5
        while process.status() != psutil.STATUS_STOPPED and time.monotonic() < limit:
            time.sleep(0.01)
        assert process.status() == psutil.STATUS_STOPPED
        work.prepare()
        work.call()
        work.rest()
    finally:
        work.close()


def test_calls_that_are_not_timed_have_the_same_sizes_in_each_arm(tmp_path: Path) -> None:
    """So that what they take can be held against the reference's; the first ones, which are cold, are left out."""
    seen = []
    for _ in range(2):
        work = RefereeWork(payload(WRITES_SIZES, tmp_path, seed=5))
        try:
            work.open()
            for _ in range(4):
                work.begin()
            seen.append(next(tmp_path.rglob("sizes")).read_text())
            facts = work.finish()
        finally:
            work.close()
        assert len(facts[UNTIMED]) == 4
        assert min(facts[UNTIMED]) > 0
    assert seen[0] == seen[1]
    assert len(set(seen[0].split())) > 4


def test_a_process_is_found_after_each_call(tmp_path: Path) -> None:
    assert name_of(play(FOR_A_MOMENT, tmp_path)) == "work-left-to-a-process"
