"""A run as sentence, table, Markdown and HTML; names from the data stay names."""

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vecml import record
from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.device import resolve_setting
from vecml.engines.inference import infer, score
from vecml.environment import describe
from vecml.model.train import train
from vecml.record import TrackedRun
from vecml.report.result import PipelineResult
from vecml.report.summary import as_html, as_text, note, open_command, rows, sentence

HOSTILE = ("<script>alert(1)</script>", "a | b\n**c** `d` [e](f)", "$x_1$ %s {0}")


def result_of(folder: Path, names: tuple[str, ...], local: bool = True) -> PipelineResult:
    """A whole run without Prefect and MLflow, over a table with these class names."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    code = rng.integers(len(names), size=300)
    np.savez(folder / "table.npz", X=rng.normal(size=(300, 3)) + code[:, None], y=np.array(names)[code])
    config = make_config({"data": str(folder / "table.npz"), "target": "y", "epochs": 30, "batch_size": 16})
    table = load_table(config)
    split = split_table(table, config.test_fraction, config.seed)
    training = train(split, config)
    inference = infer(training.model, split.test, resolve_setting(config))
    return PipelineResult(
        config=config,
        table=dataclasses.replace(table, columns=()),
        split=split,
        training=training,
        inference=inference,
        evaluation=score(split, inference),
        seconds={stage: 0.001 * number for number, stage in enumerate(record.STAGES, 1)},
        environment=describe(),
        run=TrackedRun("id", "1", "name", "store", local, "http://127.0.0.1:5000/#/runs/id", "http://127.0.0.1:5000"),
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> PipelineResult:
    return result_of(tmp_path_factory.mktemp("table"), HOSTILE)


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


def test_the_sentence_says_how_good_how_fast_and_on_what(result: PipelineResult) -> None:
    text = sentence(result)
    evaluation = result.evaluation
    assert text.startswith(f"{evaluation.accuracy:.1%}".replace("%", " %"))
    for part in ("60 test rows", "always guessing", "torch on cpu", "row/s"):
        assert part in text


def test_the_table_has_every_stage_and_figure(result: PipelineResult) -> None:
    names = [name for name, _ in rows(result)]
    stages = ["generate", "split", "train", "load engine", "vectorized-infer", "evaluate"]
    assert names[:8] == ["data", "network", *stages]
    for name in ("rows/s", "accuracy", "majority", "macro F1", "log-loss", "ROC AUC", "flips", "run", "open it"):
        assert name in names
    assert dict(rows(result))["train"] == "3 ms"


def test_html_has_only_our_tags(result: PipelineResult) -> None:
    parser = Tags()
    parser.feed(as_html(result))
    assert parser.found == {"p", "table", "tr", "th", "td", "a"}
    assert result._repr_html_() == as_html(result)


def test_markdown_has_no_tag_and_every_row_has_two_cells(result: PipelineResult) -> None:
    text = note(result)
    assert "<script" not in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    for line in table[1:]:
        assert line.replace("\\|", "").count("|") == 3


def test_text_and_repr(result: PipelineResult) -> None:
    text = as_text(result)
    assert str(result) == repr(result) == text
    assert text.splitlines()[0] == sentence(result)
    assert text.splitlines()[-1] == result.run.url


def test_how_to_open_it_depends_on_where_it_is(result: PipelineResult) -> None:
    assert open_command(result).startswith("vecml ui")
    elsewhere = dataclasses.replace(result, run=dataclasses.replace(result.run, local=False))
    assert "vecml ui" not in open_command(elsewhere)


def test_labels_npz_can_be_read_without_pickle(result: PipelineResult, tmp_path: Path) -> None:
    (tmp_path / "labels.npz").write_bytes(record.labels_npz(result))
    labels = np.load(tmp_path / "labels.npz", allow_pickle=False)
    np.testing.assert_array_equal(labels["row_N"], result.split.test.row_N)
    np.testing.assert_array_equal(labels["label_N"], result.inference.label_N)
    np.testing.assert_array_equal(labels["true_N"], result.split.test.label_N)
    assert tuple(labels["classes"]) == result.table.classes
    assert len(labels["flip_row"]) == len(labels["flip_margin"]) == len(result.evaluation.flips.row_N)


def test_json_holds_the_logged_keys(result: PipelineResult) -> None:
    content = json.loads(record.to_json(result))
    assert content["version"] == 1
    assert set(content["params"]) == set(record.PARAMS)
    assert set(content["metrics"]) == set(record.METRICS) - {record.LOSS_METRIC}
    assert content["metrics"]["test/accuracy"] == result.evaluation.accuracy
    assert content["tags"]["vecml.data_digest"] == result.table.digest
