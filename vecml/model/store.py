"""A classifier in a folder, without pickle: loading one runs no code of its own.

A module of the user's own is saved as its state, and needs its class to be loaded: nothing is imported because a file
says so; whoever loads it names the class.

    model.safetensors     the weights, nothing else
    preprocessing.json    how a raw table becomes features: kinds, vocabularies, imputation, labels
    model.json            the description: format, architecture, classes, and the SHA-256 of the other two

`model.json` is read first and written last: a folder without it is not a model. The digests are checked before anything
else is read. This is the only form that vecml loads (torch.export's and MLflow's loaders run what the artifact says).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from vecml.atomic import write_bytes
from vecml.config import Activation
from vecml.data.encoding import Encoding
from vecml.errors import ModelError
from vecml.model.network import AnyModel, Architecture, Layer, Model
from vecml.regular_file import read_regular

FORMAT = 1
DESCRIPTION = "model.json"
WEIGHTS = "model.safetensors"
PREPROCESSING = "preprocessing.json"
OWN = "own"  # the kind of an architecture that is a module of the user's own


@dataclass(frozen=True)
class Classifier:
    """A model with the encoding that its features come from: all that a raw table needs.

    Attributes:
        model: takes encoded features.
        encoding: makes them from raw columns.
    """

    model: AnyModel
    encoding: Encoding


def serialise(classifier: Classifier) -> dict[str, bytes]:
    """The files of a saved classifier, by name, in the order in which they are to be written."""
    model = classifier.model
    weights, architecture = model.serialise()
    files = {WEIGHTS: weights, PREPROCESSING: _json(classifier.encoding.to_json_dict())}
    description = {
        "format": FORMAT,
        "architecture": architecture,
        "classes": model.classes,
        "model_digest": model.digest,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return {**files, DESCRIPTION: _json(description)}


def save(classifier: Classifier, folder: Path) -> None:
    """Write the classifier into `folder`, which is made when it is not there. Raises StoreError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in serialise(classifier).items():
        write_bytes(folder / name, content)


def load(folder: str | Path, architecture: str | None = None) -> Classifier:
    """Load the classifier that a run stored in `folder` (or in its subfolder `vecml`, as in an MLflow model).

    Args:
        folder: `mlruns/artifacts/RUN_ID/artifacts/model`, or a copy of it.
        architecture: `package.module:Class` of a model of your own class, which is imported. Any other model needs
            none, and no code of the folder's is run.

    Raises:
        ModelError: there is no model, a digest differs, the format is of another version, or its class is needed and
            not given, or is another one. The message names the file.
        SettingError: the class cannot be imported.
    """
    place = Path(folder)
    if not (place / DESCRIPTION).exists() and (place / "vecml" / DESCRIPTION).exists():
        place = place / "vecml"
    try:
        description = json.loads(read_regular(place / DESCRIPTION))
        content = {name: read_regular(place / name) for name in (WEIGHTS, PREPROCESSING)}
    except OSError as error:
        raise ModelError(
            f"no model in {folder}: {Path(error.filename).name}: {error.strerror}",
            f"name a folder that holds {DESCRIPTION}, {WEIGHTS} and {PREPROCESSING}",
        ) from None
    except (ValueError, RecursionError):
        raise ModelError(
            f"{place / DESCRIPTION} is no JSON: it is damaged", "take the model from its run again"
        ) from None
    try:
        return _checked(description, content, place, architecture)
    except KeyError as error:
        raise ModelError(
            f"{place / DESCRIPTION} lacks {error}: it is damaged", "take the model from its run again"
        ) from None
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ModelError(f"{place / DESCRIPTION} is damaged: {error}", "take the model from its run again") from None


def _checked(
    description: dict[str, Any], content: dict[str, bytes], place: Path, architecture_name: str | None
) -> Classifier:
    if type(description["format"]) is not int or description["format"] != FORMAT:
        raise ModelError(
            f"{place / DESCRIPTION} has format {description['format']!r}; this vecml reads {FORMAT}",
            "load it with the vecml that saved it",
        )
    for name, data in content.items():
        if hashlib.sha256(data).hexdigest() != description["sha256"][name]:
            raise ModelError(
                f"{place / name} is not the file that was saved: its SHA-256 differs from {DESCRIPTION}'s",
                "take the model from its run again",
            )
    architecture = description["architecture"]
    if architecture.get("kind") == OWN:
        _check_name(str(architecture["name"]), place, architecture_name)
    model = rebuild(architecture, content[WEIGHTS], tuple(map(str, description["classes"])), place)
    if model.digest != description["model_digest"]:
        raise ModelError(
            f"{place / DESCRIPTION} was altered: the model's digest differs", "take the model from its run again"
        )
    try:
        encoding = Encoding.from_json_dict(json.loads(content[PREPROCESSING]))
    except (ValueError, RecursionError):
        raise ModelError(
            f"{place / PREPROCESSING} is no JSON: it is damaged", "take the model from its run again"
        ) from None
    n_features = model.architecture.n_features
    if encoding.n_features != n_features or encoding.classes != model.classes:
        raise ModelError(
            f"{place / PREPROCESSING} is of another model: it makes {encoding.n_features} features of"
            f" {n_features}, or other classes"
        )
    return Classifier(model, encoding)


