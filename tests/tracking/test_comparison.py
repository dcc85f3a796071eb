"""A comparison in a real store: what stands under every key, from made-up blocks and by other means; and its end."""

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from html import escape
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Run
from scipy.stats import t as student

from tasks.tracking.store import open_store
from tests.tracking.made_logged import (
    BASELINE,
    DIGESTS,
    FASTER,
    FAULT,
    KEYS,
    LAUNCHES,
    N_ROWS,
    ROUNDS,
    WRONG,
    logged,
    made,
)
from vecml import __version__, keys, record
from vecml.comparison.comparison import ArmFigures, Subject, figures
from vecml.comparison.document import from_json, to_json
from vecml.config import Setting
from vecml.device import device_name
from vecml.environment import describe
from vecml.identity import process_identity
from vecml.measure.records import ArmMeasurement
from vecml.report.comparison import sentence


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _the_modules_own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))


def own_tags(run: Run) -> dict[str, str]:
    return {name: text for name, text in run.data.tags.items() if not name.startswith("mlflow.")}


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
    assert set(run.data.params) == set(keys.PARENT_PARAMS)
    assert set(run.data.metrics) == set(keys.PARENT_METRICS)
    assert run.data.metrics["compare/valid_settings"] == 2
    assert run.data.metrics["compare/best_ratio"] == stored[1][FASTER].data.metrics["infer/ratio"]
    environment, tags = describe(), own_tags(run)
    assert set(tags) == set(keys.PARENT_TAGS) - {keys.ERROR}
    assert tags.pop("vecml.git_commit")
    assert tags == {
        "vecml.kind": "compare",
        "vecml.process": process_identity(),
        "vecml.version": __version__,
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
    assert set(expected) == set(keys.CHILD_METRICS)
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
    assert set(stored[1][name].data.params) == set(keys.CHILD_PARAMS)


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
    assert set(tags) == set(keys.CHILD_TAGS) - {keys.ERROR}
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
        "vecml.tied": {FASTER: "yes", WRONG: "none"}.get(name, "no"),
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
    assert set(below[FASTER].data.metrics) == set(keys.CHILD_METRICS) - missing
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
    assert params == {"data_source": "functions", "n_rows": "none", "n_features": "none", "n_classes": "none"}
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
    for setting, group in ((Setting("numpy"), "infer"), (None, "call")):
        arm = ArmFigures("a", setting, None, None, rows_per_s=value, fraction_of_limit=value, canary_seconds=2.5)
        known = {"canary/seconds": 2.5}
        if value is not None:
            known |= dict.fromkeys((f"{group}/ratio", f"{group}/ratio_low", f"{group}/ratio_high"), 1.0)
        assert record.child_metrics(arm) == known
