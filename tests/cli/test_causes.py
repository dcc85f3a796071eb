"""Hints that name the cause: a broken compiler, an address that is not Prefect's, a missing driver."""

import logging
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tasks.tracking.location import locate
from tasks.tracking.store import store_errors
from vecml.cli.launch import _impatient_prefect, _quiet_prefect, _see_that_it_answers
from vecml.engines.registry import availability
from vecml.engines.torch_compile import missing_compiler
from vecml.errors import ServerError, StoreError


def compiler(folder: Path, text: str) -> None:
    path = folder / "g++"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'g++: fatal error: cannot execute cc1plus' >&2; exit 1", "g++: fatal error: cannot execute cc1plus"),
        ("exit 3", "it ended with 3"),
        ("kill -11 $$", "it ended with -11"),
    ],
)
def test_a_broken_compiler_is_told_by_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    compiler(tmp_path, text)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    # as `vecml doctor` asks
    assert availability("torch_compile") == f"torch.compile needs a C++ compiler, and g++ fails: {said}"
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))
    assert availability("torch_compile") == f"torch.compile needs a C++ compiler, and g++ fails: {said}"


@pytest.mark.parametrize("debug", [False, True])
def test_what_prefect_cannot_send_is_shown_for_debugging_only(monkeypatch: pytest.MonkeyPatch, debug: bool) -> None:
    """Else its server's end would be told in lines without an end, between which ours is not seen."""
    for name in ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL"):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    monkeypatch.setattr(logging, "raiseExceptions", True)  # Prefect asks it before it writes to standard error
    _quiet_prefect(debug)
    assert logging.raiseExceptions == debug
    assert (os.environ.get("PREFECT_LOGGING_INTERNAL_LEVEL") == "CRITICAL") != debug


def test_a_halted_prefect_server_is_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect itself knows the settings by these names; what the user set stays."""
    from prefect.settings import Settings

    monkeypatch.setenv("PREFECT_API_REQUEST_TIMEOUT", "1")  # so that it is not there afterwards
    monkeypatch.delenv("PREFECT_API_REQUEST_TIMEOUT")
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "7")
    _impatient_prefect()
    settings = Settings()
    assert (settings.api.request_timeout, settings.client.max_retries) == (30.0, 7)


class Page(BaseHTTPRequestHandler):
    """Any web server but Prefect's: a page for what is there, a page that says 404 for what is not."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<html></html>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(params=[200, 404])
