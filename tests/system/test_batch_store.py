"""An object store over HTTP: labelled, resumed, verified, and what is wrong is said in one line without a secret.

moto's server stands for S3 where it is installed (`pip install 'moto[server]'`). It keeps everything in memory, checks
no credentials and has no eventual answers; a server that refuses everything shows how a missing right is said.
"""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.batch.made import files_of, label, parts_of, single
from vecml.batch import places
from vecml.batch.folder import Folder
from vecml.batch.manifest import verify
from vecml.batch.places import place_of
from vecml.errors import DataError, StoreError

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")]
SECRET = "qz9wSecret"  # noqa: S105 -- made up


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    places._system.cache_clear()
    yield
    places._system.cache_clear()


@pytest.fixture
def moto(tmp_path: Path, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not on the path: pip install 'moto[server]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "moto.log").open("wb") as log:
        server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        try:
            for _ in range(300):
                with socket.socket() as there:
                    if there.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            from pyarrow import fs

            store = fs.S3FileSystem(
                endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True
            )
            store.create_dir("bucket")
            yield
        finally:
            server.terminate()
            server.wait(30)


def _upload(folder: Path, address: str) -> None:
    place = place_of(address, "--data")
    for path in sorted(folder.iterdir()):
        with place.system.open_output_stream(f"{place.path}/{path.name}") as target:
            target.write(path.read_bytes())


@pytest.mark.usefixtures("moto")
def test_an_object_store_is_labelled_and_taken_up_again(tmp_path: Path) -> None:
    _upload(files_of(tmp_path / "data", [130, 700]), "s3://bucket/data")
    _upload(files_of(tmp_path / "csv", [130, 700], suffix=".csv"), "s3://bucket/csv")
    wanted = single(tmp_path, keep=["id"], rows=True).to_pydict()
    for data in ("s3://bucket/data", "s3://bucket/csv", "s3://bucket/data/*.parquet"):
        out = f"s3://bucket/labels-{len(data)}"
        told = label(data, out, keep=("id",), rows=True)
        folder = Folder(place_of(out, "--out"))
        here = tmp_path / str(len(data))
        here.mkdir()
        for name in folder.names():
            if name.endswith(".parquet"):
                (here / name).write_bytes(folder.read(name))
        assert parts_of(here).to_pydict() == wanted
        assert verify(folder).rows == told.n_rows
        assert not any(name.startswith("_parts") for name in folder.names())
        folder.remove(next(name for name in sorted(folder.names()) if name.startswith("part-")))
        with pytest.raises(DataError, match=r" is missing$"):
            verify(folder)
        assert label(data, out, keep=("id",), rows=True).taken_over == told.parts - 1
    content = Folder(place_of("s3://bucket/data", "--data")).read("001.parquet")
    place = place_of("s3://bucket/data/000.parquet", "--data")
    with place.system.open_output_stream(place.path) as target:
        target.write(content)
    with pytest.raises(DataError, match=r"another plan: s3://bucket/data/000\.parquet has changed since$"):
        label("s3://bucket/data", "s3://bucket/labels-16", keep=("id",), rows=True)
    everything = Folder(place_of("s3://bucket", "--out"))
    assert all(SECRET.encode() not in everything.read(name) for name in everything.names() if "labels" in name)


@pytest.mark.usefixtures("moto")
def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300])
    with pytest.raises(DataError, match=r"^there is no bucket 'nobody': s3://nobody/data$"):
        label("s3://nobody/data", tmp_path / "out")
    with pytest.raises(DataError, match=r"^s3://bucket/none is not there$"):
        label("s3://bucket/none", tmp_path / "out")
    with pytest.raises(DataError, match=r"^s3://bucket/\*\.csv holds no data file$"):
        label("s3://bucket/*.csv", tmp_path / "out")
    with pytest.raises(StoreError, match=r"^there is no bucket 'nobody': s3://nobody/out/_plan.json$"):
        label(data, "s3://nobody/out")


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_PUT = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.usefixtures("credentials")
def test_a_missing_right_is_said_without_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files_of(tmp_path / "data", [300])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        with pytest.raises(DataError, match=r"^s3://bucket/data may not be listed with the credentials of the") as one:
            label("s3://bucket/data", tmp_path / "out")
        with pytest.raises(DataError, match=r"^s3://bucket/out may not be listed with the credentials of the") as two:
            label(data, "s3://bucket/out")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert all(SECRET not in f"{caught.value.message}{caught.value.hint}" for caught in (one, two))
