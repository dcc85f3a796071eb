"""The servers that vecml starts let in programs and their own pages, and no page of another site."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.server import TemporaryServer, answers
from tests.system.conftest import BIN, free_port, left_over, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("servers")]

SOCKETS = ("events/in", "events/out", "logs/out")
FOREIGN = "http://evil.example"


@pytest.fixture(scope="module")
def temporary(environment: dict[str, str]) -> Iterator[TemporaryServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", environment["PREFECT_HOME"])
        server = TemporaryServer()
        server.start()
        server.wait(lambda _seconds: None)
        yield server
        server.stop()


def status(url: str, **headers: str) -> int:
    """The answer's code to a POST of an empty JSON object."""
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("name", SOCKETS)
def test_no_foreign_page_opens_a_socket(temporary: TemporaryServer, name: str) -> None:
    address = f"{temporary.url.replace('http', 'ws', 1)}/{name}"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, origin=FOREIGN, subprotocols=["prefect"], open_timeout=10)
    own = temporary.url.removesuffix("/api")
    with connect(address, origin=own, subprotocols=["prefect"], open_timeout=10) as socket:
        socket.send(json.dumps({"type": "auth", "token": temporary.key}))
        assert json.loads(socket.recv(timeout=10))["type"] == "auth_success"


@pytest.mark.parametrize("name", SOCKETS)
def test_a_socket_wants_the_runs_key(temporary: TemporaryServer, name: str) -> None:
    with connect(f"{temporary.url.replace('http', 'ws', 1)}/{name}", subprotocols=["prefect"]) as socket:
        socket.send(json.dumps({"type": "auth", "token": "guessed"}))
        with pytest.raises(Exception, match=r"1008|Invalid token"):
            socket.recv(timeout=10)


def test_requests_want_the_runs_key(temporary: TemporaryServer) -> None:
    import base64

    url = f"{temporary.url}/flows/filter"
    key = {"Authorization": "Basic " + base64.b64encode(temporary.key.encode()).decode()}
    assert status(url) == 401
    assert status(url, **key) == 200
    assert status(url, **key, Origin=FOREIGN) == 403
    assert status(url, **key, Host="evil.example") == 403


def test_mlflows_ui_lets_no_foreign_page_in(started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    port = free_port()
    started(BIN / "vecml", "ui", "--port", str(port), log=tmp_path / "ui.log")
    own = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(f"{own}/health"), 90, "the UI")
    url = f"{own}/ajax-api/2.0/mlflow/experiments/create"
    for origin in (FOREIGN, f"http://127.0.0.1:{port + 1}", "null"):
        assert status(url, Origin=origin) == 403
    assert status(url, Host=f"evil.example:{port}") == 403
    assert status(url, Origin=own) == 400  # let in, and refused by MLflow: the experiment has no name
    assert status(url) == 400


def test_ctrl_c_while_mlflow_imports_shows_no_traceback(
    started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    log = tmp_path / "ui.log"
    mark = {"VECML_TEST_MARK": str(tmp_path)}
    process = started(BIN / "vecml", "ui", "--port", str(free_port()), env=mark, log=log)
    wait_for(lambda: "The server is starting" in log.read_text(), 90, "the start of MLflow's server")
    wait_for(lambda: psutil.Process(process.pid).children(), 30, "MLflow's server")
    time.sleep(0.5)  # a terminal sends Ctrl-C to all of its group, a while after Python has begun
    os.killpg(os.getpgid(process.pid), signal.SIGINT)
    assert process.wait(30) == 0
    assert "Traceback" not in log.read_text()
    assert not left_over(str(tmp_path))
