"""Saving and loading: the same model comes back, and what was altered is refused before it is used."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.errors import ModelError
from vecml.model.network import Layer
from vecml.model.store import Classifier, load, save
from vecml.model.train import train


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    config = make_config({"rows": 300, "epochs": 1, "hidden": (8, 4)})
    split = split_table(load_table(config), config.test_fraction, config.seed)
    return Classifier(train(split, config).model, split.encoding)


@pytest.fixture
def folder(classifier: Classifier, tmp_path: Path) -> Path:
    save(classifier, tmp_path / "model")
    return tmp_path / "model"


def test_it_comes_back_the_same(classifier: Classifier, folder: Path) -> None:
    back = load(folder)
    assert back.model.digest == classifier.model.digest
    assert back.model.classes == classifier.model.classes
    assert back.encoding.to_json_dict() == classifier.encoding.to_json_dict()
    for one, two in zip(back.model.layers, classifier.model.layers, strict=True):
        np.testing.assert_array_equal(one.weight_OI, two.weight_OI)


def test_an_mlflow_models_folder_will_do(classifier: Classifier, tmp_path: Path) -> None:
    save(classifier, tmp_path / "vecml")
    assert load(tmp_path).model.digest == classifier.model.digest


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^no model in .*: model.json: No such file or directory$"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessing.json"])
def test_an_altered_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is not the file that was saved: its SHA-256 differs"):
        load(folder)


def test_another_format_is_refused(folder: Path) -> None:
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, "format": 99}))
    with pytest.raises(ModelError, match="has format 99; this vecml reads 1"):
        load(folder)


def test_altered_classes_are_noticed(folder: Path) -> None:
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, "classes": ["1", "0"]}))
    with pytest.raises(ModelError, match="was altered: the model's digest differs"):
        load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', "[" * 100_000, "\xff"])
def test_a_damaged_description_is_refused(folder: Path, content: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelError, match="damaged"):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_features", "x"),
        ("n_features", float("inf")),
        ("hidden", ["y"]),
        ("hidden", None),
        ("n_classes", float("nan")),
    ],
)
def test_a_malformed_architecture_is_refused(folder: Path, key: str, value: object) -> None:
    description = json.loads((folder / "model.json").read_text())
    description["architecture"][key] = value
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(ModelError, match=r"model.json is damaged: ") as caught:
        load(folder)
    assert caught.value.hint == "take the model from its run again"


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("layers.0.bias", np.zeros(8), r"layers.0.bias is \(8,\) float64, not \(8,\) float32$"),
        ("layers.0.bias", np.zeros(7, np.float32), r"layers.0.bias is \(7,\) float32, not \(8,\) float32$"),
        ("layers.1.weight", np.zeros((4, 8)), r"layers.1.weight is \(4, 8\) float64, not \(4, 8\) float32$"),
        ("layers.1.weight", None, r"model.safetensors has no layers.1.weight$"),
    ],
)
def test_other_weights_are_refused(folder: Path, name: str, array: np.ndarray | None, message: str) -> None:
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    del arrays[name]
    content = safetensors.numpy.save(arrays if array is None else {**arrays, name: array})
    replace_weights(folder, content)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_weights_of_a_type_that_numpy_has_not_are_refused(folder: Path) -> None:
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    replace_weights(folder, len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ModelError, match=r"model.safetensors "):
        load(folder)


def replace_weights(folder: Path, content: bytes) -> None:
    """Other weights, under a description that gives their SHA-256."""
    (folder / "model.safetensors").write_bytes(content)
    description = json.loads((folder / "model.json").read_text())
    description["sha256"]["model.safetensors"] = hashlib.sha256(content).hexdigest()
    (folder / "model.json").write_text(json.dumps(description))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "preprocessing.json"])
def test_a_pipe_in_a_files_place_is_refused_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match=rf"^no model in .*: {name}: it is no regular file$"):
        load(folder)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "layer 1 has weights that are not finite"),
        (np.inf, "layer 1 has weights that are not finite"),
        (-3e38, "layer 1 has weights that float32 cannot add up: to 6"),
    ],
)
def test_weights_that_give_every_row_one_class(
    classifier: Classifier, folder: Path, value: float, message: str
) -> None:
    """Whoever altered them has made the digests anew."""
    layers = list(classifier.model.layers)
    weight_OI = layers[1].weight_OI.copy()
    weight_OI[0, :2] = value
    layers[1] = Layer(weight_OI, layers[1].bias_O)
    save(Classifier(dataclasses.replace(classifier.model, layers=tuple(layers)), classifier.encoding), folder)
    with pytest.raises(ModelError, match=message):
        load(folder)
