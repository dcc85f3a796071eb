"""The five steps on a function as one run in MLflow: figures, verdicts, the report, the patch and the whole record."""

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Metric

from tasks.tracking.run import OpenRun, as_params, as_tags, kept_on_failure, tracked_run
from vecml.device import device_name
from vecml.optimize.steps import Optimization, to_json_dict
from vecml.progress import stage
from vecml.record import TrackedRun, text
from vecml.report.optimize import as_text, note

OPTIMIZE = "optimize"  # what stands under vecml.kind
PARAMS = ("target", "inputs", "candidates", "rtol", "budget")
METRICS = (
    "optimize/call_s",
    "optimize/loop_share",
    "optimize/bound",
    "optimize/ratio",
    "optimize/ratio_low",
    "optimize/ratio_high",
    "optimize/best_call_s",
    "optimize/break_even_calls",
    "optimize/peak_rss_mb",
    "optimize/best_peak_rss_mb",
    "optimize/tried",
    "optimize/right",
)
END_TAGS = ("vecml.winner", "vecml.verdict", "vecml.launches")
NOTE = "mlflow.note.content"
LONGEST_NOTE = 8_000  # what MLflow takes of a tag


@dataclass(frozen=True)
class OptimizationWriter:
    """Writes one optimisation.

    Attributes:
        opened: its run.
    """

    opened: OpenRun

    @property
    def run(self) -> TrackedRun:
        """Where the run is."""
        return self.opened.run

    def log(self, found: Optimization) -> None:
        """Log params, metrics, tags and artifacts; on a failure the StoreError says where a copy is kept."""
        store, run_id = self.opened.store, self.run.run_id
        with (
            stage("storing the steps"),
            tempfile.TemporaryDirectory(prefix="vecml-") as scratch,
        ):
            folder = Path(scratch) / "optimize"
            folder.mkdir()
            _write(found, folder)
            with kept_on_failure(store, run_id, folder):
                values = [Metric(name, value, 0, 0) for name, value in metrics(found).items()]
                tags = {**end_tags(found), NOTE: note(found)[:LONGEST_NOTE]}
                store.client.log_batch(run_id, metrics=values, params=as_params(params(found)), tags=as_tags(tags))
                store.client.log_artifacts(run_id, str(folder))


@contextmanager
def tracked_optimization(name: str | None) -> Iterator[OptimizationWriter]:
    """A run round the block: FINISHED when it ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    with tracked_run(OPTIMIZE, name, device_name("cpu"), None) as opened:
        yield OptimizationWriter(opened)


def params(found: Optimization) -> dict[str, str]:
    """What was asked, `PARAMS`: names of files and functions, without their folders."""
    request = found.request
    values = (
        found.place.text,
        Path(request.inputs).name,
        tuple(Path(one).name for one in request.candidates) or None,
        request.rtol,
        request.budget,
    )
    return {name: text(value) for name, value in zip(PARAMS, values, strict=True)}


def metrics(found: Optimization) -> dict[str, float]:
    """`METRICS`, those that are known and finite."""
    best = None if found.best is None else found.best.gain
    base = found.base
    values: dict[str, float | None] = dict.fromkeys(METRICS)
    values |= {
        "optimize/call_s": found.observation.seconds if base is None or base.seconds is None else base.seconds,
        "optimize/loop_share": found.profile.loop_share,
        "optimize/bound": found.profile.bound,
        "optimize/peak_rss_mb": None if base is None or base.peak_bytes is None else base.peak_bytes / 1e6,
        "optimize/tried": len(found.tried),
        "optimize/right": sum(one.fault is None for one in found.tried),
    }
    if best is not None:
        values |= {
            "optimize/ratio": best.ratio,
            "optimize/ratio_low": best.low,
            "optimize/ratio_high": best.high,
            "optimize/best_call_s": best.seconds,
            "optimize/break_even_calls": best.break_even_calls,
            "optimize/best_peak_rss_mb": None if best.peak_bytes is None else best.peak_bytes / 1e6,
        }
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def end_tags(found: Optimization) -> dict[str, str]:
    """`END_TAGS`: the winner, its verdict (`none` where there is none), and how many launches were measured."""
    best = None if found.best is None else found.best.gain
    launches = 0 if found.comparison is None else found.comparison.measured.launches
    return dict(zip(END_TAGS, (text(found.winner), text(best and best.verdict), str(launches)), strict=True))


def _write(found: Optimization, folder: Path) -> None:
    (folder / "report.txt").write_text(as_text(found), encoding="utf-8")
    content = json.dumps(to_json_dict(found), indent=1, allow_nan=False)
    (folder / "optimize.json").write_text(content + "\n", encoding="utf-8")
    if found.best is not None and found.best.candidate.diff:
        (folder / "winner.patch").write_text(found.best.candidate.diff, encoding="utf-8")
    environment = {} if found.comparison is None else dict(found.comparison.environment)
    if environment:
        (folder / "environment.json").write_text(json.dumps(environment, indent=1) + "\n", encoding="utf-8")
