"""The process that makes the slow files: started either way, it makes the same; and its failures are told."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.tracking import side_process
from tasks.tracking.side_process import FileWriter, input_example
from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.errors import StoreError
from vecml.model.store import Classifier, save
from vecml.model.train import train

REQUEST = {"run_id": "r", "model_id": "m", "losses": [1.0, 0.5], "confusion": [[1, 0], [0, 1]], "classes": ["0", "1"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = make_config({"rows": 200, "epochs": 1})
    split = split_table(load_table(config), config.test_fraction, config.seed)
    save(Classifier(train(split, config).model, split.encoding), tmp_path / side_process.CLASSIFIER)
    np.save(tmp_path / side_process.EXAMPLE, input_example(split.train.x_FN))
    return tmp_path


def made(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


EXPECTED = {
    "pictures/loss.png",
    "pictures/confusion.png",
    "mlflow_model/MLmodel",
    "mlflow_model/data/model.pt2",
    "mlflow_model/vecml/model.json",
}


def test_a_process_of_its_own_makes_them(folder: Path) -> None:
    writer = FileWriter()
    writer.write(folder, REQUEST)
    writer.close()
    assert made(folder) >= EXPECTED
    assert "model_id: m" in (folder / "mlflow_model" / "MLmodel").read_text()


def test_a_forked_one_makes_them_too(folder: Path) -> None:
    """In a fresh interpreter: this one has threads by now."""
    script = (
        "import sys, json, pathlib\n"
        "from tasks.tracking import side_process\n"
        "side_process.begin_early()\n"
        "from tasks.tracking.forked import ForkedProcess\n"
        "writer = side_process.file_writer()\n"
        "assert isinstance(writer.child.process, ForkedProcess), 'not forked'\n"
        "writer.write(pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]))\n"
        "writer.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, folder, json.dumps(REQUEST)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert made(folder) >= EXPECTED


def test_its_last_word_is_told_when_it_fails(tmp_path: Path) -> None:
    writer = FileWriter()
    with pytest.raises(
        StoreError,
        match=r"^the run's model could not be exported: its process ended with 1 and said: File.*example.npy",
    ):
        writer.write(tmp_path, REQUEST)
    writer.close()


def test_it_ends_unasked(tmp_path: Path) -> None:
    writer = FileWriter()
    writer.close()
    writer.close()
    assert made(tmp_path) == set()
