"""Any functions compared in real worker processes: results held to the baseline's, faults named, scripts found."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tests.comparison.functions_to_compare as functions
from tests.comparison.undisturbed import undisturbed
from vecml.child import ROOT
from vecml.comparison.comparison import Comparison, families
from vecml.comparison.document import from_json, to_json
from vecml.comparison.functions import compare_functions
from vecml.errors import SettingError
from vecml.report.comparison import sentence, shown

# A machine that is busy is said, and does not matter here: a function needs one CPU.
pytestmark = pytest.mark.filterwarnings("ignore:VML011", "ignore:VML012")

X = np.random.default_rng(0).standard_normal(50_000)


@pytest.fixture(scope="module")
def compared(short_looks: None) -> Comparison:
    made = {
        "vectorised": functions.total,
        "loop": functions.total_by_loop,
        "off": functions.off,
        "shape": functions.of_another_shape,
    }
    return undisturbed(compare_functions(made, X, budget="quick"))


@pytest.fixture(scope="module")
def faulty(short_looks: None) -> Comparison:
    made = {
        "vectorised": functions.total,
        "same": functions.Holder.total,
        "memory": functions.from_memory,
        "changing": functions.changing_its_input,
        "raising": functions.raising,
    }
    return undisturbed(compare_functions(made, X, budget="quick"))


def reason(comparison: Comparison, name: str) -> tuple[str | None, str]:
    (family,) = families(comparison)
    verdict = next(one for one in family.verdicts if one.arm == name)
    return verdict.verdict, verdict.reason


def test_right_ones_have_a_ratio_and_quick_no_verdict(compared: Comparison) -> None:
    (family,) = families(compared)
    verdict = family.verdicts[0]
    assert verdict.arm == "loop"
    if verdict.verdict is not None:  # a neighbour came or went within the only launch
        assert verdict.reason.startswith("not steady")
    assert verdict.ratio is not None
    assert verdict.ratio < 0.5  # a loop over 50,000 numbers against NumPy's
    assert verdict.reason == "quick: 1 launch can give figures, but no verdict"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("off", "50,000 of 50,000 values are not the baseline's"),
        ("shape", "its result has the shape (49999,), the baseline's (50000,)"),
    ],
)
def test_wrong_results_are_invalid(compared: Comparison, name: str, said: str) -> None:
    assert reason(compared, name) == ("invalid", said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("memory", "it answers from memory: its input was changed, and its result stayed"),
        ("raising", "it raised ZeroDivisionError: one over nothing"),
    ],
)
def test_faults_are_named(faulty: Comparison, name: str, said: str) -> None:
    assert reason(faulty, name) == ("invalid", said)


def test_one_that_changes_its_input(faulty: Comparison) -> None:
    word, said = reason(faulty, "changing")
    assert word == "invalid"
    assert "values are not the baseline's" in said or said == "its result changed from call to call over the same input"


def test_a_function_of_a_class_is_found(faulty: Comparison) -> None:
    assert reason(faulty, "same")[0] is None


def test_it_shows_itself_and_goes_through_a_file(compared: Comparison) -> None:
    again = from_json(to_json(compared).encode(), "file")
    assert to_json(again) == to_json(compared)
    assert families(again) == families(compared)
    assert sentence(compared) in repr(shown(compared))
    assert "<table>" in shown(compared)._repr_html_()


def test_what_a_worker_could_not_find() -> None:
    def nested(x: object) -> object:
        return x

    for function in (lambda x: x, nested):
        with pytest.raises(SettingError, match=r"^function 'b' \(.*\) has no name that a worker could find it by$"):
            compare_functions({"a": functions.total, "b": function}, X)


def test_what_cannot_be_handed_over() -> None:
    with pytest.raises(SettingError, match=r"^x is a set: a worker can be given an array or what JSON holds$"):
        compare_functions({"a": functions.total, "b": functions.off}, {1, 2}, budget="quick")


def test_one_function_is_no_comparison() -> None:
    with pytest.raises(SettingError, match=r"^1 function: a comparison needs two or more$"):
        compare_functions({"a": functions.total}, X)
    with pytest.raises(SettingError, match=r"^baseline 'c' is none of the functions$"):
        compare_functions({"a": functions.total, "b": functions.off}, X, baseline="c")


SCRIPT = """
import numpy as np
import vecml

def double(x):
    return x + x

def twice(x):
    return 2 * x

if __name__ == "__main__":
    result = vecml.compare_functions({"double": double, "twice": twice}, np.arange(1000.0), budget="quick")
    print(result)
"""


def test_functions_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    disturbed = "of its rounds were disturbed" in done.stdout  # others had the CPUs
    assert disturbed or done.stdout.startswith("No verdict from a quick look: twice was ")


def test_functions_that_were_typed_in() -> None:
    code = "import vecml\ndef f(x): return x\nvecml.compare_functions({'a': f, 'b': f}, [1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "function 'a' was typed in: a worker process could not find it" in done.stderr
