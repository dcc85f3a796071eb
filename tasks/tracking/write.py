"""One pipeline run in MLflow: created once, ended once, and true whatever happens between.

An exception ends it FAILED with the message in a tag; an interrupt, a termination or a cancellation ends it KILLED.
What even that cannot catch (SIGKILL, a power cut) is closed by whoever opens the store next.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag

from tasks.tracking import files
from tasks.tracking import store as stores
from tasks.tracking.files import FileWriter, file_writer, input_example
from tasks.tracking.location import without_passwords
from tasks.tracking.store import Store, store_errors
from vecml import record as records
from vecml.config import PipelineConfig, Setting
from vecml.data.table import Split, Table
from vecml.device import device_name
from vecml.environment import Environment, describe, git_commit, process_identity
from vecml.errors import StoreError, VecmlError, interrupted
from vecml.model.store import PREPROCESSING, Classifier, save
from vecml.progress import stage
from vecml.record import PipelineRecord, TrackedRun
from vecml.warnings import warn

MODEL_NAME = "classifier"
UI_VIEW = "workflowType=machine_learning"  # without it MLflow's UI shows what is for language models
BATCH_METRICS = 900  # MLflow takes 1,000 at once


@dataclass
class RunWriter:
    """Writes one run. `run` says where it is, `environment` what it runs on; `files` makes what is slow to make."""

    store: Store
    run: TrackedRun
    environment: Environment
    files: FileWriter

    def log_data(self, table: Table, split: Split) -> None:
        """Log the data set: its params, and the MLflow input with the digest of all its bytes."""
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
            self.store.client.log_batch(self.run.run_id, params=_params(records.data_params(table, n_features)))
            self.store.client.log_inputs(
                self.run.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train and test")])]
            )

    def log_result(self, result: PipelineRecord, note: str) -> None:
        """Log metrics, tags, artifacts and the model; `note` (Markdown) becomes the run's description.

        Everything is on the disk before any of it is logged: when that fails, the StoreError says where it is kept.
        """
        location = self.store.location
        with stage("storing the run"), store_errors(location), tempfile.TemporaryDirectory(prefix="vecml-") as scratch:
            folder = Path(scratch) / "run"
            _gather(result, folder)
            try:
                with store_errors(location):
                    self._log_values(result, note)
                    self.store.client.log_artifacts(self.run.run_id, str(folder))
                    self._log_model(result, Path(scratch))
            except StoreError as error:
                kept = _keep(folder, (location.folder.parent if location.folder else Path.cwd()), self.run.run_id)
                error.hint = "; ".join(part for part in (kept, error.hint) if part)
                raise

    def _log_values(self, result: PipelineRecord, note: str) -> None:
        now = int(time.time() * 1000)
        values = [Metric(name, value, now, 0) for name, value in records.metrics(result).items()]
        values += [
            Metric(records.LOSS_METRIC, loss, now, epoch) for epoch, loss in enumerate(result.training.losses, 1)
        ]
        tags = [*_tags(records.end_tags(result)), RunTag("mlflow.note.content", note)]
        for start in range(0, len(values), BATCH_METRICS):
            self.store.client.log_batch(self.run.run_id, metrics=values[start : start + BATCH_METRICS])
        self.store.client.log_batch(self.run.run_id, tags=tags)

    def _log_model(self, result: PipelineRecord, scratch: Path) -> None:
        client, run_id = self.store.client, self.run.run_id
        save(Classifier(result.training.model, result.split.encoding), scratch / files.CLASSIFIER)
        np.save(scratch / files.EXAMPLE, input_example(result.split.train.x_FN))
        logged = client.create_logged_model(
            self.run.experiment_id, name=MODEL_NAME, source_run_id=run_id, model_type="classifier"
        )
        status: Literal["READY", "FAILED"] = "FAILED"
        try:
            request = {
                "run_id": run_id,
                "model_id": logged.model_id,
                "losses": result.training.losses,
                "confusion": result.evaluation.confusion_CC.tolist(),
                "classes": result.table.classes,
            }
            self.files.write(scratch, request)
            client.log_artifacts(run_id, str(scratch / files.PICTURES), files.PICTURES)
            client.log_model_artifacts(logged.model_id, str(scratch / files.MODEL))
            status = "READY"
        finally:
            client.finalize_logged_model(logged.model_id, status)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _gather(result: PipelineRecord, folder: Path) -> None:
    """Write what is quick to make of a run's files into the new `folder`."""
    save(Classifier(result.training.model, result.split.encoding), folder / "model")
    shutil.copy(folder / "model" / PREPROCESSING, folder)
    (folder / "config.json").write_text(result.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "result.json").write_text(records.to_json(result) + "\n", encoding="utf-8")
    environment = json.dumps(result.environment.to_json_dict(), indent=1)
    (folder / "environment.json").write_text(environment + "\n", encoding="utf-8")
    (folder / "labels.npz").write_bytes(records.labels_npz(result))


