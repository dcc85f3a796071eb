"""A comparison in a real store: what stands under every key, from made-up blocks and by other means; and its end."""

import dataclasses
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from scipy.stats import t as student

from tasks.tracking import comparison as module
from tasks.tracking.comparison import ComparisonWriter, tracked_comparison
from tasks.tracking.store import open_store
from tasks.tracking.write import close_flow_run
from vecml import record
from vecml.comparison.comparison import ArmFigures, Comparison, Load, Subject, figures
from vecml.comparison.document import from_json, to_json
from vecml.config import Setting
from vecml.device import device_name
from vecml.environment import describe, process_identity
from vecml.errors import StoreError
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured, Plan, Role
from vecml.measure.verdict import Rules
from vecml.report.comparison import sentence

N_ROWS, LAUNCHES, ROUNDS = 1_000, 4, 7
BASELINE, FASTER, WRONG = "numpy threads=2", "torch threads=2", "torch threads=1"
FAULT = "12 of 1,000 labels are wrong: no near ties in float32"
KEYS = {"machine_key": "m" * 16, "software_key": "s" * 16, "environment_key": "e" * 16}
DIGESTS = {"vecml.data_digest": "d" * 32, "vecml.architecture_digest": "a" * 32, "vecml.model_digest": "f" * 32}
LATENCY = {"900": 3, "960": 5, "1000": 1}  # single calls by bucket: the fifth of nine is in bucket 960


def measured_arm(name: str, role: Role, seconds: float, launches: int = LAUNCHES, **facts: Any) -> ArmMeasurement:
    """An arm whose blocks take about `seconds` a call, by a sequence of its own; no figure is another arm's."""
    rng = np.random.default_rng(len(name) + round(1e7 * seconds))
    places = [(launch, number) for launch in range(launches) for number in range(ROUNDS)]
    luck = rng.normal(0, 0.01, launches)
    calls = [3 + number % 2 for _, number in places]
    took = [
        count * seconds * math.exp(luck[launch] + rng.normal(0, 0.004))
        for (launch, _), count in zip(places, calls, strict=True)
    ]
    blocks = Blocks(
        launch=tuple(launch for launch, _ in places),
        round=tuple(number for _, number in places),
        position=(0,) * len(places),
        calls=tuple(calls),
        seconds=tuple(took),
        cpu_seconds=(None,) * len(places),
        switches=(None,) * len(places),
        answer=(0,) * len(places),
        idle=(True,) * len(places),
    )
    told = tuple(
        ArmLaunch(
            launch=launch,
            canary_seconds=seconds * (2 + 0.1 * launch),
            load_seconds=seconds * (30 + launch),
            warm_calls=5,
            warm_seconds=1.0,
            peak_rss_bytes=round(1e9 * (100 * seconds + launch % 3)),
            facts={key: value[launch] if isinstance(value, tuple) else value for key, value in facts.items()},
        )
        for launch in range(launches)
    )
    return ArmMeasurement(name, role, cpus=2, group=0, blocks=blocks, launches=told)


def limit(kernel: str, work: float, seconds: float, launches: int) -> ArmMeasurement:
    facts = {"kernel": kernel, "precision": "float32", "threads": 2, "work_per_call": work}
    return measured_arm(f"limit: {kernel}", "limit", seconds, launches, **facts)


