"""Ways through that were found by reading the referee's source, each closed."""

import base64
from pathlib import Path

import pytest

from tests.referee.made_matches import HONEST, REFERENCE, name_of, play
from vecml.referee.refusals import of_the_spec

pytestmark = pytest.mark.long

TOTAL = """
import numpy as np
def make_inputs(random, size):
    return random.normal(size=size), 0.25
def solve(x, share):
    return float(np.sum(x) * share) + 1e3
"""


def test_a_scalar_of_a_lower_dtype_does_not_widen_its_own_tolerance(tmp_path: Path) -> None:
    candidate = "import numpy as np\ndef solve(x, share):\n    return np.float16(np.sum(x) * share + 1e3)\n"
    said = play(candidate, tmp_path, reference_text=TOTAL)
    assert name_of(said) == "lower-precision", said


def test_the_precision_of_single_numbers_is_told_from_many_calls(tmp_path: Path) -> None:
    candidate = """
    import numpy as np
    def solve(x, share):
        return float(np.float32(np.sum(x) * share + 1e3))
    """
    said = play(candidate, tmp_path, calls=40, reference_text=TOTAL, rtol=1e-3)
    assert name_of(said) == "lower-precision", said
    honest = "import numpy as np\ndef solve(x, share):\n    return float(np.add.reduce(x) * share + 1e3)\n"
    assert play(honest, tmp_path, calls=40, reference_text=TOTAL, rtol=1e-3) is None


def test_a_text_that_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    text = "import numpy as np\ndef make_inputs(random, size):\n    return random.normal(size=size), 0.25\n"
    reference = text + "def solve(x, share):\n    return np.array(['a', 'b'])\n"
    candidate = "import numpy as np\ndef solve(x, share):\n    return np.array([2**31, 7], '<u4').view('<U1')\n"
    said = play(candidate, tmp_path, reference_text=reference)
    assert name_of(said) in ("unfit-result", "wrong-result"), said


def test_a_result_far_larger_than_the_references_is_not_even_read(tmp_path: Path) -> None:
    candidate = "import numpy as np\ndef solve(x, share):\n    return np.zeros(20_000_000)\n"
    said = play(candidate, tmp_path)
    assert name_of(said) == "unfit-result", said
    assert "far more than the reference's" in str(said)


def test_a_disk_is_not_filled_by_printing(tmp_path: Path) -> None:
    said = play(f"{HONEST}\nprint('x' * 20_000_000)\n", tmp_path)
    assert name_of(said) == "left-files", said


def test_memory_that_the_others_need_is_not_taken(tmp_path: Path) -> None:
    hoard = (
        "import os, mmap\nmmap.mmap(-1, os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 4 * 3, flags=34)"
    )
    said = play(f"{hoard}\n{HONEST}", tmp_path)
    assert name_of(said) == "raised", said


def test_the_next_arguments_cannot_be_told_from_those_before(tmp_path: Path) -> None:
    """A generator's state could be found from what it drew; each call's arguments come from a seed of their own."""
    candidate = """
    import numpy as np
    kept = []
    def solve(x, share):
        known = np.random.default_rng(0)
        out = np.cumsum(x) + share * np.sort(x)
        for _ in range(3):
            assert not kept or not np.array_equal(kept[-1][: len(x)], x[: len(kept[-1])])
        kept.append(x.copy())
        return out
    """
    assert play(candidate, tmp_path) is None


def test_the_codec_that_the_candidate_alters_is_not_the_referees(tmp_path: Path) -> None:
    candidate = """
    import sys
    import numpy as np
    handover = sys.modules["vecml_referee_handover"]
    handover.KINDS = "O"
    handover.pack.__defaults__ = None
    np.isclose = np.array_equal = np.allclose = lambda *_, **__: True
    def solve(x, share):
        return np.zeros_like(x)
    """
    assert name_of(play(candidate, tmp_path)) in ("wrong-result", "unfit-result")


def test_a_state_that_does_not_exist_is_no_result(tmp_path: Path) -> None:
    candidate = """
    import os, struct, sys
    def solve(x, share):
        frame = sys._getframe()
        while "answers" not in frame.f_locals:
            frame = frame.f_back
        os.write(frame.f_locals["answers"], struct.pack("=BQQ", 77, 1 << 60, 1 << 60))
        os.kill(os.getpid(), 9)
    """
    assert name_of(play(candidate, tmp_path)) == "unfit-result"


def test_a_pipe_that_is_closed_ends_it(tmp_path: Path) -> None:
    candidate = "import os\ndef solve(x, share):\n    os.closerange(3, 100)\n    return x\n"
    assert name_of(play(candidate, tmp_path)) == "its-process-ended"


def test_words_of_a_candidate_are_one_line_and_short(tmp_path: Path) -> None:
    said = play("def solve(x, share):\n    raise ValueError('a\\n' * 5000)\n", tmp_path)
    assert said is not None
    assert "\n" not in said
    assert len(said) < 400


def test_a_reference_may_have_files_beside_it(tmp_path: Path) -> None:
    files = {"reference.py": f"import helper\n{REFERENCE}", "helper.py": "value = 1\n"}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}
    source = {
        "file": "reference.py",
        "text": files["reference.py"],
        "qualified": "solve",
        "beside": {"helper.py": encoded["helper.py"]},
    }
    assert play(None, tmp_path, source=source, files=encoded, calls=2) is None
    alone = {**source, "beside": {}}
    assert name_of(play(None, tmp_path, source=alone, files=encoded, calls=2)) == "raised"


def test_sizes_that_the_maker_does_not_take_are_the_specs_fault(tmp_path: Path) -> None:
    reference = REFERENCE.replace("(random, size)", "(random)").replace("size=size", "size=50")
    said = play(HONEST, tmp_path, reference_text=reference)
    assert of_the_spec(str(said)) is not None
    assert play(HONEST, tmp_path, reference_text=reference, sizes=[], ranges=[]) is None


def test_arguments_are_only_those_that_the_maker_makes(tmp_path: Path) -> None:
    """An honest candidate may rely on what the maker sees to: here that the table is sorted, and its length even."""
    reference = """
    import numpy as np
    def make_inputs(random, size):
        assert size % 2 == 0
        return np.sort(random.normal(size=size)), random.normal(size=9)
    def solve(table, asked):
        return np.array([sum(value < one for value in table) for one in asked])
    """
    candidate = "import numpy as np\ndef solve(table, asked):\n    return np.searchsorted(table, asked)\n"
    more = {"reference_text": reference, "sizes": [100, 200], "ranges": [[100, 100], [200, 200]]}
    assert play(candidate, tmp_path, calls=40, **more) is None


@pytest.mark.parametrize("words", ["sys.stdin.read()", "os.getppid()", "dict(os.environ)"])
def test_nothing_of_the_users_is_in_reach(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    look = f"import os, sys; found = {words}; assert 'secret' not in str(found), found"
    assert play(f"{look}\n{HONEST}", tmp_path, calls=2) is None
