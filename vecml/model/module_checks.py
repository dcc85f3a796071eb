"""A module of the user's own is looked at before it is believed: every reason why it is no classifier, in words."""

import contextlib
import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from vecml.errors import ModelError, SettingError, one_line
from vecml.model.find import make
from vecml.model.one_row import ONE_ROW
from vecml.model.wrapped import gives_probabilities, looks_up, refuse_other_kinds, unwrap_parts
from vecml.warnings import warn

LOOKED_AT = 5  # rows
BY_ITSELF = (
    "in evaluation mode batch normalisation uses its running mean: F.batch_norm(x, mean, variance,"
    " training=self.training), where mean and variance are buffers, as nn.BatchNorm1d has them"
)
ALONE = 1e-3  # a row by itself may differ from the same row among others by rounding, as a share of the largest logit


def build(name: str, n_features: int, n_classes: int, script: str | None = None) -> nn.Module:
    """Make a module of the class `name` (of `script`, or importable) for `n_features` and `n_classes`, and check it.

    It computes in float32 on the CPU, and is in evaluation mode. Raises SettingError as `find_class`, `make`,
    `refuse_other_kinds` and `look_at` do, and where its answers depend on more than its state.
    """
    module = make(name, n_features, n_classes, script).eval()
    unwrap_parts(module)
    refuse_other_kinds(module, f"--architecture {name}", "self")
    look_at(module, n_features, n_classes, f"--architecture {name}")
    with torch.random.fork_rng(devices=[]):  # what is drawn for it is nobody's business
        another = make(name, n_features, n_classes, script).eval()
    unwrap_parts(another)
    _look_at_another(module, another, n_features, f"--architecture {name}")
    return module


def _look_at_another(module: nn.Module, other: nn.Module, n_features: int, what: str) -> None:
    """Raise SettingError if `other`, a new module of the same class, gives other logits with the state of `module`."""
    x_NF = torch.from_numpy(np.random.default_rng(0).standard_normal((LOOKED_AT, n_features)).astype(np.float32))
    with torch.no_grad():
        _initialise_lazy_layers(other, x_NF)
        try:
            other.load_state_dict(module.state_dict())
            same = not differs(other(x_NF), module(x_NF))
        except RuntimeError:  # another one has other tensors
            same = False
    if not same:
        raise SettingError(
            f"{what}: another one with the same state gives other logits, so a saved one could not be loaded",
            "register what is drawn at random as a buffer that is saved (not persistent=False), or fix its seed",
        )


def takes(module: nn.Module) -> str:
    """Say what a module that fails is given, as the hint of its error."""
    if looks_up(module):
        return (
            "features are standardised numbers, float32, and no indices that an embedding could look up; a category is"
            " a column of zeros and ones for each value, from which nn.Linear gives what an embedding would"
        )
    return "it takes encoded features (rows, features), float32"


def tell_of_probabilities(module: nn.Module, n_features: int, what: str) -> None:
    """Give the warning VML025, `what` first, where the module's outputs are probabilities and not logits."""
    x_NF = torch.from_numpy(np.random.default_rng(0).standard_normal((LOOKED_AT, n_features)).astype(np.float32))
    with torch.no_grad():
        outputs_NC = module(x_NF)
    if gives_probabilities(outputs_NC):
        warn(
            "VML025",
            f"{what}: it ends in a softmax: its outputs are probabilities where logits are expected; the labels are the"
            " same, but its training and every probability take a softmax of them once more: leave it out of forward",
        )


