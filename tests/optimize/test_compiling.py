"""Why Numba cannot compile a function: the line of the user's own file, the construct, and the reason."""

from pathlib import Path

import numpy as np
import pytest

from tests.optimize.made_modules import places
from vecml.optimize.candidates.registry import Suggestions, suggest
from vecml.optimize.compiling import CannotCompileError, compile_by_calling, compile_for
from vecml.optimize.observe import Observation, describe
from vecml.optimize.profile import Profile
from vecml.optimize.target import Place, load, make_inputs
from vecml.optimize.validate import Validation, check, validate_task

pytest.importorskip("numba")
pytestmark = pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPendingDeprecationWarning")
HEAD = '"""A user\'s module."""\nimport numpy as np\nfrom dataclasses import dataclass\n\n\n'
HEAD += "@dataclass\nclass Point:\n    x: float = 1.0\n\n\n"
LINE = HEAD.count("\n") + 1


def numba_of(folder: Path, text: str, inputs: str) -> tuple[Place, Place, Place]:
    """The function `f` of a module, its Numba candidate, and its inputs."""
    whole = f"{HEAD}{text}\n\n\ndef make_inputs():\n    return {inputs}\n"
    target, made = places(folder, whole)
    arguments = describe(load(target), make_inputs(made), target)
    seen = Observation(0.01, 1.0, arguments, (), (), 0.0, "", ())
    found: Suggestions = suggest(target, whole, seen, Profile((), (), 1.0), folder / "scratch")
    (candidate,) = [one for one in found.candidates if one.kind == "numba"]
    return target, candidate.place, made


def validated(folder: Path, text: str, inputs: str) -> Validation:
    """What is found of the Numba candidate of `f` in a module."""
    target, candidate, made = numba_of(folder, text, inputs)
    payload = {"target": vars(target), "candidate": vars(candidate), "inputs": vars(made), "rtol": 1e-6}
    said: list[str] = []
    validation = Validation(
        **validate_task({**payload, "compiled": True}, lambda stage, limit=None: said.append(stage))
    )
    assert said[0] == "compiling module.py:f"
    return validation


@pytest.mark.parametrize(
    ("body", "inputs", "said"),
    [
        (
            "    y = x + 1\n    return np.add.outer(x, y)",
            "(np.ones(3),)",
            f"line {LINE + 2}: np.add.outer is not known to Numba",
        ),
        (
            "    return np.max(x, axis=0)",
            "(np.ones((3, 2)),)",
            f"line {LINE + 1}: np.max(x, axis=0) is not known to Numba for max(array(float64, 2d, C), axis=int) "
            "(got an unexpected keyword argument 'axis')",
        ),
        (
            "    x[x > 0] = 1\n    return x",
            "(np.ones((3, 2)),)",
            f"line {LINE + 1}: AssertionError inside Numba at x[x > 0] = 1",
        ),
        (
            "    return f'{x[0]:.3f}'",
            "(np.ones(3),)",
            f"line {LINE + 1}: return f'{{x[0]:.3f}}': format spec in f-strings not supported yet",
        ),
        (
            "    r = 1.0\n    if x[0] > 2:\n        r = (1,)\n    return r",
            "(np.ones(3),)",
            f"line {LINE + 4}: r is of two types, which Numba does not know: ",
        ),
        ("    return x[0].foo", "(np.ones(3),)", "x[0].foo is not known to Numba for a value of type float64"),
        ("    return p.x * x", "(np.ones(3), Point())", "its argument p is a Point, which Numba does not know"),
        ("    return x", "(np.ones(3), [])", "its argument p is an empty list, which Numba does not know"),
        ("    return x", "(np.ones(3), {'a': 1})", "its argument p is a dict, which Numba does not know"),
        ("    return Point(x[0])", "(np.ones(3),)", f"line {LINE + 1}: Point is a type, which Numba does not know"),
        ("    return x + np.median(x, 0)", "(np.ones(3),)", f"line {LINE + 1}: np.median(x, 0) is not known to Numba"),
        (
            "    for one in (x[0], 1):\n        p = p + one\n    return p",
            "(np.ones(3),)",
            f"line {LINE + 1}: for one in (x[0], 1): Numba does not go through a value of type Tuple(float64, Literal",
        ),
        ("    return sorted(x, key=abs, reverse='a')", "(np.ones(3),)", f"line {LINE + 1}: "),
    ],
)
def test_the_line_the_construct_and_the_reason(tmp_path: Path, body: str, inputs: str, said: str) -> None:
    found = validated(tmp_path, f"def f(x, p=0):\n{body}", inputs)
    assert found.outcome == "cannot compile"
    assert said in str(found.fault)
    assert "\n" not in str(found.fault)
    assert (found.tried, found.smallest) == (0, "")


