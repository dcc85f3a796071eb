"""A Prefect server for as long as one run lasts, started before anything heavy is imported.

Run as `python -m flows.server FD`, it serves on a socket that its parent has bound, and ends when its standard input
does: whatever happens to the parent, SIGKILL included, no server is left over. It has no UI and runs only the services
that a run needs. Its database is Prefect's own, so the runs are seen in a real server's UI later.
"""

import atexit
import gc
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vecml import child
from vecml.errors import ServerError

STARTUP_SECONDS = 180.0  # the first start migrates a database: 23 s were seen on a quiet machine
SLOW_SECONDS = 8.0
STOP_SECONDS = 5.0
HOSTS = ("127.0.0.1", "localhost")
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


class TemporaryServer:
    """A Prefect server of this process's own.

    `start` returns at once; `wait` returns when the server answers; `stop` ends it. `url` is for PREFECT_API_URL.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # a pipe that nobody reads would block the server when it is full
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by stop
        self.url = ""

    def start(self) -> None:
        """Bind a free port on 127.0.0.1, start the server on it, and point PREFECT_API_URL at it."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            go_past_proxies()
            origin = self.url.removesuffix("/api")
            self._process = subprocess.Popen(
                child.python("flows.server", str(listener.fileno())),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env=child.environment(**_ENVIRONMENT, PREFECT_SERVER_CORS_ALLOWED_ORIGINS=origin),
                pass_fds=(listener.fileno(),),
                start_new_session=True,  # Ctrl-C is for the run; the server ends after it
            )
        os.environ["PREFECT_API_URL"] = self.url

    def wait(self, while_waiting: Callable[[float], None]) -> None:
        """Return once the server is healthy; `while_waiting` is told the seconds waited so far.

        Raises ServerError, with what the server said last, when it ends or does not answer in time.
        """
        process = self._process
        if process is None:
            return
        start = time.monotonic()
        while (waited := time.monotonic() - start) < STARTUP_SECONDS:
            if process.poll() is not None:
                self._said.seek(0)
                last = child.cause(self._said.read().decode(errors="replace"))
                raise ServerError(
                    f"Prefect's temporary server ended with {process.returncode}; it said: {last}",
                    "`vecml doctor` names known conflicts; `--debug` shows more",
                )
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):  # noqa: S310 -- our own address
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                while_waiting(waited)
                time.sleep(0.05)
        self.stop()
        raise ServerError(f"Prefect's temporary server did not answer within {STARTUP_SECONDS:.0f} s", "try again")

    def stop(self) -> None:
        """End the server, gently first; returns when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        self._said.close()
        if os.environ.get("PREFECT_API_URL") == self.url:
            del os.environ["PREFECT_API_URL"]


_running: TemporaryServer | None = None


@contextmanager
def serving(while_waiting: Callable[[float], None] = lambda _seconds: None) -> Iterator[None]:
    """Provide a Prefect server during the `with` block: the user's own, or one that lives as long as this process.

    Raises ServerError when a temporary one does not start.
    """
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings  # noqa: PLC0415 -- heavy

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
    with temporary_settings({PREFECT_API_URL: _running.url}):
        yield


def configured_url() -> str | None:
    """The Prefect API that the user has named: in the environment, in a file of the folder or in the active profile.

    Read without importing Prefect, which would cost more than a second before the server could start.
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


def go_past_proxies() -> None:
    """Our own server is on this machine: nobody should look for it through a proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join([*hosts, *(host for host in HOSTS if host not in hosts)])


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # Prefect itself will say what is wrong with it


def _serve(descriptor: int) -> None:
    """Serve on an inherited socket until told to end, or until the parent is gone."""
    gc.disable()  # what the imports make stays: looking through it again and again costs a fifth of the start
    import uvicorn  # noqa: PLC0415 -- only the server's process needs it
    from fastapi.middleware.trustedhost import TrustedHostMiddleware  # noqa: PLC0415
    from prefect.server.api.server import create_app  # noqa: PLC0415

    # A page that a browser shows must not reach it by a name that it has made point here (DNS rebinding).
    app = TrustedHostMiddleware(create_app(), allowed_hosts=list(HOSTS))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
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


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
