"""A module of the user's own as a model: looked at before it is believed, made a plain `Model` where it is a chain.

Everything else becomes an `OwnModel`: the module with standardisation before it. It is saved as its state alone and
made anew by its class, which the user names; some answers that are saved beside it show whether the class is the same.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vecml.errors import ModelError, SettingError, TrainingError, one_line
from vecml.model.chain import chain_of
from vecml.model.find import MAIN, SCRIPT, make, running_script
from vecml.model.module_checks import LOOKED_AT, check_finite, differs, look_at, takes, tell_of_probabilities
from vecml.model.network import AnyModel, Architecture, Model, OwnArchitecture, layer_from
from vecml.model.wrapped import refuse_other_kinds, unwrap_parts, unwrapped

BLOCK_ROWS = 8_192
ANSWERS = 3

Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]


class Standardised(nn.Module):
    """(x - mean) / scale, then the user's module; takes and gives what that does: (N, F) to (N, C).

    Args:
        module: the user's.
        mean_F, scale_F: float64 or float32 (F,); kept as float32 buffers.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, module: nn.Module, mean_F: NDArray[np.floating], scale_F: NDArray[np.floating]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean_F.astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy(scale_F.astype(np.float32)))
        self.module = module

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        """The module's logits (N, C) for unstandardised features (N, F)."""
        logits_NC: torch.Tensor = self.module((x_NF - self.mean) / self.scale)
        return logits_NC


