"""`--engine auto` put to the proof: on every shape it must pick what a longer comparison of its own measures as best.

Each repetition starts with an empty cache, so that nothing is known from before; then a model of other weights asks
again, which must cost nothing.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.peers import make_model
from benchmarks.rounds import Figure, Floor
from benchmarks.shapes import THREADS, rows_of, wanted_shapes
from vecml.comparison.auto import choose_engine
from vecml.comparison.compare import Job, compare_settings, plan_comparison
from vecml.comparison.comparison import families, figures
from vecml.comparison.settings import choose, tune
from vecml.config import PipelineConfig
from vecml.engines.registry import check
from vecml.inference.setting import candidates
from vecml.measure.claim import claim_of
from vecml.model.network import Model

LONG = "3m"
SHORT = os.environ.get("BENCH_BUDGET", "90s")  # what `vecml run` gives it
MOST_ROWS = 1_000_000  # larger than every cache here, and quicker to measure often


def choosing(rounds: int) -> Iterator[Figure]:
    """For every shape: the share of `rounds` repetitions that picked the measured best or one that ties with it."""
    for widths in wanted_shapes():
        shape, model = "-".join(map(str, widths)), make_model(widths)
        n_rows = min(MOST_ROWS, rows_of(widths))
        x_FN = np.random.default_rng(1).standard_normal((widths[0], n_rows), dtype=np.float32)
        best, rates = _measured(model, x_FN)
        picked, again, reason = [], [], ""
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="vecml-choose-") as folder, _cache_in(folder):
                ways = candidates(PipelineConfig(engine="auto", device="cpu", threads=THREADS))
                choice = choose_engine(model, x_FN, ways, SHORT)
                picked.append(choice.setting.engine)
                start = time.perf_counter()
                known = choose_engine(make_model(widths, seed=7), x_FN, ways, SHORT)
                again.append(time.perf_counter() - start)
                if not known.kept and "disturbed" not in choice.reason:
                    raise SystemExit(f"{shape}: the choice was not kept: {choice.reason}")
                reason = choice.reason
        right = tuple(float(engine in best) for engine in picked)
        share = (sum(right) / len(right),) * 3
        yield Figure(
            f"{shape}: share of choices that were the best",
            share,
            Floor(1.0),
            unit="",
            detail=f"picked {', '.join(picked)}; best {' or '.join(sorted(best))}; {rates}; last: {reason}",
        )
        yield Figure(f"{shape}: choosing again, for other weights", tuple(again), Floor(1.0, at_least=False), "s")


@contextmanager
def _cache_in(folder: str) -> Iterator[None]:
    """Within the block, what is found out is kept there."""
    before = os.environ.get("VECML_CACHE")
    os.environ["VECML_CACHE"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["VECML_CACHE"]
        else:
            os.environ["VECML_CACHE"] = before


def _measured(model: Model, x_FN: np.ndarray) -> tuple[set[str], str]:
    """The engines that cannot be told from the best in a long comparison; and all rates in words."""
    ways = candidates(PipelineConfig(engine="auto", device="cpu", threads=THREADS))
    chosen = tune(choose(ways, "torch", lambda setting: check(model, setting)), model, x_FN)
    compared = compare_settings(Job(model, x_FN, data_source="benchmark"), chosen, plan_comparison(chosen, LONG))
    found = {arm.name: arm.rows_per_s or 0.0 for arm in figures(compared)}
    highest = max(found, key=lambda name: found[name])
    tied = {*claim_of(families(compared)[0]).leading, highest}
    rates = ", ".join(f"{name} {rate / 1e6:.2f}" for name, rate in sorted(found.items(), key=lambda one: -one[1]))
    return {chosen.settings[name].engine for name in tied}, f"Mrow/s: {rates}"
