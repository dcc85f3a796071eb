"""One comparison on several machines: a flow run of one deployment for each work queue."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_API_URL

from vecml.errors import ServerError, SettingError, one_line
from vecml.passwords import without_passwords

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class TriggeredRun:
    """A flow run that was triggered.

    Attributes:
        queue: the work queue that it waits in.
        flow_run_id, name: its id and name in Prefect.
        state: `SCHEDULED`, `RUNNING`, or how it ended: `COMPLETED`, `FAILED` ...
        message: Prefect's message for this state.
    """

    queue: str
    flow_run_id: str
    name: str
    state: str
    message: str


def trigger(
    deployment: str, queues: Sequence[str], config: Mapping[str, Any], wait_seconds: float | None = 0
) -> list[TriggeredRun]:
    """Start a flow run of `deployment` in each of `queues`, all at once; then wait for all of them.

    Args:
        deployment: name of the deployment, for example `compare/devices`.
        queues: work queues; a worker serves one with `--work-queue`.
        config: the flow's `config`, in types that JSON has.
        wait_seconds: how long to wait for their ends; 0 does not wait, None has no limit.

    Raises ServerError without a server or an answer, SettingError where the server does not know the deployment.
    """
    address = PREFECT_API_URL.value()
    if not address:
        raise ServerError("no Prefect server is named", "`vecml up` starts one; set PREFECT_API_URL to its address")
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(deployment)
            runs = {
                queue: client.create_flow_run_from_deployment(
                    found.id, parameters={"config": dict(config)}, work_queue_name=queue
                )
                for queue in dict.fromkeys(queues)
            }
            end = math.inf if wait_seconds is None else time.monotonic() + wait_seconds
            while True:
                runs = {queue: client.read_flow_run(run.id) for queue, run in runs.items()}
                if all(run.state and run.state.is_final() for run in runs.values()) or time.monotonic() >= end:
                    return [_triggered(queue, run) for queue, run in runs.items()]
                time.sleep(POLL_SECONDS)
    except ObjectNotFound:
        raise SettingError(
            f"--deployment {deployment}: the server does not know it", "prefect --no-prompt deploy --all makes it"
        ) from None
    except (HTTPError, PrefectException) as error:
        raise ServerError(
            f"the Prefect server {without_passwords(address)} failed: {one_line(error, whole=True, limit=200)}",
            "see that it runs: `vecml up` starts one",
        ) from None


def _triggered(queue: str, run: FlowRun) -> TriggeredRun:
    state = run.state
    word, message = ("SCHEDULED", "") if state is None else (state.type.value, state.message or "")
    return TriggeredRun(queue, str(run.id), run.name, word, message)
