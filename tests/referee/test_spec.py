"""A spec is fixed by its digest, and one that cannot be is refused in one line."""

from pathlib import Path

import pytest

from tests.referee.made_matches import REFERENCE
from vecml.errors import SettingError
from vecml.referee.spec import candidate_of, read_spec

TEXT = 'reference = "reference.py:solve"\ninputs = "reference.py:make_inputs"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reference.py").write_text(REFERENCE, encoding="utf-8")
    (tmp_path / "fast.py").write_text("def solve(x, share):\n    return x\n", encoding="utf-8")
    (tmp_path / "table.txt").write_text("1", encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "spec.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_digest_is_of_the_text_and_of_every_file(folder: Path) -> None:
    text = TEXT + 'files = ["table.txt"]\n'
    first = read_spec(write(folder, text)).digest
    assert read_spec(write(folder, text)).digest == first
    found = {first, read_spec(write(folder, text + "rtol = 1e-8\n")).digest}
    for name in ("reference.py", "table.txt"):
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        found.add(read_spec(write(folder, text)).digest)
        path.write_bytes(before)
    assert len(found) == 4


def test_its_values_are_read(folder: Path) -> None:
    spec = read_spec(write(folder, TEXT + 'sizes = [10, [20, 40]]\nat_least = 2\nbudget = "5m"\nprecision = "any"\n'))
    assert (spec.sizes, spec.ranges, spec.at_least, spec.budget) == ((10, (20, 40)), [(10, 40)], 2.0, "5m")


def test_sizes_between_may_be_ruled_out(folder: Path) -> None:
    spec = read_spec(write(folder, TEXT + "sizes = [8, [20, 40]]\nbetween = false\n"))
    assert spec.ranges == [(8, 8), (20, 40)]
    assert read_spec(write(folder, TEXT)).ranges == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reference = [", "spec.toml"),
        ('inputs = "reference.py:make_inputs"', "reference is missing"),
        (TEXT.replace("solve", "solvent"), "has no function solvent"),
        (TEXT.replace("reference.py:solve", "reference:solve"), "not of the form"),
        (TEXT.replace("reference.py:solve", "missing.py:solve"), "No such file"),
        (TEXT + "speed = 3\n", "speed: no such key"),
        (TEXT + "sizes = [0]\n", "sizes = [0]"),
        (TEXT + "sizes = [[4, 2]]\n", "sizes = [[4, 2]]"),
        (TEXT + "sizes = 7\n", "sizes = 7"),
        (TEXT + "between = 1\n", "between = 1"),
        (TEXT + "rtol = -1\n", "rtol = -1"),
        (TEXT + "rtol = true\n", "rtol = True"),
        (TEXT + 'precision = "double"\n', "precision = 'double'"),
        (TEXT + 'budget = "soon"\n', "soon: not a time"),
        (TEXT + 'files = ["../fast.py"]\n', "not below the spec's folder"),
        (TEXT + 'files = "table.txt"\n', "files is a list"),
    ],
)
def test_what_cannot_be_is_refused(text: str, words: str, folder: Path) -> None:
    with pytest.raises(SettingError) as caught:
        read_spec(write(folder, text))
    assert words in caught.value.message
    assert caught.value.hint


def test_a_budget_is_fixed_by_the_spec(folder: Path) -> None:
    assert read_spec(write(folder, TEXT), "90s").budget == "90s"
    with pytest.raises(SettingError, match="--budget 90s"):
        read_spec(write(folder, TEXT + 'budget = "60s"\n'), "90s")


def test_the_candidate_is_a_file_of_its_own(folder: Path) -> None:
    spec = read_spec(write(folder, TEXT))
    assert candidate_of("fast.py:solve", folder, spec).file == "fast.py"
    for text, words in [
        ("reference.py:solve", "own files"),
        ("fast.py:fly", "no function fly"),
        ("none.py:solve", "No such file"),
        ("fast:solve", "not of the form"),
    ]:
        with pytest.raises(SettingError, match=words):
            candidate_of(text, folder, spec)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{TEXT}x = {'[' * 20_000}{']' * 20_000}", "recursion"),
        (f"{TEXT}candidate = 5", "candidate = 5"),
        (f'{TEXT}files = ["a\\u0000"]', "null byte"),
        (f"{TEXT}sizes = [{'9' * 30}]", "sizes"),
        (f"{TEXT}at_least = 0x{'f' * 4_000}", "thousands of digits"),
        (TEXT.replace('"reference.py:solve', '"../reference.py:solve'), "not below"),
        ('command = "./a\\u0000"\ninputs = "reference.py:make_inputs"\n', "byte of zero"),
    ],
)
def test_a_hostile_spec_is_refused_in_one_line(text: str, words: str, folder: Path) -> None:
    with pytest.raises(SettingError, match=words):
        read_spec(write(folder, text))


def test_a_word_longer_than_a_name_is_no_file(folder: Path) -> None:
    text = f'command = "./{"a" * 5_000}"\ninputs = "reference.py:make_inputs"\n'
    assert list(read_spec(write(folder, text)).files) == ["reference.py", "_command.py"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# coding: latin-1\nname = '\xe9'\ndef solve(x): return x\n", "not UTF-8"),
        (b"def solve(x): return x\ny = " + b"+".join([b"1"] * 100_000), "nested too deeply"),
        (b"def solve(x): return x\ny = " + b"-" * 100_000 + b"1", "nested too deeply"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(content: bytes, words: str, folder: Path) -> None:
    (folder / "hostile.py").write_bytes(content)
    with pytest.raises(SettingError, match=words):
        candidate_of("hostile.py:solve", folder, read_spec(write(folder, TEXT)))


@pytest.mark.parametrize("name", ["a\0.py", "~nobody-of-this-name/a.py", "\ud800.py", "loop.py"])
def test_a_name_that_no_file_has_is_refused_in_one_line(name: str, folder: Path) -> None:
    (folder / "loop.py").symlink_to("loop.py")
    with pytest.raises(SettingError, match="candidate"):
        candidate_of(f"{name}:solve", folder, read_spec(write(folder, TEXT)))
