"""Log a pipeline run in MLflow: its data set as soon as it is read, everything else with the result."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, RunTag

from tasks.tracking import side_process
from tasks.tracking import store as stores
from tasks.tracking.run import BATCH_METRICS, NOTE, as_params, as_tags, kept_on_failure, runs_url, tracked_run
from tasks.tracking.side_process import FileWriter, file_writer, input_example
from tasks.tracking.store import Store, store_errors
from vecml import keys
from vecml import record as records
from vecml.config import PipelineConfig, Setting
from vecml.data.split import Split
from vecml.data.table import Table
from vecml.device import device_name
from vecml.environment import Environment
from vecml.leftovers import scratch_folder
from vecml.model.store import PREPROCESSING, Classifier, save
from vecml.progress import stage
from vecml.record import PipelineRecord
from vecml.tracked_run import TrackedRun
from vecml.warnings import VecmlWarning, heard

__all__ = ["RunWriter", "close_flow_run", "runs_url", "tracked"]

MODEL_NAME = "classifier"
WARNINGS = "warnings.txt"


@dataclass
class RunWriter:
    """Writes one pipeline run into the `store`.

    Attributes:
        store, run, environment: what the run is in.
        files: the process that writes its slow files.
        said: the warnings that were given since it was opened.
    """

    store: Store
    run: TrackedRun
    environment: Environment
    files: FileWriter
    said: list[VecmlWarning]

    def log_data(self, table: Table, split: Split) -> None:
        """Log the data set: its params, and an MLflow input with the digest of all its bytes."""
        n_features = len(split.train.x_FN)
        schema = {"mlflow_colspec": [{"name": name, "type": "float"} for name in split.encoding.feature_names[:500]]}
        data = Dataset(
            name=table.source[:500],
            digest=table.digest,
            source_type="local",
            source=json.dumps({"uri": table.source}),
            schema=json.dumps(schema),
            profile=json.dumps({"num_rows": table.n_rows, "num_features": n_features, "classes": len(table.classes)}),
        )
        with store_errors(self.store.location):
            self.store.client.log_batch(self.run.run_id, params=as_params(records.data_params(table, n_features)))
            self.store.client.log_inputs(
                self.run.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train and test")])]
            )

    def log_setting(self, setting: Setting) -> None:
        """Log the params of the inference's complete setting."""
        with store_errors(self.store.location):
            self.store.client.log_batch(self.run.run_id, params=as_params(records.setting_params(setting)))

    def log_result(self, result: PipelineRecord, note: str) -> None:
        """Log metrics, tags, artifacts and the model; `note` (Markdown) becomes the run's description.

        All files are on the disk before anything is logged; when logging fails, the StoreError names their folder.
        """
        location = self.store.location
        with stage("storing the run"), store_errors(location), scratch_folder() as scratch:
            folder = scratch / "run"
            _gather(result, folder)
            if self.said:
                lines = dict.fromkeys(map(str, self.said))  # each once, in the order in which they were given
                (folder / WARNINGS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            with kept_on_failure(self.store, self.run.run_id, folder):
                self._log_values(result, note)
                self.store.client.log_artifacts(self.run.run_id, str(folder))
                self._log_model(result, scratch)

    def _log_values(self, result: PipelineRecord, note: str) -> None:
        now = int(time.time() * 1000)
        values = [Metric(name, value, now, 0) for name, value in records.metrics(result).items()]
        for name, points in records.loss_curves(result.training).items():
            values += [Metric(name, loss, now, step) for step, loss in points]
        tags = [*as_tags(records.end_tags(result)), RunTag(NOTE, note)]
        for start in range(0, len(values), BATCH_METRICS):
            self.store.client.log_batch(self.run.run_id, metrics=values[start : start + BATCH_METRICS])
        self.store.client.log_batch(self.run.run_id, tags=tags, params=as_params(records.recipe_params(result)))

    def _log_model(self, result: PipelineRecord, scratch: Path) -> None:
        client, run_id = self.store.client, self.run.run_id
        save(Classifier(result.training.model, result.split.encoding), scratch / side_process.CLASSIFIER)
        np.save(scratch / side_process.EXAMPLE, input_example(result.split.train.x_FN))
        logged = client.create_logged_model(
            self.run.experiment_id, name=MODEL_NAME, source_run_id=run_id, model_type="classifier"
        )
        status: Literal["READY", "FAILED"] = "FAILED"
        try:
            request = {
                "run_id": run_id,
                "model_id": logged.model_id,
                "losses": result.training.losses,
                "course": None if result.training.course is None else asdict(result.training.course),
                "confusion": result.evaluation.confusion_CC.tolist(),
                "classes": result.table.classes,
                "architecture": result.config.architecture,
                "path": [entry or str(Path.cwd()) for entry in sys.path],
            }
            self.files.write(scratch, request)
            client.log_artifacts(run_id, str(scratch / side_process.PICTURES), side_process.PICTURES)
            client.log_model_artifacts(logged.model_id, str(scratch / side_process.MODEL))
            status = "READY"
        finally:
            client.finalize_logged_model(logged.model_id, status)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _gather(result: PipelineRecord, folder: Path) -> None:
    """Write the run's quick files into the new `folder`."""
    save(Classifier(result.training.model, result.split.encoding), folder / "model")
    shutil.copy(folder / "model" / PREPROCESSING, folder)
    (folder / "config.json").write_text(result.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "result.json").write_text(records.to_json(result) + "\n", encoding="utf-8")
    environment = json.dumps(result.environment.to_json_dict(), indent=1)
    (folder / "environment.json").write_text(environment + "\n", encoding="utf-8")
    (folder / "labels.npz").write_bytes(records.labels_npz(result))


@contextmanager
def tracked(config: PipelineConfig, device: str, flow_run_id: str | None) -> Iterator[RunWriter]:
    """Open a pipeline run for the `with` block and log the params of `config`; it ends as in `tracked_run`.

    `device` is `cpu`, `cuda` or `mps`; `flow_run_id` is the id of the Prefect flow run. Raises StoreError when the
    store cannot be opened or written.
    """
    writer = file_writer()
    try:
        with heard() as said, tracked_run(keys.PIPELINE, config.name, device_name(device), flow_run_id) as opened:
            with store_errors(opened.store.location):
                params = as_params(records.config_params(config))
                opened.store.client.log_batch(opened.run.run_id, params=params)
            yield RunWriter(opened.store, opened.run, opened.environment, writer, said)
    finally:
        writer.close()


def close_flow_run(flow_run_id: str, status: str, reason: str) -> None:
    """End the runs of a Prefect flow run that are still RUNNING; Prefect's hooks call it, in any process."""
    store = stores.open_store()
    with store_errors(store.location):
        for run in stores.running_runs(store, flow_run_id):
            stores.end_run(store, run.info.run_id, status, reason)
