"""Prefect's server on this machine, in a child process: a temporary one for a run, a permanent one for `vecml up`.

`python -m flows.server --descriptor FD` is the temporary server. It starts before anything heavy is imported, serves on
a socket that its parent has bound, and ends when its standard input ends, so that even a parent that was killed leaves
no server behind. It has no UI and runs only the services that a run needs. Its database is Prefect's own, so a
permanent server's UI shows the runs later.

`python -m flows.server PORT` is the permanent server: the same as `prefect server start`, with the UI, but it ends
within seconds although a browser is still connected.

Both answer this machine only, and no page of another site (`vecml.own_pages`). The temporary one wants a random key as
well, which its run alone knows.
"""

import atexit
import gc
import http.client
import importlib.util
import os
import re
import secrets
import socket
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vecml import child
from vecml.errors import ServerError
from vecml.own_pages import OwnPagesOnly

STARTUP_SECONDS = 180.0  # the first start migrates databases, which takes half a minute on an idle machine
SLOW_SECONDS = 8.0
STOP_SECONDS = 5.0
CLOSING_SECONDS = 2
ANSWER_SECONDS = 2.0
DESCRIPTOR = "--descriptor"
KEY_VARIABLE = "PREFECT_API_AUTH_STRING"
HOSTS = ("127.0.0.1", "localhost")
SOCKS_PACKAGE = "socksio"  # httpx's own extra, which whoever has a SOCKS proxy may have
PROXIES = ("all_proxy", "http_proxy", "https_proxy")
BUILT_IN_PROFILES = {"local": "http://127.0.0.1:4200/api"}

_ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class TemporaryServer:
    """A Prefect server that belongs to this process.

    `start` returns at once; `wait` returns when the server answers; `stop` ends it. `url` is for PREFECT_API_URL, and
    `key` for PREFECT_API_AUTH_STRING.
    """

    def __init__(self) -> None:
        self._child: child.Child | None = None
        self._before: dict[str, str | None] = {}
        self.url = ""
        self.key = f"vecml:{secrets.token_urlsafe(32)}"

    def start(self) -> None:
        """Bind a free port on 127.0.0.1, start the server on it, and point Prefect's environment variables at it.

        Raises ServerError as `check_home` and `go_past_proxies` do.
        """
        check_home()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            go_past_proxies()
            origin = self.url.removesuffix("/api")
            self._child = child.spawn(
                child.python("flows.server", DESCRIPTOR, str(listener.fileno())),
                child.environment(
                    **_ENVIRONMENT, PREFECT_SERVER_CORS_ALLOWED_ORIGINS=origin, PREFECT_SERVER_API_AUTH_STRING=self.key
                ),
                descriptors=(listener.fileno(),),
            )
        for name, value in (("PREFECT_API_URL", self.url), (KEY_VARIABLE, self.key)):
            self._before[name] = os.environ.get(name)
            os.environ[name] = value

    def wait(self, while_waiting: Callable[[float], None]) -> None:
        """Return once the server is healthy; `while_waiting` is called with the seconds waited so far.

        Raises ServerError, with the server's last lines, when it ends or does not answer in time.
        """
        if self._child is None:
            return
        start = time.monotonic()
        while (waited := time.monotonic() - start) < STARTUP_SECONDS:
            if self._child.code is not None:
                raise ServerError(
                    f"Prefect's temporary server failed: {self._child.last_words()}",
                    "`vecml doctor` names known conflicts; `--debug` shows more",
                )
            if answers(f"{self.url}/health"):
                return
            while_waiting(waited)
            time.sleep(0.05)
        self.stop()
        raise ServerError(f"Prefect's temporary server did not answer within {STARTUP_SECONDS:.0f} s", "try again")

    def stop(self) -> None:
        """End the server, first with SIGTERM, and wait until it has ended."""
        running, self._child = self._child, None
        if running is None:
            return
        running.close(patience_seconds=STOP_SECONDS)
        if os.environ.get("PREFECT_API_URL") == self.url:
            for name, value in self._before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def answers(url: str) -> bool:
    """Whether a GET of an address on this machine succeeds."""
    return ask(urllib.request.Request(url)) is not None  # noqa: S310 -- our own server


def ask(request: urllib.request.Request) -> bytes | None:
    """Get the answer of a server on this machine, without any proxy; None for an error or no answer."""
    try:
        with _open(request, timeout=ANSWER_SECONDS) as response:
            content: bytes = response.read()
            return content
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError):
        return None


_running: TemporaryServer | None = None


@contextmanager
def serving(while_waiting: Callable[[float], None] = lambda _seconds: None) -> Iterator[None]:
    """Provide a Prefect server during the `with` block: the user's own, or one that ends with this process.

    `while_waiting` is called with the seconds waited so far. Raises ServerError when a temporary server does not start.
    """
    from prefect.settings import (  # noqa: PLC0415 -- heavy
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        get_current_settings,
        temporary_settings,
    )

    global _running  # noqa: PLW0603 -- one server for a process, however many runs it makes
    if get_current_settings().api.url is not None:
        yield
        return
    if _running is None:
        server = TemporaryServer()
        server.start()
        atexit.register(server.stop)  # after Prefect has sent its last log lines, as the interpreter ends
        server.wait(while_waiting)
        _running = server
    with temporary_settings({PREFECT_API_URL: _running.url, PREFECT_API_AUTH_STRING: _running.key}):
        yield


