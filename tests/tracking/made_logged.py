"""A comparison of three settings made by hand, and how it is logged and read back, for tests of tracking."""

import math
from typing import Any

import numpy as np
from mlflow.entities import Run

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.store import open_store
from vecml.comparison.comparison import Comparison, Load, Subject
from vecml.config import Setting
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured, Plan, Role
from vecml.measure.verdict import Rules

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


def read(run_id: str) -> Run:
    return open_store().client.get_run(run_id)


def children(run_id: str) -> dict[str, Run]:
    """The runs below a run, by name, in the order in which they were made."""
    store = open_store()
    query = f"tags.`mlflow.parentRunId` = '{run_id}'"
    found = store.client.search_runs([store.experiment.experiment_id], query, order_by=["attributes.start_time"])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def logged(comparison: Comparison, flow_run_id: str | None = None, note: str = "a note") -> tuple[Run, dict[str, Run]]:
    """The parent and the children that a comparison was logged as, read back."""
    with tracked_comparison("a name", flow_run_id) as writer:
        writer.log(comparison, note)
    return read(writer.run.run_id), children(writer.run.run_id)
