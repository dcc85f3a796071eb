"""Made-up series of sittings whose changes of level are known, for `make bench-history`.

Noise, outliers and seeds are not those by which the thresholds were chosen (tests/history/calibration.py).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Generator = np.random.Generator

SITTINGS = 60
SD = 0.03  # of a clean sitting, relative
FIRST_SEED = 70_000
RATE = 1e6
SLOWER = math.log(0.92)  # the rate falls by 8 %
OUTLIERS = 0.10


@dataclass(frozen=True)
class Case:
    """A series and what is true of it.

    Attributes:
        kind: the row of the table that it belongs to.
        value_N: rates, positive float64.
        places: index of the first sitting of each new level; empty where the level stays.
        annotations: what each of several people marked, for a recorded series; empty for a made-up one.
    """

    kind: str
    value_N: Floats
    places: tuple[int, ...] = ()
    annotations: tuple[tuple[int, ...], ...] = ()


def made_cases(count: int) -> list[Case]:
    """Draw `count` series of each kind in `KINDS`."""
    cases = []
    for number, (kind, make) in enumerate(KINDS.items()):
        for index in range(count):
            random = np.random.default_rng([FIRST_SEED + number, index])
            log_N, places = make(random)
            cases.append(Case(kind, RATE * np.exp(log_N), places))
    return cases


def _noise(random: Generator) -> Floats:
    return random.normal(0, SD, SITTINGS)


def _outliers(random: Generator) -> Floats:
    """One sitting in ten is off: nine of ten of these slow by 10 to 150 %, one fast by 5 to 10 %."""
    slow_N = -np.log1p(np.minimum(0.10 + random.exponential(0.35, SITTINGS), 1.5))
    size_N = np.where(random.random(SITTINGS) < 0.1, random.uniform(0.05, 0.10, SITTINGS), slow_N)
    return np.where(random.random(SITTINGS) < OUTLIERS, size_N, 0.0)


def _step(random: Generator, size: float = SLOWER) -> tuple[Floats, tuple[int, ...]]:
    place = int(random.integers(20, 41))
    level_N = np.where(np.arange(SITTINGS) >= place, size, 0.0)
    return level_N, (place,)


def _noisy_step(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    level_N, places = _step(random)
    return level_N + _noise(random) + _outliers(random), places


def _clean_step(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    level_N, places = _step(random)
    return level_N + _noise(random), places


def _faster(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    level_N, places = _step(random, -SLOWER)
    return level_N + _noise(random) + _outliers(random), places


def _small_step(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    level_N, places = _step(random, math.log(0.95))
    return level_N + _noise(random) + _outliers(random), places


def _heavy_step(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """Student's t with 3 degrees of freedom, of the same SD."""
    level_N, places = _step(random)
    return level_N + random.standard_t(3, SITTINGS) / math.sqrt(3) * SD, places


def _two_steps(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """8 % slower for 18 to 22 sittings, and then as before."""
    first, second = int(random.integers(18, 22)), int(random.integers(39, 43))
    level_N = np.zeros(SITTINGS)
    level_N[first:second] = SLOWER
    return level_N + _noise(random) + _outliers(random), (first, second)


def _stairs(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """Slower by 8 % and again by 8 %."""
    first, second = int(random.integers(18, 22)), int(random.integers(39, 43))
    level_N = np.zeros(SITTINGS)
    level_N[first:] += SLOWER
    level_N[second:] += SLOWER
    return level_N + _noise(random) + _outliers(random), (first, second)


def _quiet(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    return _noise(random) + _outliers(random), ()


def _clean_quiet(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    return _noise(random), ()


def _drift(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """5 % from end to end and back, as a machine drifts with the season."""
    period, phase = random.uniform(40, 80), random.uniform()
    slow_N = 0.025 * np.sin(2 * math.pi * (np.arange(SITTINGS) / period + phase))
    return slow_N + _noise(random) + _outliers(random), ()


def _correlated(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """A first-order autoregression of 0.5: what disturbs today often disturbs tomorrow."""
    value_N, value = np.zeros(SITTINGS), random.normal(0, SD)
    for index in range(SITTINGS):
        value_N[index] = value
        value = 0.5 * value + random.normal(0, SD * math.sqrt(0.75))
    return value_N, ()


def _bursts(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """Twice two sittings in a row that are 20 to 60 % slow, each by its own amount: a busy neighbour."""
    log_N = _noise(random)
    for start in (int(random.integers(8, 26)), int(random.integers(32, 54))):
        log_N[start : start + 2] -= np.log1p(random.uniform(0.2, 0.6, 2))
    return log_N, ()


def _wide_quiet(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """A machine on which no sitting is like another: an SD of 12 %."""
    return 4 * _noise(random), ()


def _wide_step(random: Generator) -> tuple[Floats, tuple[int, ...]]:
    """25 % slower on that machine."""
    level_N, places = _step(random, math.log(0.75))
    return level_N + 4 * _noise(random), places


KINDS: Mapping[str, Callable[[Generator], tuple[Floats, tuple[int, ...]]]] = {
    "8 % slower, outliers": _noisy_step,
    "8 % slower, no outliers": _clean_step,
    "8 % slower, heavy tails": _heavy_step,
    "8 % faster, outliers": _faster,
    "5 % slower, outliers": _small_step,
    "8 % slower and back, outliers": _two_steps,
    "8 % slower twice, outliers": _stairs,
    "25 % slower, noise of 12 %": _wide_step,
    "quiet, outliers": _quiet,
    "quiet, no outliers": _clean_quiet,
    "quiet, a drift of 5 % and outliers": _drift,
    "quiet, autocorrelated by 0.5": _correlated,
    "quiet, two bursts of two": _bursts,
    "quiet, noise of 12 %": _wide_quiet,
}
