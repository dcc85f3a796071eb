"""What a function does is seen, and what cannot be optimised is refused, in one line each."""

from pathlib import Path
from typing import Any

import pytest

from tests.optimize.made_modules import SLOW, places
from vecml.errors import DataError, VecmlError
from vecml.optimize.observe import observe, observe_task
from vecml.optimize.worker import OutOfTimeError, WorkerDiedError

INPUTS = "import numpy as np\n\n\ndef make_inputs():\n    return (np.arange(8.0), 3)\n\n\n"


def seen(folder: Path, text: str, name: str = "f") -> dict[str, Any]:
    target, inputs = places(folder, text, name)
    payload = {"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}
    return observe_task(payload, lambda stage: None)


def test_a_function_in_a_worker(tmp_path: Path) -> None:
    found = observe(*places(tmp_path, SLOW, "squares"), 1e-6, 30.0)
    (argument,) = found.arguments
    assert (argument.name, argument.kind, argument.dtype, argument.shape) == ("x", "array", "float64", (2000,))
    assert (found.mutated, found.shares, found.spread, found.remarks) == ((), (), 0.0, ())
    assert found.result == "float64 array (2000,)"
    assert found.seconds > 0


def test_manners(tmp_path: Path) -> None:
    found = seen(tmp_path, f"{INPUTS}def f(x, k):\n    x[0] = k\n    return x\n")
    assert (found["mutated"], found["shares"]) == (["x"], ["x"])
    assert found["remarks"][0] == "it changes its input in place: x; every call gets a fresh copy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(x, k):\n    return 1 / 0\n", "module.py:f raised ZeroDivisionError: division by zero"),
        ("def f(x):\n    return x\n", "module.py:f does not take what --inputs gives: too many positional arguments"),
        (
            "def f(x, k):\n    return np.random.default_rng().random(3)\n",
            "module.py:f is not deterministic: calls over the same inputs differ by up to ",
        ),
        (
            "def f(x):\n    return x\ndef make_inputs():\n    return (None,)\n",
            "module.py:f takes nothing that has parts: module.py:make_inputs gives NoneType",
        ),
        (
            "def f(x):\n    return x\ndef make_inputs():\n    return (np.ones(1),)\n",
            "module.py:make_inputs makes it trivial: nothing in it has more than one element",
        ),
        (
            "def f(x):\n    return x\ndef make_inputs():\n    return ({'a': [np.ones(1)]},)\n",
            "module.py:make_inputs makes it trivial: nothing in it has more than one element",
        ),
        (
            "def f(x):\n    return x\ndef make_inputs():\n    return (np.random.default_rng().random(3),)\n",
            "module.py:make_inputs gives other inputs at every call: part 0 of the result: 3 of 3 values differ",
        ),
        ("def f(x):\n    return x\ndef make_inputs():\n    raise SystemExit(3)\n", "make_inputs raised SystemExit: 3"),
    ],
)
def test_what_cannot_be_optimised(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        seen(tmp_path, INPUTS + text)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("['ab', 'c']", "list of objects"),
        ("[[1.0], [2.0, 3.0]]", "list of lists of unlike lengths"),
        ("[{'a': 1}, {'a': 2}]", "list of objects"),
        ("{'m': np.arange(9.0)}", "dict"),
        ("'acgt'", "str"),
        ("(np.arange(9.0), 2)", "tuple"),
        ("Body(np.arange(9.0))", "Body"),
    ],
)
def test_inputs_that_hold_others(tmp_path: Path, given: str, kind: str) -> None:
    text = (
        "from dataclasses import dataclass\n@dataclass\nclass Body:\n    x: np.ndarray\n"
        f"def f(x):\n    return 3\ndef make_inputs():\n    return ({given},)\n"
    )
    found = seen(tmp_path, f"{INPUTS}{text}")
    (argument,) = found["arguments"]
    assert (argument["kind"], argument["parts"]) == (kind, "many")
    assert found["remarks"][0] == (
        "it takes no arrays: in what it takes, lengths and values vary, and no layouts and dtypes"
    )


OVER = "\ndef make_inputs():\n    a = np.arange(8.0)\n    return (a[1:], a[:-1])\n"


def test_views_that_overlap_are_refused_where_the_function_writes(tmp_path: Path) -> None:
    writes = "def f(dst, src):\n    for i in range(len(src)):\n        dst[i] = dst[i] + src[i]\n    return dst\n"
    with pytest.raises(DataError) as caught:
        seen(tmp_path, f"{INPUTS}{writes}{OVER}")
    assert caught.value.message.startswith(
        "module.py:make_inputs: src shares memory with dst, and module.py:f writes into dst"
    )
    assert caught.value.hint == "give src memory of its own: src.copy()"
    assert seen(tmp_path, f"{INPUTS}def f(dst, src):\n    return dst - src\n{OVER}")["mutated"] == []


def test_a_little_noise_is_said(tmp_path: Path) -> None:
    text = "def f(x, k):\n    return 1.0 + 1e-9 * np.random.default_rng().random(2)\n"
    (remark, *_) = seen(tmp_path, INPUTS + text)["remarks"]
    assert remark.startswith("it is not quite deterministic: calls over the same inputs differ by up to ")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("def f(x, k):\n    while True:\n        pass\n", OutOfTimeError, "module.py:f did not end within 3 s"),
        (
            "import os\ndef f(x, k):\n    os.abort()\n",
            WorkerDiedError,
            "module.py:f: its process was ended by SIGABRT",
        ),
        ("def f(x, k):\n    raise KeyError('z')\n", VecmlError, "module.py:f raised KeyError: 'z'"),
    ],
)
def test_a_worker_that_never_ends_or_dies(tmp_path: Path, text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        observe(*places(tmp_path, INPUTS + text), 1e-6, 3.0)
    assert str(caught.value) == said
