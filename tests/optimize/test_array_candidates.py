"""NumExpr, Pythran and torch.compile: what is made of a function computes the same, and what is absent says so.

NumExpr and Pythran are no part of what the tests install: their texts are run with NumPy in their place, unless they
are there.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.optimize.made_modules import places
from vecml.errors import SettingError
from vecml.optimize.candidates import pythran
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numexpr_chains import NumexprChains
from vecml.optimize.candidates.pythran import Pythran
from vecml.optimize.candidates.torch_compiled import TORCH, TorchCompiled
from vecml.optimize.kinds import Kind, Kinds, kinds_task
from vecml.optimize.observe import Observation, describe, in_words
from vecml.optimize.patch import apply
from vecml.optimize.profile import Profile
from vecml.optimize.target import Place, load, make_inputs
from vecml.optimize.validate import Validation, validate_task

NAMES = ("sin", "exp", "log", "sqrt", "where", "abs")


def subject_of(folder: Path, body: str, inputs: str, head: str = "x, y") -> tuple[Subject, tuple[Any, ...]]:
    text = f"import math\nimport numpy as np\n\nHALF = 0.5\n\n\ndef twice(v):\n    return v * 2\n\n\ndef f({head}):\n"
    text += f"{body}\n\n\ndef make_inputs():\n    return {inputs}\n"
    target, made = places(folder, text)
    args = make_inputs(made)
    told = kinds_task({"target": vars(target), "inputs": vars(made)}, lambda *_: None)
    kinds = Kinds({tuple(at): Kind(**{**kind, "shape": tuple(kind["shape"])}) for at, kind in told["kinds"]})
    function = load(target)
    result = in_words(function(*args))
    seen = Observation(0.1, 1.0, describe(function, args, target), (), (), 0.0, result, ())
    return Subject(target, text, seen, Profile((), (), 1.0), folder / "made", kinds), args


def run(candidate: Candidate, args: tuple[Any, ...]) -> Any:
    """Run the candidate with NumPy in NumExpr's place."""
    functions = {name: getattr(np, name) for name in NAMES}
    stand_in = SimpleNamespace(evaluate=lambda text, names: eval(text, functions, names))  # noqa: S307 -- vecml's text
    scope: dict[str, Any] = {"numexpr": stand_in, "__name__": "a"}
    text = candidate.source.replace("import numexpr\n", "")
    exec(compile(text, "a.py", "exec", dont_inherit=True), scope)  # noqa: S102 -- what vecml wrote
    made: Callable[..., Any] = scope["f"]
    return made(*args)


LARGE = "(np.linspace(1, 2, 30_000), 3)"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    return np.exp(-x * y) + np.sqrt(x) / 2", "(exp(((-x) * y)) + (sqrt(x) / 2.0))"),
        (
            "    z = np.where(x > 1.5, x - y, np.abs(x)) * np.pi\n    return z",
            "(where((x > 1.5), (x - y), abs(x))",
        ),
        ("    return x[1:] * 2 - x[:-1] / (y / 2) + HALF", "((part_1 * 2.0) - (part_2 / part_3)) + HALF"),
        ("    return twice(x + 1) * 3 + x ** 2 - np.cumsum(x)", "(((part_1 * 3.0) + (x ** 2.0)) - part_3)"),
    ],
)
def test_chains_for_numexpr(tmp_path: Path, body: str, says: str) -> None:
    subject, args = subject_of(tmp_path, body, LARGE)
    made = NumexprChains().make(subject)
    assert isinstance(made, Candidate)
    assert says in made.source
    np.testing.assert_array_equal(run(made, args), load(subject.target)(*args))


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("    return x * 2 + 1", LARGE),  # too few
        ("    return x * 2 + 1 - x / 3", "(np.ones(10), 3)"),  # too small
        ("    return x * 2 + 1 - x / 3", "(np.ones(30_000, np.float32), 3)"),  # its constants would make it float64
        ("    return x * 2 + 1 - x * 3", "(np.ones(30_000, int), 3)"),
        ("    return x % 2 + 1 - x // 3", LARGE),  # of another sign there
        ("    return x * 1j * 2 + 1 - x / 3", LARGE),
    ],
)
def test_what_is_no_chain_for_numexpr(tmp_path: Path, body: str, inputs: str) -> None:
    subject, _ = subject_of(tmp_path, body, inputs)
    assert str(NumexprChains().make(subject)).startswith("no chain of 3 operations")


def test_what_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for way, package in ((NumexprChains(), "numexpr"), (Pythran(), "pythran")):
        module = sys.modules[type(way).__module__]
        monkeypatch.setattr(module, "find_spec", lambda _name: None)
        assert str(way.missing()).endswith(f"is not installed: pip install {package}")


