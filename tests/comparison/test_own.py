"""A module of one's own in a comparison: its reference and tolerance, its files, and that workers can make it anew."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import vecml
from tests.model.own_modules import ConvClassifier, Residual
from vecml.comparison.compare import Job, write_files
from vecml.comparison.comparison import figures
from vecml.comparison.files import ERRORS, load_model, save_model
from vecml.comparison.reference import (
    OWN_FACTOR,
    float32_errors,
    label_of,
    reference_labels,
    reference_logits,
    tolerance,
)
from vecml.comparison.work import EngineWork
from vecml.config import Setting
from vecml.errors import SettingError
from vecml.model.own_module import OwnModel, model_from
from vecml.warnings import VecmlWarning

busy = pytest.mark.filterwarnings("ignore:VML011", "ignore:VML012")


def own_model(n_features: int = 6, seed: int = 0, size: float = 1.0) -> OwnModel:
    torch.manual_seed(seed)
    module = ConvClassifier(n_features, 3)
    with torch.no_grad():
        module.classify.weight.mul_(size)
    model = model_from(module, n_features)
    assert isinstance(model, OwnModel)
    return model


def features(n_features: int = 6, n_rows: int = 3_000, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_features, n_rows)).astype(np.float32)


def test_the_reference_is_the_module_in_float64() -> None:
    model, x_FN = own_model(), features(n_rows=20_000)  # more than a block
    wide = ConvClassifier(6, 3).double().eval()
    wide.load_state_dict(model.module.state_dict())
    with torch.no_grad():
        expected_NC = wide(torch.from_numpy(x_FN.T.astype(np.float64))).numpy()
    np.testing.assert_allclose(reference_logits(model, x_FN).logits_NC, expected_NC, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(reference_labels(model, x_FN), expected_NC.argmax(1))


def off_by(model: OwnModel, given_NC: np.ndarray, x_FN: np.ndarray, precision: str, calibrated: bool) -> float:
    """The largest error, as a multiple of what is allowed."""
    error_C = float32_errors(model, features(seed=7)) if calibrated else None
    found = reference_logits(model, x_FN, error_C)
    allowed_NC = tolerance(model.architecture, precision) * found.scale_NC  # type: ignore[arg-type]
    return float((np.abs(given_NC - found.logits_NC) / allowed_NC).max())


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("n_rows", [1, 2_000])
def test_float32_in_another_order_is_allowed_and_a_coarser_precision_is_not(size: float, n_rows: int) -> None:
    model, x_FN = own_model(size=size), features(n_rows=n_rows)
    flipped = ConvClassifier(6, 3)
    flipped.load_state_dict(model.module.state_dict())
    flipped.eval()
    x_NF = torch.from_numpy(x_FN.T.copy())
    with torch.no_grad():
        # the same sums from their other end: channels and taps in reverse
        flipped.convolution.weight.copy_(flipped.convolution.weight.flip(0).flip(2))
        for tensor in (flipped.convolution.bias, *flipped.norm.state_dict().values()):
            tensor.copy_(tensor.flip(0)) if tensor.ndim else None
        kept = model.module.state_dict()["classify.weight"].reshape(3, 8, 6)
        flipped.classify.weight.copy_(kept.flip(1).flip(2).reshape(3, -1))
        given_NC = flipped(x_NF.flip(1)).double().numpy()
        bfloat16_NC = flipped.bfloat16()(x_NF.flip(1).bfloat16()).double().numpy()
    assert off_by(model, given_NC, x_FN, "float32", calibrated=True) < 0.5
    assert off_by(model, bfloat16_NC, x_FN, "float32", calibrated=True) > 10
    assert off_by(model, bfloat16_NC, x_FN, "bfloat16", calibrated=True) < 1


def test_wrong_logits_are_not_allowed() -> None:
    model, x_FN = own_model(), features()
    found = reference_logits(model, x_FN)
    given_NC = found.logits_NC * (1 + 1e-4)
    assert off_by(model, given_NC, x_FN, "float32", calibrated=False) > 10
    assert tolerance(model.architecture, "float64") == OWN_FACTOR * 2.0**-53


def test_rows_that_are_not_finite_do_not_widen_the_bound() -> None:
    model, x_FN = own_model(), features()
    usual_C = float32_errors(model, x_FN)
    x_FN[0, :3] = [np.nan, np.inf, 3e38]
    found_C = float32_errors(model, x_FN)
    assert np.isfinite(found_C).all()
    assert (usual_C > 0).all()
    found = reference_logits(model, x_FN[:, :2], usual_C)
    assert np.isfinite(found.scale_NC).all()
    assert label_of(found.logits_NC)[0] == 0


def test_the_files_of_the_workers(tmp_path: Path) -> None:
    model = own_model()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, OwnModel)
    assert loaded.digest == model.digest
    assert loaded.architecture == model.architecture
    assert not list(tmp_path.glob("*.npz"))
    told = json.loads((tmp_path / "model.json").read_text())
    assert told["script"] is None
    assert set(map(str, told["path"])) <= {*sys.path, str(Path.cwd())}


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_torch_passes_the_gate_and_what_is_wrong_does_not(tmp_path: Path, layout: str) -> None:
    model, x_FN = own_model(), features()
    setting = Setting(engine="torch", layout=layout)  # type: ignore[arg-type]
    write_files(Job(model, x_FN), {"torch": setting}, tmp_path)
    assert np.load(tmp_path / f"{ERRORS}.npy").shape == (3,)
    work = EngineWork({"folder": str(tmp_path), "setting": dataclasses.asdict(setting), "probe": [0, 1]})
    work.open()
    work.call()
    found = work.finish()
    assert found["wrong"] == 0
    assert found["logit_error"] < 0.5
    assert found["rows"] == 3_000
    margin_N = np.sort(reference_logits(model, x_FN).logits_NC, axis=1)
    wrong_N = (margin_N[:, -1] - margin_N[:, -2]).argsort()[-5:]  # the surest rows
    work._label_N[wrong_N] = (work._label_N[wrong_N] + 1) % 3
    assert work._score()["wrong"] == 5
    work.close()


@busy
def test_a_module_from_python(short_looks: None) -> None:
    module = Residual(4, 2)
    x_NF = np.random.default_rng(0).standard_normal((5_000, 4)).astype(np.float32)
    with pytest.warns(VecmlWarning, match="VML013 numpy layout=(columns|rows) is left out: "):
        found = vecml.compare(
            module, x_NF, engines=("torch", "numpy"), layout=("columns", "rows"), threads=1, budget="quick"
        )
    assert [arm.name for arm in figures(found)] == ["torch layout=columns", "torch layout=rows"]
    assert not found.faults
    assert all(arm.rows_scored == 5_000 and arm.flips == 0 for arm in figures(found))
    assert (
        "it runs chains of linear layers, and tests.model.own_modules:Residual has aten."
        in found.skipped["numpy layout=columns"]
    )
    assert found.subject.widths == (4,)
    assert all(arm.fraction_of_limit is None for arm in figures(found))
    from vecml.comparison.document import from_json, to_json

    assert from_json(to_json(found).encode(), "x").subject == found.subject


class _Sized(Residual):
    def __init__(self, n_features: int, n_classes: int, size: int = 5) -> None:
        super().__init__(n_features, n_classes)
        self.last = nn.Sequential(nn.Linear(n_features, size), nn.ReLU(), nn.Linear(size, n_classes))


class _ThreeNumbers(Residual):
    def __init__(self, n_features: int, n_classes: int, third: int) -> None:
        super().__init__(n_features, n_classes)


def test_what_workers_could_not_make_anew() -> None:
    class Local(Residual):
        pass

    hint = (
        "a worker calls the class with (n_features, n_classes); define it in a module (in Jupyter: %%writefile, import)"
    )
    for module, said in (
        (_Sized(3, 2, size=9), "cannot be made anew in a worker process: the module: last.0.weight is (9, 3), and"),
        (_ThreeNumbers(3, 2, 1), "cannot be made anew in a worker process: _ThreeNumbers(3, 2) failed: TypeError: "),
        (Local(3, 2), "Local has a class that a worker process could not find by its name"),
    ):
        model = model_from(module, 3)
        assert isinstance(model, OwnModel)
        with pytest.raises(SettingError) as caught:
            model.check_rebuildable()
        assert said in caught.value.message
        assert caught.value.hint == hint
        assert "\n" not in caught.value.message


SCRIPT = """
import sys
import numpy as np, torch
from torch import nn
import vecml

class Net(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)
    def forward(self, x):
        return self.layer(x.sin())

{guard}
    x = np.random.default_rng(0).standard_normal((2000, 4)).astype("float32")
    found = vecml.compare(Net(4, 2), x, engines="torch", layout=("columns", "rows"), threads=1, budget="quick")
    print(sorted(found.settings), dict(found.faults))
"""


@pytest.mark.parametrize("guarded", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_module_of_a_script(tmp_path: Path, guarded: bool) -> None:
    guard = 'if __name__ == "__main__":' if guarded else "if True:"
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=guard))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    if guarded:
        assert "['torch layout=columns', 'torch layout=rows'] {}" in done.stdout, done.stderr
    else:
        assert done.returncode != 0
        assert "the script compares again when a worker reads it" in done.stderr


def test_a_module_that_was_typed_in(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(guard="if True:")],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert "module Net was typed in: a worker process could not find its class" in done.stderr
