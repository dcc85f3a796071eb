"""Files that vecml 0.1 wrote are read by this vecml, and its history goes on: see data_of_before/README.md."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from pydantic import ValidationError

from tasks.tracking.comparison import ComparisonTracking
from tasks.tracking.export_import import import_runs
from tasks.tracking.read import read_run
from tasks.tracking.sittings import read_sides, recorded_settings
from tasks.tracking.stored_run import artifact, read_stored_run
from vecml.cli.compare import _recompute
from vecml.comparison import compare, session
from vecml.comparison.comparison import families
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.document import from_json
from vecml.config import TrainingConfig, make_config, read_config_file
from vecml.errors import SettingError
from vecml.history.diff import diff
from vecml.history.leaderboard import boards
from vecml.history.series import series_of
from vecml.warnings import VecmlWarning

P = ParamSpec("P")
T = TypeVar("T")
BEFORE = Path(__file__).parent / "data_of_before"
DOCUMENT = BEFORE / "comparison.json"
NUMPY, TORCH, ROW_LOOP = "numpy precision=float32", "torch precision=float32", "row_loop precision=float64"
ASKED = ComparisonConfig(  # as the recorded comparisons of before were asked for
    engines=("numpy", "torch", "row_loop"),
    threads=(1,),
    rows=2_000,
    budget="60s",
    name="after",
    subject=TrainingConfig(features=4, hidden=(8,)),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the store of before, which was made in another folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    with tarfile.open(BEFORE / "mlruns.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    _artifact_repos_cache.clear()
    return tmp_path


def test_a_document_gives_the_same_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    """Reading computes the verdicts anew from the raw blocks, and refuses stored verdicts that are others."""
    (family,) = families(from_json(DOCUMENT.read_bytes(), str(DOCUMENT)))
    assert (family.baseline, family.best, family.tied) == (NUMPY, NUMPY, (NUMPY,))
    assert {one.arm: (one.verdict, round(one.ratio or 0, 4)) for one in family.verdicts} == {
        TORCH: ("slower", 0.3195),
        ROW_LOOP: ("slower", 0.0049),
    }
    _recompute(DOCUMENT.read_bytes(), DOCUMENT, None, markdown=False)
    assert "numpy precision=float32, the baseline, is the fastest here." in capsys.readouterr().out


def test_the_store_opens_and_history_goes_on(home: Path) -> None:
    with pytest.warns(VecmlWarning, match="VML015 the store was moved"):
        before = recorded_settings()
    assert [one.name for one in before] == [ROW_LOOP, TORCH, NUMPY] * 2
    assert read_run("before-run").classifier.model.architecture.widths == (4, 8, 3)
    assert artifact(read_stored_run("before-1"), "comparison.json") == DOCUMENT.read_bytes()
    (against,) = diff(*read_sides(["before-1", "before-2"]))
    assert [one.first for one in against.differences] == [NUMPY, TORCH, ROW_LOOP]
    old = from_json(DOCUMENT.read_bytes(), str(DOCUMENT))

    def step(name: str, function: Callable[P, T]) -> Callable[P, T]:
        """Everything is done anew but the measuring, whose blocks and machine are those of before."""

        def blocks_of_before(job: Any, chosen: Any, *_: Any) -> Any:
            by_engine = {setting.engine: setting for setting in chosen.settings.values()}
            settings = {name: by_engine[setting.engine] for name, setting in old.settings.items()}
            return replace(old, subject=compare._subject(job), settings=settings)

        return blocks_of_before if name == "measure" else function  # type: ignore[return-value]

    session.compare(ASKED, ComparisonTracking(), step=step)
    series = series_of(recorded_settings())
    assert sorted(dict(one.setting)["engine"] for one in series) == ["numpy", "row_loop", "torch"]
    assert [len(one.points) for one in series] == [3, 3, 3]
    (board,) = boards(recorded_settings())
    assert len({place.setting for place in board.places}) == 3  # on another processor each has a second place


def test_an_exported_run_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    (imported,) = import_runs([BEFORE / "before-run.zip"])
    assert (imported.name, imported.kind, imported.known) == ("before-run", "pipeline", False)
    figures_of_before = {"batch_size": 128, "learning_rate": 0.001}  # the run's file has what was then the default
    assert read_run("before-run").config == make_config(figures_of_before, read_config_file(BEFORE / "settings.toml"))


def test_a_deployment_with_former_fields_gets_one_clear_line() -> None:
    parameters = json.loads((BEFORE / "deployment.json").read_bytes())["config"]
    line = (
        "subject has replicas, engine, budget, device, precision, layout, isa, threads, block_rows, name,"
        " which do nothing in a comparison"
    )
    hint = (
        "leave them out of the subject, and set"
        " engines, budget, device, precision, layout, isa, threads, block_rows, name of the comparison itself"
    )
    with pytest.raises(SettingError) as caught:
        ComparisonConfig.checked(parameters)
    assert (caught.value.message, caught.value.hint) == (line, hint)
    with pytest.raises(ValidationError) as refused:  # what Prefect shows
        ComparisonConfig(**parameters)
    assert [error["msg"] for error in refused.value.errors()] == [f"Value error, {line}: {hint}"]
