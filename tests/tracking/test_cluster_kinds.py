"""A comparison that a node of a cluster has measured is tracked as one of that machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.tracking.comparison import log_unlogged
from tasks.tracking.store import open_store
from tests.made_comparison import comparison_of
from vecml import cache, keys
from vecml.cli import compare_cluster
from vecml.cli.compare_cluster import Found, _track, finish, measured
from vecml.comparison import cluster
from vecml.comparison.cluster import Hear, KindOfMachine, KindResult
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.kinds_document import Kinds
from vecml.environment import describe
from vecml.errors import ServerError, StoreError
from vecml.identity import process_identity
from vecml.warnings import VecmlWarning


@pytest.mark.parametrize("name", [None, "nightly"])
def test_the_runs_are_of_the_machine_that_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    there = replace(describe(), cpu_model="another processor", usable_cpus=96, torch="9.9")
    comparison = replace(comparison_of({"numpy": 0.01, "torch": 0.02}), environment=there.to_json_dict())
    kind = KindOfMachine(there.machine_key, "another processor, 96 CPUs", ("a", "b"))
    told, address = _track(KindResult(kind, "a", comparison), name)
    store = open_store()
    runs = store.client.search_runs([store.experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags[keys.KIND] == keys.COMPARE]
    assert (told, told in address) == (parent.info.run_id, True)
    assert name is None or parent.info.run_name == f"nightly-{there.machine_key[:8]}"
    assert list((cache.folder() / "unfinished").glob("*")) == []
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 3
    for run in runs:
        tags = run.data.tags
        assert tags["vecml.machine_key"] == there.machine_key != describe().machine_key
        assert tags["vecml.software_key"] == there.software_key
        assert tags["vecml.environment_key"] == there.environment_key
        assert tags[keys.DEVICE_NAME] == "another processor"
        assert tags["vecml.host"] == "another processor, 96 CPUs"
        assert "torch 9.9" in tags["vecml.libraries"]
        assert tags[keys.PROCESS] == process_identity()  # which ends them, and is here


def test_a_store_that_breaks_ends_no_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setattr(cluster, "check_asked", lambda config, wish: None)
    found = [
        KindResult(
            KindOfMachine(key, "a processor, 2 CPUs", ("a",)), "a", comparison_of({"numpy": 0.01, "torch": 0.02})
        )
        for key in ("one", "two")
    ]

    def both(config: ComparisonConfig, wish: object, read_run: object, hear: Hear) -> list[KindResult]:
        for one in found:
            hear.done(one)
        return found

    def broken(result: KindResult, name: str | None) -> tuple[str, str]:
        if result.kind.machine_key == "one":
            raise StoreError("the store is away", "it is kept")
        return _track(result, name)

    monkeypatch.setattr(cluster, "compare_on_cluster", both)
    monkeypatch.setattr(compare_cluster, "_track", broken)
    made = measured(ComparisonConfig(), "auto", None)
    assert list(made.pages) == ["two"]
    with pytest.raises(StoreError, match="the store is away"):
        finish(made, None, None, None)
    assert capsys.readouterr().out.count("a processor, 2 CPUs (") == 2


def test_what_is_measured_is_kept_where_the_store_went_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    away = tmp_path / "store"
    away.write_text("no folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{away}/mlflow.db")
    there = replace(describe(), cpu_model="another processor")
    comparison = replace(comparison_of({"numpy": 0.01, "torch": 0.02}), environment=there.to_json_dict())
    kind = KindOfMachine(there.machine_key, "another processor, 2 CPUs", ("a",))
    with pytest.raises(StoreError) as refused:
        _track(KindResult(kind, "a", comparison), "nightly")
    assert f"kept in {tmp_path / 'cache'}, and logged by the next start of vecml" in str(refused.value.hint)
    assert len(list((tmp_path / "cache" / "unfinished").glob("*.json"))) == 1
    away.unlink()
    away.mkdir()
    with pytest.warns(VecmlWarning, match="is logged now; it was measured when"):
        assert log_unlogged() == [f"nightly-{there.machine_key[:8]}"]
    store = open_store()
    runs = store.client.search_runs([store.experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags[keys.KIND] == keys.COMPARE]
    assert parent.data.tags["vecml.machine_key"] == there.machine_key
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert list((tmp_path / "cache" / "unfinished").glob("*.json")) == []
    assert log_unlogged() == []


def test_the_printed_command_names_runs_by_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    results = tuple(
        KindResult(KindOfMachine(key, "a processor", ("a",)), "a", None, StoreError("none")) for key in "ab"
    )
    with pytest.raises(ServerError):
        finish(Found(Kinds("auto", results), {}, ("0123456789abcdef" * 2, "f" * 32)), None, None, None)
    assert capsys.readouterr().out.endswith("diff 0123456789ab ffffffffffff\n")
