"""Functions that are no plain text at the top level: where they stand, and that nothing but the change changes."""

import ast
import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vecml.errors import SettingError
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import Numba
from vecml.optimize.kinds import observe_kinds
from vecml.optimize.lifted import NotPlacedError, lift
from vecml.optimize.observe import observe
from vecml.optimize.origin import origin_of
from vecml.optimize.patch import apply, unified_diff
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import rewrite_loops
from vecml.optimize.syntax import lines_of
from vecml.optimize.target import Place, find_place, load, make_inputs
from vecml.optimize.validate import How, validate

MODEL = '''"""A user's module."""
import functools
import numpy as np
from dataclasses import dataclass

def total(x):  # another function, of the method's name
    return 0.0


def plain(function):
    @functools.wraps(function)
    def called(*args):
        return function(*args)
    return called

# about the model
@dataclass
class Model:
    """Holds weights."""

    w: np.ndarray

    # what it does
    def step(self, x):
        """Add them.

  Badly indented.
        """
        out = np.zeros(len(x))   # two spaces too many
        for i in range(len(x)):
            out[i] = x[i] * x[i] + self.w[i]
        return  out

    class Inner:
        @staticmethod
        @plain
        def total(x):
            s = 0.0
            for v in x:
                s += v * v
            return s   # the sum

    @classmethod
    def made(cls, x):
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = x[i] * 2.0
        return out


try:
    import a_package_that_is_not_there
except ImportError:
    def doubled(x):
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = x[i] * 2.0
        return out
name = "é"


def with_model():
    return Model(np.arange(300.0)), np.arange(300.0)


def alone():
    return (np.arange(300.0),)'''


def tabs(text: str) -> str:
    return "".join(_tabbed(line) for line in text.splitlines(keepends=True))


def _tabbed(line: str) -> str:
    steps = (len(line) - len(line.lstrip(" "))) // 4
    return "\t" * steps + line[4 * steps :]


FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "tabs": lambda text: tabs(text).encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "mark": lambda text: f"\ufeff{text}".encode(),
    "latin-1": lambda text: f"# -*- coding: latin-1 -*-\n{text}\n".encode("latin-1"),
    "all": lambda text: f"# coding: cp1252\n{tabs(text)}\n".replace("\n", "\r\n").encode("cp1252"),
}


def patched(folder: Path, diff: bytes) -> bytes:
    """The file as git changes it by a patch."""
    copy = folder / "copy"
    copy.mkdir()
    (copy / "model.py").write_bytes((folder / "model.py").read_bytes())
    (copy / "winner.patch").write_bytes(diff)
    subprocess.run(["git", "apply", "winner.patch"], cwd=copy, check=True, capture_output=True)
    return (copy / "model.py").read_bytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["Model.Inner.total", "Model.made", "doubled"])
def test_only_what_has_to_change_does(tmp_path: Path, form: str, name: str) -> None:
    file, before = tmp_path / "model.py", FORMS[form](MODEL)
    file.write_bytes(before)
    target = find_place(f"{file}:{name}", "TARGET")
    origin = origin_of(target)
    text = rewrite_loops(origin.lifted.text, origin.lifted.name, {"x": 1}).source
    assert text is not None
    written = origin.put_back(text).whole
    after = origin.stored.encode(written)
    diff = unified_diff(origin.stored.text, written, "model.py")
    assert patched(tmp_path, origin.stored.encode(diff)) == after
    apply(target, origin.stored.text, written)
    assert file.read_bytes() == after
    end = "\r\n" if form in ("crlf", "all") else "\n"
    assert written.count("\n") == written.count(end)
    removed, added = changes(diff, "-"), changes(diff, "+")
    step = "\t" if form in ("tabs", "all") else "    "
    indent = step * {"doubled": 2, "Model.made": 2, "Model.Inner.total": 3}[name]
    if name == "Model.Inner.total":
        assert removed == [f"{indent}for v in x:{end}", f"{indent}{step}s += v * v{end}"]
        assert added == [f"{indent}s = s + np.sum(x * x){end}"]
    else:
        assert removed == [f"{indent}for i in range(len(x)):{end}", f"{indent}{step}out[i] = x[i] * 2.0{end}"]
        assert added == [f"{indent}out[:] = x * 2.0{end}"]


def changes(diff: str, sign: str) -> list[str]:
    """The lines that a diff takes away or adds."""
    return [line[1:] for line in lines_of(diff)[2:] if line.startswith(sign)]


