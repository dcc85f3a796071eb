"""A comparison that a node of a cluster has measured is tracked as one of that machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.tracking.store import open_store
from tests.made_comparison import comparison_of
from vecml import keys
from vecml.cli.compare_cluster import _track
from vecml.comparison.cluster import KindOfMachine, KindResult
from vecml.environment import describe
from vecml.identity import process_identity


@pytest.mark.parametrize("name", [None, "nightly"])
def test_the_runs_are_of_the_machine_that_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    there = replace(describe(), cpu_model="another processor", usable_cpus=96, torch="9.9")
    comparison = replace(comparison_of({"numpy": 0.01, "torch": 0.02}), environment=there.to_json_dict())
    kind = KindOfMachine(there.machine_key, "another processor, 96 CPUs", ("a", "b"))
    told, address = _track(KindResult(kind, "a", comparison), name)
    store = open_store()
    runs = store.client.search_runs([store.experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags[keys.KIND] == keys.COMPARE]
    assert (told, parent.info.run_id in address) == (parent.info.run_name, True)
    assert name is None or told == f"nightly-{there.machine_key[:8]}"
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