def made(launches: int = LAUNCHES, faults: dict[str, str] | None = None) -> Comparison:
    """Three settings of a 4-8-3 network: a baseline, a faster one, and one whose labels are wrong."""
    checks = {"rows": N_ROWS, "precision_used": "float32"}
    arms = (
        measured_arm(BASELINE, "baseline", 0.0050, launches, flips=(1, 0, 2, 0), right=871, **checks),
        measured_arm(f"{BASELINE} (null arm)", "null", 0.0051, launches),
        measured_arm(FASTER, "arm", 0.0031, launches, flips=(4, 9, 5, 3), right=868, latency=LATENCY, **checks),
        measured_arm(WRONG, "arm", 0.0062, launches, flips=14, right=855, **checks),
        limit("gemm", 3e7, 0.0021, launches),
        limit("copy", 2e6, 0.0012, launches),
    )
    return Comparison(
        created="2026-01-02T03:04:05+00:00",
        vecml="0.0.7",
        budget="61s" if launches > 1 else "quick",
        subject=Subject(
            data_source="table.csv",
            n_rows=N_ROWS,
            widths=(4, 8, 3),
            n_classes=3,
            value_bytes=4,
            data_digest=DIGESTS["vecml.data_digest"],
            architecture_digest=DIGESTS["vecml.architecture_digest"],
            model_digest=DIGESTS["vecml.model_digest"],
            run_id="run-9",
        ),
        settings={
            BASELINE: Setting("numpy", threads=2),
            FASTER: Setting("torch", threads=2, layout="rows", block_rows=512),
            WRONG: Setting("torch", device="mps", threads=1),
        },
        skipped={"torch_compile": "not here"},
        simplest=(BASELINE, WRONG, FASTER),
        environment={**KEYS, "cpu_model": "a processor"},
        load_before=Load(0.5, 0.1),
        load_after=Load(None, None),
        rules=Rules(),
        measured=Measured(Plan(launches=launches), arms, launches, seconds=12.5),
        faults={WRONG: FAULT} if faults is None else faults,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _the_modules_own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))


def read(run_id: str) -> Run:
    return open_store().client.get_run(run_id)


def children(run_id: str) -> dict[str, Run]:
    """The runs below a run, by name, in the order in which they were made."""
    store = open_store()
    query = f"tags.`mlflow.parentRunId` = '{run_id}'"
    found = store.client.search_runs([store.experiment.experiment_id], query, order_by=["attributes.start_time"])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def own_tags(run: Run) -> dict[str, str]:
    return {name: text for name, text in run.data.tags.items() if not name.startswith("mlflow.")}


def logged(comparison: Comparison, flow_run_id: str | None = None, note: str = "a note") -> tuple[Run, dict[str, Run]]:
    """The parent and the children that a comparison was logged as, read back."""
    with tracked_comparison("a name", flow_run_id) as writer:
        writer.log(comparison, note)
    return read(writer.run.run_id), children(writer.run.run_id)


