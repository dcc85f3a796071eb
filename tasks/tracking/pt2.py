"""Export the classifier as an MLflow model: pt2 for the user's other tools, and beside it the form that vecml loads.

The model has a dynamic batch, a signature and an input example. The requirements are pinned here, because MLflow would
take seconds to infer them and infer wrong ones.
"""

from importlib.metadata import version
from pathlib import Path

import mlflow.pytorch
import numpy as np
from mlflow.models import Model as MLflowModel
from mlflow.models import infer_signature
from numpy.typing import NDArray

from vecml.model.network import AnyModel, Architecture, Model, layer_from
from vecml.model.store import Classifier, save
from vecml.report.run_pictures import loss_curve

PINNED = ("mlflow", "numpy", "torch")


def requirements() -> list[str]:
    """List the packages that load the pt2 model, pinned to the installed versions (without a build's local suffix)."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in PINNED]


def export(classifier: Classifier, example_NF: NDArray[np.float32], folder: Path, run_id: str, model_id: str) -> None:
    """Write the MLflow model into the new `folder`: MLmodel, data/model.pt2, and vecml's own form under vecml/.

    `example_NF`, float32 encoded features by row, becomes the input example; both ids go into MLmodel.
    """
    _save(classifier.model, example_NF, folder, MLflowModel(run_id=run_id, model_id=model_id))
    save(classifier, folder / "vecml")


def warm_up(scratch: Path, n_rows: int) -> None:
    """Export a toy model with `n_rows` example rows into `scratch` and draw a picture, so that all imports are done."""
    layers = (layer_from(np.zeros((2, 1)), np.zeros(2)), layer_from(np.zeros((2, 2)), np.zeros(2)))
    toy = Model(Architecture(1, (2,), 2, "relu"), layers, ("0", "1"))
    _save(toy, np.zeros((n_rows, 1), np.float32), scratch / "toy", MLflowModel())
    loss_curve([1.0])


def _save(model: AnyModel, example_NF: NDArray[np.float32], folder: Path, description: MLflowModel) -> None:
    logits_NC = np.zeros((len(example_NF), model.architecture.n_classes), np.float32)
    mlflow.pytorch.save_model(
        model.as_module(),
        str(folder),
        mlflow_model=description,
        signature=infer_signature(example_NF, logits_NC),
        input_example=example_NF,
        pip_requirements=requirements(),
        serialization_format="pt2",
    )
