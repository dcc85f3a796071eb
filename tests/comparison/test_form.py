"""Every field of Prefect's form for a comparison counts: another value gives another job, setting, plan or run."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import flows.compare
from tests.made_comparison import comparison_of
from vecml.comparison import session, settings
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.subject import RecordedRun
from vecml.config import PipelineConfig, TrainingConfig
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.errors import VecmlError
from vecml.model.store import Classifier
from vecml.model.train import train

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")

BASE: dict[str, Any] = {"rows": 50}
TRAINED: dict[str, Any] = {"rows": 200, "epochs": 1}
OF_A_TABLE: dict[str, Any] = {"data": "table.csv", "target": "y", "epochs": 1}
OF_RARE: dict[str, Any] = {**OF_A_TABLE, "target": "rare"}
CHANGES: dict[str, Any] = {
    "engines": ("numpy", "torch", "row_loop"),
    "threads": (1,),
    "precision": ("float64",),
    "layout": ("rows",),
    "isa": ("avx2",),
    "block_rows": (512,),
    "device": ("cuda",),
    "request_rows": (8,),
    "baseline": "torch",
    "rows": 60,
    "run": "a run",
    "budget": "80s",
    "name": "a name",
    "fail_on_regression": True,
}
SUBJECT_CHANGES: dict[str, tuple[dict[str, Any], Any]] = {
    "data": ({}, "sklearn:iris"),
    "target": (OF_A_TABLE, "z"),
    "drop": (OF_A_TABLE, ("a",)),
    "keep": (OF_A_TABLE, ("b", "colour")),
    "max_categories": (OF_A_TABLE, 2),
    "categorical": (OF_A_TABLE, ("z",)),
    "missing": (OF_A_TABLE, ("r",)),
    "bins": ({**OF_A_TABLE, "target": "a", "bins": 3}, 4),
    "min_class_rows": ({**OF_RARE, "min_class_rows": 3}, 4),
    "rare_classes": ({**OF_RARE, "min_class_rows": 4}, "merge"),
    "separator": (OF_A_TABLE, ";"),
    "encoding": (OF_A_TABLE, "utf-16"),
    "no_header": (OF_A_TABLE, True),
    "strict": (OF_A_TABLE, True),
    "rows": (TRAINED, 300),
    "features": (TRAINED, 4),
    "test_fraction": (TRAINED, 0.5),
    "sample": (TRAINED, 50),
    "seed": (TRAINED, 1),
    "hidden": (TRAINED, (4,)),
    "activation": (TRAINED, "tanh"),
    "architecture": (TRAINED, "examples.own_model:Normalised"),
    "weights": (TRAINED, "weights.safetensors"),
    "epochs": (TRAINED, 2),
    "batch_size": (TRAINED, 16),
    "learning_rate": (TRAINED, 0.5),
    "weight_decay": (TRAINED, 0.5),
    "max_steps": ({**OF_A_TABLE, "epochs": "auto", "max_steps": 20}, 3),
    "max_seconds": ({**OF_A_TABLE, "epochs": "auto", "max_steps": 50}, 1e-9),
    "class_weight": (OF_RARE, "balanced"),
}
# A database, many trainings, dates that fit both ways, and what gives the same wherever the table lies.
UNTRIED = {"query", "tune", "day_first", "on_disk"}
# What the table does not bear out.
REFUSED = {"separator", "encoding", "no_header", "strict"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the flow works in, with a table and with weights of a network of its own."""
    rng = np.random.default_rng(0)
    lines = [
        f"{rng.normal()},{rng.normal()},{'rgb'[one % 3]},{one % 2},{one // 100},{('ut' if one < 6 else 'vw')[one % 2]}"
        for one in range(200)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,colour,y,z,rare", *lines]) + "\n")
    shapes = {"0.weight": (32, 10), "0.bias": (32,), "2.weight": (2, 32), "2.bias": (2,)}
    save_file(
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
        tmp_path / "weights.safetensors",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))


def recorded(run_id: str, architecture: str | None) -> RecordedRun:
    config = PipelineConfig(rows=400, epochs=1, seed=9)
    table = load_table(config)
    split = split_table(table, config.test_fraction, config.seed)
    model = train(split, config).model
    return RecordedRun(
        f"{run_id} {architecture}", "a", Classifier(model, split.encoding), config, table.digest, model.digest
    )


def outcome(config: ComparisonConfig) -> dict[str, Any]:
    """What the flow does with the form's values, without workers, a server or a store."""
    found: dict[str, Any] = {"confirmed": False}

    class Tracking(session.Untracked):
        run = SimpleNamespace(run_id="tonight")
        read_run = staticmethod(recorded)

        def __init__(self, flow_run_id: str | None) -> None:
            pass

        @contextlib.contextmanager
        def open(self, name: str | None, file: Any) -> Iterator["Tracking"]:
            found["name"] = name
            yield self

    def compare_settings(job: Any, chosen: Any, budget: Any, **_: Any) -> Comparison:
        truth = None if job.truth_N is None else job.truth_N.tobytes()
        found["job"] = (job.model.digest, job.x_FN.tobytes(), truth, job.data_digest, job.run_id)
        found["settings"] = tuple(chosen.settings.items())
        found["plan"] = (budget.text, dataclasses.replace(budget, began=None))
        return comparison_of({"numpy": 0.01, "torch": 0.02})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows.compare, "ComparisonTracking", Tracking)
        patch.setattr(flows.compare, "as_task", lambda _name, function: function)
        patch.setattr(flows.compare, "stop_when_cancelled", contextlib.nullcontext)
        patch.setattr(flows.compare, "publish_comparison", lambda *_: None)
        patch.setattr(flows.compare, "confirm", lambda *_: found.update(confirmed=True))
        patch.setattr(session, "compare_settings", compare_settings)
        patch.setattr(settings, "check", lambda *_: None)  # what this machine has does not matter here
        patch.setattr(settings, "tune", lambda chosen, *_: chosen)
        patch.setattr(settings, "usable_cpus", lambda: 3)
        try:
            flows.compare.compare_flow.fn(config)
        except VecmlError as error:  # refused for what the field says
            found["error"] = error.message
    return found


def test_every_field_is_changed_here() -> None:
    assert set(CHANGES) == set(ComparisonConfig.model_fields) - {"subject"}
    assert set(SUBJECT_CHANGES) == set(TrainingConfig.model_fields) - UNTRIED


@pytest.mark.parametrize("given", [TRAINED, OF_A_TABLE])
def test_what_is_not_changed_gives_the_same(given: dict[str, Any]) -> None:
    config = ComparisonConfig(**BASE, subject=TrainingConfig(**given))
    assert outcome(config) == outcome(config)


@pytest.mark.parametrize("field", CHANGES)
def test_a_field_of_the_form_counts(field: str) -> None:
    subject = TrainingConfig() if field == "run" else TrainingConfig(**TRAINED)
    changed = outcome(ComparisonConfig(**{**BASE, field: CHANGES[field]}, subject=subject))
    assert "error" not in changed
    assert changed != outcome(ComparisonConfig(**BASE, subject=subject))


@pytest.mark.parametrize("field", SUBJECT_CHANGES)
def test_a_field_of_the_subject_counts(field: str) -> None:
    given, value = SUBJECT_CHANGES[field]
    unchanged = outcome(ComparisonConfig(**BASE, subject=TrainingConfig(**given)))
    changed = outcome(ComparisonConfig(**BASE, subject=TrainingConfig(**{**given, field: value})))
    assert "error" not in unchanged
    assert ("error" in changed) == (field in REFUSED)
    assert changed != unchanged