@pytest.fixture(scope="module")
def stored(home: Path) -> tuple[Run, dict[str, Run]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        return logged(made(), "flow-7")


def test_the_parent_reads_back_as_it_was(stored: tuple[Run, dict[str, Run]]) -> None:
    run, below = stored
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a name")
    assert run.data.params == {
        "data_source": "table.csv",
        "n_rows": "1000",
        "n_features": "4",
        "n_classes": "3",
        "budget": "61s",
        "baseline": BASELINE,
        "settings": "3",
    }
    assert set(run.data.params) == set(record.PARENT_PARAMS)
    assert run.data.metrics == {}
    environment, tags = describe(), own_tags(run)
    assert set(tags) == set(record.PARENT_TAGS) - {record.ERROR}
    assert tags.pop("vecml.git_commit")
    assert tags == {
        "vecml.kind": "compare",
        "vecml.process": process_identity(),
        "vecml.version": record.__version__,
        "vecml.machine_key": environment.machine_key,
        "vecml.software_key": environment.software_key,
        "vecml.environment_key": environment.environment_key,
        "vecml.device_name": device_name("cpu"),
        "prefect.flow_run_id": "flow-7",
        "vecml.launches": "4",
        "vecml.host": "a processor, unknown CPUs",
        "vecml.libraries": "none",
        **DIGESTS,
    }
    assert run.data.tags["mlflow.note.content"] == "a note"
    assert list(below) == [BASELINE, FASTER, WRONG]


def test_the_artifacts_hold_everything(stored: tuple[Run, dict[str, Run]], tmp_path: Path) -> None:
    client, run_id = open_store().client, stored[0].info.run_id
    there = {item.path for item in client.list_artifacts(run_id)}
    assert there == {"comparison.json", "environment.json", "report.html", "pictures"}
    drawn = [item.path for item in client.list_artifacts(run_id, "pictures")]
    assert drawn
    for path in drawn:
        assert Path(client.download_artifacts(run_id, path, str(tmp_path))).read_bytes().startswith(b"\x89PNG")
    report = Path(client.download_artifacts(run_id, "report.html", str(tmp_path))).read_text()
    assert "a name" in report
    assert escape(sentence(made())) in report
    content = Path(client.download_artifacts(run_id, "comparison.json", str(tmp_path))).read_bytes()
    assert content.decode() == to_json(made())
    assert figures(from_json(content, "it")) == figures(made())
    environment = Path(client.download_artifacts(run_id, "environment.json", str(tmp_path))).read_text()
    assert json.loads(environment) == {**KEYS, "cpu_model": "a processor"}


def arm_of(name: str) -> ArmMeasurement:
    return next(arm for arm in made().measured.arms if arm.name == name)


def call_seconds(arm: ArmMeasurement) -> np.ndarray:
    """By launch and round, (K, R): the blocks are complete and in order."""
    return (np.array(arm.blocks.seconds) / arm.blocks.calls).reshape(LAUNCHES, ROUNDS)


def hodges_lehmann(values: Sequence[float]) -> float:
    return statistics.median((a + b) / 2 for a, b in combinations_with_replacement(values, 2))


def ratio_of(name: str) -> tuple[float, float, float]:
    """Ratio and its ends: a launch's estimates, Student over the launches, the level shared by two arms."""
    log_KR = np.log(call_seconds(arm_of(BASELINE)) / call_seconds(arm_of(name)))
    estimate_K = [hodges_lehmann(list(values)) for values in log_KR]
    mean, error = np.mean(estimate_K), np.std(estimate_K, ddof=1) / math.sqrt(LAUNCHES)
    low, high = student.interval(1 - 0.05 / 2, LAUNCHES - 1, mean, error)
    return math.exp(mean), math.exp(low), math.exp(high)


def recomputed(name: str) -> dict[str, float]:
    """Every metric of a child by its key."""
    arm = arm_of(name)
    rate = N_ROWS / float(np.median(call_seconds(arm)))
    load = float(np.median([launch.load_seconds for launch in arm.launches]))
    gemm = 3e7 / float(np.median(call_seconds(arm_of("limit: gemm"))))
    copy = 2e6 / float(np.median(call_seconds(arm_of("limit: copy"))))
    operations, transfers = 2 * (4 * 8 + 8 * 3), (4 * 4 + 8) * N_ROWS + 4 * (5 * 8 + 9 * 3)
    values = {
        "infer/rows_per_s": rate,
        "infer/load_s": load,
        "infer/peak_rss_mb": max(launch.peak_rss_bytes or 0 for launch in arm.launches) / 1e6,
        "canary/seconds": float(np.median([launch.canary_seconds for launch in arm.launches])),
        "test/accuracy": {BASELINE: 0.871, FASTER: 0.868, WRONG: 0.855}[name],
        "test/flips": {BASELINE: 2, FASTER: 9, WRONG: 14}[name],
    }
    launch_K = np.log(N_ROWS / np.median(call_seconds(arm), axis=1))
    low, high = student.interval(0.95, LAUNCHES - 1, launch_K.mean(), launch_K.std(ddof=1) / math.sqrt(LAUNCHES))
    values |= {"infer/rows_per_s_low": math.exp(low), "infer/rows_per_s_high": math.exp(high)}
    values |= zip(
        ("infer/ratio", "infer/ratio_low", "infer/ratio_high"),
        (1.0, 1.0, 1.0) if name == BASELINE else ratio_of(name),
        strict=True,
    )
    if name != WRONG:  # the limits were measured with two threads
        values["infer/fraction_of_limit"] = max(operations * N_ROWS / gemm, transfers / copy) / (N_ROWS / rate)
    if name == FASTER:
        saved = float(np.median(call_seconds(arm_of(BASELINE)))) - float(np.median(call_seconds(arm)))
        values["infer/break_even_rows"] = load / saved * N_ROWS
        values["infer/p50_s"] = 2 ** (960.5 / 64) * 1e-9
    return values


@pytest.mark.parametrize("name", [BASELINE, FASTER, WRONG])
def test_every_metric_is_what_its_key_says(stored: tuple[Run, dict[str, Run]], name: str) -> None:
    expected = recomputed(name)
    metrics = stored[1][name].data.metrics
    assert set(metrics) == set(expected)
    assert metrics == pytest.approx(expected, rel=1e-9)


def test_the_oracle_knows_every_metric_and_tells_them_apart() -> None:
    expected = recomputed(FASTER)
    assert set(expected) == set(record.CHILD_METRICS)
    assert min(np.diff(sorted(map(math.log, expected.values())))) > 1e-3
    for name in expected:
        assert recomputed(BASELINE).get(name) != expected[name]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        (BASELINE, {"engine": "numpy", "device": "cpu", "layout": "columns", "threads": "2", "block_rows": "none"}),
        (FASTER, {"engine": "torch", "device": "cpu", "layout": "rows", "threads": "2", "block_rows": "512"}),
        (WRONG, {"engine": "torch", "device": "mps", "layout": "columns", "threads": "1", "block_rows": "none"}),
    ],
)
def test_the_params_are_the_setting(stored: tuple[Run, dict[str, Run]], name: str, params: dict[str, str]) -> None:
    same = {"device_index": "0", "precision": "float32", "isa": "native", "request_rows": "none", "scope": "host"}
    assert stored[1][name].data.params == {**same, **params}
    assert set(stored[1][name].data.params) == set(record.CHILD_PARAMS)


