"""Where functions are found, what makes their arguments, and how results are held against each other, part by part."""

import ast
import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tests.comparison.functions_to_compare as functions
from vecml.comparison.functions import FunctionWork, arguments, compare_functions, named_functions
from vecml.comparison.places import found, named_place
from vecml.comparison.results import checksum, faults, write_result
from vecml.errors import SettingError
from vecml.measure.work import ArmError

BENCH = """
import numpy as np
from math import sqrt

class Holder:
    @staticmethod
    def held(x, k): return x * k

async def later(x): return x
def lazily(x): yield x
def with_a_generator_inside(x):
    def inner(): yield x
    return list(inner())
def plain(x, k=1): return x * k
assigned = plain
def by_position(): return np.arange(10.0), 3
def by_name(): return {"k": 2, "x": np.arange(10.0)}
def alone(): return [1, 2]
def by_size(): return {"small": (np.arange(3.0), 2), "large": {"x": np.arange(9.0)}, "k": [5]}
def failing(): raise OSError("no data\\nhere")
def exchanged(x, k): return x[0] if x[0] == 0 else [][1]
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / f"bench_{tmp_path.name}.py"
    path.write_text(BENCH)
    return path


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        (
            "later",
            " is an async function: a call of it does no work yet",
            "compare a function that does all of it: return asyncio.run(...)",
        ),
        (
            "lazily",
            " is a generator function: a call of it does no work yet",
            "compare a function that does all of it: return list(...)",
        ),
        ("plian", ": FILE has no function plian", "it has plain"),
    ],
)
def test_a_function_that_cannot_be_is_refused_without_running_its_file(
    bench: Path, name: str, said: str, hint: str
) -> None:
    bench.write_text(BENCH + "\nraise SystemExit\n")
    with pytest.raises(SettingError) as caught:
        named_place(f"{bench.name}:{name}", "--functions")
    assert caught.value.message == f"--functions {bench.name}:{name}{said.replace('FILE', bench.name)}"
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", ["plain", "assigned", "sqrt", "with_a_generator_inside", "Holder.held"])
def test_whatever_has_a_name_at_the_top_level_is_found(bench: Path, name: str) -> None:
    assert callable(found(named_place(f"{bench.name}:{name}", "--functions")))
    assert callable(found(named_place(f"{bench.stem}:{name}", "--functions")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain", "--functions plain: not of the form FILE.py:FUNCTION"),
        ("none.py:plain", "--functions none.py:plain: there is no file none.py"),
        ("broken.py:f", "--functions broken.py:f: broken.py, line 1: '(' was never closed"),
    ],
)
def test_a_text_that_names_nothing(bench: Path, text: str, said: str) -> None:
    (bench.parent / "broken.py").write_text("f(")
    with pytest.raises(SettingError) as caught:
        named_place(text, "--functions")
    assert caught.value.message == said


def test_names_are_the_functions_own_where_they_differ(bench: Path) -> None:
    (bench.parent / "other.py").write_text(BENCH)
    places, inputs = named_functions(
        f"{bench.name}:plain, other.py:plain,other.py:alone", "other.py:by_name", "other.py:plain"
    )
    assert list(places) == ["other.py:plain", f"{bench.name}:plain", "alone"]
    assert inputs["qualified"] == "by_name"
    for texts, maker, said in (
        ("other.py:plain", "other.py:alone", "1 function: a comparison needs two or more"),
        (
            "other.py:alone,other.py:alone",
            "other.py:alone",
            "--functions other.py:alone,other.py:alone: other.py:alone is there twice",
        ),
        ("other.py:plain,other.py:alone", None, "--functions without --inputs"),
    ):
        with pytest.raises(SettingError) as caught:
            named_functions(texts, maker, None)
        assert caught.value.message == said


def test_what_a_maker_returns_is_read_by_one_rule() -> None:
    assert arguments((1, 2)) == ((1, 2), {})
    assert arguments({"x": 1}) == ((), {"x": 1})
    assert arguments([1, 2]) == (([1, 2],), {})
    assert arguments({1: 2}) == (({1: 2},), {})


def work(bench: Path, function: str, inputs: str, size: str | None = None) -> FunctionWork:
    made = FunctionWork(
        {
            "name": function,
            "size": size,
            "place": named_place(f"{bench.name}:{function}", "--functions"),
            "inputs": named_place(f"{bench.name}:{inputs}", "--inputs"),
            "folder": str(bench.parent),
            "number": 0,
            "path": [],
        }
    )
    made.open()
    return made


def results(folder: Path) -> dict[str, Any]:
    return {
        name: dict(np.load(folder / f"{name}-0.npz", allow_pickle=False))["part "].tolist()
        for name in ("result", "changed")
    }


@pytest.mark.parametrize(("maker", "expected"), [("by_position", 3.0), ("by_name", 2.0)])
def test_arguments_by_position_and_by_name(bench: Path, maker: str, expected: float) -> None:
    arm = work(bench, "plain", maker)
    arm.call()
    assert arm.answer() == checksum(np.arange(10.0) * expected)
    arm.finish()
    assert results(bench.parent)["result"] == (np.arange(10.0) * expected).tolist()
    assert results(bench.parent)["changed"][0] == 9 * expected  # the first value is exchanged with the last


def test_a_dict_with_other_keys_than_parameters_holds_inputs_by_name(bench: Path) -> None:
    for size, expected in (("small", np.arange(3.0) * 2), ("large", np.arange(9.0)), ("k", np.array([5]))):
        arm = work(bench, "plain", "by_size", size)
        assert arm.facts() == {"function": "plain", "size": size, "sizes": ["small", "large", "k"]}
        arm.call()
        assert arm.answer() == checksum(expected)
    assert work(bench, "plain", "by_name", None).facts() == {}


def test_a_changed_argument_that_does_not_fit_the_others_is_no_fault(bench: Path) -> None:
    """Of several arguments only one is changed, and a function may refuse that; all functions then have to."""
    arm = work(bench, "exchanged", "by_position")
    arm.call()
    arm.finish()
    assert results(bench.parent)["changed"] == "raised IndexError"


def test_a_maker_that_raises_is_named(bench: Path) -> None:
    with pytest.raises(ArmError, match=r"^failing, which makes the inputs, raised OSError: no data here$"):
        work(bench, "plain", "failing")


ONES = np.ones(3)


@pytest.mark.parametrize(
    ("expected", "result", "said"),
    [
        ((ONES, {"a": ONES}), [ONES, {"a": ONES + 1e-9}], None),
        ((ONES, {"a": ONES}), (ONES, {"a": ONES * 2}), "3 of 3 values in [1]['a'] are not the baseline's"),
        ((ONES, ONES[:2]), (ONES, ONES[:1]), "its result[1] has the shape (1,), the baseline's (2,)"),
        ({"a": ONES}, {"b": ONES}, "its result has no part ['a'], unlike the baseline's"),
        (ONES, ONES * 2, "3 of 3 values are not the baseline's"),
        (ast.Pass, ast.Break, "its result is not the baseline's"),
        (ast.Pass, ONES, "its result is not the baseline's"),
        ("a", "a", None),
    ],
)
def test_results_are_compared_part_by_part(tmp_path: Path, expected: Any, result: Any, said: str | None) -> None:
    for number, one in enumerate((expected, result)):
        write_result(one, tmp_path / f"result-{number}.npz")
    assert faults(tmp_path, ["a", "b"]).get("b") == said


@pytest.mark.parametrize("result", [map(abs, [1]), (one for one in [1]), asyncio.sleep(0), zip([1], [2], strict=True)])
def test_work_that_is_still_to_be_done_is_no_result(result: Any) -> None:
    with pytest.raises(ArmError, match=r"^it returns a \w+, whose work is done later: return list\(\.\.\.\) of it$"):
        checksum(result)
    if asyncio.iscoroutine(result):
        result.close()


def test_a_baseline_that_draws_without_a_seed_is_told(tmp_path: Path) -> None:
    for number, value in enumerate((1.0, 1.0, 2.0)):
        write_result(value, tmp_path / f"result-{number}.npz")
    said = "its own copy gives another result: it, or what makes its inputs, draws without a seed"
    assert faults(tmp_path, ["a", "b"]) == {"a": said}


def test_both_inputs_at_once() -> None:
    two = {"a": functions.total, "b": functions.off}
    with pytest.raises(SettingError, match=r"^x and inputs are both given$"):
        compare_functions(two, np.ones(3), inputs=functions.Holder.total)  # type: ignore[arg-type]


async def later(x: Any) -> Any:
    return x


def test_python_refuses_what_the_terminal_refuses() -> None:
    with pytest.raises(SettingError, match=r"^function 'b' is an async function: a call of it does no work yet$"):
        compare_functions({"a": functions.total, "b": later}, np.ones(3))
