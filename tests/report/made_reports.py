"""Comparisons of every kind that a report has to show, made by hand from `tests.made_comparison`."""

import base64
import dataclasses
import gzip
import math
import re
from random import Random
from typing import Any

from tests.made_comparison import FACTS, LAUNCHES, comparison_of
from vecml.comparison.comparison import Comparison, Subject
from vecml.config import Setting
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured, Role, Window

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "\"quotes\" 'and' `ticks` onload=alert(2)",
    "{{7*7}} {% raw %} ${7*7} <%= 7*7 %>",
    "שלום \u202egnp.exe مرحبا",
    "🦜 naïve 雪 \u0000\u001b[31m",
    "x" * 400,
    "</style></title></textarea><svg onload=alert(3)>]]>-->",
)


PREFIX = "data:application/gzip;base64,"


def record_in(page: str) -> bytes:
    """The JSON document that a page offers for download."""
    (packed,) = re.findall(f"{PREFIX}([A-Za-z0-9+/=]+)", page)
    return gzip.decompress(base64.b64decode(packed))


def usual() -> Comparison:
    """Five settings: faster, slower, alike, and one with wrong labels; some of what a real machine does."""
    found = comparison_of(
        {
            "numpy threads=1": 0.0100,
            "torch threads=2": 0.0041,
            "openvino threads=2": 0.0042,
            "onnxruntime threads=1": 0.0101,
            "row_loop threads=1": 0.0900,
        },
        faults={"openvino threads=2": "12 of 1,000 labels are wrong: no near ties in float32"},
    )
    disturbed = Window(2, 0, 1, 2, 1.5, 0.4, None, 0.01, 2)
    return dataclasses.replace(
        found,
        skipped={"halide threads=1": "halide is not installed: pip install vecml[halide]"},
        measured=dataclasses.replace(found.measured, windows=(*found.measured.windows, disturbed)),
    )


def quick() -> Comparison:
    """One launch: figures and no verdicts."""
    found = comparison_of({"numpy": 0.02, "torch": 0.01})
    arms = tuple(_first_launch(arm) for arm in found.measured.arms)
    plan = dataclasses.replace(found.measured.plan, launches=1)
    measured = Measured(plan, arms, 1, found.measured.windows[:1], (), 6.0)
    return dataclasses.replace(found, budget="quick", measured=measured)


def functions() -> Comparison:
    """Two functions: no settings, no labels, no limits."""
    found = comparison_of({"plain": 0.02, "vectorized": 0.01})
    arms = tuple(
        dataclasses.replace(arm, launches=tuple(dataclasses.replace(launch, facts={}) for launch in arm.launches))
        for arm in found.measured.arms
        if arm.role != "limit"
    )
    return dataclasses.replace(
        found,
        subject=Subject("functions", 10_000),
        settings={},
        measured=dataclasses.replace(found.measured, arms=arms),
    )


def latency() -> Comparison:
    """Two engines at two sizes of request, with a histogram of single calls."""
    settings, arms = {}, []
    for group, rows in enumerate((1, 32)):
        for place, (engine, seconds) in enumerate((("numpy", 40e-6), ("torch", 15e-6))):
            name = f"{engine} request_rows={rows}"
            settings[name] = Setting(engine, threads=1, request_rows=rows)
            took = seconds * (1 + rows / 64)
            histogram = _histogram(took, seed=group * 2 + place)
            role: Role = "arm" if place else "baseline"
            arms.append(made_arm(name, role, took, group=group, latency=histogram))
            if not place:
                arms.append(made_arm(f"{name} (null arm)", "null", took, group=group, latency=histogram))
    found = comparison_of({"numpy": 0.02, "torch": 0.01})
    measured = dataclasses.replace(found.measured, arms=tuple(arms))
    return dataclasses.replace(found, settings=settings, simplest=tuple(settings), measured=measured)