@pytest.mark.parametrize(
    ("name", "verdict", "reason", "device"),
    [(BASELINE, "baseline", "none", "cpu"), (FASTER, "faster", None, "cpu"), (WRONG, "invalid", FAULT, "mps")],
)
def test_every_tag_is_what_its_key_says(
    stored: tuple[Run, dict[str, Run]], name: str, verdict: str, reason: str | None, device: str
) -> None:
    parent, below = stored
    run = below[name]
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    tags = own_tags(run)
    assert set(tags) == set(record.CHILD_TAGS) - {record.ERROR}
    if reason is None:
        reason = next(arm.verdict.reason for arm in figures(made()) if arm.name == name and arm.verdict)
        assert "of the ratio excludes 1" in reason
    assert tags == {
        "vecml.kind": "setting",
        "vecml.process": parent.data.tags["vecml.process"],
        "vecml.version": "0.0.7",
        **{f"vecml.{key}": value for key, value in KEYS.items()},
        "vecml.device_name": device_name(device),
        "prefect.flow_run_id": "flow-7",
        "vecml.git_commit": parent.data.tags["vecml.git_commit"],
        "vecml.verdict": verdict,
        "vecml.reason": reason,
        "vecml.baseline": BASELINE,
        "vecml.tied": "yes" if name == FASTER else "no",
        "vecml.host": "a processor, unknown CPUs",
        "vecml.libraries": "none",
        "vecml.launches": "4",
        "vecml.precision_used": "float32",
        **DIGESTS,
    }
    assert device_name("mps") != device_name("cpu")


def test_a_quick_look_has_no_verdict_and_no_interval() -> None:
    parent, below = logged(made(launches=1, faults={}))
    assert parent.data.params["budget"] == "quick"
    assert parent.data.tags["vecml.launches"] == below[FASTER].data.tags["vecml.launches"] == "1"
    assert below[FASTER].data.tags["vecml.verdict"] == "none"
    assert below[FASTER].data.tags["vecml.reason"].startswith("quick: ")
    missing = {"infer/ratio_low", "infer/ratio_high", "infer/break_even_rows"}
    missing |= {"infer/rows_per_s_low", "infer/rows_per_s_high"}
    assert set(below[FASTER].data.metrics) == set(record.CHILD_METRICS) - missing
    assert below[BASELINE].data.tags["vecml.verdict"] == "baseline"
    assert below[BASELINE].data.metrics["infer/ratio_low"] == 1.0


def test_an_invalid_baseline_says_so_and_its_run_is_finished() -> None:
    _, below = logged(made(faults={BASELINE: "it labelled no row"}))
    tags = below[BASELINE].data.tags
    assert (tags["vecml.verdict"], tags["vecml.reason"]) == ("invalid", "it labelled no row")
    other = below[FASTER].data.tags
    assert (other["vecml.verdict"], other["vecml.baseline"]) == ("invalid", BASELINE)
    assert {run.info.status for run in below.values()} == {"FINISHED"}


