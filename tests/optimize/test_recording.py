"""Inputs from real calls: a command or a test is run, and the arguments of the function's calls are kept."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.tracking.results import optimization_params
from vecml.cli.app import app
from vecml.errors import DataError, MeasureError, SettingError
from vecml.optimize.agreement import difference
from vecml.optimize.candidates import registry
from vecml.optimize.recording import Command, Recording, command_of, record
from vecml.optimize.steps import Request, optimize, to_json_dict
from vecml.optimize.target import Place, find_place, further_inputs, load, make_inputs
from vecml.optimize.validate import How, validate
from vecml.report.optimize import as_text

pytestmark = pytest.mark.filterwarnings("ignore:VML011", "ignore:VML012")
SLOW = """
import time
from dataclasses import dataclass
import numpy as np

@dataclass
class Mesh:
    points: object

def f(x, *rest, **named):
    if rest and rest[0] == "wait":
        time.sleep(rest[1])
    x[:1] = -1.0
    if rest and rest[0] == "fail":
        raise ValueError("no")
    return x * 2

def g(x, power=2, when=None, *, shift=0.0):
    time.sleep(len(x) / 1000)
    return x ** power + shift

def h(n):
    return n if n < 2 else h(n - 1) + h(n - 2)

def of_mesh(mesh):
    return mesh.points * 2
