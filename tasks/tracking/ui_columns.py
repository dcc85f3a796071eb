"""The columns of our runs in MLflow's UI: which ones, how wide, in which order.

By default the table shows a run's name, time, data set and duration. MLflow 3.17 stores shared views as tags of the
experiment, and an address can name a view. MLflow does not document this, so a test with a real browser checks it
(tests/browser). An MLflow without such views shows its default columns.
"""

import json

from mlflow import MlflowClient
from mlflow.entities import Experiment

KEY = "vecml"
TAG = f"mlflow.sharedViewState.{KEY}"
QUERY = f"viewStateShareKey={KEY}"

# Pixels. The first five columns fit beside the panel that MLflow opens on a first visit.
COLUMNS = {
    "params.`engine`": 78,
    "params.`device`": 60,
    "metrics.`infer/rows_per_s`": 90,
    "metrics.`test/accuracy`": 86,
    "tags.`vecml.verdict`": 84,
    "metrics.`infer/ratio`": 90,
    "tags.`vecml.kind`": 100,
    "tags.`vecml.device_name`": 170,
    "params.`threads`": 80,
    "params.`data_source`": 120,
}
# A comparison ends after its settings: sorted by the end, its row is right above theirs. Sorted by the start, MLflow
# would hide the settings until the comparison is clicked.
ORDER = "attributes.end_time"


def view_state() -> str:
    """Give the view as MLflow stores it: a name for its list of saved views, and the state, as JSON in JSON."""
    state = {
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
        "columnWidths": COLUMNS,
        "orderByKey": ORDER,
        "orderByAsc": False,
    }
    return json.dumps({"name": KEY, "createdAt": 0, "state": json.dumps(state)})


def store_view(client: MlflowClient, experiment: Experiment) -> None:
    """Store the view in the experiment, unless it is there already."""
    state = view_state()
    if experiment.tags.get(TAG) != state:
        client.set_experiment_tag(experiment.experiment_id, TAG, state)
