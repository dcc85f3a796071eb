"""The process that makes the slow files: started either way, it makes the same; and its failures are told."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.tracking import side_process
from tasks.tracking.forked import ending_held
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
    made_folder(tmp_path)
    return tmp_path


def made_folder(folder: Path, **values: Any) -> None:
    """Put into `folder` what a request needs: a classifier trained with these values, and rows of an example."""
    config = make_config({"rows": 200, "epochs": 1, **values})
    split = split_table(load_table(config), config.test_fraction, config.seed)
    save(Classifier(train(split, config).model, split.encoding), folder / side_process.CLASSIFIER)
    np.save(folder / side_process.EXAMPLE, input_example(split.train.x_FN))


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
    write_forked(folder, REQUEST)
    assert made(folder) >= EXPECTED


def write_forked(folder: Path, request: dict[str, Any]) -> None:
    """Write the files by a forked process, in a fresh interpreter: this one has threads by now."""
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
        [sys.executable, "-c", script, folder, json.dumps(request)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def write_spawned(folder: Path, request: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side_process, "can_fork", lambda: False)
        writer = FileWriter()
    writer.write(folder, request)
    writer.close()


NOISY = """
import torch
from torch import nn
print("imported", flush=True)

class Net(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        print("done?", flush=True)
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, x_NF):
        print("called", flush=True)
        return self.layer(x_NF) + x_NF.sum(1, keepdim=True)
"""


@pytest.mark.parametrize("write", [write_spawned, write_forked])
def test_what_the_users_module_prints_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, dict[str, Any]], None]
) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "noisy", raising=False)
    made_folder(tmp_path, architecture="noisy:Net")
    write(tmp_path, {**REQUEST, "architecture": "noisy:Net", "path": [str(tmp_path)]})
    assert made(tmp_path) >= EXPECTED


def test_an_answer_that_is_not_the_right_one_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = FileWriter()
    monkeypatch.setattr(writer.child, "receive", lambda _: b"imported")
    with pytest.raises(StoreError) as caught:
        writer.write(tmp_path, REQUEST)
    writer.close()
    assert caught.value.message == "the run's model could not be exported: its process answered: imported"


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


class EndedError(Exception):
    """What the handler of the test raises."""


def test_a_signal_waits_until_nothing_is_half_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that the system gives to another thread, which a mask of this thread would not keep away."""

    def leave(number: int, _frame: object) -> None:
        raise EndedError(number)

    over, steps = threading.Event(), ["begun"]
    other = threading.Thread(target=over.wait, args=(20,))
    before = signal.signal(signal.SIGTERM, leave)
    other.start()
    try:
        with pytest.raises(EndedError), ending_held():  # noqa: PT012 -- what comes after the signal is the point
            signal.pthread_kill(other.ident or 0, signal.SIGTERM)
            time.sleep(0.2)  # until that thread has taken it
            steps.append("over")
        assert steps[-1] == "over"
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        over.set()
        other.join()
        signal.signal(signal.SIGTERM, before)