"""


def recorded(folder: Path, script: str, name: str = "f", limit: float = 60.0) -> tuple[Recording, Place]:
    (folder / "slow.py").write_text(SLOW)
    (folder / "script.py").write_text(script)
    command = command_of(None, f"python {folder}/script.py a b")
    return record(find_place(f"{folder}/slow.py:{name}", "TARGET"), command, folder / "recorded", limit)


def refused(folder: Path, script: str, name: str = "f", limit: float = 60.0) -> str:
    with pytest.raises(DataError) as caught:
        recorded(folder, script, name, limit)
    return f"{caught.value.message} | {caught.value.hint}".replace(f"{folder}/", "")


def test_the_longest_call_is_chosen_as_it_was_before_it_ran(tmp_path: Path) -> None:
    found, inputs = recorded(
        tmp_path,
        "import sys, numpy as np\nfrom slow import f as called\nassert sys.argv[1:] == ['a', 'b']\n"
        "called(np.arange(3.0))\ncalled(np.arange(4.0), 'wait', 0.3)\ncalled(x=np.arange(5.0))\n",
    )
    assert (found.calls, found.looked_at, found.remarks) == (3, 3, ())
    assert found.source.startswith("--call 'python ")
    assert found.kept[0].number == 2
    assert inputs.text == "recorded call 2"
    x, *rest = make_inputs(inputs)
    assert (x.tolist(), rest) == ([0.0, 1.0, 2.0, 3.0], ["wait", 0.3])
    others = dict(further_inputs(inputs))
    assert {name: len(one[0]) for name, one in others.items()} == {"recorded call 1": 3, "recorded call 3": 5}


@pytest.mark.long
def test_defaults_are_arguments_too_but_for_none_at_the_end(tmp_path: Path) -> None:
    found, inputs = recorded(
        tmp_path, "import slow, numpy as np\nslow.g(np.arange(50.0))\nslow.g(np.arange(9.0), power=3, shift=0.0)\n", "g"
    )
    assert found.remarks == ()
    assert [one[1:] for one in (make_inputs(inputs), further_inputs(inputs)[0][1])] == [(2,), (3,)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "run"),
    [
        ("from slow import f\n", "python script.py"),
        ("import importlib\nf = importlib.import_module('slow').f\n", "python -m script"),
        ("from slow import f\n", "script.py"),
        ("from slow import f\n", "bash -c 'cd . && python3 script.py'"),
    ],
)
def test_wherever_it_is_imported(script: str, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "script.py").write_text(f"{script}import numpy as np\nf(np.ones(3))\n")
    found, inputs = record(find_place("slow.py:f", "TARGET"), command_of(None, run), tmp_path / "recorded", 60)
    assert found.calls == 1
    assert len(make_inputs(inputs)[0]) == 3


@pytest.mark.long
def test_a_function_of_the_script_itself_and_its_classes(tmp_path: Path) -> None:
    text = f"{SLOW}\nif __name__ == '__main__':\n    of_mesh(Mesh(np.arange(7.0)))\n"
    (tmp_path / "slow.py").write_text(text)
    target = find_place(f"{tmp_path}/slow.py:of_mesh", "TARGET")
    _, inputs = record(target, command_of(None, f"python {tmp_path}/slow.py"), tmp_path / "recorded", 60)
    function = load(target)
    (mesh,) = make_inputs(inputs)
    assert type(mesh) is function.__globals__["Mesh"]
    assert function(mesh).tolist() == (np.arange(7.0) * 2).tolist()


@pytest.mark.long
def test_by_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "test_slow.py").write_text(
        "import numpy as np\nfrom slow import f\n\ndef test_one():\n    f(np.ones(3))\n\n"
        "def test_two():\n    f(np.ones(4))\n    assert False, 'really'\n"
    )
    target = find_place("slow.py:f", "TARGET")
    found, inputs = record(target, command_of("test_slow.py::test_one", None), tmp_path / "one", 60)
    assert (found.calls, found.source, found.remarks) == (1, "--pytest test_slow.py::test_one", ())
    assert make_inputs(inputs)[0].tolist() == [1, 1, 1]
    found, _ = record(target, command_of("test_slow.py::test_two", None), tmp_path / "two", 60)
    assert found.remarks == ("it ended with 1: AssertionError: really",)
    with pytest.raises(DataError, match=r"did not call slow\.py:f, and ended with 4: ERROR: not found: .*test_none"):
        record(target, command_of("test_slow.py::test_none", None), tmp_path / "none", 60)


@pytest.mark.long
def test_recursion_threads_and_child_processes(tmp_path: Path) -> None:
    found, inputs = recorded(tmp_path, "import slow\nslow.h(6)\n", "h")
    assert (found.calls, make_inputs(inputs)) == (1, (6,))
    assert found.remarks == ("24 calls of itself within a call are part of that call",)
    (tmp_path / "other").mkdir()
    found, inputs = recorded(
        tmp_path / "other",
        "import multiprocessing, os, subprocess, sys, threading, numpy as np\nfrom slow import f\n"
        "if __name__ == '__main__':\n"
        "    thread = threading.Thread(target=f, args=(np.ones(1),), name='own')\n"
        "    thread.start()\n    thread.join()\n"
        "    for way in ('fork', 'spawn'):\n"
        "        one = multiprocessing.get_context(way).Process(target=f, args=(np.ones(2), 'wait', 0.1))\n"
        "        one.start()\n        one.join()\n"
        "    subprocess.run([sys.executable, '-c', 'import slow, numpy; slow.f(numpy.ones(3))'], cwd=sys.path[0])\n",
    )
    assert found.calls == 4
    assert sorted(one.process is None for one in found.kept) == [False, False, False, True]
    assert [one.thread for one in found.kept if one.process is None] == ["own"]
    assert inputs.text == f"recorded call 1 of process {found.kept[0].process}"
    assert len(make_inputs(inputs)[0]) == 2


@pytest.mark.long
def test_many_calls_are_bounded(tmp_path: Path) -> None:
    found, inputs = recorded(
        tmp_path, "import slow, numpy as np\nfor n in range(1000):\n    slow.f(np.ones(2 + n % 3), n)\n"
    )
    assert (found.calls, len(found.kept)) == (1000, 5)
    assert 100 < found.looked_at < 500
    assert len(further_inputs(inputs)) == 4


@pytest.mark.long
def test_what_cannot_be_recorded_is_named(tmp_path: Path) -> None:
    said = refused(tmp_path, "import slow\nslow.f((one for one in 'ab'))\n")
    assert "slow.py:f: the argument x is a generator, which one call uses up: not recorded | give a list of" in said
    (tmp_path / "a").mkdir()
    said = refused(tmp_path / "a", "import slow, numpy as np\nslow.g(np.ones(2), shift=1.0)\n", "g")
    assert "the argument shift is given by name alone" in said
    (tmp_path / "b").mkdir()
    script = "import slow, numpy as np\nslow.f(np.ones(2))\nslow.f(np.ones(3), open(__file__))\n"
    found, _ = recorded(tmp_path / "b", script)
    assert (found.calls, len(found.kept)) == (2, 1)
    assert found.remarks == ("some calls are not recorded: rest[0] is an open file, which one call uses up",)


@pytest.mark.long
def test_nothing_to_record(tmp_path: Path) -> None:
    def said(script: str, limit: float = 60.0) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return refused(folder, script, limit=limit)

    assert "script.py a b' never calls slow.py:f | --inputs" in said("import slow\n")
    assert "did not call slow.py:f, and ended with 1: KeyError: 'k' | run it by itself" in said("{}['k']\n")
    assert "was ended by SIGSEGV: nothing" in said("import os\nos.kill(os.getpid(), 11)\n")
    fails = "import slow, numpy\nslow.f(numpy.ones(2), 'fail')\n"
    assert "slow.py:f raises in its only call: ValueError: no | --inputs" in said(fails)
    assert "did not end within 3 s, and had not called slow.py:f by then" in said("import time\ntime.sleep(60)\n", 3)
    waits = "import slow, numpy\nslow.f(numpy.ones(2), 'wait', 60)\n"
    assert "its first call of slow.py:f did not end within 3 s | smaller inputs" in said(waits, 3)
    elsewhere = (
        "import pathlib, sys\nhere = pathlib.Path(sys.path[0]) / 'copy'\nhere.mkdir()\n"
        "(here / 'slow.py').write_text('def f(x): pass')\nsys.path.insert(0, str(here))\n"
        "import slow\nslow.f(1)\n"
    )
    assert "never calls slow.py:f; it calls f of copy/slow.py" in said(elsewhere)


def test_calls_of_an_earlier_definition_of_the_name_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "def same(one):\n    return one\n\n@same\ndef run(x):\n    return x\n\nfirst = run\n\n"
        "@same\n@same\ndef run(x):\n    return x + 1\n"
    )
    target = find_place(f"{tmp_path}/slow.py:run", "TARGET")
    command = command_of(None, f"python {tmp_path}/script.py")
    (tmp_path / "script.py").write_text("import slow\nslow.first(3)\n")
    with pytest.raises(DataError, match=r"never calls slow\.py:run; it calls the definition at line 4$"):
        record(target, command, tmp_path / "one", 60)
    (tmp_path / "script.py").write_text("import slow\nslow.first(3)\nslow.run(4)\n")
    found, inputs = record(target, command, tmp_path / "two", 60)
    assert (found.calls, make_inputs(inputs)) == (1, (4,))


def test_a_class_method_on_a_subclass_is_not_replayed_on_the_class(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "class Model:\n    by = 1\n\n    @classmethod\n    def of(cls, x):\n        return x * cls.by\n\n"
        "class Twice(Model):\n    by = 2\n"
    )
    target = find_place(f"{tmp_path}/slow.py:Model.of", "TARGET")
    command = command_of(None, f"python {tmp_path}/script.py")
    (tmp_path / "script.py").write_text("import slow\nslow.Twice.of(3)\n")
    with pytest.raises(DataError, match=r"the argument cls is the subclass Twice: not recorded") as caught:
        record(target, command, tmp_path / "one", 60)
    assert "record calls of the class itself" in str(caught.value.hint)


def test_a_class_that_only_a_script_run_by_itself_has_is_said(tmp_path: Path) -> None:
    text = (
        "def f(x):\n    return x\n\nif __name__ == '__main__':\n    class Own:\n        pass\n    f(3)\n    f(Own())\n"
    )
    (tmp_path / "slow.py").write_text(text)
    target, command = find_place(f"{tmp_path}/slow.py:f", "TARGET"), command_of(None, f"python {tmp_path}/slow.py")
    _, inputs = record(target, command, tmp_path / "recorded", 60)
    with pytest.raises(DataError, match=r"recorded call 2 cannot be read back: AttributeError: .* 'Own'") as caught:
        [make_inputs(inputs), further_inputs(inputs)]
    assert "outside of if __name__" in str(caught.value.hint)


GOES_ON = """
import json, os, shutil, sys
from pathlib import Path
from vecml.optimize.recorder import start