def test_what_is_in_another_function_of_the_file(tmp_path: Path) -> None:
    text = "def g(x):\n    return np.add.outer(x, x)\n\n\ndef f(x):\n    return g(x)"
    found = validated(tmp_path, text, "(np.ones(3),)")
    assert found.outcome == "cannot compile"
    assert f"line {LINE + 1}: np.add.outer is not known to Numba" in str(found.fault)


def test_a_function_of_the_file_that_takes_any_names(tmp_path: Path) -> None:
    text = "def g(x, **more):\n    return x\n\n\ndef f(x):\n    return g(x, k=3)"
    found = validated(tmp_path, text, "(np.ones(3),)")
    assert found.outcome == "cannot compile"
    assert str(found.fault) == "a function that it calls takes k among any names (**), which Numba does not know"


def test_compiling_has_a_figure_of_its_own_and_a_division_by_zero_is_numpys(tmp_path: Path) -> None:
    text = (
        "def f(x, k=2.0):\n    out = np.zeros(len(x))\n    for i in range(len(x)):\n        out[i] = 1 / (x[i] - k)\n"
    )
    target, candidate, made = numba_of(tmp_path, f"{text}    return out", "(np.arange(9.0),)")
    function = load(candidate)
    assert compile_for(function, make_inputs(made), candidate) > 0
    assert compile_for(function, make_inputs(made), candidate) == 0
    with np.errstate(all="ignore"):
        assert check(load(target), function, make_inputs(made), ["x"], 1e-6)


LOOP = "    out = np.zeros(len(x))\n    for i in range(len(x)):\n        out[i] = x[i] * {factor}\n    return out"


@pytest.mark.parametrize(
    ("head", "factor", "inputs"),
    [
        ("x, *rest", "len(rest)", "(np.arange(9.0), 1, 2)"),
        ("x, *rest", "(1.0 + len(rest))", "(np.arange(9.0),)"),
        ("x, k=2, *rest", "k", "(np.arange(9.0),)"),
        ("x, k=2, *rest", "(k + rest[0])", "(np.arange(9.0), 3, 4.0)"),
        ("x, *rest", "rest[0][0]", "(np.arange(9.0), np.ones(2), np.ones(2))"),
        ("x, k=2.0, /", "k", "(np.arange(9.0),)"),
    ],
)
def test_any_number_of_arguments_is_compiled_for(tmp_path: Path, head: str, factor: str, inputs: str) -> None:
    """What is compiled before serves the call itself: nothing is compiled once more."""
    target, candidate, made = numba_of(tmp_path, f"def f({head}):\n{LOOP.format(factor=factor)}", inputs)
    function, args = load(candidate), make_inputs(made)
    assert compile_for(function, args, candidate) > 0
    (compiled,) = function.signatures  # type: ignore[attr-defined]
    np.testing.assert_array_equal(function(*args), load(target)(*args))
    assert function.signatures == [compiled]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("head", "inputs", "said"),
    [
        ("x, **more", "(np.ones(3),)", "its parameter **more takes any names, which Numba does not know"),
        ("x, k=2, **more", "(np.ones(3),)", "its parameter **more takes any names, which Numba does not know"),
        ("x, *, k=2", "(np.ones(3),)", "its parameter k is given by name alone, which Numba does not know"),
        ("x, *rest, k=2", "(np.ones(3), 1)", "its parameter k is given by name alone, which Numba does not know"),
        ("x, *rest", "(np.ones(3), 1, {'a': 1})", "its argument rest is a dict, which Numba does not know"),
    ],
)
def test_parameters_that_numba_does_not_know(tmp_path: Path, head: str, inputs: str, said: str) -> None:
    found = validated(tmp_path, f"def f({head}):\n    return x * 2", inputs)
    assert (found.outcome, str(found.fault)) == ("cannot compile", said)


def test_what_numba_refuses_by_an_error_of_pythons_is_refused_by_the_compiler(tmp_path: Path) -> None:
    """Of a sum that CPUs cannot share it says so by a ValueError, in a function that plain Python calls."""
    text = (
        "import numba\n\n\n@numba.njit(parallel=True)\ndef inner(x):\n    e = 0.0\n    for i in numba.prange(len(x)):\n"
        "        e += 0.5 * x[i]\n        e += x[i] * 2.0\n    return e\n\n\ndef f(x):\n    return inner(x)\n"
    )
    target, _ = places(tmp_path, f"{text}\n\ndef make_inputs():\n    return (1,)\n")
    with pytest.raises(CannotCompileError, match=r"^line 8: .*reduction variable 'e'"):
        compile_by_calling(load(target), (np.ones(5),), target)


def test_what_compiled_code_raises_is_no_refusal(tmp_path: Path) -> None:
    text = (
        "import numba\n\n\n@numba.njit\ndef inner(x):\n    raise ValueError('no')\n\n\ndef f(x):\n    return inner(x)\n"
    )
    target, _ = places(tmp_path, f"{text}\n\ndef make_inputs():\n    return (1,)\n")
    with pytest.raises(ValueError, match="no"):
        compile_by_calling(load(target), (np.ones(5),), target)
