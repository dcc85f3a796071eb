"""A ladder, a lab or an optimisation in MLflow: one run with the params, metrics, tags and files of its result."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.tracking.run import RunContent
from vecml import keys
from vecml.lab.experiment import Outcome
from vecml.lab.ladder import Ladder, best, claim, figures, gain
from vecml.lab.ladder import to_json_dict as ladder_json
from vecml.optimize.patch import encoded
from vecml.optimize.steps import Optimization
from vecml.optimize.steps import to_json_dict as optimization_json
from vecml.report import lab as lab_report
from vecml.report import optimize as optimize_report
from vecml.report.chart_profile import profile_png


def lab_content(outcomes: Sequence[Outcome], pictures: Mapping[str, bytes], page: str, *, quick: bool) -> RunContent:
    """Prepare a lab for its run: figures of each experiment, the `pictures` (PNG by name), and the HTML `page`."""
    files: dict[str, str | bytes] = {
        "lab.json": json.dumps(lab_report.to_json_dict(outcomes)) + "\n",
        "lab.html": page,
        **{f"pictures/{name}.png": content for name, content in pictures.items()},
    }
    return RunContent(files, lab_params(outcomes, quick=quick), lab_metrics(outcomes), {}, lab_note(outcomes))


def ladder_content(ladder: Ladder, note: str, picture: bytes | None) -> RunContent:
    """Prepare a ladder for its run; `note` is the run's description in Markdown, `picture` the content of a PNG."""
    files: dict[str, str | bytes] = {
        "ladder.json": json.dumps(ladder_json(ladder)) + "\n",
        "environment.json": json.dumps(dict(ladder.environment), indent=1) + "\n",
    }
    if picture is not None:
        files["pictures/ladder.png"] = picture
    return RunContent(files, ladder_params(ladder), ladder_metrics(ladder), ladder_end_tags(ladder), note)


def optimization_content(found: Optimization) -> RunContent:
    """Prepare an optimisation for its run, with its report, and with the winner's patch where there is one."""
    params, metrics, tags = optimization_params(found), optimization_metrics(found), optimization_end_tags(found)
    return RunContent(optimization_files(found), params, metrics, tags, optimize_report.note(found))


def lab_params(outcomes: Sequence[Outcome], *, quick: bool) -> dict[str, str]:
    """Give the values of `LAB_PARAMS` of `vecml.keys`."""
    values = (tuple(outcome.name for outcome in outcomes), quick)
    return {name: keys.text(value) for name, value in zip(keys.LAB_PARAMS, values, strict=True)}


def lab_metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Give each experiment's `LAB_METRICS` of `vecml.keys`: the best valid ratio, and numbers of cells by verdict."""
    values: dict[str, float | None] = {}
    for outcome in outcomes:
        words = [cell.word for cell in outcome.cells]
        valid = [
            cell.ratio for cell in outcome.cells if cell.ratio is not None and cell.failure is None and not cell.plain
        ]
        own = (max(valid, default=None), len(words), words.count("faster"), words.count("invalid"))
        values |= dict(zip(keys.lab_metrics(outcome.name), own, strict=True))
    return {name: float(value) for name, value in values.items() if value is not None}


def lab_note(outcomes: Sequence[Outcome]) -> str:
    """Write the run's description, in Markdown: the sentences of all experiments."""
    parts = [f"### {outcome.title}\n\n{' '.join(outcome.sentences)}\n" for outcome in outcomes if outcome.sentences]
    return "\n".join(parts)


def ladder_params(ladder: Ladder) -> dict[str, str]:
    """Give the values of `LADDER_PARAMS` of `vecml.keys`."""
    values = (
        *(ladder.data_source, ladder.n_rows, ladder.widths[0], ladder.widths[-1]),
        "-".join(map(str, ladder.widths)),
        tuple(rung.name for rung in ladder.rungs),
    )
    return {name: keys.text(value) for name, value in zip(keys.LADDER_PARAMS, values, strict=True)}


def ladder_metrics(ladder: Ladder) -> dict[str, float]:
    """Give the known values of `BEST_RUNG_METRICS` and of each rung's `RUNG_METRICS` of `vecml.keys`."""
    found, said = figures(ladder), claim(ladder)
    top = best(found, said)
    of_best: tuple[float | None, ...] = (
        gain(found, said),
        None if top is None else top.rows_per_s,
        None if top is None else top.fraction_of_limit,
        None if top is None else top.flips,
    )
    values = dict(zip(keys.BEST_RUNG_METRICS, of_best, strict=True))
    for rung in found:
        before, first = rung.before, rung.first
        own = (
            rung.rows_per_s,
            None if before is None else before.ratio,
            None if before is None else before.ratio_low,
            None if before is None else before.ratio_high,
            None if first is None else first.ratio,
            rung.flips,
            rung.memory_bytes,
            rung.fraction_of_limit,
        )
        values |= dict(zip(keys.rung_metrics(rung.name), own, strict=True))
    return {name: float(value) for name, value in values.items() if value is not None}


def ladder_end_tags(ladder: Ladder) -> dict[str, str]:
    """Give the values of `LADDER_END_TAGS` of `vecml.keys`."""
    found = figures(ladder)
    top = best(found, claim(ladder))
    idle = tuple(rung.name for rung in found if rung.stopped_paying)
    values = (ladder.measured.launches, ladder.model_digest, None if top is None else top.name, idle or None)
    return {name: keys.text(value) for name, value in zip(keys.LADDER_END_TAGS, values, strict=True)}


def optimization_files(found: Optimization) -> dict[str, str | bytes]:
    """Make the artifacts by name: report and record; the winner's patch and the environment if there are any."""
    content = json.dumps(optimization_json(found), indent=1, allow_nan=False)
    files: dict[str, str | bytes] = {"report.txt": optimize_report.as_text(found), "optimize.json": content + "\n"}
    if (picture := profile_png(found.profile, found.place.name)) is not None:
        files["pictures/profile.png"] = picture
    if found.best is not None and found.best.candidate.diff:
        files["winner.patch"] = encoded(found.best.candidate.diff, found.best.candidate.encoding)
    environment = {} if found.comparison is None else dict(found.comparison.environment)
    if environment:
        files["environment.json"] = json.dumps(environment, indent=1) + "\n"
    return files


def optimization_params(found: Optimization) -> dict[str, str]:
    """Give the values of `OPTIMIZE_PARAMS` of `vecml.keys`; files are named without their folders."""
    request = found.request
    values = (
        found.place.text,
        Path(request.inputs).name if request.recorded_from is None else request.recorded_from.text,
        tuple(Path(one).name for one in request.candidates) or None,
        request.rtol,
        request.budget,
        request.limit_seconds,
        request.at_errors,
    )
    return {name: keys.text(value) for name, value in zip(keys.OPTIMIZE_PARAMS, values, strict=True)}


def optimization_metrics(found: Optimization) -> dict[str, float]:
    """Give the known and finite values of `OPTIMIZE_METRICS` of `vecml.keys`."""
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


def optimization_end_tags(found: Optimization) -> dict[str, str]:
    """Give the values of `OPTIMIZE_END_TAGS` of `vecml.keys`: winner, its verdict (`none` without one), launches."""
    best = None if found.best is None else found.best.gain
    launches = 0 if found.comparison is None else found.comparison.measured.launches
    values = (found.winner, None if best is None else best.verdict, launches)
    return {name: keys.text(value) for name, value in zip(keys.OPTIMIZE_END_TAGS, values, strict=True)}
