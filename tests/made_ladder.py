"""A ladder made by hand: every block of a rung takes the same time, but for a tremor that gives the tests a spread."""

from collections.abc import Mapping

from vecml.comparison.comparison import Load
from vecml.comparison.gate import faults
from vecml.config import Setting
from vecml.lab.ladder import NULL, Ladder
from vecml.lab.rungs import Rung
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured, Plan
from vecml.measure.verdict import Rules

LAUNCHES, ROUNDS = 5, 6
RIGHT = {
    "rows": 10,
    "wrong": 0,
    "flips": 0,
    "only_label": None,
    "expected_labels": 2,
    "logit_error": 0.1,
    "cached": False,
}
LIMITS = {"gemm": ("float32", 1e9), "copy": ("float32", 1e9)}


def rung(name: str, engine: str, rows: int, precision: str = "float32", threads: int = 1) -> Rung:
    layout = "columns" if engine == "halide" else "rows"
    setting = Setting(engine, precision=precision, layout=layout, threads=threads)  # type: ignore[arg-type]
    return Rung(name, f"by {engine}", setting, "rows", rows)


RUNGS = (
    rung("row loop", "row_loop", 100, "float64"),
    rung("whole-array BLAS", "whole_array", 1_000, "float64"),
    rung("blocks", "numpy", 1_000),
    rung("fused", "halide", 1_000, threads=2),
)
SECONDS = {"row loop": 0.1, "whole-array BLAS": 0.01, "blocks": 0.01, "fused": 0.0005}


def arm(name: str, role: str, seconds: float, facts: Mapping[str, object], phase: int) -> ArmMeasurement:
    count = LAUNCHES * ROUNDS
    tremor = [1 + 0.001 * ((7 * index + 3 * phase) % 11 - 5) for index in range(count)]
    blocks = Blocks(
        launch=tuple(index // ROUNDS for index in range(count)),
        round=tuple(index % ROUNDS for index in range(count)),
        position=(phase,) * count,
        calls=(1,) * count,
        seconds=tuple(seconds * each for each in tremor),
        cpu_seconds=(None,) * count,
        switches=(None,) * count,
        answer=(1,) * count,
        idle=(True,) * count,
    )
    launches = tuple(ArmLaunch(launch, 0.005, 0.1, 2, 0.2, 1 << 20, facts) for launch in range(LAUNCHES))
    return ArmMeasurement(name, role, 2 if role == "limit" else 1, 0, blocks, launches)  # type: ignore[arg-type]


def made_ladder(facts: Mapping[str, Mapping[str, object]] | None = None) -> Ladder:
    """The rungs of `RUNGS` with the times of `SECONDS`; `facts`: by rung, what its workers told otherwise."""
    told = facts or {}
    arms = [arm(NULL, "null", SECONDS["row loop"], RIGHT, 9)]
    for place, one in enumerate(RUNGS):
        own = {**RIGHT, "precision_used": one.setting.precision, **told.get(one.name, {})}
        arms.append(arm(one.name, "arm" if place else "baseline", SECONDS[one.name], own, place))
    for place, (kernel, (precision, rate)) in enumerate(LIMITS.items()):
        own = {"kernel": kernel, "precision": precision, "threads": 2, "work_per_call": rate * 0.01}
        arms.append(arm(f"limit: {kernel}", "limit", 0.01, own, place))
    measured = Measured(Plan(), tuple(arms), LAUNCHES)
    settings = {one.name: one.setting for one in RUNGS}
    return Ladder(
        created="2026-01-02T03:04:05+00:00",
        vecml="1.0",
        data_source="synthetic",
        model_digest="d" * 16,
        run_id=None,
        widths=(10, 32, 2),
        n_rows=1_000,
        rungs=RUNGS,
        skipped={"GPU": "there is no CUDA device that torch sees"},
        environment={"cpu_model": "a processor", "usable_cpus": 2},
        load_before=Load(0.5, 0.1),
        load_after=Load(None, None),
        rules=Rules(),
        measured=measured,
        faults=faults(measured, settings, ("0", "1")),
    )