def rebuild(
    architecture: dict[str, Any], weights: bytes, classes: tuple[str, ...], place: Path, script: str | None = None
) -> AnyModel:
    """The model that `AnyModel.serialise` gave these two of.

    Args:
        architecture: the description. The class that it names is imported: the user must have named it.
        weights: a safetensors file's content.
        classes: the labels' names.
        place: the folder that both are from, for errors.
        script: the path of the running script, when the class is one of it.

    Raises ModelError for what is damaged, SettingError when the class cannot be made.
    """
    if architecture.get("kind") == OWN:
        from vecml.model.own_module import rebuilt  # noqa: PLC0415 -- torch, which a plain model need not wait for

        return rebuilt(architecture, weights, classes, str(place / WEIGHTS), script)
    if architecture["activation"] not in get_args(Activation):
        raise ModelError(f"{place / DESCRIPTION}: there is no activation {architecture['activation']!r}")
    shape = Architecture(
        int(architecture["n_features"]),
        tuple(map(int, architecture["hidden"])),
        int(architecture["n_classes"]),
        architecture["activation"],
    )
    return Model(shape, _layers(weights, shape, place), classes)


def _check_name(made_by: str, place: Path, name: str | None) -> None:
    """Raise ModelError unless the user has named the class of a module of their own."""
    if name is None:
        raise ModelError(
            f"{place / DESCRIPTION} was made by {made_by}, which is code: nothing is imported because a file says so",
            f"load(folder, architecture={made_by!r}), or --architecture {made_by}, if you trust it",
        )
    if name != made_by:
        raise ModelError(f"{place / DESCRIPTION} was made by {made_by}, not by {name}")


def _layers(content: bytes, architecture: Architecture, place: Path) -> tuple[Layer, ...]:
    from safetensors import SafetensorError  # noqa: PLC0415 -- only whoever saves or loads needs it
    from safetensors.numpy import load as load_arrays  # noqa: PLC0415

    try:
        arrays = load_arrays(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # the others: a type that numpy has not
        raise ModelError(f"{place / WEIGHTS} is no safetensors file that numpy can read: {error}") from None
    layers = []
    for index, (fan_in, fan_out) in enumerate(zip(architecture.widths, architecture.widths[1:], strict=False)):
        weight = _array(arrays, f"layers.{index}.weight", (fan_out, fan_in), place)
        bias = _array(arrays, f"layers.{index}.bias", (fan_out,), place)
        _check_range(weight, bias, f"{place / WEIGHTS}: layer {index}")
        layers.append(Layer(weight, bias))
    return tuple(layers)


def _array(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...], place: Path) -> np.ndarray:
    """The float32 array of this name and shape, made read-only; raises ModelError when it is not there or another."""
    if name not in arrays:
        raise ModelError(f"{place / WEIGHTS} has no {name}")
    array = arrays[name]
    if array.shape != shape or array.dtype != np.float32:
        raise ModelError(f"{place / WEIGHTS}: {name} is {array.shape} {array.dtype}, not {shape} float32")
    array.flags.writeable = False
    return array


def _check_range(weight_OI: np.ndarray, bias_O: np.ndarray, where: str) -> None:
    """Raise ModelError for a layer that training cannot leave: it would give every row the same class.

    Its weights are not finite, or so large that inputs of size 1 are more than float32 can hold.
    """
    if not (np.isfinite(weight_OI).all() and np.isfinite(bias_O).all()):
        raise ModelError(f"{where} has weights that are not finite", "take the model from its run again")
    largest = float((np.abs(weight_OI.astype(np.float64)).sum(axis=1) + np.abs(bias_O)).max(initial=0.0))
    if largest > float(np.finfo(np.float32).max):
        raise ModelError(
            f"{where} has weights that float32 cannot add up: to {largest:.3g}", "take the model from its run again"
        )


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
