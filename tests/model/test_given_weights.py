"""Weights from a file: for a class of one's own and for vecml's network; every refusal is in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.model.made_split import made_split
from vecml.config import make_config
from vecml.errors import ModelError, SettingError
from vecml.model.find import make
from vecml.model.network import Model
from vecml.model.own_module import OwnModel, own_logits
from vecml.model.train import train

HERE = "tests.model.own_modules"
RESIDUAL, CONV, NORMALISED = f"{HERE}:Residual", f"{HERE}:ConvClassifier", f"{HERE}:Normalised"


def weights_file(tmp_path: Path, module: nn.Module, **changes: torch.Tensor | None) -> str:
    """The module's state in a file; a change of None takes a tensor away, any other puts one in."""
    state = {key: value.clone() for key, value in module.state_dict().items()}
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    save_file(state, tmp_path / "w.safetensors")
    return str(tmp_path / "w.safetensors")


def test_weights_of_a_class_of_ones_own(tmp_path: Path) -> None:
    module = make(CONV, 3, 2).eval()
    split, config = made_split(tmp_path, architecture=CONV, weights=weights_file(tmp_path, module))
    trained = train(split, config)
    assert trained.losses == ()
    assert isinstance(trained.model, OwnModel)
    with torch.no_grad():
        expected_NC = module(torch.from_numpy(split.test.x_FN.T.copy()))  # as they are: nothing is standardised
    np.testing.assert_array_equal(own_logits(trained.model, split.test.x_FN), expected_NC.double())


def test_weights_of_a_chain(tmp_path: Path) -> None:
    module = make(NORMALISED, 3, 2).eval()
    split, config = made_split(tmp_path, architecture=NORMALISED, weights=weights_file(tmp_path, module))
    assert isinstance(train(split, config).model, Model)


@pytest.mark.parametrize("names", [("layers.0", "layers.1"), ("0", "2"), ("model.net.0", "model.net.10")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_weights_of_vecmls_own_network(tmp_path: Path, names: tuple[str, str], dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 2)).to(dtype)
    state = {f"{name}.{kind}": getattr(module[at], kind).detach().clone()
             for name, at in zip(names, (0, 2), strict=True) for kind in ("weight", "bias")}  # fmt: skip
    save_file(state, tmp_path / "w.safetensors")
    split, config = made_split(tmp_path, weights=str(tmp_path / "w.safetensors"), hidden=7, activation="tanh")
    model = train(split, config).model
    assert isinstance(model, Model)
    assert model.architecture.widths == (3, 7, 2)
    assert model.architecture.activation == "tanh"
    np.testing.assert_array_equal(model.layers[1].weight_OI, module[2].weight.detach().float().numpy())


SIX = torch.zeros(6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"last__bias": None}, "w.safetensors has no tensor last.bias, which Residual(3, 2) needs"),
        ({"more": SIX}, "w.safetensors has a tensor more, which Residual(3, 2) does not"),
        ({"last__bias": SIX}, "w.safetensors: last.bias is (6,), and Residual(3, 2) takes (2,)"),
        ({"last__bias": torch.zeros(2, dtype=torch.int64)}, "w.safetensors: last.bias is int64, and Residual(3, 2)"),
        ({"last__bias": torch.tensor([0, torch.nan])}, "w.safetensors: a model with NaN weights: last.bias"),
        ({"last__bias": torch.tensor([0, torch.inf])}, "w.safetensors: a model with infinite weights: last.bias"),
        (
            {"last__bias": torch.tensor([0, 1e300], dtype=torch.float64)},
            "w.safetensors: a model with infinite weights: last.bias",
        ),
    ],
)
def test_weights_that_do_not_fit_a_class(tmp_path: Path, changes: dict[str, torch.Tensor | None], said: str) -> None:
    file = weights_file(tmp_path, make(RESIDUAL, 3, 2), **changes)
    split, config = made_split(tmp_path, architecture=RESIDUAL, weights=file)
    with pytest.raises(ModelError) as caught:
        train(split, config)
    assert caught.value.message.startswith(said)


WANTED = "3 features, --hidden 32 and 2 classes"


@pytest.mark.parametrize(
    ("module", "changes", "said"),
    [
        (
            nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 2)),
            {},
            f"w.safetensors: 0.weight is (64, 3) float32, not (32, 3): {WANTED}",
        ),
        (nn.Sequential(nn.Linear(3, 2)), {}, f"w.safetensors has 1 linear layers, and {WANTED} make 2"),
        (
            nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2)),
            {"2__bias": None},
            "w.safetensors has no tensor 2.bias",
        ),
        (
            nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2)),
            {"1__running_mean": SIX},
            "w.safetensors has a tensor 1.running_mean, which is no linear layer's",
        ),
        (
            nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2)),
            {"2__bias": torch.tensor([torch.nan, 0])},
            "w.safetensors: a model with NaN weights: 2.bias",
        ),
    ],
)
def test_weights_that_do_not_fit_vecmls_network(
    tmp_path: Path, module: nn.Module, changes: dict[str, torch.Tensor | None], said: str
) -> None:
    split, config = made_split(tmp_path, weights=weights_file(tmp_path, module, **changes))
    with pytest.raises(ModelError) as caught:
        train(split, config)
    assert caught.value.message == said


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "_orig_mod.module.", "model._orig_mod."])
def test_weights_of_what_wraps_a_module(tmp_path: Path, prefix: str) -> None:
    state = {prefix + key: value.clone() for key, value in make(RESIDUAL, 3, 2).state_dict().items()}
    save_file(state, tmp_path / "wrapped.safetensors")
    split, config = made_split(tmp_path, architecture=RESIDUAL, weights=str(tmp_path / "wrapped.safetensors"))
    with pytest.raises(ModelError) as caught:
        train(split, config)
    assert caught.value.message.startswith(
        f"wrapped.safetensors: every name in it begins with {prefix!r}, and those of"
    )
    assert f"name.removeprefix({prefix!r})" in str(caught.value.hint)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    split, config = made_split(tmp_path)
    (tmp_path / "text.safetensors").write_text("no weights at all")
    with pytest.raises(ModelError, match=r"^text\.safetensors is no safetensors file: SafetensorError: "):
        train(split, config.model_copy(update={"weights": str(tmp_path / "text.safetensors")}))
    missing = str(tmp_path / "nosuch.safetensors")
    with pytest.raises(ModelError, match=r"^--weights .*/nosuch\.safetensors: No such file or directory"):
        train(split, config.model_copy(update={"weights": missing}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden": 64}, "--hidden 64: --architecture a:B has its own layers: leave one out"),
        ({"activation": "tanh"}, "--activation tanh: --architecture a:B has its own layers: leave one out"),
        ({"replicas": 3}, "--replicas 3: only vecml's own network is trained so, no --architecture"),
    ],
)
def test_what_does_not_go_with_a_class(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        make_config({"architecture": "a:B", **values})
    assert caught.value.message == said
