"""Functions that a notebook's cell defines: the cells that are run, and the one that changes."""

import ast
import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vecml.errors import SettingError
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import Numba
from vecml.optimize.kinds import observe_kinds
from vecml.optimize.lifted import NotPlacedError
from vecml.optimize.notebook import Cell, as_module, code_cells, with_source
from vecml.optimize.observe import observe
from vecml.optimize.origin import Origin, origin_of
from vecml.optimize.patch import apply, unified_diff
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import rewrite_loops
from vecml.optimize.target import find_place, load, make_inputs, together
from vecml.optimize.validate import How, validate

SUM = """%%time
def total(x):  # adds é
    s = 0.0
    for v in x:
        s += v * v
    return s

total(np.arange(3.0))"""
CELLS = [
    ("markdown", "# total: a notebook"),
    ("code", "%matplotlib inline\nimport numpy as np\n!ls\nfiles = !ls\nnp.sum?"),
    ("code", "%%bash\necho def total"),
    ("code", SUM),
    ("raw", "nothing"),
    ("code", "class Model:\n  def twice(self, x):\n    out = np.zeros(len(x))\n    for i in range(len(x)):\n"
             "      out[i] = helper(x[i])\n    return out\ndef helper(v):\n  return v * 2"),
    ("code", "def make_inputs():\n    return (np.arange(500.0),)\n\ndef of_model():\n"
             "    return Model(), np.arange(50.0)"),
    ("code", "raise RuntimeError('never run')"),
]  # fmt: skip


def notebook(folder: Path, *, lists: bool = True, escaped: bool = False, indent: int | None = 1) -> Path:
    cells: list[dict[str, Any]] = []
    for number, (kind, source) in enumerate(CELLS):
        text: Any = source.splitlines(keepends=True) if lists else source
        cell: dict[str, Any] = {"cell_type": kind, "id": f"id{number}", "metadata": {"z": [1, 2.50, None]}}
        if kind == "code":
            cell |= {"execution_count": number, "outputs": [{"output_type": "stream", "text": ['{"cells": [}', "é"]}]}
        cells.append(cell | {"source": text})
    content = {"cells": cells, "metadata": {"kernelspec": {"name": "é"}}, "nbformat": 4, "nbformat_minor": 5}
    file = folder / "work.ipynb"
    file.write_text(json.dumps(content, indent=indent, ensure_ascii=escaped) + "\n")
    return file


def origin(file: Path, target: str, inputs: str = "make_inputs") -> Origin:
    places = find_place(f"{file}{target}", "TARGET"), find_place(f"{file}:{inputs}", "--inputs")
    return origin_of(together(*places)[0])


@pytest.mark.parametrize("named", ["#3:total", "#id3:total", ":total"])
@pytest.mark.parametrize(
    ("lists", "escaped", "indent"), [(True, False, 1), (True, True, 4), (False, False, None), (True, False, None)]
)
def test_only_the_cell_changes(tmp_path: Path, named: str, lists: bool, escaped: bool, indent: int | None) -> None:
    file = notebook(tmp_path, lists=lists, escaped=escaped, indent=indent)
    before = file.read_text()
    found = origin(file, named)
    text = rewrite_loops(found.lifted.text, "total", {"x": 1}).source
    assert text is not None
    made = found.put_back(f"import numba\n{text}")
    diff = unified_diff(before, made.whole, "work.ipynb")
    (tmp_path / "winner.patch").write_text(diff)
    apply(found.place, before, made.whole)
    assert file.read_text() == made.whole
    old, new = json.loads(before), json.loads(made.whole)
    changed = new["cells"][3].pop("source")
    old["cells"][3].pop("source")
    assert old == new
    expected = SUM.replace("%%time\n", "%%time\nimport numba\n\n\n").replace(
        "    for v in x:\n        s += v * v\n", "    s = s + np.sum(x * x)\n"
    )
    assert "".join(changed) == expected
    at = made.whole.index("%%time")
    assert before[:at] == made.whole[:at]
    assert before.rpartition("total(np.arange(3.0))")[2] == made.whole.rpartition("total(np.arange(3.0))")[2]
    file.write_text(before)
    subprocess.run(["git", "apply", "winner.patch"], cwd=tmp_path, check=True, capture_output=True)
    assert file.read_text() == made.whole


def test_the_cells_above_are_run(tmp_path: Path) -> None:
    found = origin(notebook(tmp_path), "#3:total")
    assert found.remarks == (
        "cells 1 to 5 are run; line 8 is the first of cell 3",
        "of cell 1, this is left out: %matplotlib inline, !ls, files = !ls, np.sum?",
        "of cell 2, this is left out: %%bash",
        "of cell 3, this is left out: %%time",
    )
    inputs = dataclasses.replace(found.place, name="make_inputs")
    assert load(found.place)(*make_inputs(inputs)) == 41541750.0
    assert ast.parse(found.source)


def test_numba_of_a_function_in_a_cell(tmp_path: Path) -> None:
    file = notebook(tmp_path)
    target, maker = together(find_place(f"{file}:total", ""), find_place(f"{file}:make_inputs", ""))
    found = origin_of(target)
    seen = observe(target, maker, 1e-6, 60.0)
    kinds = observe_kinds(target, maker, 60.0, found.lifted)
    subject = Subject(target, found.lifted.text, seen, Profile((), (), 1.0), tmp_path / "made", kinds, found)
    one = Numba().make(subject)
    assert isinstance(one, Candidate)
    assert validate(target, one.place, maker, How(1e-6, one.compiled, "numpy", 0.5), 60.0).fault is None
    assert hasattr(load(one.place), "py_func")
    (cell,) = [cell for cell in code_cells(one.written, "") if cell.number == 3]
    assert cell.source.startswith(
        '%%time\nimport numba\n\n\n@numba.njit(error_model="numpy")\ndef total(x):  # adds é\n'
    )


