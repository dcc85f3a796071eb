"""A class of one's own from the command line: trained, tracked, stored, loaded, compared; and what is refused."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import save_file

import vecml as library
from examples.own_model import ConvClassifier
from tests.system.conftest import ROOT, SMALL, runs_in
from vecml.errors import ModelError
from vecml.model.network import Model
from vecml.model.own_module import OwnModel, own_logits

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
CONV, NORMALISED = "examples.own_model:ConvClassifier", "examples.own_model:Normalised"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    """The test's folder, with the examples in it as a user has them."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def artifacts(folder: Path, run_id: str) -> Path:
    return folder / "mlruns" / "artifacts" / run_id / "artifacts"


def test_the_convolution_is_trained_tracked_loaded_and_compared(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("run", "--architecture", CONV, "--epochs", "2", "--name", "own")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"network           {CONV}, 400 multiply-adds a row" in done.stdout
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FINISHED"
    params = run.data.params
    assert (params["architecture"], params["weights"]) == (CONV, "none")
    assert (params["hidden"], params["activation"], params["epochs"]) == ("none", "none", "2")
    assert run.data.metrics["test/accuracy"] > 0.8
    assert run.data.metrics["test/flips"] == 0
    assert run.data.metrics["test/reference_rows"] == 1_000
    assert "infer/fraction_of_limit" not in run.data.metrics
    folder = artifacts(tmp_path, run.info.run_id) / "model"
    with pytest.raises(ModelError, match="which is code: nothing is imported because a file says so"):
        library.load(folder)
    own = library.load(folder, architecture=CONV).model
    assert isinstance(own, OwnModel)
    assert own.digest == run.data.tags["vecml.model_digest"]
    # MLflow's model is what torch.export made of it: it takes any number of rows and imports nothing of the user's.
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert logged.status == "READY"
    (file,) = Path(logged.artifact_location).rglob("*.pt2")
    x_NF = np.random.default_rng(0).standard_normal((7, 10)).astype(np.float32)
    exported_NC = torch.export.load(file).module()(torch.from_numpy(x_NF)).detach().numpy()
    np.testing.assert_allclose(exported_NC, own_logits(own, x_NF.T), rtol=1e-5, atol=1e-6)

    settings = ("--quick", "--threads", "1", "--engines", "torch,numpy", "--layout", "columns,rows")
    refused = vecml("compare", "--run", "own", *settings)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: run own: model/model.json was made by {CONV}, which is code: ")
    compared = vecml("compare", "--run", "own", "--architecture", CONV, *settings, "--json", "result.json")
    assert compared.returncode == 0, compared.stderr
    told = json.loads((tmp_path / "result.json").read_text())
    assert set(told["settings"]) == {"torch layout=columns", "torch layout=rows"}
    assert told["subject"]["model_digest"] == own.digest
    assert not told["faults"]
    for arm in told["arms"]:
        facts = arm["launches"][-1]["facts"]
        assert (facts["rows"], facts["wrong"]) == (1_000, 0)
        assert facts["logit_error"] < 1
    why = f"it runs chains of linear layers, and {CONV} has aten.conv1d"
    assert f"VML013 numpy layout=columns is left out: engine numpy cannot run this model here: {why}" in compared.stderr


def test_a_comparison_that_trains_it(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml(
        *("compare", "--architecture", CONV, "--epochs", "1", "--rows", "20000", "--quick", "--threads", "1"),
        *("--engines", "torch,numpy", "--layout", "columns,rows"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("VML013 numpy") == 2
    alone = vecml("compare", "--architecture", CONV, "--epochs", "1", "--rows", "2000", "--engines", "numpy,torch")
    assert alone.returncode == 2
    assert alone.stderr.startswith("error: nothing to compare torch with: engine numpy cannot run this model here: ")


def test_a_chain_runs_on_every_engine_and_needs_no_class(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("run", "--architecture", NORMALISED, *SMALL, "--engine", "numpy")
    assert done.returncode == 0, done.stderr
    assert f"10-32-2, relu, of {NORMALISED}" in " ".join(done.stdout.split())
    (run,) = runs_in(tmp_path)
    shutil.rmtree(tmp_path / "examples")
    model = library.load(artifacts(tmp_path, run.info.run_id) / "model").model
    assert isinstance(model, Model)
    assert run.data.params["architecture"] == NORMALISED


def test_weights_that_are_trained_already(vecml: Vecml, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = ConvClassifier(10, 2).eval()
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    done = vecml("run", "--architecture", CONV, "--weights", "w.safetensors", "--rows", "400")
    assert done.returncode == 0, done.stderr
    (run,) = runs_in(tmp_path)
    assert run.data.params["weights"] == "w.safetensors"
    assert run.data.params["epochs"] == "none"
    assert run.data.metrics["time/train_s"] == 0
    assert "train/loss" not in run.data.metrics
    folder = artifacts(tmp_path, run.info.run_id)
    assert not (folder / "pictures" / "loss.png").exists()
    own = library.load(folder / "model", architecture=CONV).model
    assert isinstance(own, OwnModel)
    for key, value in module.state_dict().items():
        assert torch.equal(own.module.state_dict()[key], value)


def test_an_engine_that_cannot_run_it_says_so_before_training(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("run", "--architecture", CONV, "--engine", "numpy", "--epochs", "100000")
    assert done.returncode == 2
    why = f"it runs chains of linear layers, and {CONV} has aten.conv1d"
    first, second = done.stderr.splitlines()
    assert first == f"error: engine numpy cannot run this model: {why}"
    assert second.startswith("hint: engines that run any module: torch")


AT_ONCE = [
    (("--architecture", "examples.own_model"), "error: --architecture examples.own_model: not of the form package.mod"),
    (
        ("--architecture", "examples.none:A"),
        "error: --architecture examples.none:A: there is no module examples.none\n",
    ),
    (
        ("--architecture", "examples.own_model:ConvClasifier"),
        "error: --architecture examples.own_model:ConvClasifier: examples.own_model has no ConvClasifier\n"
        "hint: did you mean ConvClassifier?\n",
    ),
    (
        ("--architecture", CONV, "--hidden", "32"),
        f"error: --hidden 32: --architecture {CONV} has its own layers\nhint: leave out --hidden or --architecture\n",
    ),
    (("--architecture", CONV, "--activation", "tanh"), f"error: --activation tanh: --architecture {CONV} has its own"),
    (
        ("--weights", "none.safetensors"),
        "error: --weights none.safetensors: there is no such file\nhint: name a safetensors file\n",
    ),
    (
        ("--weights", "examples/own_model.py", "--epochs", "5"),
        "error: --epochs 5: --weights examples/own_model.py is trained already\n",
    ),
    (("--weights", "examples/own_model.py"), "error: own_model.py is no safetensors file: SafetensorError: "),
]


@pytest.mark.parametrize(("flags", "message"), AT_ONCE, ids=[" ".join(flags) for flags, _ in AT_ONCE])
def test_bad_input(vecml: Vecml, tmp_path: Path, flags: tuple[str, ...], message: str) -> None:
    done = vecml("run", *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) <= 2
    assert all(run.info.status == "FAILED" for run in runs_in(tmp_path))
    assert not any(name.startswith("model") for run in runs_in(tmp_path) for name in run.data.metrics)
