"""`vecml ui`: MLflow's own UI over the store that runs go to, on this machine only."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.processes import ProcessGroup, Service
from tasks.tracking.location import PORT_VARIABLE, UI_PORT, locate
from vecml import child
from vecml.cli.options import command
from vecml.cli.terminal import console
from vecml.cli.up import SIGNALLED, check_port_free
from vecml.errors import ServerError

# Shorter than what `vecml up`, which starts this, allows: or the server would be left when that kills this process.
PATIENCE = (1.0, 2.0)


@command(warns=False)
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", metavar="PORT", min=1, max=65535)] = UI_PORT,
) -> None:
    """Open MLflow's UI over the local store, on 127.0.0.1, and print the address of our runs.

    It runs until Ctrl-C. With MLFLOW_TRACKING_URI set to a server, that server's own UI is named instead.
    """
    location = locate()
    out = console()
    if not location.has_server:
        check_port_free(port, "--port")
    from tasks.tracking.store import open_store
    from tasks.tracking.ui_app import NAME
    from tasks.tracking.write import runs_url

    if location.has_server:
        out.print(f"Runs are kept by a server, which has its own UI: {runs_url(open_store(location))}", soft_wrap=True)
        return
    os.environ[PORT_VARIABLE] = str(port)
    out.print(f"Our runs: {runs_url(open_store(location))}", soft_wrap=True)
    out.print(f"Store: {location.shown}. The server is starting; Ctrl-C ends it.", soft_wrap=True)
    command = [sys.executable, "-m", "mlflow", "server"]
    if location.artifact_root:
        command += ["--default-artifact-root", location.artifact_root]
    command += ["--app-name", NAME, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    sys.stdout.flush()
    environment = child.environment(
        MLFLOW_BACKEND_STORE_URI=location.uri,  # not among the arguments: it may hold a password
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # processes for what language models need
        PYTHONUNBUFFERED="1",
    )

    def show(_: str, line: str) -> None:
        out.print(line, soft_wrap=True, markup=False, highlight=False)
        sys.stdout.flush()

    # In a session of its own, where no Ctrl-C reaches its imports: Python would answer with a traceback.
    server = Service("mlflow", command, environment)
    group = ProcessGroup([server], Path.cwd(), None, first="mlflow", hear=show, patience=PATIENCE)
    ended = group.run(started=lambda: None)
    if ended.died is not None:
        raise ServerError(
            f"MLflow's server ended with {ended.status}; it said: {child.cause(ended.said)}",
            "`vecml doctor` looks at the store",
        )
    if ended.signal != signal.SIGINT:
        raise SystemExit(SIGNALLED + (ended.signal or 0))
