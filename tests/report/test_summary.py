"""A run as sentence, table, Markdown and HTML; names from the data stay names."""

import dataclasses
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from vecml import keys, record
from vecml.data.findings import Decision
from vecml.measure.records import Window
from vecml.model.evaluate import ReplicaAccuracy
from vecml.report.summary import PipelineResult, as_html, as_text, note, open_command, rows, sentence

HOSTILE = (
    "<script>alert(1)</script>",
    "a | b\n**c** `d` [e](f)",
    "$x_1$ %s {0}",
    "_a_ *b* __c__ **d** ~~e~~ `f`",
    "https://evil.example www.evil.example",
    "<https://evil.example/> me@evil.example",
    "![i](//evil.example/i.png)[l](//e.x 't')",
    "back\\| slash\\\\| \\`x\\` \\<b> end\\",
    "# head\n- item\n> quote\n| --- |\n\n1. one",
    "&lt;b&gt; &amp; &#42;x&#42; 'q' \"q\"",
)
URL = "http://127.0.0.1:5000/#/experiments/1/runs/id?workflowType=machine_learning"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, result_of: Callable[..., PipelineResult]) -> PipelineResult:
    return result_of(tmp_path_factory.mktemp("table"), HOSTILE[:3])


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def hostile(result: PipelineResult, request: pytest.FixtureRequest) -> PipelineResult:
    """A result whose majority class, file, run and store all have this name."""
    name = request.param
    return dataclasses.replace(
        result,
        table=dataclasses.replace(result.table, source=name),
        evaluation=dataclasses.replace(result.evaluation, majority_class=name),
        run=dataclasses.replace(result.run, name=name, store=f"/home/{name}", url=URL),
    )


def one_line(text: str) -> str:
    """The text with any white space as one space, as a browser shows it."""
    return " ".join(text.split())


class Page(HTMLParser):
    """What a browser makes of a page: its tags, links, the text of its cells and of its paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.cells: list[list[str]] = []
        self.paragraphs: list[str] = []
        self._open: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self.links.append(dict(attrs).get("href"))
        elif tag == "tr":
            self.cells.append([])
        elif tag in {"td", "th"}:
            self.cells[-1].append("")
            self._open = "cell"
        elif tag == "p":
            self.paragraphs.append("")
            self._open = "paragraph"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "p"}:
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open == "cell":
            self.cells[-1][-1] += data
        elif self._open == "paragraph":
            self.paragraphs[-1] += data


def shown_cells(result: PipelineResult) -> list[list[str]]:
    """The table as it must be seen: two cells a row, names as they are but for line ends."""
    return [[name, one_line(value)] for name, value in rows(result)]


def test_the_sentence_says_how_good_how_fast_and_on_what(result: PipelineResult) -> None:
    evaluation = dataclasses.replace(
        result.evaluation,
        accuracy=0.9,
        accuracy_low=0.8,
        accuracy_high=0.95,
        majority_class="red",
        majority_accuracy=0.5,
    )
    measurement = dataclasses.replace(
        result.inference.measurement, rows_per_call=60, calls_per_block=1, block_seconds=(0.03,)
    )
    inference = dataclasses.replace(result.inference, measurement=measurement)
    known = dataclasses.replace(result, evaluation=evaluation, inference=inference)
    assert sentence(known) == (
        "90.0 % of 60 test rows labelled right (80.0 % to 95.0 %; always guessing 'red': 50.0 %),"
        " by torch on cpu at 2.00 krow/s."
    )
    table = dict(rows(known))
    assert table["accuracy"] == "90.0 % (95 % interval 80.0 % to 95.0 %)"
    assert table["majority"] == "50.0 % (always guessing 'red')"
    assert table["rows/s"].startswith("2.00 krow/s (torch, ")


def test_the_table_has_every_stage_and_figure(result: PipelineResult) -> None:
    names = [name for name, _ in rows(result)]
    stages = ["generate", "split", "train", "load engine", "vectorized-infer", "evaluate"]
    assert names[:8] == ["data", "network", *stages]
    for name in ("rows/s", "accuracy", "majority", "macro F1", "log-loss", "ROC AUC", "flips", "run", "open it"):
        assert name in names
    assert dict(rows(result))["train"] == "3 ms"


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        (0.1234, "12.3 % (what this machine's measured GEMM rate and bandwidth would allow)"),
        (1.05, "105.0 % (what this machine's measured GEMM rate and bandwidth would allow)"),
        (
            1.0501,
            "105.0 % (what this machine's measured GEMM rate and bandwidth would allow, measured too low: vecml doctor"
            " --limits measures them anew)",
        ),
        (None, None),
    ],
)
def test_how_near_the_limit_it_came(result: PipelineResult, fraction: float | None, shown: str | None) -> None:
    inference = dataclasses.replace(result.inference, fraction_of_limit=fraction)
    table = dict(rows(dataclasses.replace(result, inference=inference)))
    assert table.get("of the limit") == shown


@pytest.mark.parametrize(
    ("foreign_cpus", "steal_share", "said"),
    [
        (0.4, 0.0, "a single launch, not for comparing"),  # of our own server, say
        (0.9, 0.0, "a single launch while other processes used 0.9 of 2 CPUs, not for comparing"),
        (0.0, 0.3, "a single launch while the hypervisor gave 30 % of the CPUs' time to others, not for comparing"),
    ],
)
def test_a_rate_that_others_disturbed_says_so(
    result: PipelineResult, foreign_cpus: float, steal_share: float, said: str
) -> None:
    setting = dataclasses.replace(result.inference.setting, threads=2)
    seen = Window(0, 0, 0, 0, 0.4, steal_share, 0.0, foreign_cpus, 2)
    inference = dataclasses.replace(result.inference, setting=setting, window=seen)
    assert said in dict(rows(dataclasses.replace(result, inference=inference)))["rows/s"]


def test_html_shows_hostile_names_as_they_are(hostile: PipelineResult) -> None:
    page = Page(as_html(hostile))
    assert page.tags == {"p", "table", "tr", "th", "td", "a"}
    assert page.links == [URL]
    assert [[name, one_line(value)] for name, value in page.cells] == shown_cells(hostile)
    assert [one_line(text) for text in page.paragraphs] == [one_line(sentence(hostile)), URL]
    assert hostile._repr_html_() == as_html(hostile)


def test_an_address_stays_within_its_attribute(result: PipelineResult) -> None:
    url = "http://127.0.0.1:5000/?a='b'&c=\"d\"<e>"
    page = Page(as_html(dataclasses.replace(result, run=dataclasses.replace(result.run, url=url))))
    assert page.links == [url]
    assert page.paragraphs[-1] == url


def test_markdown_shows_hostile_names_as_they_are(hostile: PipelineResult) -> None:
    """Rendered, the sentence and every one of the two cells a row say what the plain text says, without any markup."""
    page = Page(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(note(hostile)))
    assert page.tags == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert [[one_line(cell) for cell in row] for row in page.cells] == [["", ""], *shown_cells(hostile)]
    assert page.paragraphs == [one_line(sentence(hostile)), URL]


def test_markdown_has_no_address_that_a_reader_would_link(hostile: PipelineResult) -> None:
    """Many readers of Markdown make a link of a bare address: https://..., www...., me@... (GFM, 6.9)."""
    text = note(hostile)
    assert re.findall(r"(?i)(?:https?|ftp)://\S*", text) == [URL]
    assert not re.search(r"(?i)www\.|[\w.+-]+@[\w-]+\.\w", text)


