"""Every command that needs the tracking server says within its patience that the server does not answer."""

import json
import re
from pathlib import Path

import pytest

from tasks.tracking import answering
from tasks.tracking.archive import RunDocument, pack
from tests.system.conftest import free_port
from tests.tracking.test_answering import server
from tests.unprivileged import vecml

COMMANDS = (
    ("run", "--rows", "400"),
    ("compare", "--quick"),
    ("ladder", "--quick"),
    ("predict", "--data", "new.csv", "--out", "labels.csv"),
    ("predict", "--model", "red kite", "--data", "new.csv", "--out", "labels.csv"),
    ("leaderboard",),
    ("history",),
    ("diff", "one", "two"),
    ("report", "red kite", "--no-open"),
    ("export", "red kite", "kite.zip"),
    ("import", "there.zip"),
    ("champion",),
    ("champion", "red kite"),
    ("champion", "--rollback"),
)
OFTEN = ("run", "compare", "leaderboard", "import", "report")  # the others with `make test-long`


@pytest.fixture(autouse=True)
def hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 1.2)
    monkeypatch.setattr(answering, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(answering, "PAUSE_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("a,b\n1,2\n")
    document = RunDocument("a" * 32, None, "there", "FINISHED", 1, 2, {}, {}, {}, ())
    (tmp_path / "there.zip").write_bytes(pack(document, (), {}, "s")[0])


@pytest.mark.parametrize(
    "command",
    [command if command[0] in OFTEN else pytest.param(command, marks=pytest.mark.long) for command in COMMANDS],
    ids=lambda command: " ".join(command[:3]),
)
def test_one_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    done = vecml(tmp_path, *command)
    lines = done.err.splitlines()
    assert done.code == 2, done.err
    assert [re.sub(r"\d+ s", "N s", line) for line in lines if not line.startswith("VML0") or "VML018" in line] == [
        f"VML018 the tracking server http://127.0.0.1:{port} is waited for, N s at most: Connection refused",
        f"error: the tracking server http://127.0.0.1:{port} does not answer: Connection refused",
        "hint: start it, or unset MLFLOW_TRACKING_URI to keep runs in mlruns/ and `vecml export` them later",
    ]
    assert not (tmp_path / "mlruns").exists()


def test_one_that_is_mute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(None) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        done = vecml(tmp_path, "leaderboard")
    assert done.code == 2
    assert f"error: the tracking server http://127.0.0.1:{port} does not answer: timed out\n" in done.err


def test_doctor_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    done = vecml(tmp_path, "doctor", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)["store"]
    assert said["ready"].startswith(
        f"no: the tracking server http://127.0.0.1:{port} does not answer: Connection refus"
    )


def test_what_was_waited_for_in_vain_is_asked_once_more_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends because its server is gone has waited for it already."""
    from vecml.errors import StoreError
    from vecml.warnings import VecmlWarning

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with pytest.warns(VecmlWarning, match="VML018"), pytest.raises(StoreError):
        answering.check_answers(address)
    asked = []
    monkeypatch.setattr(answering.time, "sleep", asked.append)
    with pytest.raises(StoreError, match="Connection refused"):
        answering.check_answers(address)  # a warning would be an error here
    assert asked == []
    monkeypatch.undo()
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", port):
        answering.check_answers(address)
