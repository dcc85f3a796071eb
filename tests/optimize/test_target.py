"""Names of functions: what is found without running it, and what is refused, in one line each."""

import sys
from pathlib import Path

import pytest

from vecml.errors import DataError, SettingError
from vecml.optimize.target import find_place, load, make_inputs

TEXT = "raise RuntimeError('ran')\ndef distances(x):\n    return x\n"


def test_a_function_is_found_without_running_its_module(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(TEXT)
    place = find_place(f"{tmp_path}/slow.py:distances", "TARGET")
    assert (place.name, place.text, place.folder) == ("distances", "slow.py:distances", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("slow.py", "TARGET slow.py: not of the form path/module.py:function", "for example"),
        ("none.py:f", "TARGET none.py:f: there is no file none.py", "for example"),
        ("slow.py:distance", "TARGET slow.py:distance: slow.py has no function distance", "it has distances"),
        ("empty.py:f", "TARGET empty.py:f: empty.py has no function f", "define it with def"),
    ],
)
def test_what_is_no_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str, hint: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(TEXT)
    Path("empty.py").write_text("")
    with pytest.raises(SettingError) as caught:
        find_place(name, "TARGET")
    assert caught.value.message == said
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_what_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("def f(:\n")
    with pytest.raises(SettingError, match=r"slow\.py, line 1: invalid syntax$"):
        find_place(f"{tmp_path}/slow.py:f", "TARGET")


def test_a_module_that_raises_and_inputs_that_are_no_tuple(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "slow.py").write_text(TEXT)
    with pytest.raises(DataError, match=r"^importing slow\.py raised RuntimeError: ran$"):
        load(find_place(f"{tmp_path}/slow.py:distances", "TARGET"))
    (tmp_path / "inputs.py").write_text("def make():\n    return [1]\n")
    with pytest.raises(DataError, match=r"^inputs\.py:make gave a list, not the tuple of arguments$"):
        make_inputs(find_place(f"{tmp_path}/inputs.py:make", "--inputs"))


def test_a_file_that_its_own_package_runs_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "registering"
    package.mkdir()
    (package / "__init__.py").write_text("names = []\nfrom registering import parts\n")
    (package / "parts.py").write_text(
        "import registering\nassert not registering.names, 'twice'\nregistering.names.append('f')\n\n"
        "def f(x):\n    return x\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert load(find_place(f"{package}/parts.py:f", "TARGET"))(3) == 3
    for name in ("registering", "registering.parts"):
        del sys.modules[name]
