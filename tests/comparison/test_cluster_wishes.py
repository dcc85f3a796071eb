"""Comparisons on a cluster: what cannot be is refused before anything is read, and what comes back is read strictly."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.batch.made import classifier
from tests.made_comparison import comparison_of
from vecml.cli.app import app
from vecml.cli.compare_cluster import Found, finish
from vecml.cluster import parent
from vecml.comparison.cluster import Budgeted, Hear, KindOfMachine, KindResult, Wish, _Heard, check_asked, kept_file
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.demand import demand_of
from vecml.comparison.document import to_json
from vecml.comparison.kinds_document import Kinds, is_of_kinds, kinds_from_json, kinds_to_json
from vecml.comparison.node_order import order_files, read_order, write_files
from vecml.comparison.subject import RecordedRun
from vecml.config import PipelineConfig
from vecml.environment import describe, of_json
from vecml.errors import DataError, MeasureError, ServerError, SettingError, StoreError
from vecml.progress import listening
from vecml.warnings import VecmlWarning

KIND = KindOfMachine("m", "a processor, 2 CPUs", ("host (10.0.0.1, 12ab)", "host (10.0.0.2, 34cd)"))
THERE = replace(describe(), cpu_model="a processor of a node")
MEASURED = replace(KIND, machine_key=THERE.machine_key)
AT = {"kind": THERE.machine_key, "node": KIND.nodes[0]}
FAILURE = {"kind": "DataError", "message": "data.csv: no such file", "hint": "name one that is there"}


@pytest.fixture
def with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "find_spec", lambda name: name)


@pytest.mark.usefixtures("with_ray")
@pytest.mark.parametrize(
    ("fields", "wish", "said"),
    [
        ({}, Wish("nobody"), r"^--cluster nobody: no such cluster$"),
        ({}, Wish("auto", 0), r"^--node-timeout 0: must be greater than 0$"),
        ({"budget": "soon"}, Wish("auto"), r"^--budget soon: not a time$"),
        ({"device": ("cpu", "cuda")}, Wish("auto"), r"^--cluster auto: --device cuda: nodes measure on their CPUs$"),
        ({"subject": {"data": "-"}}, Wish("auto"), r"^--cluster auto: standard input is not on the nodes$"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], wish: Wish, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        check_asked(ComparisonConfig.checked(fields), wish)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"^--cluster auto: Ray is not installed$"):
        check_asked(ComparisonConfig(), Wish("auto"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--cluster", "auto", "--", "true", "false"), "ways to run a model are compared there, and a command is for"),
        (("--cluster", "auto", "--functions", "a.py:f,a.py:g"), "and --functions is for this machine"),
        (("--cluster", "auto", "--ref", "a", "--ref", "b", "--", "true"), "is for this machine"),
        (("--cluster", "auto", "--fresh"), "--fresh with --cluster auto: nodes always measure afresh"),
        (("--cluster", "auto", "--from", "x.json"), "--cluster with --from: nothing is measured"),
        (("--node-timeout", "5"), "--node-timeout 5: for --cluster only"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["compare", *flags])
    assert isinstance(done.exception, SettingError)
    assert said in done.exception.message


def test_an_order_says_all_of_it_in_plain_values(tmp_path: Path) -> None:
    config = ComparisonConfig.checked({"engines": "numpy,halide", "run": "brave-fox-1", "budget": "quick"})
    run = RecordedRun("r", "brave-fox-1", classifier(), PipelineConfig(seed=7), "digest", "digest of the model")
    write_files(order_files(config, run), tmp_path)
    order = read_order(tmp_path)
    assert order.config == config
    assert order.run is not None
    assert order.run.classifier.model.digest == run.classifier.model.digest
    assert replace(order.run, classifier=run.classifier) == run
    (tmp_path / "trained").mkdir()
    write_files(order_files(ComparisonConfig(), None), tmp_path / "trained")
    assert read_order(tmp_path / "trained").run is None


def told(*messages: dict[str, Any], then: Exception | None = None) -> Iterator[dict[str, Any]]:
    """What the process that talks to Ray tells, and how it ends."""
    yield {"alive": 0}
    yield {"kind": THERE.machine_key, "host": KIND.host, "nodes": list(KIND.nodes)}
    yield {"kind": "other", "host": KIND.host, "nodes": ["b"]}
    yield from messages
    if then is not None:
        raise then
    yield {"end": True}


def there(**changed: Any) -> Comparison:
    """A comparison that such a node has measured; with facts of its machine that are changed afterwards."""
    made = comparison_of({"numpy": 0.01, "torch": 0.02})
    return replace(made, environment={**json.loads(json.dumps(THERE.to_json_dict())), **changed})


def heard(*messages: dict[str, Any]) -> tuple[list[KindResult], list[Any], list[str]]:
    """What the process that talks to Ray tells, as it is heard: results, what was announced, and stages."""
    announced: list[Any] = []
    shown: list[str] = []

    class Shown:
        def begin(self, name: str, total: float | None) -> object:
            shown.append(f"{name} of {total}")
            return name

        def advance(self, stage: object, amount: float) -> None:
            shown.append(f"{stage} +{amount}")

        def end(self, stage: object) -> None:
            shown.append(f"{stage} ends")

    hearing = _Heard(Hear(announced.append, announced.append))
    with listening(Shown()):
        hearing.all_of(told(*messages))
    return list(hearing.results.values()), announced, shown


def test_what_a_node_tells_is_heard_as_of_its_kind() -> None:
    comparison, at, short = there(), AT, MEASURED.short
    with pytest.warns(VecmlWarning, match=f"VML013 {short}: halide is left out"):
        results, announced, shown = heard(
            {**at, "told": {"warning": "VML013", "message": "halide is left out"}},
            {**at, "told": {"announce": "60s", "resolves": 0.05, "source": "default"}},
            {**at, "told": {"begin": 3, "name": "measuring", "total": 60.0}},
            {**at, "told": {"advance": 2.0, "stage": 3}},
            {**at, "comparison": to_json(comparison)},
        )
    assert results == [KindResult(MEASURED, KIND.nodes[0], comparison)]
    assert announced == [Budgeted(MEASURED, "60s", 0.05, "default"), *results]
    assert shown == [f"{short}: measuring of 60.0", f"{short}: measuring +2.0", f"{short}: measuring ends"]


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_what_is_damaged_or_of_another_machine_is_a_failure() -> None:
    elsewhere = replace(THERE, cpu_model="another processor")
    other = there(**elsewhere.to_json_dict())
    for document, said in (
        ("{}", "is no comparison"),
        (to_json(other)[:-9], "is damaged"),
        (to_json(other), f"became another machine: {THERE.machine_key}, now {elsewhere.machine_key}"),
        (to_json(there(usable_cpus=3)), "environment.machine_key: '"),
        (to_json(there(torch="9.9")), "environment.software_key: '"),
    ):
        ((result,), _, _) = heard({**AT, "comparison": document})
        assert result.comparison is None
        assert isinstance(result.failure, MeasureError)
        assert said in result.failure.message


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ({"comparison": "no JSON"}, r"^the comparison of node b is damaged: it is no JSON"),
        ({"comparison": to_json(there(memory_bytes="much"))}, r"^node b: .* damaged: environment\.memory_bytes: "),
        ({"comparison": "\ud800"}, r"^node b: what it told is damaged: UnicodeEncodeError: "),
        ({"failed": {"message": "no such file", "hint": None}}, r"^node b: what it told is damaged: KeyError: 'kind'"),
        ({"failed": {**FAILURE, "hint": 5}}, r"^node b: what it told is damaged: TypeError: its failure is no text"),
        ({"failed": "much"}, r"^node b: what it told is damaged: TypeError: "),
    ],
)
def test_damage_of_one_kind_is_its_failure_and_the_result_of_another_stays(damaged: dict[str, Any], said: str) -> None:
    results, _, _ = heard({"kind": "other", "node": "b", **damaged}, {**AT, "comparison": to_json(there())})
    assert isinstance(results[0].failure, MeasureError)
    assert re.match(said, results[0].failure.message)
    assert results[1] == KindResult(MEASURED, KIND.nodes[0], there())


@pytest.mark.parametrize(
    "said",
    [
        {"announce": "60s", "resolves": "much", "source": "default"},
        {"announce": "60s"},
        {"begin": 0, "name": "measuring", "total": "much"},
        {"warning": "VML013"},
        5,
    ],
)
def test_damage_on_the_way_is_told_and_the_result_stays(said: Any) -> None:
    with pytest.warns(VecmlWarning, match=f"VML053 {MEASURED.short}: node .*: what it told is damaged: "):
        ((result,), _, _) = heard({**AT, "told": said}, {**AT, "comparison": to_json(there())})
    assert result.comparison == there()


def test_a_failure_is_told_with_the_node() -> None:
    with pytest.warns(
        VecmlWarning,
        match=rf"VML053 {MEASURED.short}: not measured: node host \(10.0.0.1, 12ab\): data.csv: no such file",
    ):
        ((result,), _, _) = heard({**AT, "failed": FAILURE})
    assert isinstance(result.failure, DataError)
    assert result.failure.hint == FAILURE["hint"]


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_what_is_measured_stays_where_the_cluster_is_lost() -> None:
    document = {**AT, "comparison": to_json(there())}
    done: list[KindResult] = []
    hearing = _Heard(Hear(done=done.append))
    hearing.all_of(told(document, then=ServerError("the cluster's head is gone", "again")))
    assert done[0].comparison is not None
    assert done[1].comparison is None
    assert str(done[1].failure) == "the cluster's head is gone"
    assert list(hearing.results) == [THERE.machine_key, "other"]
    with pytest.raises(ServerError, match="head is gone"):
        _Heard(Hear()).all_of(told(then=ServerError("the cluster's head is gone", "again")))


def kinds() -> Kinds:
    """Two kinds of machine that were measured, and one that was not."""
    slower, faster = comparison_of({"numpy": 0.01, "torch": 0.02}), comparison_of({"numpy": 0.01, "torch": 0.005})
    slower = replace(slower, environment={**slower.environment, "machine_key": "other"})
    other = replace(KIND, machine_key="other", nodes=("b",))
    return Kinds(
        "auto",
        (
            KindResult(KIND, KIND.nodes[0], faster),
            KindResult(other, "b", slower),
            KindResult(replace(KIND, machine_key="third"), "c", None, ServerError("node c: gone", "again")),
        ),
    )


def test_the_document_reads_back_as_it_was() -> None:
    found = kinds()
    text = kinds_to_json(found)
    assert is_of_kinds(text.encode())
    assert not is_of_kinds(to_json(found.results[0].comparison).encode())  # type: ignore[arg-type]
    again = kinds_from_json(text.encode(), "file")
    assert again.results[:2] == found.results[:2]
    assert (again.results[2].failure.message, again.results[2].failure.hint) == ("node c: gone", "again")  # type: ignore[union-attr]
    assert kinds_to_json(again) == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, r"^file has schema version 2; this vecml reads 1$"),
        ({"version": True}, r"^file has schema version True; this vecml reads 1$"),
        ({"machines": []}, r"^file is damaged: machines: there is none$"),
        ({"more": 1}, r"^file is damaged: more: "),
        ({"machines": [{"machine_key": "m"}]}, r"^file is damaged: machines\.0\."),
    ],
)
def test_a_damaged_document_is_refused(change: dict[str, Any], said: str) -> None:
    content = json.loads(kinds_to_json(kinds())) | change
    with pytest.raises(MeasureError, match=said):
        kinds_from_json(json.dumps(content).encode(), "file")


def test_a_key_that_is_not_the_comparisons_own_or_is_there_twice_is_refused() -> None:
    content = json.loads(kinds_to_json(kinds()))
    first, second, third = content["machines"]
    content["machines"] = [first, {**second, "machine_key": "elsewhere"}, third]
    with pytest.raises(MeasureError, match=r"machines\.1: machine_key 'elsewhere', of its comparison 'other'$"):
        kinds_from_json(json.dumps(content).encode(), "file")
    content["machines"] = [first, second, {**third, "machine_key": "m"}]
    with pytest.raises(MeasureError, match=r"^file is damaged: machines\.2: machine_key 'm' is there twice$"):
        kinds_from_json(json.dumps(content).encode(), "file")


def test_no_failure_in_a_file_is_a_verdict_that_was_missed(tmp_path: Path) -> None:
    content = json.loads(kinds_to_json(kinds()))
    content["machines"][2]["failure"]["kind"] = "RegressionError"
    content["machines"] = content["machines"][2:]
    (tmp_path / "all.json").write_text(json.dumps(content), encoding="utf-8")
    done = CliRunner().invoke(app, ["compare", "--from", str(tmp_path / "all.json")])
    assert isinstance(done.exception, ServerError)
    assert done.exception.exit_code == 2


def test_a_missed_gate_goes_before_what_could_not_be_tracked(capsys: pytest.CaptureFixture[str]) -> None:
    away = StoreError("the store is away", "it is kept")
    found = Found(kinds(), {}, (), away)
    with pytest.raises(typer.Exit) as ended:
        finish(found, None, demand_of("slower"), "slower")
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert "error: the store is away" in said
    assert "other: --fail-if slower: yes: torch against numpy" in said
    with pytest.raises(StoreError, match="the store is away"):
        finish(found, None, demand_of("slower:150%"), "slower:150%")


def test_neither_a_comparison_nor_a_failure_is_refused() -> None:
    content = json.loads(kinds_to_json(kinds()))
    content["machines"][0]["comparison"] = None
    with pytest.raises(MeasureError, match=r"^file is damaged: machines\.0: it has neither a comparison nor a failure"):
        kinds_from_json(json.dumps(content).encode(), "file")


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ((), 2, None),
        (("--fail-if", "slower"), 1, "other: --fail-if slower: yes: torch against numpy"),
        (("--fail-if", "slower:150%"), 2, "m: --fail-if slower:150%: no: torch against numpy"),
    ],
)
def test_the_file_is_shown_with_a_sentence_and_a_table_a_kind(
    tmp_path: Path, flags: tuple[str, ...], code: int, said: str | None
) -> None:
    (tmp_path / "all.json").write_text(kinds_to_json(kinds()), encoding="utf-8")
    done = CliRunner().invoke(app, ["compare", "--from", str(tmp_path / "all.json"), *flags])
    text = " ".join(done.stdout.split())
    assert "a processor, 2 CPUs (m), node host (10.0.0.1, 12ab), of 2 nodes: torch is 2.01 times as fast" in text
    assert "a processor, 2 CPUs (other), node b: " in text
    assert "a processor, 2 CPUs (third), node c, of 2 nodes: not measured: node c: gone" in text
    assert text.count("setting rows/s") == 2
    if code == 2:
        assert isinstance(done.exception, ServerError)
        assert done.exception.message == "1 of 3 kinds of machine not measured: third: node c: gone"
    else:
        assert done.exit_code == code
    assert said is None or said in done.stderr


def test_markdown_has_a_section_a_kind(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(kinds_to_json(kinds()), encoding="utf-8")
    printed = CliRunner().invoke(app, ["compare", "--from", str(tmp_path / "all.json"), "--markdown"]).stdout
    assert printed.count("### a processor, 2 CPUs") == 3
    assert printed.count("| setting |") == 2


def test_each_result_is_kept_in_a_file_of_its_own() -> None:
    first, second, _ = kinds().results
    assert kept_file(first, None).path != kept_file(second, None).path
    assert kept_file(first, None).path == kept_file(first, None).path


def test_an_environment_reads_back_as_it_was() -> None:
    told = json.loads(json.dumps(describe().to_json_dict()))
    assert of_json(told) == describe()
    del told["kernel"]
    assert of_json(told) is None