def page(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Handler", (Page,), {"status": request.param})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [401, 403, 502, 503])
def test_a_proxys_own_page_is_prefects_to_judge(status: int) -> None:
    """A proxy with a login answers with a page of its own, and Prefect's client knows the credentials."""
    with HTTPServer(("127.0.0.1", 0), type("Handler", (Page,), {"status": status})) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        _see_that_it_answers(f"http://127.0.0.1:{server.server_port}/api")


@pytest.mark.parametrize(
    "address",
    [
        "htp://127.0.0.1:4200/api",
        "127.0.0.1:4200/api",
        "localhost:4200/api",
        "http://:4200/api",
        "http://127.0.0.1:x/api",
        "http://127.0.0.1:0/api",
        "http://127.0.0.1:99999/api",
        "http:/127.0.0.1/api",
        "file:///etc/hostname",
        "/api",
    ],
)
def test_what_is_no_address_is_not_asked_to_be_started(address: str) -> None:
    with pytest.raises(ServerError) as caught:
        _see_that_it_answers(address)
    assert caught.value.message == f"PREFECT_API_URL {address} is no address of a server"
    assert str(caught.value.hint).startswith("PREFECT_API_URL is the address of Prefect's API: http://HOST:4200/api")


def test_an_address_that_is_not_prefects_speaks_of_the_address(page: str) -> None:
    with pytest.raises(ServerError) as caught:
        _see_that_it_answers(page)
    assert caught.value.message == f"what answers at {page} is a web page, and not Prefect's API"
    assert str(caught.value.hint).startswith("PREFECT_API_URL is the address of Prefect's API: http://HOST:4200/api")


BROKEN = [  # what compilers have printed, and the line that says why
    (
        "In file included from <stdin>:1:\n/usr/include/cmath:45:15: fatal error: math.h: No such file or directory"
        "\n   45 | #include_next <math.h>\n      |               ^~~~~~~~\ncompilation terminated.\n",
        "/usr/include/cmath:45:15: fatal error: math.h: No such file or directory",
    ),
    (
        "g++: warning: unused option\n/usr/bin/ld: cannot find -lstdc++: No such file or directory\n"
        "collect2: error: ld returned 1 exit status\n",
        "/usr/bin/ld: cannot find -lstdc++: No such file or directory",
    ),
    (
        "/usr/bin/ld: warning: x.o: missing .note.GNU-stack\n/usr/bin/x86_64-linux-gnu-ld.bfd: a.o: bad value\n"
        "collect2: error: ld returned 1 exit status\n",
        "/usr/bin/x86_64-linux-gnu-ld.bfd: a.o: bad value",
    ),
    (
        "ld.lld: error: unable to find library -lm\nclang: error: linker command failed with exit code 1\n",
        "ld.lld: error: unable to find library -lm",
    ),
    ("collect2: fatal error: cannot find 'ld'\ncompilation terminated.\n", "collect2: fatal error: cannot find 'ld'"),
    (
        "<stdin>: In function 'double small(double)':\n<stdin>:2:42: error: 'sqrt' is not a member of 'std'\n",
        "<stdin>:2:42: error: 'sqrt' is not a member of 'std'",
    ),
    (
        'Traceback (most recent call last):\n  File "wrapper.py", line 3, in <module>\nOSError: no licence\n',
        "OSError: no licence",
    ),
    ("starting the wrapper\n/bin/sh: 1: cc1plus: not found\n", "/bin/sh: 1: cc1plus: not found"),
]


@pytest.mark.parametrize(("printed", "said"), BROKEN)
@pytest.mark.parametrize("stream", ["&2", "&1"])
def test_of_many_lines_it_is_the_one_that_says_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, said: str, stream: str
) -> None:
    (tmp_path / "printed").write_text(printed)
    compiler(tmp_path, f"/bin/cat '{tmp_path}/printed' >{stream}; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert missing_compiler() == f"torch.compile needs a C++ compiler, and g++ fails: {said}"


def test_a_compilers_words_are_asked_for_in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, '[ "$LC_ALL" = C ] && echo "error: $LC_ALL" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.delenv("CXX", raising=False)
    assert str(missing_compiler()).endswith("fails: error: C")


@pytest.mark.parametrize(
    ("module", "package"), [("psycopg", "psycopg[binary]"), ("MySQLdb", "mysqlclient"), ("pymysql", "pymysql")]
)
def test_a_store_without_its_driver_names_the_package(module: str, package: str) -> None:
    with pytest.raises(StoreError) as caught, store_errors(locate()):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    assert f"its driver, the Python package {module}, is not installed" in caught.value.message
    assert caught.value.hint == f"pip install '{package}'"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgresql+pg8000",
        "mysql",
        "mysql+pymysql",
        "mysql+mysqlconnector",
        "mssql",
        "mssql+pyodbc",
        "mssql+pymssql",
    ],
)
def test_every_driver_that_a_dialect_asks_for_is_known(address: str) -> None:
    dialect = make_url(f"{address}://user@host/name").get_dialect()
    try:
        dialect.import_dbapi()
    except ModuleNotFoundError as error:
        with pytest.raises(StoreError, match="its driver, the Python package") as caught, store_errors(locate()):
            raise error
        assert str(caught.value.hint).startswith("pip install '")


@pytest.mark.parametrize(
    ("module", "package"),
    [("google", "google-cloud-storage"), ("azure.storage", "azure-storage-blob"), ("boto3", "boto3")],
)
def test_what_reaches_a_stores_files_is_no_driver(module: str, package: str) -> None:
    with pytest.raises(StoreError) as caught, store_errors(locate()):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    assert "driver" not in caught.value.message
    assert caught.value.hint == f"pip install '{package}'"


@pytest.mark.parametrize("module", ["databricks", "mlflow.deployments", "numpy", "own_plugin"])
def test_any_other_module_is_named_as_it_is(module: str) -> None:
    with pytest.raises(StoreError) as caught, store_errors(locate()):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    assert f"No module named '{module}'" in caught.value.message
    assert "pip install" not in str(caught.value.hint)
