"""The inputs from which fuzzing begins are what they are meant to be: most are read, and none is more than refused."""

import contextlib
from pathlib import Path

import pytest

from tests.faults import fuzz
from tests.faults.fuzz_targets import GROUPS, make_model, seeds
from vecml.errors import VecmlError


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("group", fuzz.GROUPS)
def test_seeds(tmp_path: Path, group: str) -> None:
    assert GROUPS.keys() == set(fuzz.GROUPS)
    if group == "settings":
        make_model(tmp_path)
    made, taken = list(seeds(group, tmp_path)), 0
    for content in made:
        with contextlib.suppress(VecmlError):
            GROUPS[group](content, tmp_path)
            taken += 1
    assert taken >= len(made) // 2


def test_of_a_kind_of_fault_the_smallest_input_is_kept(tmp_path: Path) -> None:
    told = ['  File "/x/vecml/data/excel.py", line 31, in read_excel', "    zipfile.ZipFile(path)"]
    for content in (b"long", b"x", b"longer"):
        fuzz.keep(tmp_path, content, "ValueError", told)
    (kept,) = (path for path in tmp_path.iterdir() if path.suffix != ".txt")
    assert kept.read_bytes() == b"x"
    assert kept.with_suffix(".txt").read_text().startswith("ValueError\n")
