"""Weights that are trained already, from a safetensors file: for a class of the user's own, or vecml's own network.

They are for the encoded table as it is: nothing is standardised.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from vecml.config import TrainingConfig
from vecml.data.split import Split
from vecml.errors import ModelError
from vecml.model.module_checks import build, check_finite
from vecml.model.network import AnyModel, Architecture, Layer, Model, layer_from
from vecml.model.own_module import fill, model_of, read_state
from vecml.model.recipe import NOTEBOOK_HIDDEN
from vecml.regular_file import read_regular

KEY = re.compile(r"(.*\.)?(\d+)\.(weight|bias)")  # layers.0.weight; 0.weight, 2.weight ... of an nn.Sequential


def given_model(split: Split, config: TrainingConfig) -> AnyModel:
    """The model that `config.weights` holds, for the features and classes of `split`.

    Raises ModelError, naming the file and the tensor, when there is no such file, or it does not fit the architecture,
    SettingError when that is none.
    """
    path = Path(str(config.weights)).expanduser()
    state = read_state(_content(path), path.name)
    for key, value in state.items():
        check_finite(key, value, path.name)
    n_features, n_classes = split.encoding.n_features, len(split.classes)
    if config.architecture is None:
        shape = Architecture(n_features, config.hidden or NOTEBOOK_HIDDEN, n_classes, config.activation)
        return Model(shape, _layers(state, shape, path.name), split.classes)
    module = build(config.architecture, n_features, n_classes)
    fill(module, state, path.name, f"{type(module).__qualname__}({n_features}, {n_classes})")
    return model_of(config.architecture, module, n_features, split.classes)


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise ModelError(f"--weights {path}: {error.strerror or error}", "name a safetensors file") from None


def _layers(state: Mapping[str, torch.Tensor], shape: Architecture, place: str) -> tuple[Layer, ...]:
    """The linear layers in the order of their numbers; raises ModelError where they are not the architecture's."""
    found: dict[int, dict[str, str]] = {}
    for key in state:
        match = KEY.fullmatch(key)
        if match is None or match[3] in found.get(int(match[2]), {}):
            raise ModelError(
                f"{place} has a tensor {key}, which is no linear layer's",
                "layers.0.weight, layers.0.bias ..., or an nn.Sequential's 0.weight, 0.bias ...; else --architecture",
            )
        found.setdefault(int(match[2]), {})[match[3]] = key
    wanted = f"{shape.n_features} features, --hidden {','.join(map(str, shape.hidden))} and {shape.n_classes} classes"
    if len(found) != len(shape.widths) - 1:
        raise ModelError(
            f"{place} has {len(found)} linear layers, and {wanted} make {len(shape.widths) - 1}",
            "--hidden names the width of every layer but the last",
        )
    layers = []
    for number, fan_in, fan_out in zip(sorted(found), shape.widths, shape.widths[1:], strict=False):
        keys = found[number]
        for kind, size in (("weight", (fan_out, fan_in)), ("bias", (fan_out,))):
            if kind not in keys:
                raise ModelError(f"{place} has no tensor {next(iter(keys.values())).rpartition('.')[0]}.{kind}")
            value = state[keys[kind]]
            if tuple(value.shape) != size or not value.is_floating_point():
                kind_given = str(value.dtype).removeprefix("torch.")
                raise ModelError(
                    f"{place}: {keys[kind]} is {tuple(value.shape)} {kind_given}, not {size}: {wanted}",
                    "weights are (out, in), for the encoded features in the order of preprocessing.json",
                )
            check_finite(keys[kind], value.float(), place)
        weight, bias = (state[keys[kind]].float().numpy() for kind in ("weight", "bias"))
        layers.append(layer_from(weight, bias))
    return tuple(layers)
