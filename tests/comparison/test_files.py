"""The files that workers share: they come back as they were, and a killed comparison's are swept away."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.comparison.test_bad_engines import small_model
from vecml import leftovers
from vecml.child import ROOT
from vecml.comparison import files
from vecml.comparison.files import load_model, save_input, save_model, shared_folder
from vecml.errors import StoreError


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders are made, instead of the machine's shared memory."""
    monkeypatch.setattr(files, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(leftovers, "SHARED_MEMORY", tmp_path)
    return tmp_path


def test_a_model_comes_back(tmp_path: Path) -> None:
    model = small_model((4, 7, 5, 3))
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.digest == model.digest
    assert again.architecture == model.architecture


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    x_FN = np.random.default_rng(0).standard_normal((3, 70_001), dtype=np.float32)
    for layout in ("columns", "rows"):
        save_input(x_FN, layout, tmp_path)  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.load(tmp_path / "columns.npy"), x_FN)
    by_row = np.load(tmp_path / "rows.npy")
    assert by_row.flags.c_contiguous
    np.testing.assert_array_equal(by_row, x_FN.T)


def test_the_folder_is_gone_afterwards_whatever_happens(parent: Path) -> None:
    def fail() -> None:
        with shared_folder(10) as folder:
            assert folder.parent == parent
            (folder / "x.npy").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(parent.iterdir()) == []


KILLED = """
import os, sys, signal
from pathlib import Path
from vecml.comparison import files
files.SHARED_MEMORY = Path(sys.argv[1])
with files.shared_folder(10):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_comparison_left_is_swept_and_a_living_ones_is_not(parent: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": ROOT}
    subprocess.run([sys.executable, "-c", KILLED, parent], env=environment, check=False, timeout=60)
    (left,) = parent.iterdir()
    with shared_folder(10) as first:
        leftovers.sweep()
        assert not left.exists()
        assert first.exists()


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        save_input(np.zeros((2, 3), np.float32), "columns", tmp_path / "none")
    assert (
        caught.value.message == f"cannot write the comparison's input to {tmp_path / 'none'}: No such file or directory"
    )
    assert caught.value.hint == "make room there, or give it fewer rows"
