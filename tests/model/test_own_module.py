"""A module of one's own: looked at, trained, made a model, saved and made anew; every refusal is in words."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import vecml
from tests.model.made_split import made_split
from vecml.data.split import Split
from vecml.errors import ModelError, SettingError, TrainingError
from vecml.model.find import make
from vecml.model.network import Model
from vecml.model.own_module import OwnModel, Standardised, model_from, own_logits
from vecml.model.store import Classifier, load, save
from vecml.model.train import train

HERE = "tests.model.own_modules"
RESIDUAL, CONV, NORMALISED = f"{HERE}:Residual", f"{HERE}:ConvClassifier", f"{HERE}:Normalised"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Fails", "Fails(3, 2) failed: RuntimeError: no such thing"),
        ("FailsForward", "it fails on 5 rows of 3 features: ValueError: cannot"),
        ("OneLogit", "it gives (5, 1) float32 for 5 rows of 3 features, not (5, 2) float32"),
        ("Integers", "it gives (5, 2) int64 for 5 rows of 3 features, not (5, 2) float32"),
        ("Pair", "it gives a tuple, not logits: (5, 2) float32"),
        ("NotFinite", "its last.bias is not finite"),
        ("Half", "its layer.weight is float16, not float32"),
        ("ExtraState", "its state _extra_state is a dict, not a tensor"),
        ("Random", "it gives other logits for the same rows each time"),
        ("Unsaved", "another one with the same state gives other logits, so a saved one could not be loaded"),
        ("AcrossRows", "its logits for a row depend on the other rows of the call"),
        ("Float32Only", "a copy of it does not run in float64, which the reference needs: RuntimeError: "),
        ("Rounds", "a copy of it in float64 gives other logits"),
        ("ChangesRows", "it changes the rows that it is given"),
        ("Counts", "its calls changes when it is called, in evaluation mode too"),
        ("Squeezes", "it gives (2,) for a single row, not (1, 2)"),
        ("Normalises", "it fails on a single row, and not on 5: ValueError: Expected more than 1 value per channel"),
        ("DividesByDeviation", "its logits for a row depend on the other rows of the call"),
        ("Leaves", "it fails on 5 rows of 3 features: SystemExit: nope"),
    ],
)
def test_a_module_that_is_no_classifier(tmp_path: Path, kind: str, said: str) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:{kind}")
    with pytest.raises(SettingError) as caught:
        train(split, config)
    assert caught.value.message.startswith(f"--architecture {HERE}:{kind}: {said}")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("NoParameters", "it has no parameters to train"),
        ("FailsTraining", "training failed: RuntimeError: not while training"),
    ],
)
def test_a_module_that_cannot_be_trained(tmp_path: Path, kind: str, said: str) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:{kind}")
    with pytest.raises(TrainingError) as caught:
        train(split, config)
    assert caught.value.message == f"--architecture {HERE}:{kind}: {said}"


def test_a_module_that_cannot_be_traced(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:Branches")
    with pytest.raises(SettingError, match=r"torch\.export cannot trace Branches: "):
        train(split, config)


def right(model: Model | OwnModel, split: Split) -> float:
    """The share of the test part that the model labels right."""
    from vecml.comparison.reference import reference_labels

    return float((reference_labels(model, split.test.x_FN) == split.test.label_N).mean())


def test_a_chain_becomes_a_plain_model(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=NORMALISED, epochs=40)
    trained = train(split, config)
    assert isinstance(trained.model, Model)
    assert trained.model.architecture.widths == (3, 32, 2)
    assert len(trained.losses) == 40
    assert trained.losses[-1] < trained.losses[0]
    assert right(trained.model, split) > 0.9
    again = train(split, config)
    assert again.model.digest == trained.model.digest
    save(Classifier(trained.model, split.encoding), tmp_path / "model")
    assert load(tmp_path / "model").model.digest == trained.model.digest  # and its class is not needed


def test_anything_else_becomes_an_own_model(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=CONV, epochs=40)
    state = torch.random.get_rng_state()
    model = train(split, config).model
    assert torch.equal(torch.random.get_rng_state(), state)
    assert isinstance(model, OwnModel)
    assert isinstance(model.module, Standardised)
    assert not any(part.training for part in model.module.modules())
    shape = model.architecture
    assert (shape.name, shape.n_features, shape.n_classes, shape.obstacle) == (CONV, 3, 2, "aten.conv1d")
    assert shape.multiply_adds == 8 * 3 * 3 + 8 * 3 * 2
    assert right(model, split) > 0.9
    assert float(model.module.module.norm.running_mean.abs().sum()) > 0  # the buffers were trained
    assert train(split, config).model.digest == model.digest
    assert train(split, config.model_copy(update={"seed": 1})).model.digest != model.digest


def test_a_lone_last_row_is_no_trouble_for_batch_normalisation(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=NORMALISED, batch_size=11)
    assert split.train.n_rows % 11 == 1
    assert len(train(split, config).losses) == 3


def test_batches_of_one_row_are(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=NORMALISED, batch_size=1)
    with pytest.raises(TrainingError, match="training failed: ValueError: Expected more than 1 value per channel"):
        train(split, config)


def test_what_is_frozen_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.model import own_modules

    class Frozen(own_modules.Residual):
        def __init__(self, n_features: int, n_classes: int) -> None:
            super().__init__(n_features, n_classes)
            self.first.weight.requires_grad_(False).fill_(0.25)

    monkeypatch.setattr(own_modules, "Frozen", Frozen, raising=False)
    split, config = made_split(tmp_path, architecture=f"{HERE}:Frozen")
    model = train(split, config).model
    assert isinstance(model, OwnModel)
    assert bool((model.module.state_dict()["module.first.weight"] == 0.25).all())


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Classifier, Path]:
    """A trained residual network, and the folder that holds it."""
    split, config = made_split(tmp_path, architecture=RESIDUAL)
    classifier = Classifier(train(split, config).model, split.encoding)
    save(classifier, tmp_path / "model")
    return classifier, tmp_path / "model"


def test_saved_and_made_anew(saved: tuple[Classifier, Path]) -> None:
    classifier, folder = saved
    loaded = load(folder, architecture=RESIDUAL)
    assert loaded.encoding == classifier.encoding
    assert loaded.model.digest == classifier.model.digest
    assert loaded.model.architecture == classifier.model.architecture
    assert isinstance(loaded.model, OwnModel)
    assert isinstance(classifier.model, OwnModel)
    x_FN = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)
    expected_NC = own_logits(classifier.model, x_FN)
    np.testing.assert_array_equal(own_logits(loaded.model, x_FN), expected_NC)
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.safetensors", "preprocessing.json"}


def test_nothing_is_imported_because_a_file_says_so(saved: tuple[Classifier, Path], tmp_path: Path) -> None:
    _, folder = saved
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert caught.value.message == (
        f"{folder}/model.json was made by {RESIDUAL}, which is code: nothing is imported because a file says so"
    )
    assert caught.value.hint == (
        f"load(folder, architecture='{RESIDUAL}'), or --architecture {RESIDUAL}, if you trust it"
    )
    evil = json.loads((folder / "model.json").read_text())
    evil["architecture"]["name"] = "this_would_be_imported:Net"
    (folder / "model.json").write_text(json.dumps(evil))
    (tmp_path / "this_would_be_imported.py").write_text("raise SystemExit('imported')")
    with pytest.raises(ModelError, match="was made by this_would_be_imported:Net, which is code"):
        load(folder)
    with pytest.raises(ModelError, match=f"was made by this_would_be_imported:Net, not by {RESIDUAL}"):
        load(folder, architecture=RESIDUAL)


def test_a_plain_model_needs_no_class_and_takes_one(tmp_path: Path) -> None:
    split, config = made_split(tmp_path)
    save(Classifier(train(split, config).model, split.encoding), tmp_path / "model")
    assert isinstance(load(tmp_path / "model", architecture="nosuch:Net").model, Model)


def test_a_class_that_is_another_now(saved: tuple[Classifier, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.model import own_modules

    _, folder = saved
    kept = own_modules.Residual

    class Doubled(kept):  # type: ignore[valid-type, misc]
        def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x_NF)

    Doubled.__name__ = "Residual"
    monkeypatch.setattr(own_modules, "Residual", Doubled)
    with pytest.raises(ModelError, match=r"Residual is not the class that .* was saved with: it gives other logits"):
        load(folder, architecture=RESIDUAL)

    class Wider(kept):  # type: ignore[valid-type, misc]
        def __init__(self, n_features: int, n_classes: int) -> None:
            super().__init__(n_features, n_classes)
            self.more = nn.Linear(2, 2)

    monkeypatch.setattr(own_modules, "Residual", Wider)
    with pytest.raises(ModelError, match=r"has no tensor module\.more\.weight, which tests\.model"):
        load(folder, architecture=RESIDUAL)

    class Parts(kept):  # type: ignore[valid-type, misc]
        def __init__(self, n_features: int, n_classes: int) -> None:
            super().__init__(n_features, n_classes)
            self.unused = nn.Dropout()

    monkeypatch.setattr(own_modules, "Residual", Parts)
    with pytest.raises(ModelError, match="was saved with: its parts are others"):
        load(folder, architecture=RESIDUAL)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told["architecture"].update(digest="0" * 32), "its parts are others"),
        (lambda told: told.update(model_digest="0" * 32), "was altered: the model's digest differs"),
        (lambda told: told["architecture"].pop("answers"), "lacks 'answers': it is damaged"),
        (lambda told: told["architecture"].update(answers=[[1.0, 2.0]]), "it gives other logits"),
        (lambda told: told["architecture"].update(n_features=4), "a is|first.weight is|order is|mean is"),
        (lambda told: told.update(classes=["a", "b"]), "the model's digest differs"),
    ],
)
def test_a_description_that_was_altered(saved: tuple[Classifier, Path], change: object, said: str) -> None:
    _, folder = saved
    told = json.loads((folder / "model.json").read_text())
    change(told)  # type: ignore[operator]
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match=said):
        load(folder, architecture=RESIDUAL)


def test_weights_that_were_altered(saved: tuple[Classifier, Path]) -> None:
    _, folder = saved
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="its SHA-256 differs"):
        load(folder, architecture=RESIDUAL)


def test_a_module_in_memory() -> None:
    rng = np.random.default_rng(0)
    x_NF = rng.standard_normal((200, 4)).astype(np.float32)
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 3))
    with torch.no_grad():
        for _ in range(20):
            module(torch.from_numpy(x_NF))
        expected_N = module.eval()(torch.from_numpy(x_NF)).argmax(1).numpy()
    module.train()
    for engine in ("torch", "numpy"):
        label_N = vecml.predict(module, x_NF, engine=engine, threads=1)
        assert label_N.dtype == np.int64
        np.testing.assert_array_equal(label_N, expected_N)
    assert module.training  # it is left as it was
    model = model_from(module, 4)
    assert isinstance(model, Model)
    assert model.classes == ("0", "1", "2")
    np.testing.assert_array_equal(vecml.predict(model, x_NF.astype(np.float64), threads=1), expected_N)


def test_a_module_in_memory_that_is_no_classifier() -> None:
    from tests.model.own_modules import AcrossRows, FailsForward

    with pytest.raises(
        SettingError, match=r"module .*FailsForward: it fails on 5 rows of 3 features: ValueError: cannot"
    ):
        model_from(FailsForward(3, 2), 3)
    with pytest.raises(SettingError, match=r"module .*AcrossRows: its logits for a row depend on the other rows"):
        model_from(AcrossRows(3, 2), 3)
    with pytest.raises(SettingError, match=r"it gives \(5, 1\) for 5 rows, not logits \(rows, classes\)"):
        model_from(nn.Linear(3, 1), 3)
    with pytest.raises(SettingError, match="a model of type str cannot be run"):
        vecml.predict("model", np.zeros((2, 3)))  # type: ignore[call-overload]


def test_the_float64_copy_is_a_copy() -> None:
    model = model_from(make(RESIDUAL, 3, 2), 3)
    assert isinstance(model, OwnModel)
    x_FN = np.random.default_rng(0).standard_normal((3, 50))
    assert 0 < np.abs(model.wide_logits(x_FN) - own_logits(model, x_FN)).max() < 1e-5
    assert next(model.module.parameters()).dtype == torch.float32