def test_another_cell_is_not_changed(tmp_path: Path) -> None:
    file = notebook(tmp_path)
    found = origin(file, "#3:total")
    text = found.lifted.text
    for other in (
        text.replace("def helper", "@numba.njit\ndef helper"),
        text.replace("v * 2", "v + v"),
        text.replace("import numpy as np\n", ""),
        text + "x = 1\n",
    ):
        with pytest.raises(NotPlacedError, match=r"^it changes cell [145], which is not the function's own$"):
            found.put_back(other)


def test_a_method_in_a_cell_with_two_spaces(tmp_path: Path) -> None:
    found = origin(notebook(tmp_path), ":Model.twice", "of_model")
    made = found.put_back(found.lifted.text.replace("out[i] = helper(x[i])", "y = x[i]\n        out[i] = y + y"))
    assert "for i in range(len(x)):\n      y = x[i]\n      out[i] = y + y\n    return out\n" in made.module
    (cell,) = [cell for cell in code_cells(made.whole, "") if cell.number == 4]
    assert cell.source in made.module


@pytest.mark.parametrize(
    ("named", "said", "hint"),
    [
        ("#9:total", "there is no code cell 9, but 1 to 6", "cell 3 defines it"),
        ("#4:total", "cell 4 does not define total", "cell 3 defines it"),
        (":nothing", "no cell defines nothing", "define it with def in a cell"),
        ("#4:Model.none", "has no function Model.none", "it has Model.twice"),
    ],
)
def test_what_is_not_there(tmp_path: Path, named: str, said: str, hint: str) -> None:
    file = notebook(tmp_path)
    with pytest.raises(SettingError) as caught:
        find_place(f"{file}{named}", "TARGET")
    assert said in caught.value.message
    assert (caught.value.hint or "").startswith(hint)


def test_what_is_no_notebook_and_what_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "work.ipynb").write_text("{}")
    with pytest.raises(SettingError, match=r"work\.ipynb is no notebook of format 4$"):
        find_place(f"{tmp_path}/work.ipynb:f", "TARGET")
    cells = [{"cell_type": "code", "source": text} for text in ("a b c", "def f(x):\n    return x")]
    (tmp_path / "work.ipynb").write_text(json.dumps({"cells": cells}))
    with pytest.raises(SettingError, match=r"^work\.ipynb, cell 1, line 1: invalid syntax$"):
        find_place(f"{tmp_path}/work.ipynb:f", "TARGET")


@pytest.mark.parametrize(
    "python",
    [
        "x = 1  # always positive?",
        "x = [\n    1,  # why?\n]",
        "text = '''\nIs it good?\n%d of it\n! no\n'''",
        "text = ('%d'\n    % 3)",
        "# is it?\nx = 1",
    ],
)
@pytest.mark.parametrize("magic", ["%matplotlib inline", "!ls -l", "files = !ls", "f??", "%cd it's", "  %timeit f(1)"])
def test_only_what_is_no_python_is_left_out(python: str, magic: str) -> None:
    """A question mark at a line's end belongs to IPython only where Python cannot read it."""
    block = "if True:\n" if magic.startswith(" ") else ""
    made = as_module([Cell(1, 0, "", f"{block}{magic}\n{python}")], "work.ipynb")
    assert made.left_out == {1: magic.strip()}
    assert made.text.endswith(f"{python}\n")
    assert f"pass  # not run: {magic.strip()}\n" in made.text


def test_the_cell_that_defines_the_function_itself_goes_first(tmp_path: Path) -> None:
    """A later cell may have a method of that name, or a function within another."""
    sources = ("def f(x):\n    return x", "class A:\n    def f(self):\n        pass\ndef g():\n    def f(): pass")
    cells = [{"cell_type": "code", "source": text} for text in (*sources, "def make():\n    return (1.0,)")]
    (tmp_path / "work.ipynb").write_text(json.dumps({"cells": cells}))
    assert find_place(f"{tmp_path}/work.ipynb:f", "TARGET").cell == 1
    assert find_place(f"{tmp_path}/work.ipynb:A.f", "TARGET").cell == 2
    assert origin(tmp_path / "work.ipynb", ":f", "make").place.cell == 1


def test_a_function_that_a_later_cell_defines_anew(tmp_path: Path) -> None:
    sources = ("def f(x):\n    return x", "def f(x):\n    return -x\ndef make():\n    return (1.0,)")
    cells = [{"cell_type": "code", "source": text} for text in sources]
    (tmp_path / "work.ipynb").write_text(json.dumps({"cells": cells}))
    said = r"^work\.ipynb#1:f: a later cell, which is run for the inputs, defines it"
    with pytest.raises(SettingError, match=said) as caught:
        origin(tmp_path / "work.ipynb", "#1:f", "make")
    assert caught.value.hint == "name that one: work.ipynb#2:f"


@pytest.mark.parametrize("source", ["[]", '""', '["a"]', '[ "a\\n" , "b" ]'])
def test_sources_of_any_form(source: str) -> None:
    text = f'{{"x": [true, {{"a": -1.5e3}}], "cells" : [ {{"source":{source}, "o": "\\"]"}} ] }}'
    made = with_source(text, 0, "a\n\u2028é")
    assert json.loads(made)["cells"] == [{"source": made_of(source), "o": '"]'}]
    assert made.startswith('{"x": [true, {"a": -1.5e3}], "cells" : [ {"source":')
    assert made.endswith(', "o": "\\"]"} ] }')


def made_of(source: str) -> Any:
    return "a\n\u2028é" if source == '""' else ["a\n", "\u2028é"]
