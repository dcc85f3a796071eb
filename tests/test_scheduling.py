"""The tests of a file that shares servers go to one worker; its plan is read off a real run of two workers."""

import re

import pytest

from tests.scheduling import ROOT, is_together

pytest_plugins = ["pytester"]
HELD = """
import pytest
pytestmark = [pytest.mark.xdist_group("held")]
@pytest.mark.parametrize("number", range(6))
def test_held(number): pass
"""
FREE = """
import pytest
@pytest.mark.parametrize("number", range(6))
def test_free(number): pass
"""
CONFTEST = """
from pathlib import Path
from tests import scheduling
scheduling.ROOT = Path(__file__).parent
from tests.conftest import pytest_xdist_make_scheduler
"""


def test_a_file_that_shares_servers_stays_on_one_worker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_held=HELD, test_free=FREE)
    pytester.makeconftest(CONFTEST)
    done = pytester.runpytest_subprocess("-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider")
    ran = re.findall(r"\[(gw\d)\] .* PASSED test_(held|free)", done.stdout.str())
    assert len(ran) == 12, done.stdout.str()
    assert len({worker for worker, name in ran if name == "held"}) == 1


def test_the_others_are_dealt_out_singly(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_held=HELD, test_free=FREE)
    held, free = (pytester.path / f"test_{name}.py" for name in ("held", "free"))
    assert (is_together(held), is_together(free)) == (True, False)