def test_numba_of_a_method(tmp_path: Path) -> None:
    """`self` goes into no compiled function: its arrays do. The comment above the class stays above it."""
    (tmp_path / "model.py").write_bytes(FORMS["all"](MODEL))
    target, maker = (find_place(f"{tmp_path}/model.py:{name}", "") for name in ("Model.step", "with_model"))
    origin = origin_of(target)
    seen = observe(target, maker, 1e-6, 60.0)
    kinds = observe_kinds(target, maker, 60.0, origin.lifted)
    here = dataclasses.replace(target, name=origin.lifted.name)
    subject = Subject(here, origin.lifted.text, seen, Profile((), (), 1.0), tmp_path / "made", kinds, origin)
    found = Numba().make(subject)
    assert isinstance(found, Candidate)
    one = found.otherwise[0]
    assert validate(target, one.place, maker, How(1e-6, one.compiled, "numpy", 0.5), 60.0).fault is None
    assert load(one.place).__code__ is not load(target).__code__
    assert patched(tmp_path, one.diff.encode(one.encoding)) == one.written.encode(one.encoding)
    assert "\r\n\r\n# about the model\r\n@dataclass\r\nclass Model:" in one.written
    assert "\t# what it does\r\n\tdef step(self, x):" in one.written
    assert "\t\treturn step_compiled(self.w, x)\r\n" in one.written


def test_a_method_of_the_name_of_a_function() -> None:
    lifted = lift(MODEL, MODEL.splitlines(keepends=True), "Model.Inner.total")
    assert lifted.name == "Model_Inner_total"
    lines = lifted.text.splitlines()
    numbers = [at for at, line in enumerate(MODEL.splitlines()) if "s += v * v" in line]
    assert [at for at, line in enumerate(lines) if "s += v * v" in line] == numbers
    assert "".join(one.text for one in lifted.put_back(lifted.text)) == MODEL


@pytest.mark.parametrize("name", ["Model.step", "Model.Inner.total", "Model.made", "doubled", "plain"])
@pytest.mark.parametrize("change", [lambda text: text, tabs, lambda text: text.replace("    ", "  ")])
def test_what_nobody_changes_comes_back_as_it_is(name: str, change: Callable[[str], str]) -> None:
    text = change(MODEL)
    lifted = lift(text, text.splitlines(keepends=True), name)
    assert "".join(one.text for one in lifted.put_back(lifted.text)) == text
    (function,) = [one for one in ast.parse(lifted.text).body if getattr(one, "name", "") == lifted.name]
    assert isinstance(function, ast.FunctionDef)
    assert function.body[-1].col_offset == 4


def test_a_change_of_the_block_around_it_is_refused() -> None:
    lifted = lift(MODEL, MODEL.splitlines(keepends=True), "Model.step")
    with pytest.raises(NotPlacedError, match=r"^it changes the block that step is in$"):
        lifted.put_back(lifted.text.replace("pass  #~", "pass"))
    with pytest.raises(NotPlacedError, match=r"^step is no longer in it$"):
        lifted.put_back("")


@pytest.mark.parametrize(
    ("text", "name", "said", "hint"),
    [
        (
            "def f():\n    def g(x):\n        return x\n",
            "g",
            "it is defined inside f, where no worker",
            "move it to the",
        ),
        (
            "def f():\n    def g(x):\n        return x\n",
            "f.g",
            "it is defined inside f, where no",
            "move it to the top",
        ),
        ("class A:\n    async def f(self):\n        pass\n", "A.f", "it is async: its calls wait", "put its loop into"),
        ("class A:\n    def f(self):\n        pass\n", "f", "module.py has no function f", "it has A.f"),
        (
            "if 1:\n    def f():\n        pass\nelse:\n    def f():\n        pass\n",
            "f",
            "it is defined at lines 2 and 5, and a condition decides which one counts",
            "give them names of their own",
        ),
    ],
)
def test_what_no_worker_can_call(tmp_path: Path, text: str, name: str, said: str, hint: str) -> None:
    (tmp_path / "module.py").write_text(text)
    with pytest.raises(SettingError) as caught:
        find_place(f"{tmp_path}/module.py:{name}", "TARGET")
    assert said in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_a_class_method_is_bound(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    function = load(find_place(f"{tmp_path}/model.py:Model.made", "TARGET"))
    assert function(*make_inputs(find_place(f"{tmp_path}/model.py:alone", "--inputs")))[3] == 6.0


SUPER = """class Base:
    def scale(self):
        return 2.0


class Model(Base):
    def __init__(self, w):
        self.w = w

    def scale(self):
        return 3.0

    def step(self, x):
        assert isinstance(self, Model)
        return self.w * x * super().scale()

    @classmethod
    def name(cls, x):
        return cls.__name__, cls is Model, super().__name__ if x else super().__init__


def make_inputs():
    return Model(4.0), 5.0
"""


def test_the_method_of_a_changed_copy_is_what_runs(tmp_path: Path) -> None:
    """It is called with an object of the original's class, and knows that class as its own."""
    (tmp_path / "model.py").write_text(SUPER)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "model.py").write_text(SUPER.replace("self.w * x", "-self.w * x"))
    target = find_place(f"{tmp_path}/model.py:Model.step", "TARGET")
    args = make_inputs(find_place(f"{tmp_path}/model.py:make_inputs", "--inputs"))
    changed = Place(str(tmp_path / "made" / "model.py"), "Model.step", target.folder, target.file)
    assert (load(target)(*args), load(changed)(*args)) == (40.0, -40.0)
    of_class = load(dataclasses.replace(changed, name="Model.name"))
    assert of_class(0)[:2] == ("Model", True)
    assert load(target)(*args) == 40.0
