"""A fitted estimator in a real store: what stands under every key, and that its network is loaded again."""

from pathlib import Path

import numpy as np
import pytest

import vecml
from tasks.tracking.fitted import track
from tasks.tracking.store import open_store
from tests.test_estimator import animals
from vecml import keys
from vecml.estimator import TabularClassifier

pytestmark = pytest.mark.filterwarnings("ignore:VML042")


def test_a_run_is_made_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    frame, label_N = animals()
    fitted = TabularClassifier(hidden=(8, 4), epochs=30, batch_size=16, learning_rate=0.02, threads=1).fit(
        frame[:90], label_N[:90]
    )
    wrong_N = np.where(np.arange(30) < 3, "cow", label_N[90:])
    run = open_store().client.get_run(track(fitted, frame[90:], wrong_N, name="cats").run_id)
    assert (run.info.status, run.info.run_name, run.data.tags["vecml.kind"]) == ("FINISHED", "cats", "fit")
    assert set(run.data.params) == set(keys.FIT_PARAMS)
    assert set(keys.FIT_PARAMS) - {"n_rows", "n_features", "n_classes"} == set(fitted.get_params())
    assert {name: run.data.params[name] for name in ("n_rows", "hidden", "epochs", "class_weight")} == {
        "n_rows": "30",
        "hidden": "8,4",
        "epochs": "30",
        "class_weight": "none",
    }
    assert set(run.data.metrics) == set(keys.FIT_METRICS)
    assert run.data.metrics["test/accuracy"] == pytest.approx(0.9)
    assert run.data.metrics["train/loss"] == pytest.approx(fitted.training_.losses[-1])
    loaded = vecml.load(Path(run.info.artifact_uri.removeprefix("file://")) / "model")
    assert loaded.model.digest == fitted.classifier_.model.digest == run.data.tags["vecml.model_digest"]
    assert (vecml.predict(loaded, frame, engine="numpy", threads=1) == fitted.predict(frame)).all()
