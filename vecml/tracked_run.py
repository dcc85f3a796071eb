"""A run in MLflow, and the tags that it is created with; apart from `vecml.record`, which imports torch."""

from dataclasses import dataclass

from vecml import __version__
from vecml.environment import Environment
from vecml.keys import DEVICE_NAME, FLOW_RUN, KIND, PROCESS, text


@dataclass(frozen=True)
class TrackedRun:
    """A run in MLflow: its names, its store, and its pages in MLflow's UI.

    Attributes:
        run_id, experiment_id, name: MLflow's ids, and the run's name.
        store: address of the store, for people; passwords are hidden.
        local: whether the store is a database, which `vecml ui` opens; a server has its own UI.
        url: the run's page in MLflow's UI; for a local store, once `vecml ui` runs.
        runs_url: the page of all our runs.
    """

    run_id: str
    experiment_id: str
    name: str
    store: str
    local: bool
    url: str
    runs_url: str


def start_tags(
    kind: str, environment: Environment, device_name: str, process: str, flow_run_id: str | None, commit: str | None
) -> dict[str, str]:
    """Give the tags that a run is created with, `START_TAGS`.

    `kind` is `PIPELINE`, `COMPARE` ...; `process` is the identity of the process and `flow_run_id` that of Prefect's
    flow run; `environment` and `device_name` describe the machine; `commit` is the checkout's git commit.
    """
    return {
        KIND: kind,
        PROCESS: process,
        "vecml.version": __version__,
        "vecml.machine_key": environment.machine_key,
        "vecml.software_key": environment.software_key,
        "vecml.environment_key": environment.environment_key,
        DEVICE_NAME: device_name,
        FLOW_RUN: text(flow_run_id),
        "vecml.git_commit": text(commit),
    }
