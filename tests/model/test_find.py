"""A class of one's own is found by its name and made; every refusal is in words."""

import sys
from pathlib import Path

import pytest
from torch import nn

from vecml.errors import SettingError
from vecml.model.find import find_class, make, parts_of

HERE = "tests.model.own_modules"
RESIDUAL, CONV, NORMALISED = f"{HERE}:Residual", f"{HERE}:ConvClassifier", f"{HERE}:Normalised"


@pytest.mark.parametrize("name", ["Net", "a.b", "a:b:c", ":Net", "a:", "a b:Net", "a/b.py:Net", "1a:Net", ""])
def test_a_name_of_another_form(name: str) -> None:
    with pytest.raises(SettingError) as caught:
        parts_of(name)
    assert caught.value.message == f"--architecture {name}: not of the form package.module:Class"
    assert caught.value.hint == "for example --architecture examples.own_model:ConvClassifier"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nosuchpackage.net:Net", "there is no module nosuchpackage"),
        ("tests.model.nosuch:Net", "there is no module tests.model.nosuch"),
        (f"{HERE}:Net", f"{HERE} has no Net"),
        (f"{HERE}:Residual.inner", f"{HERE} has no Residual.inner"),
        (f"{HERE}:some_function", "some_function is a builtin_function_or_method, not a class of torch.nn.Module"),
        (f"{HERE}:Plain", "Plain is a class, not a class of torch.nn.Module"),
    ],
)
def test_a_class_that_is_not_there(name: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        find_class(name)
    assert caught.value.message == f"--architecture {name}: {said}"


def test_the_nearest_class_is_named() -> None:
    with pytest.raises(SettingError) as caught:
        find_class(f"{HERE}:Residul")
    assert caught.value.hint == "did you mean Residual?"


NET = """
import torch
class Net(torch.nn.Linear):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    return tmp_path


def test_the_current_folder_is_looked_through(folder: Path) -> None:
    (folder / "net_of_this_folder.py").write_text(NET)
    assert find_class("net_of_this_folder:Net").__name__ == "Net"
    assert sys.path[-1] == str(folder)  # last: what libraries import later is not for it to replace


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise OSError('no disk\\nand more')", "OSError: no disk"),
        ("import nosuchlibrary", "ModuleNotFoundError: No module named 'nosuchlibrary'"),
        ("def (", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_an_import_that_fails(folder: Path, source: str, said: str) -> None:
    name = f"fails_{abs(hash(source))}"
    (folder / f"{name}.py").write_text(source)
    with pytest.raises(SettingError) as caught:
        find_class(f"{name}:Net")
    assert caught.value.message.startswith(f"--architecture {name}:Net: importing {name} failed: {said}")
    assert "\n" not in caught.value.message


def test_numbers_by_name() -> None:
    assert isinstance(make(f"{HERE}:Named", 3, 2), nn.Module)
