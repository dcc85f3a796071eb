"""What is logged of a run beside its files, and how; logging it again, after a store broke, changes nothing."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag

from tasks.tracking import side_process
from tasks.tracking.side_process import FileWriter
from tasks.tracking.store import Store
from vecml.leftovers import scratch_folder

BATCH_METRICS = 900  # MLflow accepts 1,000 values in one call, params and tags included
BATCH_PARAMS = 100
MODEL_NAME = "classifier"
MODEL_FOLDER = "model"  # of the run's files: the classifier in vecml's own form


@dataclass(frozen=True)
class Content:
    """Holds what is logged of a run beside its files, in types that JSON has.

    Attributes:
        params, tags: values by key.
        metrics: key, value, time in ms since the epoch and step of each value.
        data: the fields of MLflow's `Dataset` of each data set that the run had.
        model: what `tasks.tracking.side_process.write_files` is asked beside the ids, for a run with a model; the
            classifier is in `model/` of its files.
        children: name, tags, params and metrics (by key) of each run below it, all of which have ended well.
    """

    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: tuple[tuple[str, float, int, int], ...] = ()
    data: tuple[Mapping[str, Any], ...] = ()
    model: Mapping[str, Any] | None = None
    children: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


def log_values(store: Store, run_id: str, content: Content) -> None:
    """Log params and tags with the first batch of metrics, so that a small result is logged whole or not at all."""
    params, tags = as_params(content.params), as_tags(content.tags)
    for start in range(BATCH_PARAMS, len(params), BATCH_PARAMS):
        store.client.log_batch(run_id, params=params[start : start + BATCH_PARAMS])
    values = [Metric(key, value, at, step) for key, value, at, step in content.metrics]
    first = BATCH_METRICS - min(len(params), BATCH_PARAMS) - len(tags)
    store.client.log_batch(run_id, metrics=values[:first], params=params[:BATCH_PARAMS], tags=tags)
    for start in range(first, len(values), BATCH_METRICS):
        store.client.log_batch(run_id, metrics=values[start : start + BATCH_METRICS])
    log_data(store, run_id, content)


def log_data(store: Store, run_id: str, content: Content) -> None:
    """Log the data sets as inputs; MLflow keeps each once."""
    inputs = [DatasetInput(Dataset(**one), [InputTag("mlflow.data.context", "train and test")]) for one in content.data]
    if inputs:
        store.client.log_inputs(run_id, inputs)


def log_model(
    store: Store, run_id: str, request: Mapping[str, Any], folder: Path, example: Path, files: FileWriter
) -> None:
    """Log MLflow's form of the run's model, and its pictures, unless that is done already.

    Args:
        store, run_id: the run.
        request: `Content.model`.
        folder: the run's files.
        example: path of a file with rows, as `side_process.input_example` makes them.
        files: the process that writes the slow files.
    """
    client, experiment_id = store.client, store.experiment.experiment_id
    known = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    ready = next((one.model_id for one in known if str(one.status) == "READY"), None)
    if ready is not None:
        outputs = client.get_run(run_id).outputs
        if outputs is None or ready not in [one.model_id for one in outputs.model_outputs]:  # the store went in between
            client.log_outputs(run_id, [LoggedModelOutput(ready, step=0)])
        return
    logged = client.create_logged_model(experiment_id, name=MODEL_NAME, source_run_id=run_id, model_type="classifier")
    status: Literal["READY", "FAILED"] = "FAILED"
    try:
        with scratch_folder() as scratch:
            shutil.copytree(folder / MODEL_FOLDER, scratch / side_process.CLASSIFIER)
            shutil.copy(example, scratch / side_process.EXAMPLE)
            files.write(scratch, {"run_id": run_id, "model_id": logged.model_id, **request})
            client.log_artifacts(run_id, str(scratch / side_process.PICTURES), side_process.PICTURES)
            client.log_model_artifacts(logged.model_id, str(scratch / side_process.MODEL))
        status = "READY"
    finally:
        client.finalize_logged_model(logged.model_id, status)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def as_params(values: Mapping[str, str]) -> list[Param]:
    """Convert params to MLflow's own type."""
    return [Param(name, value) for name, value in values.items()]


def as_tags(values: Mapping[str, str]) -> list[RunTag]:
    """Convert tags to MLflow's own type."""
    return [RunTag(name, value) for name, value in values.items()]
