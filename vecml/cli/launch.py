"""From a checked config to a result: data, server, imports and flow, in the order that wastes no time.

The data is read before anything else. The server starts next and comes up while torch, Prefect and MLflow are
imported; the garbage collector waits meanwhile (the imports make a million objects that stay, and looking through them
again and again costs a fifth of the time).
"""

import atexit
import gc
import http.client
import logging
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.server import SLOW_SECONDS, TemporaryServer, configured_url, without_lost_certificates, without_socks
from flows.signals import leaving_in_order
from tasks.beforehand import handed_over, read_beforehand
from tasks.tracking.location import locate, prepare
from tasks.tracking.side_process import begin_early
from vecml.cli.terminal import console
from vecml.comparison.budget import seconds_of
from vecml.config import PipelineConfig
from vecml.data.dialect import asked_of, check_asked
from vecml.data.remedy import whole_commands
from vecml.data.sources import check_source
from vecml.device import check_threads
from vecml.environment import known_conflicts
from vecml.errors import ServerError, one_line
from vecml.inference.setting import requested_setting
from vecml.model.find import check_there, find_class, parts_of
from vecml.passwords import without_passwords
from vecml.warnings import warn

if TYPE_CHECKING:
    from vecml.report.summary import PipelineResult

HEALTH_SECONDS = 10
API_ADDRESS = "PREFECT_API_URL is the address of Prefect's API: http://HOST:4200/api; unset, a temporary one is used"


def check_here(config: PipelineConfig) -> None:
    """Refuse what a moment's look shows to be impossible on this machine, before anything is started.

    Raises SettingError (threads, device, an engine that cannot, an architecture without a class), DataError and
    ModelError (no such file), StoreError (mlruns/ cannot be written); warns of a known conflict (VML008).
    """
    check_threads(config.threads)
    if config.engine == "auto":
        seconds_of(config.budget)
    if config.device != "auto" or config.engine not in ("auto", "torch", "torch_compile"):  # else torch has to be asked
        requested_setting(config)
    with whole_commands(config):
        check_source(config.data)
    check_asked(asked_of(config))
    if config.architecture is not None:
        parts_of(config.architecture)
    check_there(config.weights)
    for conflict in known_conflicts():
        warn("VML008", conflict)
    prepare(locate())


def launch(config: PipelineConfig, debug: bool = False) -> "PipelineResult":
    """Run the pipeline flow with a Prefect server: the user's own, or a temporary one for this run.

    Data that has to be read is read and split first: what is refused starts no server and leaves no run. However the
    run ends, SIGTERM and SIGHUP included, no process of the temporary server is left.

    Args:
        config: what is run; `check_here` has accepted it.
        debug: show what Prefect logs on the terminal.

    Raises what the flow raises, and ServerError when a server does not answer.
    """
    _quiet_prefect(debug)
    _impatient_prefect()
    url = configured_url()
    with leaving_in_order():
        prepared = None if config.data is None else read_beforehand(config)
        server = None if url else TemporaryServer()
        if server:
            if _is_first_start():
                console(sys.stderr).print("Prefect makes its database, once: up to half a minute ...")
            server.start()
            # Not sooner: Prefect sends its last log lines and events when the interpreter ends, before this.
            atexit.register(server.stop)
        elif url:
            without_socks()
            without_lost_certificates()
            _see_that_it_answers(url)
        with _collecting_later():
            begin_early()
            from flows.pipeline import pipeline
            from tasks.tracking.store import preload

            preload(locate())
            if config.architecture is not None:
                find_class(config.architecture)  # not before the fork above: its import may start threads
        if server:
            server.wait(_Patience())
        with _prefects_errors(url), handed_over(prepared):
            return pipeline(config)


def _quiet_prefect(debug: bool) -> None:
    """Prefect's log lines go to its UI; the terminal shows ours. With --debug it shows both.

    Where its server is gone it would write each log line and event that it could not send, without an end of line.
    """
    if not debug:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
        logging.raiseExceptions = False


def _impatient_prefect() -> None:
    """A server that halts holds each of a run's calls up for a minute and a half, not for six; what the user set stays.

    Prefect reads these when it is imported. Its own are 60 seconds and five more tries.
    """
    os.environ.setdefault("PREFECT_API_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "2")


def _see_that_it_answers(url: str) -> None:
    """Raise ServerError when the Prefect server at `url` does not answer, before the imports take seconds."""
    if not _is_address(url):
        raise ServerError(without_passwords(f"PREFECT_API_URL {url} is no address of a server"), API_ADDRESS)
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=HEALTH_SECONDS) as answer:  # noqa: S310 -- own
            kind = answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:  # it answers; whether it lets us in (a proxy's login page, say) is Prefect's to say
            kind = error.headers.get_content_type() if error.code == 404 else ""
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServerError(
            without_passwords(f"the Prefect server at {url} does not answer: {reason}"),
            "start it (prefect server start), or unset PREFECT_API_URL to use a temporary one",
        ) from None
    if kind == "text/html":  # Prefect's API answers in JSON
        raise ServerError(without_passwords(f"what answers at {url} is a web page, and not Prefect's API"), API_ADDRESS)


def _is_address(url: str) -> bool:
    """Whether it names a host by http or https, and a port that there is, if it names one."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


@contextmanager
def _collecting_later() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _prefects_errors(own_server: str | None) -> Iterator[None]:
    """Turn errors of the Prefect server in the block, and its silence, into a ServerError of one line.

    `own_server` is the address of the user's own server; None: vecml's temporary one.
    """
    from httpx import HTTPError

    try:
        yield
    except (HTTPError, RuntimeError) as error:
        if not isinstance(error, HTTPError) and "reach API" not in str(error):
            raise
        reason = without_passwords(one_line(error, whole=True, limit=None))
        room = "see that it runs and that its disk has room (PREFECT_HOME, by default ~/.prefect)"
        raise ServerError(
            f"Prefect's server failed: {reason[:300]}", room if own_server is None else API_ADDRESS
        ) from error


def _is_first_start() -> bool:
    """Whether Prefect has no database yet: its server then makes one, which takes a while."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    return not (home / "prefect.db").exists() and "PREFECT_API_DATABASE_CONNECTION_URL" not in os.environ


class _Patience:
    """Prints one line when the wait for the server has become long."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, waited: float) -> None:
        if waited > SLOW_SECONDS and not self._told:
            self._told = True
            console(sys.stderr).print("waiting for Prefect's temporary server ...")
