"""Classes of the inputs' own file: the same in every process, and the same for the function and its inputs."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.optimize.made_modules import places
from vecml.errors import DataError
from vecml.optimize.candidates.registry import suggest
from vecml.optimize.observe import Observation, observe_task
from vecml.optimize.profile import HotLoop, Profile
from vecml.optimize.target import Place, find_place, load, make_inputs
from vecml.optimize.validate import check

CLASSES = """
import enum
import functools
from collections import namedtuple
from dataclasses import dataclass, field
from typing import NamedTuple
import attrs
import numpy as np
import torch


@dataclass
class Data:
    x: np.ndarray
    k: int = 2


@dataclass(frozen=True)
class Frozen:
    k: int = 2


@dataclass(slots=True)
class Slotted:
    x: np.ndarray
    inner: Frozen = field(default_factory=Frozen)


class Tuple(NamedTuple):
    x: np.ndarray
    k: int = 2


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


class Flags(enum.Flag):
    A = 1
    B = 2


class Plain:
    def __init__(self):
        self.x = np.arange(5.0)
        self.kind = Mode.SLOW


class Slots:
    __slots__ = ("x",)

    def __init__(self):
        self.x = 3.0

    def scaled(self, y):
        return self.x * y


@attrs.define
class Attrs:
    x: int = 4


class Text(str):
    pass


class Array(np.ndarray):
    pass


class Bare:
    def __init__(self, held):
        self.held = held


def holding_nothing():
    def inner():
        return later
    if False:
        later = 1
    return inner


Old = Older = namedtuple("Old", ["k"])


def helper(x, by=Mode.FAST):
    return x + by.value
