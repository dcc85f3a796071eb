"""The pytest plug-in, in sessions of its own: what a verdict does to a test, what xdist and JUnit see, what it costs.

Where a verdict matters, a record with known blocks is given through the plug-in's hook: no test depends on the load of
the machine. One test measures for real; it takes a minute.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as Junit

import pytest

from vecml.pytest_plugin import pytest_addoption

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "vecml.pytest_plugin", "-p", "no:cacheprovider")
# By the name of the function that is held against `slow`, which takes 10 ms: seconds of its calls.
RECORD = """
from tests.made_comparison import comparison_of
from vecml.comparison.versus import outcomes_of

SECONDS = {"fast": 0.005, "fastest": 0.002, "slower": 0.012, "test_body": 0.005}

def pytest_vecml_measure(config, pairs):
    print("MEASURED", len(pairs), hasattr(config, "workerinput"))
    found = {}
    for pair in pairs:
        slow, fast = pair.labels
        found |= outcomes_of([pair], comparison_of({slow: 0.01, fast: SECONDS[list(pair.places)[1]]}))
    return [found[pair.title] for pair in pairs]
"""
FUNCTIONS = """
def slow(): return 1
def fast(): return 1
def fastest(): return 1
def slower(): return 1
def makes(): return ()
"""
TESTS = """
import pytest
from functions import fast, fastest, makes, slow, slower

def test_faster(versus): versus(fast, slow, at_least=1.2, inputs=makes)
def test_slower(versus): versus(slower, slow)
def test_not_by_so_much(versus): versus(fast, slow, at_least=3)
def test_undecided(versus): versus(fast, slow, at_least=2)
def test_twice(versus):
    versus(fastest, slow, at_least=3)
    versus(slower, slow)
def test_wrong_before(versus):
    versus(fast, slow)
    assert not slow()
def test_asks_nothing(versus): pass
def test_nested(versus): versus(lambda: 1, slow)
def test_no_number(versus): versus(fast, slow, at_least=0)

@pytest.mark.faster_than(slow, at_least=1.5)
def test_body(): fast()

@pytest.mark.faster_than(slow, at_least=1)
def test_takes(tmp_path): fast()

@pytest.mark.faster_than(slow, at_most=2)
def test_misused(): fast()
"""
FAILED = {"test_slower", "test_not_by_so_much", "test_twice", "test_wrong_before", "test_nested", "test_no_number"}
FAILED |= {"test_takes", "test_misused"}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(functions=FUNCTIONS, test_all=TESTS)
    pytester.makeconftest(RECORD)
    return pytester


def outcomes(file: Path) -> dict[str, str]:
    """By a test's name, `passed`, `failed` or `skipped`; a test that is there twice is an error."""
    found: dict[str, str] = {}
    for case in Junit.parse(file).iter("testcase"):  # noqa: S314 -- the file is our own
        kinds = {child.tag for child in case}
        word = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        assert case.get("name") not in found
        found[str(case.get("name"))] = word
    return found


def expected() -> dict[str, str]:
    names = [line.split("(")[0].removeprefix("def ") for line in TESTS.splitlines() if line.startswith("def test")]
    return {one: "failed" if one in FAILED else "skipped" if one == "test_undecided" else "passed" for one in names}


