"""What cannot be exported, and what an export does not overwrite."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow.entities import Param

from tasks.tracking.export_import import (
    IMPORTING,
    batches,
    export_run,
)
from tasks.tracking.store import open_store
from tests.tracking.conftest import Use
from tests.tracking.test_export_import import everything, made
from vecml.errors import SettingError, StoreError
from vecml.keys import COMPARE, KIND, PIPELINE
from vecml.warnings import VecmlWarning


def test_what_cannot_be_exported_says_why(use: Use, tmp_path: Path) -> None:
    use("there")
    store, file = open_store(), tmp_path / "x.zip"
    going = store.client.create_run(store.experiment.experiment_id, tags={KIND: PIPELINE}, run_name="going")
    made(store, "red kite")
    with pytest.raises(StoreError) as caught:
        export_run("going", file)
    assert (caught.value.message, caught.value.hint) == ("run going has not ended yet", "wait for its end")
    with pytest.raises(StoreError) as caught:
        export_run("red kit", file)
    assert caught.value.message == f"there is no run 'red kit' in {tmp_path / 'there' / 'mlruns'}"
    assert caught.value.hint == "did you mean red kite?"
    parent = made(store, "gone", COMPARE)
    child = made(store, "numpy", "setting", **{"mlflow.parentRunId": parent})
    store.client.delete_run(parent)
    with pytest.raises(StoreError) as caught:
        export_run(child, file)
    assert (caught.value.message, caught.value.hint) == ("run gone was deleted", "restore it in MLflow's UI first")
    store.client.set_terminated(going.info.run_id)
    store.client.set_tag(going.info.run_id, IMPORTING, "yes")
    with pytest.warns(VecmlWarning, match="VML009 cleared the import of going"), pytest.raises(StoreError) as caught:
        export_run("going", file)
    assert caught.value.message == f"there is no run 'going' in {tmp_path / 'there' / 'mlruns'}"
    assert not file.exists()


@contextmanager
def refused_to_write(file: Path, message: str) -> Iterator[None]:
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(SettingError) as caught:
        yield
    assert caught.value.message == message
    assert (file.read_bytes() if file.is_file() else None) == before


def test_only_an_export_is_overwritten(use: Use, tmp_path: Path) -> None:
    use("there")
    made(open_store(), "red kite")
    text, plain, file = tmp_path / "notes.txt", tmp_path / "plain.zip", tmp_path / "x.zip"
    text.write_text("mine")
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("mine", "x")
    with refused_to_write(text, f"{text} is there and is no export of vecml's"):
        export_run("red kite", text)
    with refused_to_write(plain, f"{plain} is there and is no export of vecml's"):
        export_run("red kite", plain)
    with refused_to_write(tmp_path, f"{tmp_path} is a folder"):
        export_run("red kite", tmp_path)
    nowhere = tmp_path / "no" / "x.zip"
    with refused_to_write(nowhere, f"{nowhere}: there is no folder {tmp_path / 'no'}"):
        export_run("red kite", nowhere)
    export_run("red kite", file)
    before = file.read_bytes()
    open_store().client.set_tag(everything()[0].info.run_id, "more", "text")
    export_run("red kite", file)
    assert file.read_bytes() != before
    assert {path.name for path in tmp_path.iterdir()} == {"there", "notes.txt", "plain.zip", "x.zip"}


def test_params_go_in_as_few_requests_as_mlflow_takes() -> None:
    """It reads all params of a run anew for each request; a request has 100 at most, and 1 MB."""
    short, long = ([Param(f"p{number}", text) for number in range(1_050)] for text in ("x", "größe🦊" * 1_000))
    assert [len(batch) for batch in batches(short)] == [100] * 10 + [50]
    for params in (short, long, []):
        assert [param for batch in batches(params) for param in batch] == params
    assert max(sum(len(param.value.encode()) for param in batch) for batch in batches(long)) <= 500_000
