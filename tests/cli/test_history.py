"""`vecml history` and `vecml leaderboard` over a real store: what they print, how they end, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Metric, Param, RunTag

from tasks.tracking.store import open_store
from tests.cli.conftest import Command
from tests.made_recorded import FIRST, SETTING

DAY_MS = 86_400_000
NIGHTS, UPGRADE = 24, 20


def fill() -> None:
    """24 nights of two engines; with the last four comes another numpy, and numpy is a quarter slower."""
    store, rng = open_store(), np.random.default_rng(8)
    began = int(FIRST.timestamp() * 1000)
    for night in range(NIGHTS):
        key, version = ("b", "2.4.6") if night >= UPGRADE else ("a", "2.3.5")
        parent = store.client.create_run(
            store.experiment.experiment_id, began + night * DAY_MS, {"vecml.kind": "compare"}, f"night-{night}"
        )
        store.client.log_param(parent.info.run_id, "n_rows", "200000")
        store.client.set_terminated(parent.info.run_id)
        for engine, rate in (("numpy", 1e6 * (0.75 if night >= UPGRADE else 1)), ("torch", 8e5)):
            run = store.client.create_run(store.experiment.experiment_id, began + night * DAY_MS, {}, engine)
            tags = {
                "vecml.kind": "setting",
                "mlflow.parentRunId": parent.info.run_id,
                "vecml.machine_key": "m" * 16,
                "vecml.software_key": key,
                "vecml.architecture_digest": "3f2a" * 8,
                "vecml.libraries": f"numpy {version}, torch 2.13.0",
                "vecml.host": "a processor, 2 CPUs",
                "vecml.device_name": "a processor",
                "vecml.verdict": "baseline",
                "vecml.launches": "5",
            }
            values = {"infer/rows_per_s": rate * np.exp(rng.normal(0, 0.02)), "canary/seconds": 0.2}
            store.client.log_batch(
                run.info.run_id,
                [Metric(name, float(value), 0, 0) for name, value in values.items()],
                [Param(name, value) for name, value in {**SETTING, "engine": engine}.items()],
                [RunTag(name, value) for name, value in tags.items()],
            )
            store.client.set_terminated(run.info.run_id)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(folder))
        fill()
    return folder


def test_history_tells_what_changed(vecml: Command) -> None:
    code, out, _ = vecml("history")
    assert code == 0
    words = " ".join(out.split())
    assert "numpy is 2" in out.splitlines()[0]
    assert "since 2026-01-21" in words
    assert "the program: numpy 2.3.5 to 2.4.6" in words
    assert "2026-01-21: numpy 2.3.5 to 2.4.6; no change of speed was found there" in words  # torch's mark
    assert "confirmed: slower in the latest sittings" in words
    assert max(map(len, out.splitlines())) <= 80


def test_check_ends_with_what_it_found(vecml: Command) -> None:
    assert vecml("history", "--check")[0] == 1
    assert vecml("history", "--check", "--setting", "torch")[0] == 0
    assert vecml("history", "--check", "--setting", "torch threads=2", "--since", "2026-01-20")[0] == 3


def test_history_as_json(vecml: Command) -> None:
    code, out, _ = vecml("history", "--json", "--setting", "engine=numpy", "--architecture", "3F2A")
    content = json.loads(out)
    assert (code, content["version"], len(content["series"])) == (0, 1, 1)
    (change,) = content["series"][0]["changes"]
    assert (change["place"], change["cause"], change["libraries"]) == (UPGRADE, "program", ["numpy 2.3.5 to 2.4.6"])


def test_leaderboard(vecml: Command) -> None:
    code, out, _ = vecml("leaderboard")
    words = " ".join(out.split())
    assert code == 0
    assert "network 3f2a3f2a, 100,000 to 999,999 rows" in out
    assert "A: a processor, 2 CPUs (mmmmmmmm)" in words
    assert max(map(len, out.splitlines())) <= 80
    content = json.loads(vecml("leaderboard", "--json", "--top", "1", "--architecture", "3f2a")[1])
    (place,) = content["boards"][0]["places"]
    assert (place["rank"], place["setting"]["engine"], place["sittings"]) == (1, "torch", 4)


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (
            ("history", "--setting", "numpy speed=9"),
            "--setting numpy speed=9: 'speed=9' names no param",
            "params: engine, device, device_index, precision, layout, isa, threads, block_rows, request_rows, scope",
        ),
        (
            ("history", "--setting", " "),
            "--setting ' ': name an engine or a param",
            "for example 'numpy threads=2'",
        ),
        (
            ("history", "--setting", "halide"),
            "--setting halide: no such setting is recorded",
            "recorded: numpy, torch",
        ),
        (
            ("history", "--since", "yesterday"),
            "--since yesterday: it is no date and no number of days",
            "2026-01-31, or 30d for the last 30 days",
        ),
        (
            ("leaderboard", "--architecture", "beef"),
            "--architecture beef: no recorded setting ran such a network",
            "recorded: 3f2a3f2a",
        ),
    ],
)
def test_what_is_not_there(vecml: Command, arguments: tuple[str, ...], said: str, hint: str) -> None:
    code, _, err = vecml(*arguments)
    assert code == 2
    told = err.splitlines()
    assert told[0] == f"error: {said}"
    assert told[1] == f"hint: {hint}"


def test_a_store_without_comparisons(vecml: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    code, _, err = vecml("history")
    assert code == 2
    assert err.startswith(f"error: nothing is recorded: {tmp_path / 'mlruns'} holds no runs")
    open_store()
    assert vecml("history")[:2] == (0, "No series: vecml compare records the sittings that one is made of.\n")
    assert vecml("history", "--check")[0] == 3
    assert vecml("leaderboard")[1] == ("Nothing to rank: vecml compare records what a leaderboard is made of.\n")
