"""The worker of `vecml up`: it makes its pool, registers the deployments of prefect.yaml and becomes Prefect's worker.

Run as `python -m flows.worker NAME QUEUE,... [--no-deploy]` in the folder of prefect.yaml, with PREFECT_API_URL set.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.server import STARTUP_SECONDS, answers, ask

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

POOL = "vecml"
PREFECT = (sys.executable, "-P", "-m", "prefect")
NO_DEPLOY = "--no-deploy"
MOST_DEPLOYMENTS = 200  # the most that Prefect returns at once


def work(name: str, queues: Sequence[str], deploy: bool) -> None:
    """Create pool and `queues`, with `deploy` register the deployments, then become the worker `name` of the queues."""
    _wait_for_server(f"{os.environ['PREFECT_API_URL']}/health")
    from prefect.client.orchestration import get_client  # noqa: PLC0415 -- heavy: the server is asked first

    with get_client(sync_client=True) as client:
        _make_pool(client)
        _make_queues(client, queues)
        if deploy:
            switched_on = _switched_on(client)
            if subprocess.run([*PREFECT, "--no-prompt", "deploy", "--all"], check=False).returncode:
                sys.exit("Error: the deployments of prefect.yaml could not be registered")
            _switch_on(client, switched_on)
    sys.stdout.flush()
    served = [part for queue in queues for part in ("--work-queue", queue)]  # without them it would serve all
    worker = [*PREFECT, "worker", "start", "--pool", POOL, *served, "--name", name, "--limit", "1"]
    os.execv(sys.executable, worker)  # noqa: S606 -- Prefect's worker takes this process's place, and its signals


def worker_is_online(api: str, pool: str, name: str, since: datetime) -> bool:
    """Whether the worker `name` of `pool` has reported to the Prefect server at `api` after `since`."""
    request = urllib.request.Request(  # noqa: S310 -- our own server
        f"{api}/work_pools/{pool}/workers/filter", data=b"{}", headers={"Content-Type": "application/json"}
    )
    answer = ask(request)
    workers: list[dict[str, Any]] = json.loads(answer) if answer else []
    return any(
        worker["name"] == name
        and worker["last_heartbeat_time"] is not None
        and datetime.fromisoformat(worker["last_heartbeat_time"]) >= since
        for worker in workers
    )


def _wait_for_server(health: str) -> None:
    limit = time.monotonic() + STARTUP_SECONDS
    while not answers(health):
        if time.monotonic() > limit:
            sys.exit(f"Error: {health} did not answer within {STARTUP_SECONDS:.0f} s")
        time.sleep(0.2)


def _make_pool(client: "SyncPrefectClient") -> None:
    """Create the pool as `prefect work-pool create vecml --type process` does, but without a call to the internet."""
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415

    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))


def _make_queues(client: "SyncPrefectClient", queues: Sequence[str]) -> None:
    """Create the queues: a worker ignores a missing queue, and `prefect deploy` creates only those of prefect.yaml."""
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    for queue in queues:
        try:
            client.read_work_queue_by_name(queue, work_pool_name=POOL)
        except ObjectNotFound:
            client.create_work_queue(queue, work_pool_name=POOL)


def _switched_on(client: "SyncPrefectClient") -> "set[tuple[UUID, str]]":
    """List the active schedules, each as the deployment's id and the schedule's times."""
    return {
        (deployment.id, schedule.schedule.model_dump_json())
        for deployment in client.read_deployments(limit=MOST_DEPLOYMENTS)
        for schedule in deployment.schedules
        if schedule.active
    }


def _switch_on(client: "SyncPrefectClient", switched_on: "set[tuple[UUID, str]]") -> None:
    """Activate the user's active schedules again: registering a deployment creates its schedules anew, inactive."""
    for deployment in client.read_deployments(limit=MOST_DEPLOYMENTS):
        for schedule in deployment.schedules:
            if not schedule.active and (deployment.id, schedule.schedule.model_dump_json()) in switched_on:
                client.update_deployment_schedule(deployment.id, schedule.id, active=True)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2].split(","), NO_DEPLOY not in sys.argv[3:])