def test_a_verdict_decides(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess(*PLUGIN, "-rs", "-s", "--strict-markers", "--junitxml", "junit.xml")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(project.path / "junit.xml") == expected()
    output = done.stdout.str()
    assert output.count("MEASURED 7 False") == 1  # one sitting, when all tests have run
    assert output.index("MEASURED") > output.index("test_all.py")
    assert "During handling" not in output
    for said in (
        "SKIPPED [1] test_all.py:7: wanted fast 2 times as fast as slow; not decided: ",
        "wanted slower faster than slow; it is not: 0.84 times as fast (",
        "has no name that a worker could find it by; define it at the top level",
        "at_least=0 is no positive number; at_least=1.2 asks for 1.2 times as fast",
        "faster_than: test_takes takes tmp_path, and is called without arguments; use the fixture versus",
        "faster_than: missing a required argument: 'at_least'; it is used as faster_than(other, at_least=1.2)",
    ):
        assert said in output, output

    tree = Junit.parse(project.path / "junit.xml")  # noqa: S314 -- the file is our own
    cases = {case.get("name"): case for case in tree.iter("testcase")}
    found = {one.get("name"): str(one.get("value")) for one in cases["test_faster"].iter("property")}
    assert (found["vecml.verdict"], found["vecml.outcome"]) == ("faster", "met")
    assert found["vecml.wanted"] == "fast 1.2 times as fast as slow"
    assert float(found["vecml.ratio_low"]) < float(found["vecml.ratio"]) < float(found["vecml.ratio_high"])
    twice = {one.get("name"): one.get("value") for one in cases["test_twice"].iter("property")}
    assert (twice["vecml.outcome"], twice["vecml.2.outcome"]) == ("met", "missed")


EXPECTED = """
import pytest
from functions import fast, slow, slower

yet = pytest.mark.xfail(reason="slow yet")
strictly = pytest.mark.xfail(reason="slow yet", strict=True)
other = pytest.mark.xfail(reason="slow yet", raises=ValueError)

@yet
def test_yet_missed(versus): versus(slower, slow)
@yet
def test_yet_undecided(versus): versus(fast, slow, at_least=2)
@yet
def test_yet_met(versus): versus(fast, slow)
@strictly
def test_strictly_missed(versus): versus(slower, slow)
@strictly
def test_strictly_undecided(versus): versus(fast, slow, at_least=2)
@strictly
def test_strictly_met(versus): versus(fast, slow)
@other
def test_other_missed(versus): versus(slower, slow)
@yet
def test_yet_wrong(versus):
    versus(fast, slow)
    assert not slow()
"""


def test_an_expected_failure_is_known_when_it_is_measured(project: pytest.Pytester) -> None:
    """A demand that is missed is the failure that was expected; what is not decided is none, and no unexpected pass."""
    project.makepyfile(test_all=EXPECTED)
    result = project.runpytest_subprocess(*PLUGIN, "-rA")
    result.assert_outcomes(xfailed=3, xpassed=1, skipped=2, failed=2)
    for word, name in (
        *(("XFAIL", "yet_missed"), ("XFAIL", "strictly_missed"), ("XFAIL", "yet_wrong"), ("XPASS", "yet_met")),
        *(("FAILED", "strictly_met"), ("FAILED", "other_missed")),
    ):
        result.stdout.fnmatch_lines([f"{word} *test_{name}*"])
    result = project.runpytest_subprocess(*PLUGIN, "--runxfail")
    result.assert_outcomes(failed=4, passed=2, skipped=2)


def test_strict_fails_what_is_not_decided(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess(*PLUGIN, "--versus-strict", "-k", "test_undecided or test_faster")
    done.assert_outcomes(failed=1, passed=1)


def test_a_mark_without_at_least_is_refused(project: pytest.Pytester) -> None:
    """A call with a function alone marks that function, and would replace the test by what the function returns."""
    project.makepyfile(
        test_all="import pytest\ndef slow(x=None): return 1\n@pytest.mark.faster_than(slow)\ndef test_lost(): pass"
    )
    done = project.runpytest_subprocess(*PLUGIN)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert (
        "faster_than(slow) without at_least marks slow itself: write faster_than(slow, at_least=1)" in done.stdout.str()
    )


@pytest.mark.long
def test_xdist_measures_once_in_the_controller(project: pytest.Pytester) -> None:
    asked = ("test_faster", "test_slower", "test_undecided")
    done = project.runpytest_subprocess(
        *PLUGIN, "-p", "xdist", "-n", "2", "-s", "--junitxml", "junit.xml", "-k", " or ".join(asked)
    )
    assert outcomes(project.path / "junit.xml") == {one: expected()[one] for one in asked}
    assert done.stdout.str().count("MEASURED") == done.stdout.str().count("MEASURED 3 False") == 1


def test_a_stopped_session_measures_nothing(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess(*PLUGIN, "-s", "-x", "-rs", "-k", "test_faster or test_wrong_before")
    done.assert_outcomes(failed=1, skipped=1)
    assert "not measured: the session was stopped before" in done.stdout.str()
    assert "MEASURED" not in done.stdout.str()


def test_a_session_that_does_not_ask(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports neither NumPy nor torch, and the fixture that pytest-benchmark has is nobody's here."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("""
        import sys
        def test_light(): assert not {"numpy", "torch", "vecml.comparison"} & sys.modules.keys()
        def test_benchmark(benchmark): pass
    """)
    done = pytester.runpytest_subprocess(*PLUGIN)
    done.assert_outcomes(passed=1, errors=1)
    assert "fixture 'benchmark' not found" in done.stdout.str()


def test_what_an_import_of_the_plugin_adds() -> None:
    code = "import pytest, sys; old = set(sys.modules); import vecml.pytest_plugin; print(*set(sys.modules) - old)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert set(done.stdout.split()) == {"vecml", "vecml.pytest_plugin"}


def test_it_is_an_entry_point_by_the_name_of_its_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"vecml.pytest_plugin": "vecml.pytest_plugin"}


RAISING = """
import time
import pytest

def one(): return 1
def two(): return 2
def raises(): raise ZeroDivisionError("one over nothing")
def hangs(): time.sleep(3600)

def test_raising(versus): versus(raises, one)
def test_hanging(versus): versus(hangs, one)
"""
# The plug-in's own measuring, which waits for a call as long as for a whole pair, with less time.
HASTY = """
from vecml.comparison.versus import measure_pairs
def pytest_vecml_measure(pairs): return measure_pairs(pairs, 5.0)[0]
"""


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("soon", "soon is not a time, such as 30s"),
        ("auto", "auto is not a time"),
        ("5s", "5s: too short for a verdict;"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_at_once(budget: str, said: str) -> None:
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    with pytest.raises(pytest.UsageError, match=said):
        parser.parse(["--versus-budget", budget])
    assert parser.parse(["--versus-budget", "1m"]).versus_budget == 60.0


@pytest.mark.long
def test_one_that_raises_and_one_that_hangs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_raising=RAISING)
    pytester.makeconftest(HASTY)
    done = pytester.runpytest_subprocess(*PLUGIN, "-rs")
    done.assert_outcomes(failed=1, skipped=1)
    assert "raises: it raised ZeroDivisionError: one over nothing" in done.stdout.str()
    assert "hangs: it hung: no answer within 5 s" in done.stdout.str()


REAL = """
import pytest

def loop(): return sum(value for value in range(20_000))
def formula(): return 20_000 * 19_999 // 2
def another(): return 1

@pytest.mark.faster_than(loop, at_least=2)
def test_marked(): assert formula() == 199_990_000

def test_versus(versus): versus(formula, loop, at_least=2)
def test_other_result(versus): versus(another, loop)
"""


@pytest.mark.long
def test_for_real(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that others use nothing may be decided; nothing that is faster is ever called slower."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_real=REAL)
    done = pytester.runpytest_subprocess(*PLUGIN, "-rs", "--versus-budget", "25s", "--versus-json", "all.json")
    counted = done.parseoutcomes()
    assert counted["failed"] == 1, done.stdout.str()
    assert counted.get("passed", 0) + counted.get("skipped", 0) == 2
    assert "another: its result" in done.stdout.str() or "values are not the baseline's" in done.stdout.str()
    assert (pytester.path / "all.json").stat().st_size > 1_000