def hostile() -> Comparison:
    """Names from the user's data that try everything."""
    times = {name: 0.01 * (1 + place) for place, name in enumerate(HOSTILE)}
    found = comparison_of(times, faults={HOSTILE[1]: HOSTILE[0]}, pools=[{"library": HOSTILE[0], "threads": 3}])
    settings = {name: Setting("numpy", threads=2) for name in times}
    return dataclasses.replace(
        found,
        settings=settings,
        skipped={HOSTILE[2]: HOSTILE[6]},
        subject=dataclasses.replace(found.subject, data_source=HOSTILE[0]),
        environment={"cpu_model": HOSTILE[0], "usable_cpus": 2, HOSTILE[6]: HOSTILE[1], "gpus": [HOSTILE[3]]},
        budget=HOSTILE[2],
    )


def many(number: int = 50, rounds: int = 40) -> Comparison:
    """So many settings in groups of seven arms, each with the baseline and its copy, and as many rounds as can be."""
    names = [f"{engine} threads={threads}" for engine in ENGINES for threads in range(1, 2 + number // len(ENGINES))]
    names = names[:number]
    random = Random(7)
    times = {name: 0.002 * math.exp(random.gauss(0, 0.8)) for name in names}
    baseline, *others = names
    arms: list[ArmMeasurement] = []
    parts = -(-len(others) // 5)
    for group in range(parts):
        arms.append(made_arm(baseline, "baseline", times[baseline], group, rounds, right=970))
        arms.append(made_arm(f"{baseline} (null arm)", "null", times[baseline], group, rounds))
        for name in others[group::parts]:
            arms.append(made_arm(name, "arm", times[name], group, rounds, right=random.choice((970, 970, 969, 968))))
    found = comparison_of({"numpy": 0.02, "torch": 0.01})
    limits = tuple(arm for arm in found.measured.arms if arm.role == "limit")
    return dataclasses.replace(
        found,
        settings={name: Setting(name.partition(" ")[0], threads=2) for name in names},
        simplest=tuple(names),
        measured=dataclasses.replace(found.measured, arms=(*arms, *limits)),
    )


ENGINES = ("numpy", "torch", "torch_compile", "onnxruntime", "openvino", "halide", "row_loop")


def made_arm(
    name: str, role: Role, seconds: float, group: int = 0, rounds: int = 6, launches: int = LAUNCHES, **facts: Any
) -> ArmMeasurement:
    """An arm of known blocks: 2 % of spread, another 1 % between launches."""
    random = Random(f"{name} {group} {role}")
    luck = [random.gauss(0, 0.01) for _ in range(launches)]
    places = [(launch, number) for launch in range(launches) for number in range(rounds)]
    took = [seconds * math.exp(luck[launch] + random.gauss(0, 0.02)) for launch, _ in places]
    blocks = Blocks(
        launch=tuple(launch for launch, _ in places),
        round=tuple(number for _, number in places),
        position=(0,) * len(places),
        calls=(7,) * len(places),
        seconds=tuple(7 * value for value in took),
        cpu_seconds=tuple(7 * value for value in took),
        switches=tuple(random.randrange(4) for _ in places),
        answer=(7,) * len(places),
        idle=(True,) * len(places),
    )
    told = {**FACTS, **facts}
    kept = tuple(ArmLaunch(launch, 0.003, 0.25, 100, 1.0, 200_000_000, told) for launch in range(launches))
    return ArmMeasurement(name, role, 2, group, blocks, kept)


def _histogram(seconds: float, seed: int) -> dict[str, int]:
    random = Random(seed)
    counts: dict[str, int] = {}
    for _ in range(6_000):
        value = seconds * math.exp(abs(random.gauss(0, 0.15)) + (1.2 if random.random() < 0.03 else 0))
        bucket = str(math.floor(math.log2(value * 1e9) * 64))
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def _first_launch(arm: ArmMeasurement) -> ArmMeasurement:
    kept = [place for place, launch in enumerate(arm.blocks.launch) if launch == 0]
    columns = {name: tuple(getattr(arm.blocks, name)[place] for place in kept) for name in Blocks.__dataclass_fields__}
    return dataclasses.replace(arm, blocks=Blocks(**columns), launches=arm.launches[:1])
