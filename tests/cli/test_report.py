"""`vecml report`: which file it writes, when it opens a browser, and what it will not write over."""

import webbrowser
from pathlib import Path

import pytest

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.store import open_store
from tasks.tracking.stored_run import read_stored_run
from tests.made_comparison import comparison_of
from tests.report.made_reports import record_in
from vecml.cli.report import report
from vecml.comparison.document import from_json, to_json
from vecml.errors import MeasureError, SettingError, StoreError
from vecml.keys import ERROR, KIND

COMPARISON = comparison_of({"numpy": 0.02, "torch": 0.01})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def opened(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The module's own store, a folder of the test's own to write in, and the addresses that a browser was given."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


@pytest.fixture(scope="module")
def run_id(home: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        with tracked_comparison("red kite: no. 3") as writer:
            writer.log(COMPARISON, "a note")
        return writer.run.run_id


def test_it_writes_the_comparisons_page(
    run_id: str, tmp_path: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    report(run_id)
    assert capsys.readouterr().out == "vecml-report-red-kite-no.-3.html\n"
    (path,) = tmp_path.iterdir()
    content = record_in(path.read_text())
    assert from_json(content, "it").created == COMPARISON.created
    assert content.decode() == to_json(COMPARISON)
    assert opened == []  # standard output is no terminal


def test_a_terminal_gets_a_browser_unless_told_otherwise(
    run_id: str, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    report(run_id, open_it=False)
    assert opened == []
    report(run_id, out=Path("a b.html"))
    assert opened == [(tmp_path / "a b.html").as_uri()]


def test_a_setting_has_its_comparisons_page(run_id: str, tmp_path: Path) -> None:
    report(run_id, out=Path("one.html"))
    report(read_stored_run(run_id).children[0], out=Path("other.html"))
    assert (tmp_path / "one.html").read_text() == (tmp_path / "other.html").read_text()


def test_a_report_is_written_over_and_nothing_else(run_id: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    report(run_id, out=out)
    report(run_id, out=out)
    out.write_text("<!doctype html><p>a page of mine")
    with pytest.raises(SettingError) as caught:
        report(run_id, out=out)
    assert caught.value.message == f"{out} is there and is no report of vecml's"
    assert caught.value.hint == "name another file with --out"
    assert out.read_text() == "<!doctype html><p>a page of mine"
    default = tmp_path / "vecml-report-red-kite-no.-3.html"
    default.write_text("mine")
    with pytest.raises(SettingError, match=r"^vecml-report-red-kite-no\.-3\.html is there and is no report"):
        report(run_id)


def test_where_it_cannot_be_written(run_id: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        report(run_id, out=tmp_path / "no" / "page.html")
    assert caught.value.message == f"--out {tmp_path}/no/page.html: there is no folder {tmp_path}/no"
    with pytest.raises(SettingError, match=r"it is a folder$"):
        report(run_id, out=tmp_path)


def test_a_run_that_failed(tmp_path: Path) -> None:
    store = open_store()
    tags = {KIND: "compare", ERROR: "the disk <is> full"}
    made = store.client.create_run(store.experiment.experiment_id, tags=tags, run_name="no luck")
    store.client.set_terminated(made.info.run_id, "FAILED")
    report("no luck")
    text = (tmp_path / "vecml-report-no-luck.html").read_text()
    assert "This run failed." in text
    assert "the disk &lt;is&gt; full" in text


def test_a_pipeline_run_with_its_pictures(tmp_path: Path) -> None:
    store = open_store()
    made = store.client.create_run(store.experiment.experiment_id, tags={KIND: "pipeline"}, run_name="a pipeline")
    store.client.log_param(made.info.run_id, "engine", "numpy")
    (tmp_path / "loss.png").write_bytes(b"\x89PNG...")
    store.client.log_artifact(made.info.run_id, str(tmp_path / "loss.png"), "pictures")
    store.client.set_terminated(made.info.run_id, "FINISHED")
    report("a pipeline")
    text = (tmp_path / "vecml-report-a-pipeline.html").read_text()
    assert "Pipeline run" in text
    assert "data:image/png;base64,iVBORy4uLg==" in text


def test_a_record_of_another_version_is_refused(home: Path, tmp_path: Path) -> None:
    with tracked_comparison("from the future") as writer:
        writer.log(COMPARISON, "a note")
    path = home / "mlruns" / "artifacts" / writer.run.run_id / "artifacts" / "comparison.json"
    path.write_text(path.read_text().replace('"version":1', '"version":2', 1))
    with pytest.raises(MeasureError) as caught:
        report("from the future")
    assert caught.value.message == ("comparison.json of run from the future has schema version 2; this vecml reads 1")
    path.unlink()
    report("from the future")
    text = (tmp_path / "vecml-report-from-the-future.html").read_text()
    assert "Its comparison.json is gone: there are no blocks and no verdicts to show." in text


def test_the_document_of_a_comparison_has_the_page_of_its_run(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(to_json(COMPARISON))
    report("result.json")
    text = (tmp_path / "vecml-report-result.html").read_text()
    assert record_in(text).decode() == to_json(COMPARISON)
    assert "<p>Run <code>" not in text


def test_a_file_that_is_no_comparison_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(MeasureError, match=r"^other\.json is no comparison"):
        report("other.json")
    assert [path.name for path in tmp_path.iterdir()] == ["other.json"]


def test_an_unknown_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^there is no run 'red kit' in "):
        report("red kit", out=Path("x.html"))
    assert list(tmp_path.iterdir()) == []
