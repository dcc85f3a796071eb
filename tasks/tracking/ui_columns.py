"""How MLflow's page of our runs looks when it is opened: which columns, how wide, in which order.

By itself the table shows a run's name, time, data set and duration. MLflow 3.17 keeps views that users share as tags of
the experiment, and opens the one that an address names. It documents neither, so a test with a real browser holds it to
what is written here (tests/browser). An MLflow that knows no such view shows the columns that it shows anyway.
"""

import json

from mlflow import MlflowClient
from mlflow.entities import Experiment

KEY = "vecml"
TAG = f"mlflow.sharedViewState.{KEY}"
QUERY = f"viewStateShareKey={KEY}"

# Pixels. The first five fit beside the panel that MLflow opens for somebody who is there for the first time.
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
# A comparison ends after its settings: by the time of the end it stands right above them, all of them rows of the
# table. By the time of the start MLflow would fold them away below it, until each comparison is clicked on.
ORDER = "attributes.end_time"


def view_state() -> str:
    """The view as MLflow keeps it: a name for its list of saved views, and the state, as JSON in JSON."""
    state = {
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
        "columnWidths": COLUMNS,
        "orderByKey": ORDER,
        "orderByAsc": False,
    }
    return json.dumps({"name": KEY, "createdAt": 0, "state": json.dumps(state)})


def keep_view(client: MlflowClient, experiment: Experiment) -> None:
    """Give the experiment the view, where it has none or another vecml's."""
    state = view_state()
    if experiment.tags.get(TAG) != state:
        client.set_experiment_tag(experiment.experiment_id, TAG, state)