def test_a_setting_that_never_ran_leaves_out_what_is_not_known() -> None:
    whole = made(faults={})
    dead = ArmMeasurement(WRONG, "arm", 2, 0, failure="it raised MemoryError")
    first = ArmMeasurement(BASELINE, "baseline", 2, 0, failure="it died")
    arms = tuple({WRONG: dead, BASELINE: first}.get(arm.name, arm) for arm in whole.measured.arms)
    died = dataclasses.replace(whole, measured=dataclasses.replace(whole.measured, arms=arms))
    _, below = logged(died)
    assert below[WRONG].data.metrics == below[BASELINE].data.metrics == {}
    tags = below[WRONG].data.tags
    assert tags["vecml.reason"] == "it raised MemoryError"
    assert (tags["vecml.launches"], tags["vecml.precision_used"]) == ("0", "none")
    assert below[BASELINE].data.tags["vecml.verdict"] == "invalid"
    assert below[WRONG].data.params["engine"] == "torch"


def test_functions_have_no_setting_and_no_network() -> None:
    subject = Subject("functions", 77)
    functions = dataclasses.replace(made(faults={}), settings={}, subject=subject, simplest=())
    parent, below = logged(functions)
    params = {name: parent.data.params[name] for name in ("data_source", "n_rows", "n_features", "n_classes")}
    assert params == {"data_source": "functions", "n_rows": "77", "n_features": "none", "n_classes": "none"}
    assert parent.data.params["settings"] == "3"
    assert {run.data.tags["vecml.model_digest"] for run in (parent, *below.values())} == {"none"}
    assert below[FASTER].data.params == {}
    assert below[FASTER].data.tags["vecml.device_name"] == device_name("cpu")


def test_each_size_of_request_has_its_baseline() -> None:
    whole = made(faults={})
    again = tuple(
        dataclasses.replace(arm, name=f"{arm.name} request_rows=1", group=1)
        for arm in whole.measured.arms
        if arm.role != "limit"
    )
    settings = {f"{name} request_rows=1": value for name, value in whole.settings.items()}
    both = dataclasses.replace(
        whole,
        settings={**whole.settings, **settings},
        measured=dataclasses.replace(whole.measured, arms=(*whole.measured.arms, *again)),
    )
    params = record.parent_params(both)
    assert (params["baseline"], params["settings"]) == (f"{BASELINE},{BASELINE} request_rows=1", "6")
    last = figures(both)[-1]
    assert record.child_tags(both, last)["vecml.baseline"] == f"{BASELINE} request_rows=1"


@pytest.mark.parametrize("value", [math.inf, math.nan, None])
def test_what_is_no_finite_number_is_left_out(value: float | None) -> None:
    arm = ArmFigures("a", None, None, None, rows_per_s=value, fraction_of_limit=value, canary_seconds=2.5)
    known = {"canary/seconds": 2.5}
    if value is not None:
        known |= dict.fromkeys(("infer/ratio", "infer/ratio_low", "infer/ratio_high"), 1.0)
    assert record.child_metrics(arm) == known


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (OSError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_an_error_before_there_is_a_result(error: type[BaseException], status: str) -> None:
    with pytest.raises(error), tracked_comparison(None) as writer:
        raise error("cannot reach\n postgresql://someone:hunter2@host/db")
    run = read(writer.run.run_id)
    assert run.info.status == status
    kept = run.data.tags[record.ERROR]
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
    assert (run.info.status, run.data.tags[record.ERROR]) == ("KILLED", "RuntimeError: stopped")


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
    assert caught.value.hint.startswith(f"the result is kept in {kept}; ")
    assert from_json((kept / "comparison.json").read_bytes(), "kept").budget == "61s"
    assert json.loads((kept / "environment.json").read_text())["machine_key"] == KEYS["machine_key"]
    run, below = read(writer.run.run_id), children(writer.run.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags[record.ERROR] == caught.value.message
    assert {name: child.info.status for name, child in below.items()} == {BASELINE: "FINISHED", FASTER: "FAILED"}
    assert below[FASTER].data.tags[record.ERROR] == caught.value.message
    assert below[FASTER].data.metrics == {}


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