"""
MADE = [
    "Data(np.arange(4.0))",
    "Frozen()",
    "Slotted(np.arange(3.0))",
    "Tuple(np.arange(3.0))",
    "Mode.FAST",
    "Flags.A | Flags.B",
    "Plain()",
    "Slots()",
    "Attrs()",
    "Old(3)",
    "Text('a')",
    "np.arange(3.0).view(Array)",
    "[Data(np.arange(4.0)), {'a': Tuple(np.arange(2.0))}]",
    "{Mode.FAST: 1.0, Mode.SLOW: [Frozen()]}",
    "{Frozen(), Frozen(3), Mode.FAST}",
    "(Mode, Data)",
    "helper",
    "lambda x: x + 1",
    "functools.partial(helper, by=Mode.SLOW)",
    "Slots().scaled",
    "np.array([Mode.FAST, Frozen()], object)",
    "np.dtype([('a', 'f8')])",
    "range(3)",
    "iter([1, 2])",
    "{Slots(), Slots(), Slots()}",
    "{Bare(1), Bare(2), Bare(3), Bare('a')}",
    "frozenset({Bare(1), Bare((2, Bare(3)))})",
    "{'a': {Bare(1), Bare(frozenset({Bare(2), Bare(5)}))}}",
    "[{Bare(Bare(number)) for number in range(40)}]",
    "{Bare(Bare), Bare(helper), Bare(lambda x: x + 1)}",
    "{(Bare(1), 2), (Bare(2), 1)}",
    "holding_nothing()",
    "[holding_nothing(), holding_nothing()]",
    "{holding_nothing(), helper}",
    "torch.arange(3.0)",
    "[Data(torch.ones(3, requires_grad=True)), torch.ones(2, dtype=torch.bfloat16)]",
    "[torch.ones(2, dtype=torch.bfloat16)] * 2",
    "[torch.ones(2, requires_grad=True)]",
    "torch.nn.Parameter(torch.ones((2, 3)))",
    "torch.eye(3).to_sparse()",
]


def observed(folder: Path, made: str, body: str = "    return x * 2.0\n") -> dict[str, Any]:
    text = f"{CLASSES}\n\ndef f(x, one):\n{body}\n\ndef make_inputs():\n    return (np.arange(8.0), {made})\n"
    target, inputs = places(folder, text)
    return observe_task({"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}, lambda stage: None)


@pytest.mark.parametrize("made", MADE)
def test_every_kind_of_object_of_the_inputs_own_file(tmp_path: Path, made: str) -> None:
    assert observed(tmp_path, made)["mutated"] == []


@pytest.mark.parametrize(
    "made",
    [
        "Data(np.random.default_rng().random(4))",
        "[{'a': Tuple(np.random.default_rng().random(2))}]",
        "{Frozen(int(np.random.default_rng().integers(2**60)))}",
        "{Frozen(int(np.random.default_rng().integers(2**60))): 1}",
        "functools.partial(helper, by=np.random.default_rng().random())",
        "{Bare(1), Bare(np.random.default_rng().random())}",
        "{Bare(1), Bare(Bare(Bare(Bare(Bare(np.random.default_rng().random())))))}",
        "[{Bare(np.random.default_rng().random(3)) for number in range(4)}]",
        "{(Bare(1), np.random.default_rng().random()), (Bare(2), 1)}",
        "(lambda k: lambda x: x + k)(np.random.default_rng().random())",
        "Data(torch.from_numpy(np.random.default_rng().random((2, 4))))",
        "torch.nn.Linear(2, 2)",
    ],
)
def test_what_is_drawn_anew_in_them_is_still_found(tmp_path: Path, made: str) -> None:
    with pytest.raises(DataError, match="gives other inputs at every call") as caught:
        observed(tmp_path, made)
    assert "\n" not in caught.value.message


def test_the_function_knows_the_classes_of_its_inputs(tmp_path: Path) -> None:
    check = "one.kind is not Mode.SLOW or not isinstance(one, Plain)"
    body = f"    if {check}:\n        raise TypeError('another')\n    return x\n"
    assert observed(tmp_path, "Plain()", body)["shares"] == ["x"]


@pytest.mark.parametrize("apart", [False, True], ids=["in one file", "in a file of their own"])
def test_a_candidate_knows_them_too(tmp_path: Path, apart: bool) -> None:
    (tmp_path / "kernels.py").write_text(
        f"{CLASSES}\n\nTABLE = {{Mode.FAST: 2.0}}\n\n\ndef f(x, one, mode=Mode.FAST):\n"
        "    if not isinstance(one, Data) or mode is not Mode.FAST:\n        raise TypeError('another')\n"
        "    out = np.zeros(len(x))\n    for i in range(len(x)):\n        out[i] = x[i] * 3.0\n"
        "    return Tuple(out, TABLE[mode])\n\n\n"
        "def make_inputs():\n    return (np.arange(8.0), Data(np.arange(3.0)), Mode.FAST)\n"
    )
    (tmp_path / "made.py").write_text(
        "from kernels import *\nimport numpy as np\n\n\n"
        "def make_inputs():\n    return (np.arange(8.0), Data(np.arange(3.0)), Mode.FAST)\n"
    )
    target = find_place(f"{tmp_path}/kernels.py:f", "TARGET")
    inputs = find_place(f"{tmp_path}/{'made' if apart else 'kernels'}.py:make_inputs", "--inputs")
    seen = observe_task({"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}, lambda stage: None)
    assert seen["result"] == "Tuple of 2"
    source = Path(target.file).read_text()
    observation = TypeAdapter(Observation).validate_python(seen)
    line = source.split("\n").index("    for i in range(len(x)):") + 1
    hot = Profile((), (HotLoop(line, line + 1, 1.0, ""),), 1.0)
    made = suggest(target, source, observation, hot, tmp_path / "scratch")
    candidate = made.candidates[0].place
    args = make_inputs(inputs)
    assert check(load(target), load(candidate), args, ["x", "one", "mode"], 1e-6)


def test_a_file_is_imported_once_for_a_function_and_its_inputs(tmp_path: Path) -> None:
    target, inputs = places(
        tmp_path, "class A:\n    pass\n\n\ndef f():\n    return A\n\n\ndef make_inputs():\n    return (A,)\n"
    )
    assert load(target)() is make_inputs(inputs)[0]
    assert load(target)() is not make_inputs(inputs, anew=True)[0]
    assert load(target)() is make_inputs(inputs)[0]
    Path(target.file).write_text("def f():\n    return 1\n")  # another text is another module
    assert load(Place(target.file, "f", target.folder))() == 1


@pytest.mark.parametrize(
    ("made", "said", "hint"),
    [
        ("(i for i in range(3))", "one is a generator", "list("),
        ("{'a': [(i for i in range(3))]}", "one['a'][0] is a generator", "list("),
        ("map(float, [1])", None, None),
        ("zip([1], [2])", None, None),
        ("__import__('sys').__stderr__", "one is an open file", "open it in the function"),
        ("__import__('io').BytesIO(b'a')", None, None),
        ("__import__('threading').Lock()", "one is a lock", "at the top of its file"),
        ("__import__('threading').RLock()", "one is a lock", "at the top of its file"),
        ("Data(__import__('threading').Lock())", "one.x is a lock", "at the top of its file"),
        ("np", "one is the module numpy", "import it at the top"),
        ("memoryview(b'abc')", "one is a memoryview", "leave it out"),
        ("__import__('sqlite3').connect(':memory:')", "one is a Connection", "leave it out"),
        ("functools.reduce(lambda inner, _: [inner], range(5_000), [])", "one is nested too deeply", "flatter"),
    ],
)
def test_what_cannot_be_copied_is_named_with_its_place(
    tmp_path: Path, made: str, said: str | None, hint: str | None
) -> None:
    if said is None or hint is None:
        observed(tmp_path, made)
        return
    with pytest.raises(DataError) as caught:
        observed(tmp_path, made)
    assert f"module.py:make_inputs: {said}" in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "\n" not in caught.value.message


CORES = (
    "{head}import numpy as np\n\n\nclass Data:\n    def __init__(self, x):\n        self.x = x\n\n\n"
    "def f(x, one):\n    if not isinstance(one, Data){and_more}:\n        raise TypeError('another')\n"
    "    return x * 2.0\n"
)


def package_of(folder: Path, head: str = "", and_more: str = "") -> Path:
    """A package with a file of cores and one of shapes, inside another package."""
    inner = folder / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "cores.py").write_text(CORES.format(head=head, and_more=and_more))
    (inner / "shapes.py").write_text("class Point:\n    pass\n")
    return inner


def looked_at(target: Place, inputs: Place) -> dict[str, Any]:
    return observe_task({"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}, lambda stage: None)


@pytest.fixture
def left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules and folders of this test are forgotten after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(sys.modules)
    yield
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]


@pytest.mark.usefixtures("left_as_it_was")
@pytest.mark.parametrize("regular", [True, False], ids=["with __init__", "without"])
@pytest.mark.parametrize(
    "imported",
    [
        "from outer.inner.cores import Data",
        "from outer.inner import cores\nData = cores.Data",
        "import outer.inner.cores\nData = outer.inner.cores.Data",
        "import os, sys\nsys.path.insert(0, os.path.dirname(__file__) + '/outer/inner')\nfrom cores import Data",
    ],
)
@pytest.mark.parametrize("first", ["target", "inputs"])
def test_a_file_of_a_package_is_imported_once_by_whatever_name(
    tmp_path: Path, imported: str, regular: bool, first: str
) -> None:
    inner = package_of(tmp_path)
    for folder in (inner, inner.parent) if regular else ():
        (folder / "__init__.py").touch()
    maker = "\n\ndef make_inputs():\n    return (np.arange(8.0), Data(np.arange(3.0)))\n"
    (tmp_path / "made.py").write_text(f"import numpy as np\n{imported}\n{maker}")
    target = find_place(f"{inner}/cores.py:f", "TARGET")
    inputs = find_place(f"{tmp_path}/made.py:make_inputs", "--inputs")
    if first == "inputs":
        make_inputs(inputs)
    assert (
        observe_task({"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}, lambda stage: None)["shares"] == []
    )


@pytest.mark.usefixtures("left_as_it_was")
@pytest.mark.parametrize("init", ["", "from .cores import Data, f\n", "raise_at_import = 1\n"])
def test_a_file_of_a_package_takes_what_is_beside_it(tmp_path: Path, init: str) -> None:
    inner = package_of(tmp_path, "from .shapes import Point\n", " or Point.__module__ != 'outer.inner.shapes'")
    (inner.parent / "__init__.py").touch()
    (inner / "__init__.py").write_text(init)
    text = (inner / "cores.py").read_text()
    (inner / "cores.py").write_text(f"{text}\n\ndef make_inputs():\n    return (np.arange(8.0), Data(Point()))\n")
    target = find_place(f"{inner}/cores.py:f", "TARGET")
    inputs = find_place(f"{inner}/cores.py:make_inputs", "--inputs")
    assert (
        observe_task({"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}, lambda stage: None)["mutated"]
        == []
    )


@pytest.mark.usefixtures("left_as_it_was")
def test_files_that_import_each_other_know_the_same_classes(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text(
        "def made():\n    from cores import Data\n    return Data(1.0)\n\n\nimport cores\n"
    )
    (tmp_path / "cores.py").write_text(
        CORES.format(head="import beside\n", and_more="")
        + "\n\ndef make_inputs():\n    return (np.arange(8.0), beside.made())\n"
    )
    target = find_place(f"{tmp_path}/cores.py:f", "TARGET")
    inputs = find_place(f"{tmp_path}/cores.py:make_inputs", "--inputs")
    assert (
        observe_task({"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}, lambda stage: None)["mutated"]
        == []
    )
