"""`vecml up`: a Prefect server, a worker and MLflow's UI, on this machine only, until Ctrl-C."""

import signal
import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.tracking.location import UI_PORT
from vecml.cli.options import command, option
from vecml.cli.terminal import console
from vecml.errors import SettingError

if TYPE_CHECKING:
    from flows.up import UpRequest
    from tasks.tracking.location import Location

PREFECT_PORT = 4200
SIGNALLED = 128
EPILOG = """**Examples**

- `vecml up`, and in another terminal `PREFECT_API_URL=http://127.0.0.1:4200/api prefect deployment run pipeline/cpu`

- `vecml up --prefect-port 4300 --mlflow-port 5300`: where something else listens on the usual ports

- `vecml up --no-deploy --verbose`: the deployments as they are, and every line that the three write
"""


@command(warns=False)
def up(
    prefect_port: Annotated[
        int, typer.Option(help="Of Prefect's server, on 127.0.0.1.", metavar="PORT", min=1, max=65535)
    ] = PREFECT_PORT,
    mlflow_port: Annotated[
        int, typer.Option(help="Of MLflow's UI, on 127.0.0.1.", metavar="PORT", min=1, max=65535)
    ] = UI_PORT,
    queues: Annotated[
        str,
        typer.Option(
            help="Of the work pool, what this machine's worker serves: with a GPU cpu,cuda.", metavar="NAME,..."
        ),
    ] = "cpu",
    deploy: Annotated[bool, typer.Option(help="Register the deployments of prefect.yaml first.")] = True,
    verbose: Annotated[bool, option("Show every line that the three write.", None, "--verbose")] = False,
) -> None:
    """Bring up a Prefect server, a worker and MLflow's UI, wait until each is healthy, and print their addresses.

    Ctrl-C ends all three, as does the end of any of them. MLflow's data are in mlruns/, Prefect's beside it in
    .prefect/, with what the three write in .prefect/logs/. A schedule that was switched on in the UI stays on.
    """
    from tasks.tracking.location import locate, prepare

    served = [name.strip() for name in queues.split(",") if name.strip()]
    if not served:
        raise SettingError(f"--queues {queues!r}: it names no queue", "for example cpu, or cpu,cuda")
    location = locate()
    check_port_free(prefect_port, "--prefect-port")
    if not location.has_server:
        if mlflow_port == prefect_port:
            raise SettingError(f"--mlflow-port {mlflow_port}: Prefect's server has that port", "choose two ports")
        check_port_free(mlflow_port, "--mlflow-port")
    from flows.up import UpRequest, home_of, ui_command

    home = home_of(location.folder)
    if deploy and not (home / "prefect.yaml").exists():
        raise SettingError(
            f"there is no prefect.yaml in {home}, whose deployments are to be registered",
            "go to the checkout, or set VECML_HOME to it; --no-deploy does without",
        )
    prepare(location)
    runs = None if location.has_server else ui_command(mlflow_port)
    _bring_up(UpRequest(home, prefect_port, mlflow_port, runs, served, deploy), location, verbose=verbose)


def _bring_up(asked: "UpRequest", location: "Location", *, verbose: bool) -> None:
    """Start the three, print their addresses when all are healthy, and stay until they end."""
    from flows.up import bring_up

    out, elsewhere = console(), None
    if location.has_server:
        from tasks.tracking.store import open_store
        from tasks.tracking.write import runs_url

        elsewhere = runs_url(open_store(location))
    was_up = []

    def show_addresses(page: str | None) -> None:
        was_up.append(True)
        for line in (
            f"Prefect:  {asked.prefect}",
            f"MLflow:   {page or elsewhere}",
            f"Data:     {location.shown} and {asked.logs.parent}",
            f"Runs from another terminal show there with PREFECT_API_URL={asked.prefect}/api",
            "Ctrl-C ends all of it.",
        ):
            out.print(line, soft_wrap=True, markup=False)
        sys.stdout.flush()

    def show_line(name: str, line: str) -> None:
        if verbose:
            out.print(f"{name:<8}| {line}", soft_wrap=True, markup=False)

    is_first = not (asked.logs.parent / "prefect.db").exists()
    out.print(f"Starting{' for the first time, which takes up to a minute' if is_first else ''} ...", soft_wrap=True)
    sys.stdout.flush()
    ended = bring_up(asked, show_addresses, show_line)
    if ended.signal != signal.SIGINT:
        raise SystemExit(SIGNALLED + (ended.signal or 0))
    if not was_up:
        raise KeyboardInterrupt
    out.print("All of it has ended.")


def check_port_free(port: int, flag: str) -> None:
    """Raise SettingError if a program listens on the port already; `flag` is the option that named the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            free = port + 1 if port < 65535 else port - 1
            raise SettingError(f"{flag} {port}: {error.strerror}", f"try {flag} {free}") from None
