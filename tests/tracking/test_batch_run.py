"""A batch in a real store: what stands under every key, and the link at the model's version."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import batch
from tasks.tracking import write
from tasks.tracking.batch import LABELS_TAG, log_batch, tracked_batch
from tasks.tracking.promotion import promote
from tasks.tracking.registry import find_version
from tasks.tracking.store import open_store
from tests.tracking.test_read import NoFiles
from tests.tracking.test_registry import stored
from vecml import keys
from vecml.batch.config import BatchConfig
from vecml.batch.sharing import NodeRecord
from vecml.errors import DataError
from vecml.report.summary import PipelineResult

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, telling_result: PipelineResult) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setattr(write, "file_writer", NoFiles)
    stored(telling_result, "a-run")
    promote("a-run")
    table = pa.table({column.name: [0.5, 1.0, -1.0] for column in telling_result.split.encoding.columns})
    (tmp_path / "data").mkdir()
    for number in range(2):
        pq.write_table(table, tmp_path / "data" / f"{number}.parquet")
    return tmp_path


def tracked(config: BatchConfig) -> str:
    with tracked_batch("labels", None) as writer:
        named, setting, _ = batch.find(config.model, config.engine, config.threads, config.architecture)
        log_batch(writer, config, named, batch.label(config, named, setting))
    return writer.run.run_id


def test_what_was_labelled_stands_in_its_run_and_at_the_version(home: Path) -> None:
    config = BatchConfig(data=str(home / "data"), out=str(home / "out"), probabilities=True)
    run = open_store().client.get_run(tracked(config))
    assert (run.info.status, run.info.run_name, run.data.tags["vecml.kind"]) == ("FINISHED", "labels", "predict")
    assert set(run.data.params) == set(keys.PREDICT_PARAMS)
    assert set(run.data.metrics) == set(keys.PREDICT_METRICS)
    assert set(keys.PREDICT_TAGS) - set(run.data.tags) == {keys.ERROR}
    assert run.data.params["model"] == "models:/vecml/1"
    assert run.data.params["data_source"] == str(home / "data")
    assert (run.data.metrics["predict/rows"], run.data.metrics["predict/new_rows"]) == (6, 6)
    assert run.data.tags["vecml.plan_digest"] == json.loads((home / "out" / "_manifest.json").read_text())["plan"]
    assert run.info.run_id in find_version("models:/vecml/1").tags[LABELS_TAG]
    told = json.loads((Path(run.info.artifact_uri.removeprefix("file://")) / "labels.json").read_text())
    assert sum(told["counts"].values()) == 6
    again = open_store().client.get_run(tracked(config))
    assert (again.data.metrics["predict/new_rows"], again.data.metrics["predict/taken_over"]) == (0, 1)
    assert again.info.run_id in find_version("models:/vecml/1").tags[LABELS_TAG]


def test_the_nodes_of_a_cluster_stand_in_the_run(home: Path) -> None:
    import dataclasses

    from tasks.tracking.batch import batch_content
    from vecml.batch.cluster import Crew

    config = BatchConfig(data=str(home / "data"), out=str(home / "out"))
    named, setting, _ = batch.find(config.model, None, None, None)
    nodes = (NodeRecord("a", 2, 3, 600, 2.0, 1), NodeRecord("b", 2, 1, 100, 1.0, 0), NodeRecord("late", 2))
    labelled = dataclasses.replace(batch.label(config, named, setting), crew=Crew(nodes, 1, ("a: lost",)))
    content = batch_content(config, named, labelled)
    assert content.metrics["predict/nodes"] == 2
    assert content.metrics["predict/node_failures"] == 1
    assert content.metrics["predict/retries"] == 1
    assert content.metrics["predict/slowest_node_rows_per_s"] == 100
    assert content.metrics["predict/fastest_node_rows_per_s"] == 300
    assert "| a | 3 | 600 | 300 rows/s | 1 |" in content.note


def test_what_fails_is_a_run_that_failed(home: Path) -> None:
    config = BatchConfig(data=str(home / "none"), out=str(home / "out"), model="a-run")
    with pytest.raises(DataError):
        tracked(config)
    (run,) = open_store().client.search_runs(
        [open_store().experiment.experiment_id], f"tags.`{keys.KIND}` = '{keys.PREDICT}'"
    )
    assert run.info.status == "FAILED"
    assert "none" in run.data.tags[keys.ERROR]
