"""Modules that stand around another, or are no plain ones any more: taken as what they run, or refused in a line."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import vecml
from tests.model import own_modules
from tests.model.made_split import made_split
from tests.model.own_modules import (
    CompiledPart,
    Embeds,
    EmbedsWhole,
    Residual,
    SharesCompiledParts,
    Shifted,
    Softmaxed,
)
from vecml.errors import DataError, SettingError, TrainingError
from vecml.model.own_module import model_from
from vecml.model.store import Classifier, load, save
from vecml.model.train import train
from vecml.model.wrapped import unwrap_parts
from vecml.warnings import VecmlWarning

# Each is of the part of torch that makes the thing, not of vecml's taking it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(torch.jit|torch.ao.quantization|quantize|weight_norm|ComplexHalf|Complex modules).*"
)
HERE = "tests.model.own_modules"
X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)


def chain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


def own() -> nn.Module:
    torch.manual_seed(0)
    return Residual(3, 2).eval()


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "torch.compile": torch.compile,
    "DataParallel": nn.DataParallel,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "two of them": lambda module: nn.DataParallel(torch.compile(module)),
    "the other way": lambda module: torch.compile(nn.DataParallel(module)),
    "a part": lambda module: nn.Sequential(torch.compile(module)),
}


@pytest.mark.parametrize("make", [chain, own])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_is_what_it_runs(wrapper: str, make: Callable[[], nn.Module]) -> None:
    wrapped = WRAPPERS[wrapper](make())
    expected_N = make()(torch.from_numpy(X)).argmax(1).numpy()
    np.testing.assert_array_equal(vecml.predict(wrapped, X, threads=1), expected_N)
    if wrapper != "a part":
        assert model_from(wrapped, 3).digest == model_from(make(), 3).digest
    assert isinstance(wrapped, nn.Module)  # and is left as it was
    assert any(
        type(part).__name__ in ("OptimizedModule", "DataParallel", "AveragedModel") for part in wrapped.modules()
    )


@pytest.mark.parametrize("make", [chain, own])
@pytest.mark.parametrize(
    "wrapper",
    [
        lambda module: torch.compile(torch.compile(module)),
        lambda module: torch.compile(nn.DataParallel(torch.compile(module))),
        lambda module: torch.compile(module.forward),
        lambda module: module.forward,
        lambda module: module.__call__,
    ],
    ids=["compiled twice", "a compiled part", "a compiled forward", "its forward", "its call"],
)
def test_a_function_of_a_module_is_that_module(wrapper: Callable[[nn.Module], Any], make: Callable[[], Any]) -> None:
    expected_N = make()(torch.from_numpy(X)).argmax(1).numpy()
    np.testing.assert_array_equal(vecml.predict(wrapper(make()), X, threads=1), expected_N)


def test_a_class_with_a_compiled_part_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:CompiledPart")
    model = train(split, config).model
    save(Classifier(model, split.encoding), tmp_path / "model")
    assert load(tmp_path / "model", architecture=f"{HERE}:CompiledPart").model.digest == model.digest
    assert type(CompiledPart(3, 2).body).__name__ == "OptimizedModule"


def pruned() -> nn.Module:
    module = chain()
    for part in (module[0], module[2]):  # type: ignore[index]
        prune.l1_unstructured(part, "weight", amount=0.5)
    return module


def half_of_it() -> nn.Module:
    module = own()
    module.last.half()  # type: ignore[operator, union-attr]
    return module


def normalised(by: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        module = chain()
        by(module[0])  # type: ignore[index]
        return module

    return make


def with_a_forward_of_its_own() -> nn.Module:
    module = own()
    module.forward = torch.compile(module.forward)  # type: ignore[method-assign]
    return module


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "scripted": (lambda: torch.jit.script(chain()), "it was made by torch.jit"),
    "traced": (lambda: torch.jit.trace(chain(), torch.from_numpy(X)), "it was made by torch.jit"),
    "a scripted part": (lambda: nn.Sequential(torch.jit.script(chain())), "its 0 was made by torch.jit"),
    "quantised": (lambda: torch.ao.quantization.quantize_dynamic(chain(), {nn.Linear}), "its 0 is quantised (Linear)"),
    "exported": (lambda: torch.export.export(chain(), (torch.from_numpy(X),)).module(), "it was made by torch.export"),
    "normalised weight": (normalised(torch.nn.utils.weight_norm), "its 0.weight is normalised by a hook"),
    "normalised spectrum": (normalised(torch.nn.utils.spectral_norm), "its 0.weight is normalised by a hook"),
    "a forward of its own": (with_a_forward_of_its_own, "its forward was set on the object, and not by its class"),
    "complex": (lambda: nn.Sequential(nn.Linear(3, 2).to(torch.complex64)), "its 0.weight is complex64, not float32"),
    "without values": (lambda: nn.Sequential(nn.Linear(3, 2, device="meta")), "its 0.weight is on device meta"),
    "pruned": (pruned, "its 0.weight is pruned: it is made anew at every call"),
    "double": (lambda: chain().double(), "its 0.weight is float64, not float32"),
    "half": (lambda: chain().half(), "its 0.weight is float16, not float32"),
    "bfloat16": (lambda: own().bfloat16(), "its first.weight is bfloat16, not float32"),
    "half of it": (half_of_it, "its last.weight is float16, not float32"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_one_line_with_what_to_do(kind: str) -> None:
    make, said = REFUSED[kind]
    with pytest.raises(SettingError) as caught:
        vecml.predict(make(), X, threads=1)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    hint = str(caught.value.hint)
    if "prune" in hint or "torch.nn.utils" in hint or hint.startswith("del "):
        module = make()
        pasted = hint.partition(" leaves")[0].partition("; or")[0]
        exec(pasted.partition(": ")[2] or pasted, {"module": module, "torch": torch})  # noqa: S102 -- a hint is pasted
        assert vecml.predict(module, X, threads=1).shape == (40,)
    elif ".float()" in hint:
        module = eval(hint.partition(" is ")[0], {"module": make(), "copy": copy})  # noqa: S307 -- the same
        assert vecml.predict(module, X, threads=1).shape == (40,)
    else:
        assert hint.startswith(("give the module ", "give it real weights", "load its weights first"))


@pytest.mark.parametrize("made", [Embeds, EmbedsWhole])
def test_an_embedding_is_told_what_features_are(tmp_path: Path, made: Any) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:{made.__name__}")
    for attempt in (lambda: train(split, config), lambda: model_from(made(3, 2), 3)):
        with pytest.raises(SettingError) as caught:
            attempt()
        assert "fails on 5 rows of 3 features" in caught.value.message
        assert str(caught.value.hint).startswith("features are standardised numbers, float32, and no indices")


@pytest.mark.parametrize("name", ["Normalised", "NormalisesInForward"])
def test_a_batch_of_one_row_names_the_next_step(tmp_path: Path, name: str) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:{name}", batch_size=1)
    with pytest.raises(TrainingError) as caught:
        train(split, config)
    assert caught.value.hint == ("batch normalisation needs two rows or more in a batch: --batch-size 32 instead of 1")
    train(split, config.model_copy(update={"batch_size": 32}))


@pytest.mark.parametrize("name", ["Normalised", "NormalisesInForward"])
@pytest.mark.parametrize("values", [{}, {"epochs": None}], ids=["epochs", "until it is done"])
def test_a_last_batch_of_one_row_ends_no_training(tmp_path: Path, name: str, values: dict[str, Any]) -> None:
    """The hint for a batch of one row names a size, at which a lone row may be left as well."""
    split, config = made_split(tmp_path, n_rows=202, architecture=f"{HERE}:{name}", **values)
    rows = len(split.train.label_N)
    size = next(one for one in range(3, rows) if rows % one == 1)
    train(split, config.model_copy(update={"batch_size": size}))


def test_batch_normalisation_in_evaluation_mode_is_told_where_its_mean_comes_from(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:Normalises")
    with pytest.raises(SettingError) as caught:
        train(split, config)
    assert "training=self.training" in str(caught.value.hint)


OF_A_CLASS = {
    "ScriptedPart": ("its last was made by torch.jit", "give the module that it was scripted or traced from"),
    "QuantisedPart": ("its last is quantised (Linear)", "give the module from before it was quantised"),
    "Pruned": ("its last.weight is pruned", "prune.remove(self.last, 'weight')"),
    "HalfOfIt": ("its last.weight is float16, not float32", "at the end of its __init__: self.float()"),
}


@pytest.mark.parametrize("name", OF_A_CLASS)
def test_what_a_class_makes_is_refused_for_the_same_reasons(tmp_path: Path, name: str) -> None:
    said, hint = OF_A_CLASS[name]
    split, config = made_split(tmp_path, architecture=f"{HERE}:{name}")
    with pytest.raises(SettingError) as caught:
        train(split, config)
    assert caught.value.message.startswith(f"--architecture {HERE}:{name}: {said}")
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("name", OF_A_CLASS)
def test_a_class_that_became_of_another_kind_is_refused_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:Residual")
    save(Classifier(train(split, config).model, split.encoding), tmp_path / "model")
    monkeypatch.setattr(own_modules, "Residual", getattr(own_modules, name))
    with pytest.raises(SettingError) as caught:
        load(tmp_path / "model", architecture=f"{HERE}:Residual")
    assert OF_A_CLASS[name][0] in caught.value.message


def test_a_wrapper_that_is_there_twice_is_unwrapped_in_both_places() -> None:
    torch.manual_seed(0)
    module = SharesCompiledParts(3, 2).eval()
    expected_N = plain_of(module)(torch.from_numpy(X)).argmax(1).numpy()
    np.testing.assert_array_equal(vecml.predict(module, X, threads=1), expected_N)
    taken = model_from(module, 3).module  # type: ignore[union-attr]
    assert {type(part).__name__ for part in taken.modules()} == {"SharesCompiledParts", "Linear", "Sequential", "Tanh"}
    assert taken.one is taken.other is taken.inside[0] is taken.inside[2]


def test_all_of_them_are_at_once() -> None:
    module = SharesCompiledParts(3, 2)
    unwrap_parts(module)
    assert {type(part).__name__ for part in module.modules()} == {"SharesCompiledParts", "Linear", "Sequential", "Tanh"}


def plain_of(module: SharesCompiledParts) -> nn.Module:
    """The same module with its part as it is, put there by hand."""
    own = copy.deepcopy(module)
    plain = own.one._orig_mod
    own.one, own.other, own.inside[0], own.inside[2] = plain, plain, plain, plain
    return own


def test_a_buffer_may_be_of_another_precision() -> None:
    torch.manual_seed(0)
    module = Shifted(3, 2).eval()
    with torch.no_grad():
        expected_N = module(torch.from_numpy(X)).argmax(1).numpy()
    np.testing.assert_array_equal(vecml.predict(module, X, threads=1), expected_N)


@pytest.mark.parametrize("made", [lambda: nn.Sequential(chain(), nn.Softmax(1)), lambda: Softmaxed(3, 2).eval()])
def test_a_softmax_at_the_end_is_told(made: Callable[[], nn.Module]) -> None:
    module = made()
    with pytest.warns(VecmlWarning, match=r"VML025 module .*: it ends in a softmax: its outputs are probabilities"):
        label_N = vecml.predict(module, X, threads=1)
    np.testing.assert_array_equal(label_N, module(torch.from_numpy(X)).argmax(1).numpy())


def test_it_is_told_before_a_training_too(tmp_path: Path) -> None:
    split, config = made_split(tmp_path, architecture=f"{HERE}:Softmaxed")
    with pytest.warns(VecmlWarning, match=f"VML025 --architecture {HERE}:Softmaxed: it ends in a softmax"):
        train(split, config)


@pytest.mark.parametrize("last", [nn.LogSoftmax(1), nn.Sigmoid(), nn.ReLU()])
def test_other_ends_are_no_softmax(last: nn.Module) -> None:
    assert vecml.predict(nn.Sequential(chain(), last), X, threads=1).shape == (40,)  # a warning is an error here


def test_a_softmax_along_the_rows_is_told_what_to_do() -> None:
    with pytest.raises(SettingError, match=r"its logits for a row depend on the other rows of the call$") as caught:
        vecml.predict(nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=0)), X, threads=1)
    assert "takes dim=1" in (caught.value.hint or "")


class ByIndex(nn.Module):
    """Looks rows of a table up by the first feature, by an indexing of its own."""

    def __init__(self, n_features: int = 3, n_classes: int = 2) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.eye(5)[:, :n_classes])

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        logits_NC: torch.Tensor = self.table[x_NF[:, 0].long()]
        return logits_NC


def test_a_module_that_fails_on_some_rows_is_named() -> None:
    with pytest.raises(DataError) as caught:
        vecml.predict(ByIndex(), np.array([[0, 1, 2], [9, 4, 0]], np.float32), threads=1)
    assert caught.value.message.startswith(f"module {__name__}:ByIndex fails on these rows: IndexError: index 9 is out")
    assert vecml.predict(ByIndex(), np.array([[0, 1, 2], [1, 4, 0]], np.float32), threads=1).tolist() == [0, 1]