@contextmanager
def without_heartbeat() -> Iterator[None]:
    """Let flow runs send no heartbeat to Prefect during the `with` block.

    The heartbeat's thread sleeps a second at a time and is joined when the flow ends, which costs half a second on
    average: a tenth of a short run. It serves automations that look for crashed runs on workers, where it stays.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415 -- heavy

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def configured_url() -> str | None:
    """Read the Prefect API that the user has configured: in the environment, in the folder or in the active profile.

    Prefect is not imported for it: that would take more than a second before the server could start.
    """
    here = Path.cwd()
    project = _toml(here / "pyproject.toml").get("tool", {}).get("prefect", {})
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = _toml(Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser())
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    profile = profiles.get("profiles", {}).get(active, {"PREFECT_API_URL": BUILT_IN_PROFILES.get(active)})
    return (
        os.environ.get("PREFECT_API_URL")
        or _dotenv(here / ".env")
        or _toml(here / "prefect.toml").get("api", {}).get("url")
        or project.get("api", {}).get("url")
        or profile.get("PREFECT_API_URL")
    )


def _dotenv(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"""^\s*(?:export\s+)?PREFECT_API_URL\s*=\s*["']?([^"'\s#]+)""", text, flags=re.MULTILINE)
    return found.group(1) if found else None


def check_home() -> None:
    """Raise ServerError where Prefect cannot keep its database: no home, or one that may not be written."""
    if "PREFECT_API_DATABASE_CONNECTION_URL" in os.environ:
        return
    named = os.environ.get("PREFECT_HOME")
    try:
        folder = Path(named or "~/.prefect").expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return
        reason = "it may not be written"
    except (OSError, RuntimeError) as error:  # the latter: nobody knows this user's home
        reason = getattr(error, "strerror", None) or str(error)
    raise ServerError(
        f"Prefect cannot keep its database in {named or '~/.prefect'}: {reason}",
        "name a folder that can be written, and keep it: export PREFECT_HOME=/tmp/prefect",
    )


def go_past_proxies() -> None:
    """Make this process and its children reach servers on this machine without a proxy.

    Raises ServerError as `without_socks` and `without_lost_certificates` do.
    """
    without_socks()
    without_lost_certificates()
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [
            host.strip("[] ") for host in os.environ.get(name, "").split(",") if host.strip("[] ")
        ]  # as httpx wants
        os.environ[name] = ",".join([*hosts, *(host for host in HOSTS if host not in hosts)])


def without_lost_certificates() -> None:
    """Forget a file of certificates that is not there: httpx fails at its sight, though it asks this machine.

    Raises ServerError where Prefect's or MLflow's server is asked over https, for which certificates matter.
    """
    named = os.environ.get("SSL_CERT_FILE")
    if not named or Path(named).is_file():
        return
    if any(
        (address or "").startswith("https:") for address in (configured_url(), os.environ.get("MLFLOW_TRACKING_URI"))
    ):
        raise ServerError(f"SSL_CERT_FILE names {named}, and there is no such file", "unset SSL_CERT_FILE")
    del os.environ["SSL_CERT_FILE"]


def without_socks() -> None:
    """Forget a proxy that Prefect's client cannot use, SOCKS or nonsense: it fails at its sight, though it asks here.

    Raises ServerError where Prefect's or MLflow's server is on another machine, which may be reached in no other way.
    """
    schemes = {"http", "https"}
    if importlib.util.find_spec(SOCKS_PACKAGE) is not None:
        schemes |= {"socks5", "socks5h"}
    named = [name for name in os.environ if name.lower() in PROXIES and not _is_proxy(os.environ[name], schemes)]
    if not named:
        return
    for address in (configured_url(), os.environ.get("MLFLOW_TRACKING_URI")):
        parts = urllib.parse.urlsplit(address or "")
        if parts.scheme in ("http", "https") and parts.hostname not in HOSTS:
            what = "SOCKS proxy" if os.environ[named[0]].lower().startswith("socks") else "proxy"
            raise ServerError(
                f"{named[0]} names a {what}, which this Python cannot use, and {parts.hostname} is elsewhere",
                f"pip install 'httpx[socks]' 'requests[socks]', or unset {' '.join(named)}",
            )
    for name in named:
        del os.environ[name]


def _is_proxy(value: str, schemes: Collection[str]) -> bool:
    """Whether a variable's value is empty or the address of a proxy that httpx can use."""
    try:
        parts = urllib.parse.urlsplit(value if "://" in value else f"http://{value}")
        return not value or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # Prefect itself reports the fault


def _app() -> OwnPagesOnly:
    """Make Prefect's server, which only answers its own pages, and programs, of this machine."""
    from prefect.server.api.server import create_app  # noqa: PLC0415 -- the server's process needs it

    return OwnPagesOnly(create_app())


def _serve_parent(descriptor: int) -> None:
    """Serve on an inherited socket until a signal comes or the parent ends."""
    os.dup2(2, 1)  # nobody reads standard output, and a full pipe would block the server
    gc.disable()  # imported modules are no garbage, and looking through them costs a fifth of the start
    import uvicorn  # noqa: PLC0415

    server = uvicorn.Server(uvicorn.Config(_app(), log_level="error", lifespan="on"))
    gc.freeze()
    gc.enable()

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        server.should_exit = True
        time.sleep(STOP_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run(sockets=[socket.socket(fileno=descriptor)])


def _serve_port(port: int) -> None:
    """Serve on a port of 127.0.0.1 until SIGTERM or SIGINT."""
    import uvicorn  # noqa: PLC0415

    uvicorn.run(
        _app(),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )


if __name__ == "__main__":
    if sys.argv[1] == DESCRIPTOR:
        _serve_parent(int(sys.argv[2]))
    else:
        _serve_port(int(sys.argv[1]))
