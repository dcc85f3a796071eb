"""`--block-rows auto`: a few sizes tried once for an architecture, a size of table and a machine; the choice is kept.

What an engine chooses by rule stays unless another size is clearly faster: the measurement is a short one.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecml import cache
from vecml.config import Setting
from vecml.engines.base import Loaded
from vecml.engines.blocks import choose_block_rows
from vecml.engines.registry import load_engine
from vecml.environment import describe
from vecml.model.network import AnyModel
from vecml.progress import stage

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the rule for a cache's size
ROUNDS = 7
CLEARLY = 0.95  # of the rule's time, as the median of the rounds' ratios
BLOCKS_PER_THREAD = 8
LEAST_ROWS = 8_192  # with fewer rows there are too few blocks to choose
MOST_BYTES = 64 << 20
PATIENCE_SECONDS = 1.0  # an engine that takes longer to load is not loaded five times for this

_CACHE_KIND = "block-rows"

Clock = Callable[[], float]


@dataclass(frozen=True)
class Complete:
    """A setting that leaves nothing open.

    Attributes:
        setting: a block size in it is the one that suits; None is the engine's own rule.
        first_load_seconds: how long the engine's first load took where block sizes were tried just now; None where
            nothing had to be loaded. A library's first load in a process takes longest.
    """

    setting: Setting
    first_load_seconds: float | None = None


def tuned(model: AnyModel, setting: Setting, x: NDArray[np.floating], clock: Clock = time.perf_counter) -> Setting:
    """The `setting` that `complete` gives for this `model`, the features `x` (float32 or float64) and the `clock`."""
    return complete(model, setting, x, clock).setting


def complete(model: AnyModel, setting: Setting, x: NDArray[np.floating], clock: Clock = time.perf_counter) -> Complete:
    """Complete `setting` with the fastest block size for `model` and tables of about this many rows on this machine.

    The block size stays as it is if the setting names one, the device is not the CPU, the table or request is too
    small, or no size is faster than the engine's own rule. The first call for a setting measures for up to a second.

    Args:
        model: the classifier to run.
        setting: the way to run it.
        x: features (F, N) or (N, F) as the setting's layout says, float32 or float64.
        clock: seconds.

    Raises EngineUnavailableError when the engine cannot run this model or setting here.
    """
    n_rows = x.shape[1 if setting.layout == "columns" else 0]
    request = n_rows if setting.request_rows is None else min(n_rows, setting.request_rows)
    if setting.block_rows is not None or setting.device != "cpu" or model.chain is None:
        return Complete(setting)
    if request < LEAST_ROWS or setting.engine == "row_loop":
        return Complete(setting)
    key = "-".join(
        (
            model.architecture.digest,
            setting.engine,
            setting.precision,
            setting.layout,
            setting.isa,
            f"threads{setting.threads}",
            f"{x.dtype}",
            f"rows1e{len(str(request)) - 1}",
            describe().environment_key,
        )
    )
    known = cache.read(_CACHE_KIND, key)
    if known is not None and isinstance(known.get("block_rows"), int | None):
        return Complete(dataclasses.replace(setting, block_rows=known["block_rows"]))
    with stage("trying block sizes"):
        chosen, first_load_seconds = _measured(model, setting, x, request, clock)
    cache.write(_CACHE_KIND, key, {"block_rows": chosen})
    return Complete(dataclasses.replace(setting, block_rows=chosen), first_load_seconds)


def choose(seconds: Sequence[Sequence[float]]) -> int | None:
    """The column of `seconds` (rounds by ways, the rule's first) that is clearly faster than the rule; None: none is.

    Of those that are, the one with the least median ratio to the rule within a round.
    """
    ratios = [
        statistics.median(way / rule for way, rule in zip(column, (row[0] for row in seconds), strict=True))
        for column in zip(*(row[1:] for row in seconds), strict=True)
    ]
    best = min(range(len(ratios)), key=ratios.__getitem__, default=None)
    return best + 1 if best is not None and ratios[best] < CLEARLY else None


def _measured(
    model: AnyModel, setting: Setting, x: NDArray[np.floating], request: int, clock: Clock
) -> tuple[int | None, float]:
    """The best block size, or None for the engine's own rule; and the seconds of the engine's first load."""
    rule = choose_block_rows(model.architecture, np.dtype(_storage(setting.precision)).itemsize)
    rows = min(request, max(LEAST_ROWS, BLOCKS_PER_THREAD * setting.threads * rule))
    rows = max(LEAST_ROWS, min(rows, MOST_BYTES // (x.itemsize * model.architecture.n_features)))
    sizes = [int(rule * factor) for factor in FACTORS if 256 <= rule * factor <= rows // (2 * setting.threads)]
    part = x[:, :rows] if setting.layout == "columns" else x[:rows]
    label_N = np.empty(part.shape[1 if setting.layout == "columns" else 0], np.int64)
    loaded: list[Loaded] = []
    first_load_seconds = 0.0
    try:
        for size in (None, *sizes):
            begun = clock()
            loaded.append(load_engine(model, dataclasses.replace(setting, block_rows=size)))
            seconds = clock() - begun
            first_load_seconds = first_load_seconds if len(loaded) > 1 else seconds
            if seconds > PATIENCE_SECONDS:
                return None, first_load_seconds
            loaded[-1].labels(part, label_N)
        rounds = [[_timed(engine, part, label_N, clock) for engine in loaded] for _ in range(ROUNDS)]
    finally:
        for engine in loaded:
            engine.close()
    best = choose(rounds)
    return (None if best is None else sizes[best - 1]), first_load_seconds


def _timed(engine: Loaded, x: NDArray[np.floating], label_N: NDArray[np.int64], clock: Clock) -> float:
    begun = clock()
    engine.labels(x, label_N)
    engine.synchronize()
    return clock() - begun


def _storage(precision: str) -> str:
    return {"float64": "float64", "float32": "float32", "tf32": "float32"}.get(precision, "float16")
