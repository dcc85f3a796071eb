"""Hints that name the cause: a broken compiler, an address that is not Prefect's, a missing driver."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tasks.tracking.location import locate
from tasks.tracking.store import store_errors
from vecml.cli.launch import _see_that_it_answers
from vecml.engines.registry import availability
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


def test_an_address_that_is_not_prefects_speaks_of_the_address(page: str) -> None:
    with pytest.raises(ServerError) as caught:
        _see_that_it_answers(page)
    assert caught.value.message == f"what answers at {page} is a web page, and not Prefect's API"
    assert str(caught.value.hint).startswith("PREFECT_API_URL is the address of Prefect's API: http://HOST:4200/api")


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