def unbuilt(monkeypatch: pytest.MonkeyPatch, subject: Subject) -> Candidate | str:
    monkeypatch.setattr(pythran, "_build", lambda _file: None)
    return Pythran().make(subject)


def test_a_module_for_pythran_is_plain_python_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "    s = 0.0\n    for v in x:\n        s += twice(v) * y['k'] * HALF + math.sqrt(y['w'][1])\n    return s"
    subject, args = subject_of(tmp_path, body, "(np.arange(4.0), {'k': 3, 'w': np.ones((2,))})")
    made = unbuilt(monkeypatch, subject)
    assert isinstance(made, Candidate)
    ((name, text),) = made.beside.items()
    assert name == "module_f_pythran.py"
    assert "# pythran export f_compiled(float64[:], int, float64[:])\n" in text
    assert load(made.place)(*args) == load(subject.target)(*args)
    assert "+++ b/module_f_pythran.py" in made.diff
    apply(subject.target, subject.source, made.source, made.beside)
    assert (tmp_path / name).read_text() == text
    with pytest.raises(SettingError, match="is there already, and is left as it is"):
        apply(subject.target, made.source, made.source, made.beside)


@pytest.mark.parametrize(
    ("body", "inputs", "reason"),
    [
        ("    return x.T + y", "(np.asfortranarray(np.ones((2, 3))), 1)", "has no type that Pythran knows"),
        ("    return x * len(y)", "(np.ones(3), 'a')", "has no type that Pythran knows"),
    ],
)
def test_what_has_no_type_for_pythran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, inputs: str, reason: str
) -> None:
    subject, _ = subject_of(tmp_path, body, inputs)
    assert reason in str(unbuilt(monkeypatch, subject))


def test_torch_takes_array_code_alone(tmp_path: Path) -> None:
    subject, _ = subject_of(tmp_path, "    return np.sum(np.exp(x) * y)", LARGE)
    made = TorchCompiled().make(subject)
    assert isinstance(made, Candidate)
    assert f"{TORCH}\ndef f_compiled(x, y):\n" in made.source
    assert "return f_compiled(x, y)[()]" in made.source  # NumPy's number, no array without axes
    loop = "    s = 0\n    while s < 3:\n        s += x[0]\n    return s"
    subject, _ = subject_of(tmp_path, loop, LARGE)
    assert "one by one" in str(TorchCompiled().make(subject))
    turns = "    for a in x:\n        s = np.sin(s + a) * y\n        out.append(s)\n"
    single = f"    s, out = 0.0, []\n{turns}    return np.array(out)"
    subject, _ = subject_of(tmp_path, single, "(np.linspace(0.0, 1.0, 20_000), 2.0)")
    made = TorchCompiled().make(subject)  # of single numbers it would compile each turn anew, for an hour
    assert isinstance(made, str)
    assert "one by one" in made
    subject, _ = subject_of(tmp_path, "    return x * y", "(np.ones(3), 2.0)")
    assert "no array of it has 10,000 elements" in str(TorchCompiled().make(subject))


@pytest.mark.parametrize("head", ["x, y, shift=-0.5, scale=2", "x, y, *, shift=-0.5, scale=2"])
def test_numbers_by_default_are_known_to_the_rewrite(tmp_path: Path, head: str) -> None:
    value = "np.hypot(np.radians(scale), np.arctan(shift)) * np.sin(a - shift)"
    body = f"    out = []\n    for a in x:\n        b = {value}\n        out.append(b)\n    return np.array(out)"
    subject, args = subject_of(tmp_path, body, LARGE, head)
    assert subject.rewrite.source is not None
    scope: dict[str, Any] = {}
    exec(compile(subject.rewrite.source, "a.py", "exec"), scope)  # noqa: S102 -- what vecml wrote
    assert "for a in" not in subject.rewrite.source
    np.testing.assert_allclose(scope["f"](*args), load(subject.target)(*args), rtol=1e-12)


def judged(target: Place, candidate: Candidate) -> Validation:
    inputs = Place(target.file, "make_inputs", target.folder)
    payload = {"target": vars(target), "candidate": vars(candidate.place), "inputs": vars(inputs)}
    asked = {**payload, "rtol": 1e-6, "compiled": True, "at_errors": "numpy", "search_seconds": 1.0}
    return Validation(**validate_task(asked, lambda *_: None))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_each_of_them_is_right_end_to_end(tmp_path: Path) -> None:
    subject, _ = subject_of(tmp_path, "    return np.exp(-x * y) + np.sqrt(x) / 2 - np.sin(x)", LARGE)
    for way in (TorchCompiled(), NumexprChains(), Pythran()):
        if way.missing() is None and importlib.util.find_spec("torch"):
            made = way.make(subject)
            assert isinstance(made, Candidate), made
            assert judged(subject.target, made).outcome == "right"