def _keep(folder: Path, home: Path, run_id: str) -> str:
    """Copy a run's files to where the user finds them; says where, or nothing if even that fails."""
    kept = home / f"vecml-unsaved-{run_id}"
    try:
        shutil.copytree(folder, kept)
    except OSError:
        return ""
    return f"the result is kept in {kept}"


@contextmanager
def tracked(config: PipelineConfig, setting: Setting, flow_run_id: str | None) -> Iterator[RunWriter]:
    """A run in MLflow round the block: FINISHED when the block ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    writer = file_writer()
    try:
        with _tracked(writer, config, setting, flow_run_id) as run:
            yield run
    finally:
        writer.close()


@contextmanager
def _tracked(
    files: FileWriter, config: PipelineConfig, setting: Setting, flow_run_id: str | None
) -> Iterator[RunWriter]:
    store = stores.open_store()
    environment = describe()
    tags = records.start_tags(
        environment,
        device_name(setting.device, setting.device_index),
        process_identity(),
        flow_run_id,
        git_commit(Path.cwd()),
    )
    with store_errors(store.location):
        created = store.client.create_run(store.experiment.experiment_id, tags=tags, run_name=config.name)
    run = _describe(store, created.info.run_id, created.info.run_name)
    try:
        with store_errors(store.location):
            params = {**records.setting_params(setting), **records.config_params(config)}
            store.client.log_batch(run.run_id, params=_params(params))
        yield RunWriter(store, run, environment, files)
        with store_errors(store.location):
            store.client.set_terminated(run.run_id, "FINISHED")
    except Exception as error:
        status = "KILLED" if interrupted(error) else "FAILED"
        _end(store, run, status, _one_line(error))
        raise
    except BaseException as error:
        _end(store, run, "KILLED", f"interrupted: {_one_line(error)}")
        raise


def close_flow_run(flow_run_id: str, status: str, reason: str) -> None:
    """End every run of a Prefect flow run that is still RUNNING: for hooks, in whichever process they run."""
    store = stores.open_store()
    with store_errors(store.location):
        for run in list(stores.running(store, flow_run_id)):
            stores.close(store, run.info.run_id, status, reason)


def _end(store: Store, run: TrackedRun, status: str, reason: str) -> None:
    """End the run; where even that fails, say so and let the first error go on."""
    try:
        with store_errors(store.location):
            stores.close(store, run.run_id, status, reason)
    except StoreError as error:
        warn("VML010", f"run {run.name} could not be ended as {status}: {error}; the next start closes it")


def _one_line(error: BaseException) -> str:
    message = without_passwords(" ".join(str(error).split()))
    return message if isinstance(error, VecmlError) else f"{type(error).__name__}: {message}".rstrip(": ")


def _describe(store: Store, run_id: str, name: str) -> TrackedRun:
    location, experiment = store.location, store.experiment.experiment_id
    page = f"{location.ui}/#/experiments/{experiment}"
    return TrackedRun(
        run_id=run_id,
        experiment_id=experiment,
        name=name,
        store=location.shown,
        local=not location.has_server,
        url=f"{page}/runs/{run_id}?{UI_VIEW}",
        runs_url=runs_url(store),
    )


def runs_url(store: Store) -> str:
    """The page of our runs in MLflow's UI (not the overview, which it opens by itself)."""
    return f"{store.location.ui}/#/experiments/{store.experiment.experiment_id}/runs?{UI_VIEW}"


def _params(values: dict[str, str]) -> list[Param]:
    return [Param(name, value) for name, value in values.items()]


def _tags(values: dict[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in values.items()]
