"""What is a chain of linear layers, and that folding it gives what the module gives, in float64."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.model.own_modules import Branches, ConvClassifier, Residual
from vecml.errors import SettingError
from vecml.model.chain import Chain, chain_of
from vecml.model.network import Architecture, Model, layer_from

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
APPLY = {
    "relu": lambda z: np.maximum(z, 0),
    "gelu": lambda z: torch.nn.functional.gelu(torch.from_numpy(z)).numpy(),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def used(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with running means, variances and weights that are not the initial ones; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator))
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) * 3 + 0.05)
            if part.affine:
                with torch.no_grad():
                    part.weight.copy_(torch.randn(part.num_features, generator=generator))
                    part.bias.copy_(torch.randn(part.num_features, generator=generator))
    return module.eval()


def computed(chain: Chain, x_NF: np.ndarray) -> np.ndarray:
    """The chain's logits (N, C), float64, by NumPy alone."""
    value = x_NF
    for number, (weight_OI, bias_O) in enumerate(chain.layers):
        if number:
            value = APPLY[chain.activation](value)
        value = value @ weight_OI.T + bias_O
    return value


def assert_folds(module: nn.Module, n_features: int, n_classes: int, widths: tuple[int, ...], activation: str) -> None:
    found = chain_of(module, n_features, n_classes)
    assert isinstance(found, Chain), found
    assert found.widths == widths
    assert found.activation == activation
    x_NF = np.random.default_rng(1).standard_normal((50, n_features)) * 5
    with torch.no_grad():
        expected = copy.deepcopy(module).double()(torch.from_numpy(x_NF)).numpy()
    np.testing.assert_allclose(computed(found, x_NF), expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


PLACES = {
    "nowhere": lambda act: [nn.Linear(6, 8), act(), nn.Linear(8, 3)],
    "before the first layer": lambda act: [nn.BatchNorm1d(6), nn.Linear(6, 8), act(), nn.Linear(8, 3)],
    "twice before it": lambda act: [nn.BatchNorm1d(6), nn.BatchNorm1d(6), nn.Linear(6, 8), act(), nn.Linear(8, 3)],
    "before the activation": lambda act: [nn.Linear(6, 8), nn.BatchNorm1d(8), act(), nn.Linear(8, 3)],
    "after the activation": lambda act: [nn.Linear(6, 8), act(), nn.BatchNorm1d(8), nn.Linear(8, 3)],
    "on both sides": lambda act: [
        nn.Linear(6, 8), nn.BatchNorm1d(8), act(), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 3),
    ],
    "after the last layer": lambda act: [nn.Linear(6, 8, bias=False), act(), nn.Linear(8, 3), nn.BatchNorm1d(3)],
    "beside dropout": lambda act: [
        nn.Flatten(1), nn.Dropout(0.2), nn.Linear(6, 8), nn.Identity(), nn.BatchNorm1d(8), nn.Dropout(0.5), act(),
        nn.AlphaDropout(0.3), nn.Flatten(), nn.Linear(8, 3, bias=False), nn.Identity(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_batch_normalisation_folds(place: str, activation: str) -> None:
    torch.manual_seed(0)
    module = used(nn.Sequential(*PLACES[place](ACTIVATIONS[activation])))
    assert_folds(module, 6, 3, (6, 8, 3), activation)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    n_classes=st.integers(2, 4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    extra=st.lists(st.sampled_from(["norm", "dropout", "identity", "plain norm"]), max_size=8),
    seed=st.integers(0, 2**31),
)
def test_any_chain_folds(widths: list[int], n_classes: int, activation: str, extra: list[str], seed: int) -> None:
    torch.manual_seed(seed)
    sizes = [*widths, n_classes]
    parts: list[nn.Module] = []
    pending = iter(extra)

    def put(width: int) -> None:
        match next(pending, None):
            case "norm":
                parts.append(nn.BatchNorm1d(width))
            case "plain norm":
                parts.append(nn.BatchNorm1d(width, affine=False))
            case "dropout":
                parts.append(nn.Dropout(0.4))
            case "identity":
                parts.append(nn.Identity())

    put(sizes[0])
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        parts.append(nn.Linear(fan_in, fan_out, bias=seed % 2 == 0))
        put(fan_out)
        if index < len(sizes) - 2:
            parts.append(ACTIVATIONS[activation]())
            put(fan_out)
    module = used(nn.Sequential(*parts), seed)
    assert_folds(module, sizes[0], n_classes, tuple(sizes), activation if len(sizes) > 2 else "relu")


def test_what_it_computes_counts_not_how_it_is_written() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2)])

        def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
            for layer in self.layers[:-1]:
                x_NF = nn.functional.relu(layer(x_NF), inplace=True)
            return nn.functional.dropout(self.layers[-1](x_NF), 0.5, self.training)

    assert_folds(Written().eval(), 4, 2, (4, 5, 5, 2), "relu")


class _Twice(nn.Module):
    """The features, used once more at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.layer(x_NF) + x_NF


class _Computed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x_NF, self.weight.abs())


@pytest.mark.parametrize(
    ("module", "obstacle"),
    [
        (ConvClassifier(4, 3), "aten.conv1d"),
        (Residual(4, 3), "aten.add and aten.linear over the same value"),
        (_Twice(), "aten.add and aten.linear over the same value"),
        (nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)), "aten.softmax"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), "aten.relu at its end"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3)), "aten.batch_norm at its end"),
        (nn.Sequential(nn.ReLU(), nn.Linear(4, 3)), "aten.relu without aten.linear before it"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 3)), "aten.relu without aten.linear before"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)),
            "aten.tanh beside aten.relu",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), "aten.linear right after aten.linear"),
        (nn.Sequential(nn.Linear(4, 4), nn.GELU("tanh"), nn.Linear(4, 3)), "aten.gelu by tanh"),
        (nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(), nn.Linear(4, 3)), "aten.leaky_relu"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 3)), "aten.layer_norm"),
        (nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3)), "of the batch's own mean"),
        (_Computed(), "aten.abs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_chain_is_named(module: nn.Module, obstacle: str) -> None:
    found = chain_of(module.eval(), 4, 3)
    assert isinstance(found, str)
    assert obstacle in found


def test_what_cannot_be_traced() -> None:
    with pytest.raises(SettingError, match=r"torch\.export cannot trace Branches: ") as caught:
        chain_of(Branches(4, 3).eval(), 4, 3)
    assert "\n" not in caught.value.message


def test_a_chain_that_gives_other_logits_than_its_layers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecml.model import chain

    fold = chain._Walk.take_scaling
    monkeypatch.setattr(chain._Walk, "take_scaling", lambda walk, scale, shift: fold(walk, scale, shift + 1e-6))
    module = used(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)))
    assert chain_of(module, 4, 3) == "other logits than its linear layers give"


def test_the_module_stays_as_it_is() -> None:
    module = used(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)))
    before = copy.deepcopy(module.state_dict())
    chain_of(module, 4, 3)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert module[0].weight.dtype == torch.float32


def test_rounded_once_to_the_layers_of_a_plain_model() -> None:
    module = used(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)))
    found = chain_of(module, 4, 3)
    assert isinstance(found, Chain)
    layers = tuple(layer_from(*layer) for layer in found.layers)
    model = Model(Architecture(4, (4,), 3, "relu"), layers, ("a", "b", "c"))
    assert all(layer.weight_OI.dtype == np.float32 for layer in model.layers)
    np.testing.assert_array_equal(model.layers[0].weight_OI, found.layers[0][0].astype(np.float32))