@dataclass(frozen=True)
class OwnModel:
    """A trained module of the user's own; an `AnyModel`.

    Attributes:
        architecture: its shape.
        module: float32, in evaluation mode, on the CPU; takes encoded features (N, F) and gives logits (N, C).
            Standardisation is part of it. Nobody changes it; who needs another precision or device copies it.
        classes: the labels' names.
        digest: hash of architecture, weights and class names (32 hex digits).
    """

    architecture: OwnArchitecture
    module: nn.Module = field(repr=False)
    classes: tuple[str, ...]
    digest: str

    @property
    def chain(self) -> None:
        """Return None: only the module can be run."""
        return None

    def as_module(self) -> nn.Module:
        """Return the module itself."""
        return self.module

    def wide_logits(self, x_FN: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the logits of x_FN (F, N) by a copy of the module in float64: float64 (N, C)."""
        return _in_blocks(copy.deepcopy(self.module).double(), x_FN, torch.float64)

    def serialise(self) -> tuple[bytes, dict[str, Any]]:
        """Return the module's state, buffers included, as a safetensors file, and what `rebuilt` needs beside it."""
        from safetensors.torch import save  # noqa: PLC0415 -- only whoever saves or loads needs it

        shape = self.architecture
        description = {
            "kind": "own",
            "name": shape.name,
            "n_features": shape.n_features,
            "n_classes": shape.n_classes,
            "standardised": isinstance(self.module, Standardised),
            "digest": shape.digest,
            "multiply_adds": shape.multiply_adds,
            "obstacle": shape.obstacle,
            "answers": _answers(self.module, shape.n_features),
        }
        state = self.module.state_dict()
        return save({key: value.detach().contiguous().clone() for key, value in state.items()}), description

    def check_rebuildable(self) -> None:
        """Make the module anew, as a worker process would; raises SettingError where that fails."""
        name = self.architecture.name
        module, _, qualified = name.partition(":")
        hint = (
            "a worker calls the class with (n_features, n_classes); define it in a module (in Jupyter: %%writefile,"
            " import)"
        )
        script = running_script() if module == MAIN else None
        if module == SCRIPT:
            raise SettingError(
                "the script compares again when a worker reads it", 'put the call under if __name__ == "__main__":'
            )
        if module == MAIN and script is None:
            raise SettingError(f"module {qualified} was typed in: a worker process could not find its class", hint)
        if "<" in qualified:
            raise SettingError(f"module {qualified} has a class that a worker process could not find by its name", hint)
        try:
            weights, description = self.serialise()
            rebuilt(description, weights, self.classes, "the module", script)
        except (SettingError, ModelError) as error:
            if module == MAIN and "compares again" in error.message:
                raise
            said = error.message.removeprefix(f"--architecture {name}: ")
            raise SettingError(f"module {name} cannot be made anew in a worker process: {said}", hint) from error


def model_of(
    name: str,
    module: nn.Module,
    n_features: int,
    classes: tuple[str, ...],
    standardisation: Statistics | None = None,
    look: bool = False,
) -> AnyModel:
    """The model that a trained module makes: a plain one where it is a chain of linear layers, else an `OwnModel`.

    Args:
        name: of its class.
        module: anywhere, in any mode; it is copied.
        n_features: F, encoded.
        classes: the labels' names.
        standardisation: mean_F and scale_F, float64, of the features that the module was trained on; None: it takes
            encoded features as they are.
        look: see `look_at` first.

    Raises SettingError when torch.export cannot trace it or it does not stand the look, TrainingError when its weights
    are not finite, also once standardisation is folded into them.
    """
    own = _detached(module, name)
    if look:
        look_at(own, n_features, len(classes), f"module {name}")
    _check_finite(own)
    chain = chain_of(own, n_features, len(classes))
    if isinstance(chain, str):
        whole = own if standardisation is None else Standardised(own, *_checked_float32(*standardisation)).eval()
        return _own_model(name, whole, n_features, classes, chain)
    layers = list(chain.layers)
    if standardisation is not None:
        mean_F, scale_F = standardisation
        weight_HF = layers[0][0] / scale_F
        layers[0] = (weight_HF, layers[0][1] - weight_HF @ mean_F)
    with np.errstate(over="ignore"):  # looked for below
        rounded = tuple(layer_from(weight, bias) for weight, bias in layers)
    for number, layer in enumerate(rounded):
        if not (np.isfinite(layer.weight_OI).all() and np.isfinite(layer.bias_O).all()):
            raise TrainingError(
                f"linear layer {number} has weights beyond float32 once normalisation is folded into it",
                "a feature or a normalised value varies too little",
            )
    shape = Architecture(n_features, chain.widths[1:-1], len(classes), chain.activation)
    return Model(shape, rounded, classes)


def model_from(module: nn.Module, n_features: int) -> AnyModel:
    """The model that a module in memory is, its classes called `0`, `1` ...; it takes n_features features as they are.

    Raises SettingError when it is no classifier that vecml can run; see `look_at`.
    """
    module = unwrapped(module)
    name = f"{type(module).__module__}:{type(module).__qualname__}"
    refuse_other_kinds(module, f"module {name}")
    own = _detached(module, f"module {name}")
    x_NF = torch.zeros((LOOKED_AT, n_features))
    try:
        with torch.no_grad():
            logits_NC = own(x_NF)
    except Exception as error:
        raise SettingError(
            f"module {name}: it fails on {LOOKED_AT} rows of {n_features} features: {one_line(error, named=True)}",
            takes(own),
        ) from error
    if not isinstance(logits_NC, torch.Tensor) or logits_NC.ndim != 2 or logits_NC.shape[1] < 2:
        given = tuple(logits_NC.shape) if isinstance(logits_NC, torch.Tensor) else type(logits_NC).__name__
        raise SettingError(
            f"module {name}: it gives {given} for {LOOKED_AT} rows, not logits (rows, classes)",
            "one logit a class, two for two classes",
        )
    model = model_of(name, own, n_features, tuple(map(str, range(logits_NC.shape[1]))), look=True)
    tell_of_probabilities(own, n_features, f"module {name}")
    return model


def rebuilt(
    payload: Mapping[str, Any], state: bytes, classes: tuple[str, ...], place: str, script: str | None = None
) -> OwnModel:
    """The model that `OwnModel.serialise` gave.

    Args:
        payload: with a name that the user has given: it is imported.
        state: a safetensors file's content.
        classes: the labels' names.
        place: what to call the state in errors.
        script: of a class of the running script; see `find_class`.

    Raises SettingError when the class cannot be made, ModelError when the state is damaged, does not fit it, or the
    class computes something else than when it was saved.
    """
    name, n_features, n_classes = str(payload["name"]), int(payload["n_features"]), int(payload["n_classes"])
    module: nn.Module = make(name, n_features, n_classes, script).eval()
    unwrap_parts(module)
    refuse_other_kinds(module, f"--architecture {name}", "self")
    if payload["standardised"]:
        module = Standardised(module, np.zeros(n_features), np.ones(n_features)).eval()
    look_at(module, n_features, n_classes, f"--architecture {name}")  # which also lets lazy layers take their shapes
    fill(module, read_state(state, place), place, name)
    model = _own_model(
        name, _detached(module, name), n_features, classes, str(payload["obstacle"]), int(payload["multiply_adds"])
    )
    changed = ModelError(
        f"{name} is not the class that {place} was saved with: {{}}",
        "bring the class back as it was, or train it again",
    )
    if model.architecture.digest != payload["digest"]:
        changed.message = changed.message.format("its parts are others")
        raise ModelError(changed.message, changed.hint)
    expected_NC = torch.tensor(payload["answers"], dtype=torch.float32)
    given_NC = torch.tensor(_answers(model.module, n_features))
    if expected_NC.shape != given_NC.shape or differs(given_NC, expected_NC):
        raise ModelError(changed.message.format("it gives other logits"), changed.hint)
    return model


def read_state(content: bytes, place: str) -> dict[str, torch.Tensor]:
    """The tensors (any shapes and dtypes) of a safetensors file; raises ModelError when it is none, naming `place`."""
    from safetensors import SafetensorError  # noqa: PLC0415 -- only whoever saves or loads needs it
    from safetensors.torch import load  # noqa: PLC0415

    try:
        return dict(sorted(load(content).items()))  # a file has no order of its own
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{place} is no safetensors file: {one_line(error, named=True)}",
            "what torch.save writes is not read: save it by save_file of safetensors.torch",
        ) from None


