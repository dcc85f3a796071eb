"""What a comparison infers: the run's own test part and no other, rows that training has not seen, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vecml.comparison import subject
from vecml.comparison.subject import RecordedRun, job_of_run, job_of_training
from vecml.config import PipelineConfig, make_config
from vecml.data import synthetic
from vecml.data.sources import load_table
from vecml.data.split import Part, split_table
from vecml.data.table import Column
from vecml.errors import DataError, SettingError
from vecml.model.store import Classifier
from vecml.model.train import train


def write_table(path: Path, n_rows: int = 200, shift: float = 0.0) -> None:
    """A CSV with numbers, some of them missing, a category and a label."""
    rng = np.random.default_rng(3)
    lines = ["a,b,colour,y"]
    for number in range(n_rows):
        code = number % 3
        first = "" if number % 17 == 0 else f"{rng.normal() + code + shift:.6f}"
        lines.append(f"{first},{rng.normal() * 3 - code:.6f},{['red', 'green', 'blue'][number % 5 % 3]},class {code}")
    path.write_text("\n".join(lines) + "\n")


def config_of(data: str, **values: object) -> PipelineConfig:
    return make_config({"data": data, "target": "y", "epochs": 2, "seed": 5, "test_fraction": 0.3, **values})


def recorded(config: PipelineConfig) -> tuple[RecordedRun, Part]:
    """A run of this configuration, and its test part."""
    table = load_table(config)
    split = split_table(table, config.test_fraction, config.seed)
    model = train(split, config).model
    run = RecordedRun("run-9", "a name", Classifier(model, split.encoding), config, table.digest, model.digest)
    return run, split.test


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_table(tmp_path / "table.csv")
    return tmp_path / "table.csv"


def test_a_runs_job_is_its_test_part(table: Path) -> None:
    run, test = recorded(config_of(str(table)))
    job = job_of_run(run)
    assert test.n_rows == 60
    np.testing.assert_array_equal(job.x_FN, test.x_FN)
    np.testing.assert_array_equal(job.truth_N, test.label_N)
    assert job.x_FN.dtype == np.float32
    assert job.x_FN.flags.c_contiguous
    assert job.model is run.classifier.model
    assert (job.data_source, job.data_digest, job.run_id) == ("table.csv", run.data_digest, "run-9")


def test_generated_data_are_drawn_again() -> None:
    run, test = recorded(make_config({"rows": 300, "features": 3, "epochs": 1, "seed": 8}))
    job = job_of_run(run)
    np.testing.assert_array_equal(job.x_FN, test.x_FN)
    assert (job.data_source, job.data_digest) == ("synthetic", run.data_digest)


@pytest.mark.parametrize("rows", [1, 59, 60, 61, 150])
def test_rows_repeat_the_test_part_in_whole_passes(table: Path, rows: int) -> None:
    run, test = recorded(config_of(str(table)))
    job = job_of_run(run, rows)
    trained = job_of_training(run.config, rows)
    assert job.x_FN.shape[1] == rows
    assert job.truth_N is not None
    for number in range(rows):
        np.testing.assert_array_equal(job.x_FN[:, number], test.x_FN[:, number % 60])
        assert job.truth_N[number] == test.label_N[number % 60]
    np.testing.assert_array_equal(trained.x_FN, job.x_FN)
    np.testing.assert_array_equal(trained.truth_N, job.truth_N)
    assert job.x_FN.flags.c_contiguous


def test_data_that_have_changed_are_refused(table: Path) -> None:
    run, _ = recorded(config_of(str(table)))
    write_table(table, shift=0.001)
    now = load_table(run.config).digest
    with pytest.raises(DataError) as caught:
        job_of_run(run)
    assert caught.value.message == f"the data has changed since run run-9: digest {now}, was {run.data_digest}"
    assert caught.value.hint == "bring it back as it was, or train on it as it is: vecml run"
    assert now != run.data_digest


def test_a_relative_path_counts_from_the_runs_folder(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run, test = recorded(config_of("table.csv"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(DataError) as caught:
        job_of_run(run)
    assert caught.value.message == f"run run-9 read table.csv, and there is no such file in {elsewhere}"
    assert caught.value.hint == "run this in the folder that the run was started in"
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(job_of_run(run).x_FN, test.x_FN)


def test_an_absolute_path_that_is_gone(table: Path) -> None:
    run, _ = recorded(config_of(str(table)))
    table.unlink()
    with pytest.raises(DataError, match=r"table\.csv") as caught:
        job_of_run(run)
    assert "folder that the run was started in" not in str(caught.value.hint)


def test_a_set_of_scikit_learns_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, test = recorded(make_config({"data": "sklearn:iris", "epochs": 1}))
    job = job_of_run(run)
    np.testing.assert_array_equal(job.x_FN, test.x_FN)
    assert job.data_source == "sklearn:iris"


def test_training_on_a_table_gives_what_the_pipeline_gives(table: Path) -> None:
    config = config_of(str(table), hidden=(5,), activation="tanh")
    run, test = recorded(config)
    job = job_of_training(config)
    assert job.model.digest == run.model_digest
    np.testing.assert_array_equal(job.x_FN, test.x_FN)
    np.testing.assert_array_equal(job.truth_N, test.label_N)
    assert (job.data_source, job.data_digest, job.run_id) == ("table.csv", run.data_digest, None)


def test_without_a_table_the_rows_are_those_of_the_next_seed() -> None:
    config = make_config({"rows": 400, "features": 3, "epochs": 1, "seed": 8})
    job = job_of_training(config, rows=700)
    fresh = load_table(make_config({"rows": 700, "features": 3, "seed": 9}))
    np.testing.assert_array_equal(job.x_FN, [column.values_N for column in fresh.columns])
    np.testing.assert_array_equal(job.truth_N, fresh.label_N)
    assert (job.data_source, job.data_digest, job.run_id) == ("synthetic", fresh.digest, None)
    assert job.model.digest == recorded(config)[0].model_digest


def test_by_default_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert subject.GENERATED_ROWS == 1_000_000
    monkeypatch.setattr(subject, "GENERATED_ROWS", 1_234)
    assert job_of_training(make_config({"rows": 200, "epochs": 1})).x_FN.shape == (10, 1_234)


def test_fresh_rows_are_encoded_as_the_training_rows_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers far from zero are shifted by the training part's median; the fresh rows' own would be another."""

    def far_away(n_rows: int, n_features: int, seed: int) -> tuple[tuple[Column, ...], NDArray[np.int64]]:
        value_N = np.random.default_rng(seed).normal(size=n_rows)
        return (Column("far", "number", 1e6 + 40 * seed + value_N),), (value_N > 0).astype(np.int64)

    monkeypatch.setattr(synthetic, "synthetic_columns", far_away)
    config = make_config({"rows": 300, "features": 1, "epochs": 1, "seed": 2})
    train_part = split_table(load_table(config), config.test_fraction, config.seed).train
    assert abs(float(np.median(train_part.x_FN))) < 1
    job = job_of_training(config, rows=500)
    assert float(np.median(job.x_FN)) == pytest.approx(40, abs=1)


@pytest.mark.parametrize("rows", [0, -3])
def test_no_rows_are_refused_before_anything_is_read(rows: int) -> None:
    config = config_of("/no/such/file.csv")
    with pytest.raises(SettingError, match=rf"^--rows {rows}: must be at least 1$"):
        job_of_training(config, rows)
    run, _ = recorded(make_config({"rows": 200, "epochs": 1}))
    with pytest.raises(SettingError, match=rf"^--rows {rows}: must be at least 1$"):
        job_of_run(run, rows)
