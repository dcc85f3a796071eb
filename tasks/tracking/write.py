"""Log a pipeline run in MLflow: its data set as soon as it is read, everything else with the result."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.tracking import side_process
from tasks.tracking import store as stores
from tasks.tracking.answering import check_answers
from tasks.tracking.content import Content, log_model, log_values
from tasks.tracking.run import NOTE, kept_on_failure, runs_url, tracked_run
from tasks.tracking.side_process import FileWriter, file_writer, input_example
from tasks.tracking.store import Store, store_errors
from vecml import keys
from vecml import record as records
from vecml.config import PipelineConfig, Setting
from vecml.data.split import Split
from vecml.data.table import Table
from vecml.device import device_name
from vecml.environment import Environment
from vecml.errors import StoreError
from vecml.leftovers import scratch_folder
from vecml.model.store import PREPROCESSING, Classifier, save
from vecml.progress import stage
from vecml.record import PipelineRecord
from vecml.tracked_run import TrackedRun
from vecml.warnings import VecmlWarning, heard, warn

__all__ = ["RunWriter", "close_flow_run", "runs_url", "tracked"]

WARNINGS = "warnings.txt"


@dataclass
class RunWriter:
    """Writes one pipeline run into the `store`.

    Attributes:
        store, run, environment: what the run is in.
        files: the process that writes its slow files.
        said: the warnings that were given since it was opened.
        content: what was to be logged so far; all of it is logged again with the result where the store was away.
        away: whether the store could not be written meanwhile.
    """

    store: Store
    run: TrackedRun
    environment: Environment
    files: FileWriter
    said: list[VecmlWarning]
    content: Content
    away: bool = False

    def log_data(self, table: Table, split: Split) -> None:
        """Log the data set: its params, and an MLflow input with the digest of all its bytes."""
        n_features = len(split.train.x_FN)
        schema = {"mlflow_colspec": [{"name": name, "type": "float"} for name in split.encoding.feature_names[:500]]}
        data = {
            "name": table.source[:500],
            "digest": table.digest,
            "source_type": "local",
            "source": json.dumps({"uri": table.source}),
            "schema": json.dumps(schema),
            "profile": json.dumps(
                {"num_rows": table.n_rows, "num_features": n_features, "classes": len(table.classes)}
            ),
        }
        self._log_early(Content(records.data_params(table, n_features), {}, data=(data,)))

    def log_setting(self, setting: Setting) -> None:
        """Log the params of the inference's complete setting."""
        self._log_early(Content(records.setting_params(setting), {}))

    def _log_early(self, content: Content) -> None:
        """Log values before the result; where the store is away, the run goes on and logs them at its end (VML018)."""
        before = self.content
        self.content = replace(before, params={**before.params, **content.params}, data=(*before.data, *content.data))
        if self.away:
            return
        location = self.store.location
        try:
            with store_errors(location):
                if location.has_server:
                    check_answers(location.uri)
                log_values(self.store, self.run.run_id, content)
        except StoreError as error:
            self.away = True
            warn("VML018", f"the run goes on, and logs everything at its end: {error.message}")

    def log_result(self, result: PipelineRecord, note: str) -> None:
        """Log metrics, tags, artifacts and the model; `note` (Markdown) becomes the run's description.

        All files are on the disk before anything is logged; when logging fails, the StoreError names their folder.
        """
        store, run_id = self.store, self.run.run_id
        with stage("storing the run"), store_errors(store.location), scratch_folder() as scratch:
            folder, example = scratch / "run", scratch / side_process.EXAMPLE
            _gather(result, folder)
            np.save(example, input_example(result.split.train.x_FN))
            if self.said:
                lines = dict.fromkeys(map(str, self.said))  # each once, in the order in which they were given
                (folder / WARNINGS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            content, request = self._end(result, note), _model_request(result)
            with kept_on_failure(store, self.run, folder, replace(self._all(content), model=request), example):
                log_values(store, run_id, self._all(content) if self.away else content)
                store.client.log_artifacts(run_id, str(folder))
                log_model(store, run_id, request, folder, example, self.files)

    def _end(self, result: PipelineRecord, note: str) -> Content:
        now = int(time.time() * 1000)
        values = [(name, value, now, 0) for name, value in records.metrics(result).items()]
        for name, points in records.loss_curves(result.training).items():
            values += [(name, loss, now, step) for step, loss in points]
        return Content(records.recipe_params(result), {**records.end_tags(result), NOTE: note}, tuple(values))

    def _all(self, end: Content) -> Content:
        """Everything that is logged of the run, from its beginning on."""
        return replace(end, params={**self.content.params, **end.params}, data=self.content.data)


def _model_request(result: PipelineRecord) -> dict[str, Any]:
    """Say what the process that writes the slow files needs, beside the run's ids."""
    return {
        "losses": list(result.training.losses),
        "course": None if result.training.course is None else asdict(result.training.course),
        "confusion": result.evaluation.confusion_CC.tolist(),
        "classes": list(result.table.classes),
        "architecture": result.config.architecture,
        "path": [entry or str(Path.cwd()) for entry in sys.path],
    }


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
            content = Content(records.config_params(config), {})
            with store_errors(opened.store.location):
                log_values(opened.store, opened.run.run_id, content)
            yield RunWriter(opened.store, opened.run, opened.environment, writer, said, content)
    finally:
        writer.close()


def close_flow_run(flow_run_id: str, status: str, reason: str) -> None:
    """End the runs of a Prefect flow run that are still RUNNING; Prefect's hooks call it, in any process."""
    store = stores.open_store()
    with store_errors(store.location):
        for run in stores.running_runs(store, flow_run_id):
            stores.end_run(store, run.info.run_id, status, reason)