def f(x):
    return x

folder, root = map(Path, sys.argv[1:])
(folder / "calls").mkdir(parents=True)
config = {"file": __file__, "name": "f", "line": None, "root": str(root), "most_bytes": 10**6, "bound": False}
(folder / "config.json").write_text(json.dumps({**config, "parent": 0}))
start(folder)
f([1])
shutil.rmtree(folder)
assert f([1, 2]) == [1, 2]
of_another = {}
exec(compile("def f():\\n    return 5\\n", "elsewhere/script.py", "exec"), of_another)
assert of_another["f"]() == 5
print("went on")
"""


def test_a_recorder_that_cannot_write_does_not_stop_the_users_code(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(GOES_ON)
    root = Path(__file__).parents[2]
    words = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "recorded"), str(root)]
    ran = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("went on\n", "")


def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    script = (
        "import slow, sys, pathlib, shutil\nfolder = pathlib.Path(sys.argv[0]).parent / 'recorded'\n"
        "slow.h(1)\nshutil.rmtree(folder / 'calls')\n"
        "folder.joinpath('calls').write_text('')\n"
    )
    script += "import os\nfolder.joinpath(f'{os.getpid()}.fault').mkdir()\nslow.h(1)\n"
    with pytest.raises(
        MeasureError, match="cannot be recorded: writing down 1 call failed, and so did writing down why"
    ):
        recorded(tmp_path, script, "h")


@pytest.mark.long
def test_what_was_recorded_before_the_end_counts(tmp_path: Path) -> None:
    fails = "try:\n    slow.f(np.ones(3), 'fail')\nexcept ValueError:\n    pass\n"
    script = f"import slow, numpy as np\nslow.f(np.ones(2))\n{fails}"
    found, inputs = recorded(tmp_path, f"{script}slow.f(np.ones(4), 'wait', 60)\n", limit=5)
    assert found.remarks == (
        "it did not end within 5 s; what it had called by then is recorded",
        "1 call raised, and is left out",
        "1 call did not end, and is left out",
    )
    assert make_inputs(inputs)[0].tolist() == [1, 1]


@pytest.mark.long
def test_the_users_own_sitecustomize_runs_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import builtins\nbuiltins.OWN = 3\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    script = "import slow, sitecustomize, sys, numpy as np\nslow.f(np.ones(OWN))\nprint(sitecustomize.__file__)\n" \
        "assert not [one for one in sys.path if 'recorded' in one]\n"  # fmt: skip
    found, inputs = recorded(tmp_path, script)
    assert found.remarks == ()
    assert len(make_inputs(inputs)[0]) == 3


def test_nothing_is_pickled(tmp_path: Path) -> None:
    _, inputs = recorded(tmp_path, "import slow, numpy as np\nslow.f(np.ones(2), {'a': np.ones(3)})\n")
    files = sorted(one.name for one in Path(inputs.file).parent.iterdir())
    assert files == ["0.npy", "1.npy", "call.json", "meta.json"]
    assert json.loads(Path(inputs.file).read_text())[1]["kind"] == "dict"


@pytest.mark.long
def test_candidates_are_held_to_the_other_calls_too(tmp_path: Path) -> None:
    _, inputs = recorded(
        tmp_path, "import slow, numpy as np\nslow.g(np.arange(50.0))\nslow.g(np.arange(9.0), power=3)\n", "g"
    )
    (tmp_path / "fast.py").write_text("def fast(x, power, when=None):\n    return x * x\n")
    target, fast = (find_place(f"{tmp_path}/{one}", "TARGET") for one in ("slow.py:g", "fast.py:fast"))
    found = validate(target, fast, inputs, How(1e-6, search_seconds=1.0), 60)
    assert (found.outcome, found.smallest) == ("wrong", "over recorded call 2")
    assert not found.is_generated


def test_commands(tmp_path: Path) -> None:
    assert command_of(None, "python a.py 'b c'") == Command(
        (sys.executable, "a.py", "b c"), "--call 'python a.py '\"'\"'b c'\"'\"''"
    )
    assert command_of(None, "pytest -q").words == (sys.executable, "-m", "pytest", "-q")
    for given, said in {
        "python 'a": "no closing quotation",
        " ": "--call is empty",
        "no_such_program x": "there is no program no_such_program",
    }.items():
        with pytest.raises(SettingError, match=said):
            command_of(None, given)


@pytest.mark.long
def test_a_table_goes_the_same_way(tmp_path: Path) -> None:
    pd: Any = pytest.importorskip("pandas")
    table = "pd.DataFrame({'a': [1, 2], 'b': ['x', None]})"
    _, inputs = recorded(tmp_path, f"import slow, pandas as pd, numpy as np\nslow.f(np.ones(2), 'x', {table})\n")
    assert difference(make_inputs(inputs)[2], pd.DataFrame({"a": [1, 2], "b": ["x", None]}), 0.0) is None


def test_one_of_three_ways_gives_the_inputs(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    target = f"{tmp_path}/slow.py:f"
    ways = "--inputs FILE.py:make_inputs, --pytest tests/test_x.py::test_y, or --call 'python script.py --its args'"
    for flags, said in (
        ((), f"{target}: no inputs: {ways}"),
        (("--pytest", "a", "--call", "b"), "--pytest and --call: each gives the inputs"),
        (("--call", "no_such_program"), "--call no_such_program: there is no program no_such_program"),
    ):
        with pytest.raises(SettingError) as caught:
            app(["optimize", target, *flags], standalone_mode=False)
        assert caught.value.message == said


@pytest.mark.long
def test_all_five_steps_over_what_was_recorded(tmp_path: Path, short_looks: None) -> None:
    (tmp_path / "slow.py").write_text(
        "import numpy as np\n\n\ndef squares(x):\n    out = np.zeros(len(x))\n"
        "    for i in range(len(x)):\n        out[i] = x[i] * x[i]\n    x[:1] = 5\n    return out\n"
    )
    (tmp_path / "script.py").write_text(
        "import numpy as np\nfrom slow import squares\nfor n in (3, 2000):\n    squares(np.arange(float(n)))\n"
    )
    command = command_of(None, f"python {tmp_path}/script.py")
    heard: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "VARIANTS", {})  # each takes seconds, and has tests of its own
        request = Request(f"{tmp_path}/slow.py:squares", "", budget="quick", recorded_from=command)
        found = optimize(request, heard.append)
    assert heard[0].startswith("before them: recording the calls of slow.py:squares by --call 'python ")
    assert found.observation.mutated == ("x",)
    assert [one.fault for one in found.tried if one.candidate.name in ("numpy", "numba")] == [None, None]
    assert found.recording is not None
    assert [one.number for one in found.recording.kept] == [2, 1]
    text = as_text(found)
    assert "\n\nInputs: recorded call 2 of 2: " in text
    assert "   Candidates are also held to call 1." in text
    record = json.loads(json.dumps(to_json_dict(found), allow_nan=False))
    assert record["recording"]["kept"][0]["number"] == 2
    assert record["request"]["recorded_from"]["text"] == command.text
    assert optimization_params(found)["inputs"] == command.text


@pytest.mark.long
def test_methods_have_their_object_first(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import numpy as np\n\nclass Model:\n    def __init__(self):\n        self.w = np.arange(3.0)\n\n"
        "    def step(self, x):\n        return self.w * x\n\n"
        "    @classmethod\n    def of(cls, x):\n        return x + 1\n"
    )
    script = "import slow, numpy as np\nslow.Model().step(np.ones(3))\nslow.Model.of(np.zeros(2))\n"
    (tmp_path / "script.py").write_text(script)
    command = command_of(None, f"python {tmp_path}/script.py")
    for name, expected in (("Model.step", [0.0, 1.0, 2.0]), ("Model.of", [1.0, 1.0])):
        target = find_place(f"{tmp_path}/slow.py:{name}", "TARGET")
        _, inputs = record(target, command, tmp_path / name, 60)
        assert load(target)(*make_inputs(inputs)).tolist() == expected