def fill(module: nn.Module, state: Mapping[str, torch.Tensor], place: str, name: str) -> None:
    """Copy every tensor of `state` into `module`, of the class `name`; raises ModelError, with `place`, for a misfit.

    A tensor is missing, there is one too many, its shape or kind is another, or a weight is not finite.
    """
    own = module.state_dict()
    prefix = _wrapper(state, own)
    if prefix:
        bare = f"{{name.removeprefix({prefix!r}): value for name, value in module.state_dict().items()}}"
        raise ModelError(
            f"{place}: every name in it begins with {prefix!r}, and those of {name} do not",
            f"it was saved from what wraps the module (DataParallel, torch.compile, Lightning); save {bare}",
        )
    for key in own:
        if key not in state:
            raise ModelError(f"{place} has no tensor {key}, which {name} needs", _keys("it has", state))
    for key in state:
        if key not in own:
            raise ModelError(f"{place} has a tensor {key}, which {name} does not", _keys(f"{name} has", own))
    for key in own:
        value = state[key]
        if value.shape != own[key].shape:
            raise ModelError(f"{place}: {key} is {tuple(value.shape)}, and {name} takes {tuple(own[key].shape)}")
        if value.is_floating_point() != own[key].is_floating_point():
            kinds = [str(one.dtype).removeprefix("torch.") for one in (value, own[key])]
            raise ModelError(f"{place}: {key} is {kinds[0]}, and {name} takes {kinds[1]}")
        with torch.no_grad():
            rounded = value.to(own[key].dtype)
        check_finite(key, rounded, place)
        with torch.no_grad():
            own[key].copy_(rounded)


def own_logits(model: AnyModel, x_FN: NDArray[np.floating]) -> NDArray[np.float64]:
    """The logits of the model's module itself, computed in float32, for the columns of x_FN (F, N): float64 (N, C)."""
    return _in_blocks(model.as_module(), x_FN, torch.float32)


def _in_blocks(module: nn.Module, x_FN: NDArray[np.floating], dtype: torch.dtype) -> NDArray[np.float64]:
    parts = []
    with torch.no_grad():
        for start in range(0, x_FN.shape[1], BLOCK_ROWS):
            x_NF = torch.from_numpy(np.ascontiguousarray(x_FN[:, start : start + BLOCK_ROWS].T)).to(dtype)
            parts.append(module(x_NF).double().numpy())
    return np.concatenate(parts)


