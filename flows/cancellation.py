"""Cancel a run from Prefect's UI, on a worker or in a terminal.

A worker ends its flow's process itself. A run that was started from a terminal has no worker: it asks the server every
two seconds whether it was cancelled, and stops itself as SIGTERM would stop it. Either way its MLflow run ends KILLED:
by the run itself, or, if it had no time for that, by the hook in the worker's process.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from tasks.tracking.write import close_flow_run

POLL_SECONDS = 2.0

_cancelled_here: set[str] = set()


@contextmanager
def stop_when_cancelled() -> Iterator[None]:
    """Stop a run without a worker when its flow run is cancelled, during the `with` block."""
    if _flow_run().deployment_id or threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()
    # The thread gets this thread's settings: without them it would know no server, and Prefect would start one.
    watch = partial(copy_context().run, _watch, _flow_run().id, over)
    watcher = threading.Thread(target=watch, name="vecml-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(POLL_SECONDS)


def _flow_run() -> FlowRun:
    """Give the current flow run; `prefect.runtime` would ask the server."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("not inside a flow run")
    return context.flow_run


def _watch(flow_run_id: UUID, over: threading.Event) -> None:
    from httpx import HTTPError  # noqa: PLC0415 -- a dependency of prefect's client

    with get_client(sync_client=True) as client:
        while not over.wait(POLL_SECONDS):
            try:
                state = client.read_flow_run(flow_run_id).state
            except (HTTPError, ObjectNotFound):
                continue  # a server that does not answer now cancels nothing
            if state is not None and (state.is_cancelling() or state.is_cancelled()):
                if over.is_set():
                    return  # too late: the run has ended
                _cancelled_here.add(str(flow_run_id))
                os.kill(os.getpid(), signal.SIGTERM)
                return


def as_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 -- by name
    """Hook on a crash: a run that stopped itself because it was cancelled is shown as cancelled, not as crashed."""
    if str(flow_run.id) in _cancelled_here:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(
                flow_run.id, Cancelled(message="Cancelled; its MLflow run is KILLED."), force=True
            )


def close_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 -- by name
    """Hook on a cancellation or a crash: end the flow run's MLflow run as KILLED, if it did not do so itself."""
    close_flow_run(str(flow_run.id), "KILLED", f"Prefect flow run {state.name}: {state.message or 'no message'}")
