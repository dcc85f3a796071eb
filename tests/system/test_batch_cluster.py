"""A cluster of Ray on this machine labels into the same bytes as one process, also where a part of it is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.clusters import classifier, setting_of
from tests.batch.made import contents, files_of, label
from tests.faults.ray_nodes import LABEL, ROOT, kill, parts, wait_until
from tests.made_s3 import KEY, served
from vecml.batch.cluster import Wish
from vecml.batch.folder import Folder
from vecml.batch.label import Ask, Labelled, label_files
from vecml.batch.manifest import verify
from vecml.data import places
from vecml.data.places import place_of
from vecml.engines.registry import load_engine

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vecml[ray]'")
pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")]


def started_by(pid: int) -> Iterator[psutil.Process]:
    """What a process has started, and what that has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        yield from psutil.Process(pid).children(recursive=True)


def labellers(pid: int) -> list[int]:
    found = []
    for one in started_by(pid):
        with contextlib.suppress(psutil.Error):
            if "ray::Node" in " ".join(one.cmdline()):
                found.append(one.pid)
    return found


def test_a_cluster_makes_the_same_bytes_though_a_worker_is_killed(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", list(range(20, 1_000, 20)))
    asked = {"keep": ("id",), "rows": True, "probabilities": True, "unit_bytes": 1}
    one = label(data, tmp_path / "one", **asked)
    killed: list[int] = []

    def strike() -> None:
        while parts(tmp_path / "two") < 5:
            time.sleep(0.01)
        killed.extend(labellers(os.getpid())[:1])
        kill(killed[0])

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    told = label(data, tmp_path / "two", cluster=Wish("local:2"), **asked)
    thread.join(5)
    assert killed
    there = {name: file for name, file in contents(tmp_path / "two").items() if not Path(name).name.startswith(".")}
    assert there == contents(tmp_path / "one")  # but for a hidden file that the killed process may have left
    assert (told.counts, told.unseen, told.filled) == (one.counts, one.unseen, one.filled)
    assert sum(node.rows for node in told.crew.nodes) == told.n_rows
    assert sum(node.parts for node in told.crew.nodes) == told.parts
    assert sum(node.failures for node in told.crew.nodes) == len(told.crew.notes)
    assert verify(Folder(place_of(str(tmp_path / "two"), "--verify"))).rows == told.n_rows
    assert label(data, tmp_path / "two", cluster=Wish("local:2"), **asked).taken_over == told.parts


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_one_leaves_nothing_and_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    data, out, scratch = files_of(tmp_path / "data", list(range(4, 1_000, 4))), tmp_path / "out", tmp_path / "tmp"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", LABEL, str(data), str(out), "local:2", "60"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wait_until(lambda: parts(out) > 5, 200, process)
    there = list(started_by(process.pid))
    listening = [
        connection.laddr.ip
        for one in there
        for connection in one.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert not any("--usage" in " ".join(one.cmdline()) for one in there)
    process.send_signal(number)
    process.communicate(timeout=60)
    limit = time.monotonic() + 60
    while (left := [one for one in there if one.is_running()]) and time.monotonic() < limit:
        time.sleep(0.2)
    assert left == []
    assert not list(Path("/tmp").glob("v-????????"))
    if number == signal.SIGINT:
        assert not list(out.rglob(".*"))
        assert not list(scratch.iterdir())
    done = parts(out)
    told = label(data, out, keep=("id",), rows=True, unit_bytes=1)
    assert told.taken_over in (done, done - 1, done - 2)  # a part is there before its record is
    label(data, tmp_path / "never", keep=("id",), rows=True, unit_bytes=1)
    assert contents(out) == contents(tmp_path / "never")


@pytest.mark.long
@pytest.mark.timeout(36_000)
def test_many_rows_have_the_same_labels_whoever_labels_them(tmp_path: Path) -> None:
    """One process, two nodes, one that was killed and resumed, and in memory; VECML_ROWS=200000000 does it in full."""
    rows, files = int(os.environ.get("VECML_ROWS", "400000")), 200
    data, setting, model = tmp_path / "data", setting_of(2), classifier()
    data.mkdir()
    for number in range(files):
        draw = np.random.default_rng(number)
        columns = {f"x{column}": draw.standard_normal(rows // files, np.float32) for column in range(10)}
        pq.write_table(pa.table(columns), data / f"{number:03}.parquet")
    command = "import sys; from tests.system.test_batch_cluster import labelled; labelled(*sys.argv[1:])"
    killed = subprocess.Popen([sys.executable, "-c", command, str(data), str(tmp_path / "killed")], cwd=ROOT)
    assert wait_until(lambda: parts(tmp_path / "killed") > 20, 600, killed)
    kill(killed.pid)
    killed.wait()
    assert not (tmp_path / "killed" / "_SUCCESS").exists()
    assert labelled(str(data), str(tmp_path / "killed")).taken_over > 10
    labelled(str(data), str(tmp_path / "one"))
    labelled(str(data), str(tmp_path / "nodes"), Wish("local:2"))
    names = {path.name for path in (tmp_path / "one").iterdir()}
    for other in ("killed", "nodes"):
        assert {path.name for path in (tmp_path / other).iterdir()} == names
        assert all((tmp_path / other / name).read_bytes() == (tmp_path / "one" / name).read_bytes() for name in names)
    engine = load_engine(model.model, setting)
    for number in (0, 77, files - 1):
        x_FN = np.stack([column.to_numpy() for column in pq.read_table(data / f"{number:03}.parquet").columns])
        label_N = np.empty(x_FN.shape[1], np.int64)
        engine.labels(x_FN, label_N)
        (part,) = (tmp_path / "one").glob(f"part-{number:07}-*")
        found = pq.ParquetFile(part).read()["prediction"].to_pylist()
        assert found == [model.model.classes[label] for label in label_N]
    engine.close()


def labelled(data: str, out: str, cluster: Wish | None = None) -> Labelled:
    """Label each file as a part of its own."""
    return label_files(classifier(), data, setting_of(2), out, Ask(unit_bytes=1, cluster=cluster))


@pytest.mark.long
def test_nodes_share_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files_of(tmp_path / "data", [130, 400, 700])
    for name, value in (("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", "made-up"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with served() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.address)
        places._system.cache_clear()
        bucket = Folder(place_of("s3://bucket", "--out"))
        for path in sorted(data.iterdir()):
            bucket.write(f"data/{path.name}", path.read_bytes())
        asked = {"keep": ("id",), "rows": True}
        told = label("s3://bucket/data", "s3://bucket/nodes", cluster=Wish("local:2"), **asked)
        label("s3://bucket/data", "s3://bucket/one", **asked)
        names = sorted(Folder(place_of("s3://bucket/nodes", "--out")).names())
        assert names == sorted(Folder(place_of("s3://bucket/one", "--out")).names())
        assert len(names) == told.parts + 3
        assert all(bucket.read(f"nodes/{name}") == bucket.read(f"one/{name}") for name in names)
    places._system.cache_clear()
