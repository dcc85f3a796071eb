"""The five steps on a function as one run in MLflow: figures, verdicts, the report, the patch and the whole record."""

import json
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tasks.tracking.run import Logged, ResultWriter, tracked_result
from vecml import keys
from vecml.optimize.steps import Optimization, to_json_dict
from vecml.progress import stage
from vecml.report.optimize import as_text, note


@dataclass(frozen=True)
class OptimizationWriter(ResultWriter):
    """Writes one optimisation."""

    def log(self, found: Optimization) -> None:
        """Log params, metrics, tags and files.

        Everything is on the disk before any of it is logged: when that fails, the StoreError says where it is kept.
        """
        with stage("storing the steps"):
            self.log_at_once(Logged(files(found), params(found), metrics(found), end_tags(found), note(found)))


def tracked_optimization(name: str | None) -> AbstractContextManager[OptimizationWriter]:
    """An optimisation's run round the block: FINISHED when it ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    return tracked_result(keys.OPTIMIZE, name, OptimizationWriter)


def files(found: Optimization) -> dict[str, str]:
    """The artifacts by name: the report, the record, and where there are any the winner's patch and the environment."""
    content = json.dumps(to_json_dict(found), indent=1, allow_nan=False)
    made = {"report.txt": as_text(found), "optimize.json": content + "\n"}
    if found.best is not None and found.best.candidate.diff:
        made["winner.patch"] = found.best.candidate.diff
    environment = {} if found.comparison is None else dict(found.comparison.environment)
    if environment:
        made["environment.json"] = json.dumps(environment, indent=1) + "\n"
    return made


def params(found: Optimization) -> dict[str, str]:
    """`OPTIMIZE_PARAMS` of `vecml.keys`, what was asked: names of files and functions, without their folders."""
    request = found.request
    values = (
        found.place.text,
        Path(request.inputs).name,
        tuple(Path(one).name for one in request.candidates) or None,
        request.rtol,
        request.budget,
    )
    return {name: keys.text(value) for name, value in zip(keys.OPTIMIZE_PARAMS, values, strict=True)}


def metrics(found: Optimization) -> dict[str, float]:
    """`OPTIMIZE_METRICS` of `vecml.keys`, those that are known and finite."""
    best = None if found.best is None else found.best.gain
    base = found.base
    values = (
        found.observation.seconds if base is None or base.seconds is None else base.seconds,
        found.profile.loop_share,
        found.profile.bound,
        None if base is None or base.peak_bytes is None else base.peak_bytes / 1e6,
        len(found.tried),
        sum(one.fault is None for one in found.tried),
        None if best is None else best.ratio,
        None if best is None else best.low,
        None if best is None else best.high,
        None if best is None else best.seconds,
        None if best is None else best.break_even_calls,
        None if best is None or best.peak_bytes is None else best.peak_bytes / 1e6,
    )
    known = zip(keys.OPTIMIZE_METRICS, values, strict=True)
    return {name: float(value) for name, value in known if value is not None and math.isfinite(value)}


def end_tags(found: Optimization) -> dict[str, str]:
    """`OPTIMIZE_END_TAGS` of `vecml.keys`: the winner and its verdict (`none` without one), and the launches."""
    best = None if found.best is None else found.best.gain
    launches = 0 if found.comparison is None else found.comparison.measured.launches
    values = (found.winner, None if best is None else best.verdict, launches)
    return {name: keys.text(value) for name, value in zip(keys.OPTIMIZE_END_TAGS, values, strict=True)}