def look_at(module: nn.Module, n_features: int, n_classes: int, what: str) -> None:
    """Raise SettingError, `what` first, if `module` is no classifier of `n_features` and `n_classes` that vecml runs.

    In evaluation mode it must give finite or infinite float32 logits (N, C) for float32 features (N, F), each row by
    itself and the same each time; a copy of it must do so in float64; its weights must be finite float32 tensors, and
    all of its state tensors.
    """
    rng = np.random.default_rng(0)
    x_NF = torch.from_numpy(rng.standard_normal((LOOKED_AT, n_features)).astype(np.float32))
    with torch.no_grad():
        _initialise_lazy_layers(module, x_NF)
        given_NF, before = x_NF.clone(), {key: copy.deepcopy(value) for key, value in module.state_dict().items()}
        try:
            logits_NC = module(x_NF)
        except (Exception, SystemExit) as error:
            raise SettingError(
                f"{what}: it fails on {LOOKED_AT} rows of {n_features} features: {one_line(error, named=True)}",
                takes(module),
            ) from error
        if not torch.equal(x_NF, given_NF):
            raise SettingError(f"{what}: it changes the rows that it is given", "let it work on a copy: x = x.clone()")
        if changed := _changed(before, module.state_dict()):
            raise SettingError(
                f"{what}: its {changed} changes when it is called, in evaluation mode too",
                "what is saved must be what answers: keep it as it is unless self.training",
            )
        wanted = f"({LOOKED_AT}, {n_classes}) float32"
        if not isinstance(logits_NC, torch.Tensor):
            raise SettingError(f"{what}: it gives a {type(logits_NC).__name__}, not logits: {wanted}")
        if tuple(logits_NC.shape) != (LOOKED_AT, n_classes) or logits_NC.dtype != torch.float32:
            given = f"{tuple(logits_NC.shape)} {str(logits_NC.dtype).removeprefix('torch.')}"
            raise SettingError(
                f"{what}: it gives {given} for {LOOKED_AT} rows of {n_features} features, not {wanted}",
                "one logit a class, two for two classes",
            )
        _check_state(module, what)
        if not torch.equal(torch.nan_to_num(module(x_NF)), torch.nan_to_num(logits_NC)):
            raise SettingError(
                f"{what}: it gives other logits for the same rows each time", "random layers must be off in eval mode"
            )
        alone_NC = torch.cat([_alone(module, row_F, n_classes, what) for row_F in x_NF])
        if differs(alone_NC, logits_NC) or not torch.equal(alone_NC.isfinite(), logits_NC.isfinite()):
            raise SettingError(
                f"{what}: its logits for a row depend on the other rows of the call",
                "what is computed along dim=0 goes over the rows: a softmax, a mean or a sum over a row takes dim=1",
            )
        try:
            wide_NC = copy.deepcopy(module).double()(x_NF.double())
        except (Exception, SystemExit) as error:
            raise SettingError(
                f"{what}: a copy of it does not run in float64, which the reference needs:"
                f" {one_line(error, named=True)}",
                "let tensors that it makes take the dtype of its input: x.new_zeros(...)",
            ) from error
        if wide_NC.dtype != torch.float64 or differs(wide_NC, logits_NC):
            raise SettingError(f"{what}: a copy of it in float64 gives other logits", "it may round to float32 itself")


def _alone(module: nn.Module, row_F: torch.Tensor, n_classes: int, what: str) -> torch.Tensor:
    """The logits (1, C) of a single row; raises SettingError where the module fails on it, or drops its dimension."""
    try:
        logits_1C = module(row_F[None])
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"{what}: it fails on a single row, and not on {LOOKED_AT}: {one_line(error, named=True)}",
            BY_ITSELF if ONE_ROW in str(error) else "what it computes of a row must not need other rows",
        ) from error
    if not isinstance(logits_1C, torch.Tensor) or tuple(logits_1C.shape) != (1, n_classes):
        given = tuple(logits_1C.shape) if isinstance(logits_1C, torch.Tensor) else type(logits_1C).__name__
        raise SettingError(
            f"{what}: it gives {given} for a single row, not {(1, n_classes)}",
            "squeeze() without a dimension drops that of the rows as well: squeeze(dim=1), or flatten(1)",
        )
    return logits_1C


def _check_state(module: nn.Module, what: str) -> None:
    """Raise SettingError for a state that is not finite tensors, and for parameters that are not float32."""
    for key, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise SettingError(f"{what}: its state {key} is a {type(value).__name__}, not a tensor")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise SettingError(f"{what}: its {key} is not finite", "give it initial weights that are")
    for key, parameter in module.named_parameters():
        if parameter.dtype != torch.float32:
            dtype = str(parameter.dtype).removeprefix("torch.")
            raise SettingError(f"{what}: its {key} is {dtype}, not float32", "make it in float32: layer.float()")


def _initialise_lazy_layers(module: nn.Module, x_NF: torch.Tensor) -> None:
    """Call the module once, so that lazy layers get their shapes; ignore an error, as the next call raises it again."""
    with contextlib.suppress(Exception, SystemExit):
        module(x_NF.clone())


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> str | None:
    """Return the key of the first tensor of a module's state that has other values now; None if there is none."""
    for key, value in after.items():
        old = before.get(key)
        if not isinstance(value, torch.Tensor) or not isinstance(old, torch.Tensor):
            continue
        if value.shape != old.shape or not torch.equal(torch.nan_to_num(value), torch.nan_to_num(old)):
            return key
    return None


def differs(one_NC: torch.Tensor, other_NC: torch.Tensor) -> bool:
    """Whether two tensors of logits (N, C) differ by more than rounding could, where both are finite."""
    one_NC, other_NC = one_NC.double(), other_NC.double()
    off_NC = (one_NC - other_NC).abs()
    finite_NC = off_NC.isfinite()
    if not bool(finite_NC.any()):
        return False
    return bool((off_NC[finite_NC] > ALONE * other_NC[finite_NC].abs().max().clamp_min(1e-6)).any())


def check_finite(key: str, value: torch.Tensor, place: str) -> None:
    """Raise ModelError when the tensor `value` (any shape and dtype) called `key` has a NaN or an infinity."""
    if not value.is_floating_point():
        return
    wide = value.double()  # types of 8 bits cannot be asked themselves
    if not bool(wide.isfinite().all()):
        kind = "NaN" if bool(wide.isnan().any()) else "infinite"
        raise ModelError(f"{place}: a model with {kind} weights: {key}", "take the weights from an earlier step")