def test_text_and_repr(result: PipelineResult) -> None:
    text = as_text(result)
    assert str(result) == repr(result) == text
    assert text.splitlines()[0] == sentence(result)
    assert text.splitlines()[-1] == result.run.url


def test_replicas_have_a_row_where_there_are_any(result: PipelineResult, telling_result: PipelineResult) -> None:
    assert "replicas" not in dict(rows(result))
    replicas = ReplicaAccuracy(np.array([0.5, 0.75, 0.7]), 0.65, 0.321, 0.987)
    evaluation = dataclasses.replace(telling_result.evaluation, replicas=replicas)
    several = dataclasses.replace(telling_result, evaluation=evaluation)
    assert dict(rows(several))["replicas"] == "65.0 % (mean accuracy of 3 seeds; 95 % interval 32.1 % to 98.7 %)"
    assert json.loads(record.to_json(several))["replicas_accuracy"] == [0.5, 0.75, 0.7]


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
    assert set(content["params"]) == set(keys.PARAMS)
    assert {*content["metrics"], "infer/fraction_of_limit"} == set(keys.METRICS) - keys.SOMETIMES - {keys.LOSS_METRIC}
    assert content["replicas_accuracy"] == []
    assert content["metrics"]["test/accuracy"] == result.evaluation.accuracy
    assert content["tags"]["vecml.data_digest"] == result.table.digest
    assert content["decisions"] == []


def test_json_holds_what_was_decided(result: PipelineResult) -> None:
    decided = dataclasses.replace(result.table, decisions=(Decision("VML001", "a", "dropped: constant"),))
    content = json.loads(record.to_json(dataclasses.replace(result, table=decided)))
    assert content["decisions"] == [{"code": "VML001", "column": "a", "what": "dropped: constant"}]


def test_rows_that_were_seen_before_are_shown(result: PipelineResult) -> None:
    assert "seen before" not in dict(rows(result))
    seen = dataclasses.replace(result, split=dataclasses.replace(result.split, seen_rows=3))
    n_rows = result.split.test.n_rows
    assert dict(rows(seen))["seen before"] == (
        f"the features of 3 of {n_rows} test rows are those of a training row as well"
    )
