"""How a tracked comparison ends: by an error, an interrupt, a store that breaks, a flow run that is closed."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from tasks.tracking import comparison as module
from tasks.tracking.comparison import ComparisonWriter, tracked_comparison
from tasks.tracking.write import close_flow_run
from tests.tracking.made_logged import BASELINE, FASTER, KEYS, children, logged, made, read
from vecml import keys
from vecml.comparison.document import from_json
from vecml.errors import StoreError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _the_modules_own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (OSError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_an_error_before_there_is_a_result(error: type[BaseException], status: str) -> None:
    with pytest.raises(error), tracked_comparison(None) as writer:
        raise error("cannot reach\n postgresql://someone:hunter2@host/db")
    run = read(writer.run.run_id)
    assert run.info.status == status
    kept = run.data.tags[keys.ERROR]
    assert error.__name__ in kept
    assert kept.endswith("cannot reach postgresql://***@host/db")
    assert children(run.info.run_id) == {}
    assert run.info.run_name == writer.run.name != "a name"


def test_an_interrupt_that_a_library_has_wrapped_is_still_one() -> None:
    wrapped = RuntimeError("stopped")
    wrapped.__cause__ = KeyboardInterrupt()
    with pytest.raises(RuntimeError), tracked_comparison(None) as writer:
        raise wrapped
    run = read(writer.run.run_id)
    assert (run.info.status, run.data.tags[keys.ERROR]) == ("KILLED", "RuntimeError: stopped")


@contextmanager
def breaking(
    after: int, error: BaseException, monkeypatch: pytest.MonkeyPatch, flow_run_id: str | None = None
) -> Iterator[ComparisonWriter]:
    """A tracked comparison whose store takes so many batches, and then raises."""
    with tracked_comparison(None, flow_run_id) as writer:
        client = writer.opened.store.client
        take, taken = client.log_batch, []

        def log_batch(*arguments: Any, **named: Any) -> None:
            taken.append(arguments)
            if len(taken) > after:
                raise error
            take(*arguments, **named)

        monkeypatch.setattr(client, "log_batch", log_batch)
        yield writer


def test_a_store_that_breaks_keeps_the_result_on_the_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError) as caught, breaking(2, MlflowException("it is full"), monkeypatch) as writer:
        writer.log(made(), "a note")
    kept = home / f"vecml-unsaved-{writer.run.run_id}"
    assert caught.value.message == f"the tracking store {home / 'mlruns'} failed: it is full"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"the result is kept in {kept}, and logged by the next start of vecml; ")
    assert from_json((kept / "comparison.json").read_bytes(), "kept").budget == "61s"
    assert json.loads((kept / "environment.json").read_text())["machine_key"] == KEYS["machine_key"]
    run, below = read(writer.run.run_id), children(writer.run.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags[keys.ERROR] == caught.value.message
    assert {name: child.info.status for name, child in below.items()} == {BASELINE: "FINISHED", FASTER: "FAILED"}
    assert below[FASTER].data.tags[keys.ERROR] == caught.value.message
    assert below[FASTER].data.metrics == {}
    shutil.rmtree(kept)  # or the next test's comparison would log it


def test_an_interrupt_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), breaking(2, KeyboardInterrupt(), monkeypatch) as writer:
        writer.log(made(), "a note")
    below = children(writer.run.run_id)
    assert read(writer.run.run_id).info.status == "KILLED"
    assert {name: child.info.status for name, child in below.items()} == {BASELINE: "FINISHED", FASTER: "KILLED"}


def test_a_flow_run_closes_the_parent_and_the_child_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGKILL in the middle of a child: neither is ended by the process itself."""
    monkeypatch.setattr("tasks.tracking.run._end", lambda *arguments: None)
    with pytest.raises(KeyboardInterrupt), breaking(1, KeyboardInterrupt(), monkeypatch, "flow-8") as writer:
        writer.log(made(), "a note")
    assert read(writer.run.run_id).info.status == children(writer.run.run_id)[BASELINE].info.status == "RUNNING"
    close_flow_run("flow-8", "KILLED", "cancelled")
    assert read(writer.run.run_id).info.status == children(writer.run.run_id)[BASELINE].info.status == "KILLED"


def test_a_note_is_cut_at_a_line_where_mlflow_would_cut_it_anywhere() -> None:
    lines = [f"| {number:04d} | {'x' * 80} |" for number in range(200)]
    run, _ = logged(made(launches=1), note="\n".join(lines))
    text, _, last = run.data.tags["mlflow.note.content"].partition("\n\n")
    assert text.splitlines() == lines[: len(text.splitlines())]
    assert 7_800 < len(text) < module.LONGEST_NOTE
    assert last == "Everything is in `comparison.json`.\n"
    exact = "y" * module.LONGEST_NOTE
    assert logged(made(launches=1), note=exact)[0].data.tags["mlflow.note.content"] == exact
