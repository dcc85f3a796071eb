"""Where runs are kept, and that no password is shown."""

from pathlib import Path

import pytest

from tasks.tracking.location import Location, locate, prepare
from vecml.errors import StoreError
from vecml.passwords import without_passwords


def test_the_current_folder_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("VECML_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    location = locate()
    assert location.folder == tmp_path / "mlruns"
    assert location.uri == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert location.artifact_root == str(tmp_path / "mlruns" / "artifacts")
    assert location.ui == "http://127.0.0.1:5000"
    assert list(tmp_path.iterdir()) == []


def test_vecml_home_wins_over_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    assert locate().folder == tmp_path / "mlruns"


def test_a_tracking_address_wins_over_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:5001")
    location = locate()
    assert location.folder is None
    assert location.artifact_root is None
    assert location.shown == location.ui == "http://***@127.0.0.1:5001"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://a:b@host/db", "postgresql://***@host/db"),
        ("no http://u:p@h here and http://v:q:r@h there", "no http://***@h here and http://***@h there"),
        ("http://u:p/w@h/path", "http://***@h/path"),
        ("http://u:p@w@h/path", "http://***@h/path"),
        ("http://token@h/path", "http://***@h/path"),
        ("postgresql://h/db?user=a&password=b c", "postgresql://h/db?user=a&password=*** c"),
        ("http://127.0.0.1:5000/a", "http://127.0.0.1:5000/a"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_passwords_become_stars(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("a file")
    with pytest.raises(StoreError) as caught:
        prepare(Location("", tmp_path / "mlruns"))
    assert caught.value.message == f"cannot write to {tmp_path / 'mlruns'}: File exists"
    assert caught.value.hint == "make room there, or set VECML_HOME to a folder that can be written"


@pytest.mark.parametrize("uri", ["/a/path", "file:/a/path", "mlruns", "ftp://h/x"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError) as caught:
        prepare(locate())
    assert caught.value.message == f"MLFLOW_TRACKING_URI {uri} is no address of a tracking store"


@pytest.mark.parametrize(("given", "meant"), [("postgres", "postgresql"), ("mariadb", "mysql"), ("sqlserver", "mssql")])
def test_a_database_by_the_name_that_others_give_it(monkeypatch: pytest.MonkeyPatch, given: str, meant: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{given}://user:secret@host/runs")
    with pytest.raises(StoreError) as caught:
        prepare(locate())
    assert caught.value.hint == f"MLflow calls that {meant}:// in place of {given}://"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%40b"])
def test_a_folder_that_a_databases_address_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="in its path, which a database's address cannot have"):
        prepare(Location("", tmp_path / name / "mlruns"))
    assert list(tmp_path.iterdir()) == []
