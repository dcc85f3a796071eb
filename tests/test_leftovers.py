"""What a killed process left in temporary folders and beside outputs is removed at the next start, and nothing else."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vecml import leftovers
from vecml.atomic import published, write_bytes
from vecml.child import ROOT
from vecml.errors import StoreError
from vecml.identity import process_identity
from vecml.leftovers import scratch_folder, sweep, token

WRITES = """
import os, signal, sys
from pathlib import Path
from vecml.atomic import published
from vecml.leftovers import make_scratch, scratch_folder
with scratch_folder() as folder, published(Path(sys.argv[1])) as temporary:
    (folder / "large").write_bytes(bytes(1000))
    temporary.write_bytes(b"new")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(leftovers, "SHARED_MEMORY", tmp_path / "none")
    return folder


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def writer(path: Path) -> "subprocess.Popen[str]":
    """A process that has a temporary folder, and writes `path`."""
    started = subprocess.Popen(
        [sys.executable, "-c", WRITES, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_what_is_left_goes_once_its_process_is_gone(scratch: Path, outputs: Path) -> None:
    path = outputs / "out.csv"
    path.write_bytes(b"old")
    with writer(path) as process:
        assert len(list(scratch.iterdir())) == 2  # the folder, and the note
        assert len(list(outputs.iterdir())) == 2
        sweep()
        assert len(list(scratch.iterdir())) == 2
        assert len(list(outputs.iterdir())) == 2
        process.kill()
    assert len(list(outputs.iterdir())) == 2
    sweep()
    assert list(scratch.iterdir()) == []
    assert list(outputs.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_beside_an_output_without_the_note(scratch: Path, outputs: Path) -> None:
    """After a start of the machine, say, that emptied the folder for temporary files."""
    path = outputs / "out.csv"
    with writer(path) as process:
        process.kill()
    with writer(outputs / "another.csv") as alive:
        for left in scratch.iterdir():
            left.unlink() if left.is_file() else shutil.rmtree(left)
        write_bytes(path, b"new")
        assert {one.name.split("-")[0] for one in outputs.iterdir()} == {
            "out.csv", f".another.csv.{alive.pid}"
        }  # fmt: skip
        alive.kill()


def test_nothing_is_left_by_one_that_ends(scratch: Path, outputs: Path) -> None:
    with writer(outputs / "out.csv") as process:
        process.communicate("", timeout=60)
    assert [one.name for one in outputs.iterdir()] == ["out.csv"]
    assert list(scratch.iterdir()) == []


def dead_token() -> str:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return re.sub("^[0-9]+", str(child), token())


def test_what_is_not_provably_ours_and_dead_stays(
    scratch: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = dead_token()
    pid, start, boot, machine, namespace = dead.split("-")
    mine, other = outputs / "mine.csv", "deadbeef"
    mine.write_text("x")
    (scratch / f"vecml-{dead}-gone").mkdir()
    stays = {
        f"vecml-{token()}-alive",
        f"vecml-{pid}-{start}-{boot}-{machine}-{other}-container",
        f"vecml-{pid}-{start}-{other}-{other}-{namespace}-machine",
        f"vecml-{pid}-x-{boot}-{machine}-{namespace}-unknown",
        "vecml-bench-4x2",
        f"vecml-{dead}-",
        "vecml-measuring-0.lock",
    }
    for name in stays:
        (scratch / name).mkdir()
    (scratch / f"vecml-{dead}-n.beside").write_bytes(os.fsencode(mine))  # a note that names another file
    (scratch / f"vecml-{dead}-link").symlink_to(outputs)
    sweep()
    assert {one.name for one in scratch.iterdir()} == stays | {f"vecml-{dead}-link"}
    assert mine.exists()
    if os.getuid() == 0:
        theirs = scratch / f"vecml-{dead}-theirs"
        theirs.mkdir()
        os.chown(theirs, 12345, 12345)
        sweep()
        assert theirs.exists()


def test_a_name_says_who_made_it(scratch: Path) -> None:
    with scratch_folder() as folder:
        pid, start = process_identity().split()[:2]
        assert folder.name.startswith(f"vecml-{pid}-{start}-")
        assert folder.parent == scratch
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 250 + ".csv", "größe 🦊" * 12 + ".parquet", ".hidden", "a\nb.csv"])
def test_any_name_of_an_output(scratch: Path, outputs: Path, name: str) -> None:
    path = outputs / name
    write_bytes(path, b"one")
    with pytest.raises(StoreError), published(path):
        raise OSError("no room")
    assert list(outputs.iterdir()) == [path]
    with writer(path) as process:
        process.kill()
    sweep()
    assert list(outputs.iterdir()) == [path]


@pytest.mark.long
@pytest.mark.parametrize("call", ["openat", "mkdir", "write", "fsync", "rename", "unlink", "rmdir", "chmod"])
def test_a_kill_at_every_call(scratch: Path, outputs: Path, call: str) -> None:
    """Wherever the kill comes, the next start leaves the old output or the whole new one, and nothing else."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    path, kills = outputs / "out.csv", 0
    for number in range(1, 200):
        path.write_bytes(b"old")
        limited = ["-P", str(scratch), "-P", str(outputs)] if call == "openat" else []
        kill = f"inject=?{call},?{call}at:signal=KILL:when={number}"
        done = subprocess.run(
            [
                *("strace", "-f", "-qq", "-o", "/dev/null", *limited, "-e", kill),
                *(sys.executable, "-c", WRITES.replace("sys.stdin.read()", ""), path),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
        )
        sweep()
        # Python's tempfile tries whether it can write there: a kill leaves that file of four bytes, which has no owner.
        assert [one.name for one in scratch.iterdir() if not re.fullmatch("[a-z0-9_]{8}", one.name)] == [], number
        assert [one.name for one in outputs.iterdir()] == ["out.csv"], number
        assert path.read_bytes() in (b"old", b"new")
        if done.returncode != -signal.SIGKILL:
            break
        kills += 1
    assert kills or call in {"rmdir", "chmod"}
