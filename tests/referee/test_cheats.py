"""Each way of not doing the work is refused by its name, and an honest candidate is not refused."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.referee.made_matches import HONEST, name_of, play
from vecml.measure import tree

CHEATS = {
    "cached by the first values of its argument": (
        "answers-from-memory",
        """
        import numpy as np
        seen = {}
        def solve(x, share):
            key = x[:1].tobytes() if len(seen) > 99 else len(x)
            if key not in seen:
                seen[key] = np.cumsum(x) + share * np.sort(x)
            return seen[key]
        """,
    ),
    "cached by address": (
        "answers-from-memory",
        """
        import numpy as np
        seen = {}
        def solve(x, share):
            key = (x.ctypes.data, len(x))
            if key not in seen:
                seen[key] = np.cumsum(x) + share * np.sort(x)
            return seen[key]
        """,
    ),
    "a view that is filled later by a thread": (
        "work-after-the-clock",
        """
        import threading, time
        import numpy as np
        def solve(x, share):
            out = np.zeros_like(x)
            own = x.copy()
            def fill():
                time.sleep(0.05)
                out[:] = np.cumsum(own) + share * np.sort(own)
            threading.Thread(target=fill).start()
            return out
        """,
    ),
    "work left to a process": (
        "work-left-to-a-process",
        """
        import subprocess
        import numpy as np
        def solve(x, share):
            subprocess.Popen(["sleep", "30"], start_new_session=True)
            return np.cumsum(x) + share * np.sort(x)
        """,
    ),
    "answers for a known seed": (
        "wrong-result",
        """
        import numpy as np
        def solve(x, share):
            known = np.random.default_rng(0).normal(size=len(x))
            return np.cumsum(known) + share * np.sort(known)
        """,
    ),
    "its input changed in place": (
        "changed-its-input",
        """
        import numpy as np
        def solve(x, share):
            out = np.cumsum(x)
            x.sort()
            return out + share * x
        """,
    ),
    "a lower dtype": (
        "lower-precision",
        """
        import numpy as np
        def solve(x, share):
            return (np.cumsum(x) + share * np.sort(x)).astype(np.float32)
        """,
    ),
    "float32 behind a float64": (
        "lower-precision",
        """
        import numpy as np
        def solve(x, share):
            y = x.astype(np.float32)
            return (np.cumsum(y) + np.float32(share) * np.sort(y)).astype(np.float64)
        """,
    ),
    "float32 with noise in the digits that it lacks": (
        "lower-precision",
        """
        import numpy as np
        def solve(x, share):
            y = x.astype(np.float32)
            out = (np.cumsum(y) + np.float32(share) * np.sort(y)).astype(np.float64)
            return out * (1 + 1e-9 * np.random.normal(size=len(y)))
        """,
    ),
    "a thread that works on while others have their turn": (
        None,
        """
        import threading
        import numpy as np
        def work():
            while True:
                sum(range(1000))
        threading.Thread(target=work, daemon=True).start()
        def solve(x, share):
            return np.cumsum(x) + share * np.sort(x)
        """,
    ),
    "a process in a session of its own, twice forked": (
        "work-left-to-a-process",
        """
        import os, time
        import numpy as np
        def solve(x, share):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(30)
                os._exit(0)
            os.wait()
            return np.cumsum(x) + share * np.sort(x)
        """,
    ),
    "a result that says it is longer than it is": (
        "unfit-result",
        """
        import sys
        import numpy as np
        def solve(x, share):
            sys.modules["vecml_referee_handover"].pack = lambda result: Long()
            return np.cumsum(x) + share * np.sort(x)
        class Long:
            text, size, parts, offsets = b'{"a":["<f8",[1000],0]}', 1 << 40, (), ()
        """,
    ),
    "nothing done at sizes that the spec does not name": (
        "wrong-at-an-unannounced-size",
        """
        import numpy as np
        def solve(x, share):
            if len(x) not in (1_000, 3_000):
                return np.zeros_like(x)
            return np.cumsum(x) + share * np.sort(x)
        """,
    ),
    "right for the first calls only": (
        "answers-from-memory",
        """
        import numpy as np
        kept = []
        def solve(x, share):
            if len(kept) > 12:
                return next((one for one in kept if len(one) == len(x)), kept[0])
            kept.append(np.cumsum(x) + share * np.sort(x))
            return kept[-1]
        """,
    ),
    "an answer before it is asked": (
        "answers-early",
        """
        import sys
        import numpy as np
        def solve(x, share):
            frame = sys._getframe()
            while "answers" not in frame.f_locals:
                frame = frame.f_back
            import os, struct
            os.write(frame.f_locals["answers"], struct.pack("=BQQ", 0, 10, 0))
            return np.cumsum(x) + share * np.sort(x)
        """,
    ),
    "many bytes of files left": (
        "left-files",
        """
        import os
        import numpy as np
        def solve(x, share):
            with open(os.path.expanduser("~/kept"), "ab") as file:
                file.write(bytes(1 << 20))
            return np.cumsum(x) + share * np.sort(x)
        """,
    ),
    "the digits of float32 alone, within a wide tolerance": (
        "lower-precision",
        """
        import numpy as np
        def solve(x, share):
            return (np.cumsum(x) + share * np.sort(x)).astype(np.float32).astype(np.float64)
        """,
    ),
    "it raises": ("raised", "def solve(x, share):\n    raise ValueError('no')\n"),
    "its process ends": ("its-process-ended", "import os\ndef solve(x, share):\n    os._exit(3)\n"),
    "a result of no plain kind": ("unfit-result", "def solve(x, share):\n    return (one for one in x)\n"),
}


@pytest.fixture
def adopting() -> Iterator[None]:
    """Make this process adopt what its children leave behind, as a worker does."""
    prctl = ctypes.CDLL(None).prctl
    prctl(tree.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    prctl(tree.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    tree.end(tree.descendants(os.getpid()))
    tree.reap()


@pytest.mark.parametrize("what", CHEATS)
def test_each_cheat_is_refused_by_its_name(what: str, tmp_path: Path) -> None:
    name, candidate = CHEATS[what]
    rtol = 1e-3 if "wide tolerance" in what else 1e-9
    said = play(candidate, tmp_path, calls=60 if "first calls" in what else 12, rtol=rtol)
    assert name_of(said) == name, said


@pytest.mark.parametrize("what", ["work left to a process", "a process in a session of its own, twice forked"])
@pytest.mark.usefixtures("adopting")
def test_processes_are_found_without_a_space_of_their_own(what: str, tmp_path: Path) -> None:
    said = play(CHEATS[what][1], tmp_path, before=[])
    assert name_of(said) == "work-left-to-a-process", said


def test_an_honest_candidate_is_not_refused(tmp_path: Path) -> None:
    assert play(HONEST, tmp_path) is None


def test_the_price_of_handing_over_is_measured_with_the_expected_results(tmp_path: Path) -> None:
    assert play(None, tmp_path) is None