def _own_model(
    name: str,
    module: nn.Module,
    n_features: int,
    classes: tuple[str, ...],
    obstacle: str,
    multiply_adds: int | None = None,
) -> OwnModel:
    state = module.state_dict()
    parts = [(key, type(part).__name__) for key, part in module.named_modules()]
    shapes = [(key, str(value.dtype), list(value.shape)) for key, value in state.items()]
    shape_digest = hashlib.blake2b(json.dumps([name, parts, shapes]).encode(), digest_size=16).hexdigest()
    digest = hashlib.blake2b(digest_size=16)
    digest.update(shape_digest.encode())
    digest.update(json.dumps(classes).encode())
    for _, value in sorted(state.items()):
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    cost = _multiply_adds(module, n_features) if multiply_adds is None else multiply_adds
    shape = OwnArchitecture(name, n_features, len(classes), shape_digest, cost, obstacle)
    return OwnModel(shape, module, classes, digest.hexdigest())


def _multiply_adds(module: nn.Module, n_features: int) -> int:
    """Count the multiply-adds of one row with torch's counter, which counts products of matrices and convolutions."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 -- slow to import

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros((1, n_features)))
    return int(counter.get_total_flops()) // 2


def _answers(module: nn.Module, n_features: int) -> list[list[float]]:
    """The float32 logits of some fixed rows, by row: what shows that a class still computes the same."""
    place_NF = np.arange(ANSWERS * n_features, dtype=np.float64).reshape(ANSWERS, n_features)
    with torch.no_grad():
        logits_NC = module(torch.from_numpy(np.sin(place_NF).astype(np.float32)))
    rows: list[list[float]] = torch.nan_to_num(logits_NC).tolist()
    return rows


def _detached(module: nn.Module, what: str) -> nn.Module:
    """A copy on the CPU, in evaluation mode, whose tensors have storage of their own and no gradients."""
    try:
        own = copy.deepcopy(module).cpu().eval()
        unwrap_parts(own)
        for parameter in own.parameters():
            parameter.grad = None
            parameter.data = parameter.detach().clone()
            parameter.requires_grad_(False)
    except (Exception, SystemExit) as error:
        hint = "call it once, so that its lazy layers get their shapes" if "uninitialized" in str(error) else None
        raise SettingError(f"{what}: it cannot be copied: {one_line(error, named=True)}", hint) from error
    return own


def _check_finite(module: nn.Module) -> None:
    for key, value in module.state_dict().items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not bool(value.isfinite().all()):
            raise TrainingError(
                f"training left {key} with values that are not finite", "a smaller --learning-rate may help"
            )


def _checked_float32(mean_F: NDArray[np.float64], scale_F: NDArray[np.float64]) -> Statistics:
    """Return both unchanged; raise TrainingError if one of them, or 1 / scale_F, is not finite in float32."""
    with np.errstate(all="ignore"):
        small_F = scale_F.astype(np.float32)
        bad_F = ~(np.isfinite(small_F) & np.isfinite(1 / small_F) & np.isfinite(mean_F.astype(np.float32)))
    if bad_F.any():
        index = int(bad_F.argmax())
        raise TrainingError(
            f"feature {index} varies too little for float32: its standard deviation is {scale_F[index]:.3g}",
            "multiply the column by a large number, or leave it out with --drop",
        )
    return mean_F, scale_F


def _wrapper(state: Mapping[str, object], own: Mapping[str, object]) -> str:
    """What stands before all names of a state that are else a module's own (`module.`, `_orig_mod.`); or nothing."""
    found = next((key.removesuffix(name) for key in state for name in own if key.endswith(f".{name}")), "")
    return found if found and {found + name for name in own} == set(state) else ""


def _keys(before: str, state: Mapping[str, object]) -> str:
    names = list(state)
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"{before} {', '.join(names[:6])}{more}" if names else f"{before} none"
