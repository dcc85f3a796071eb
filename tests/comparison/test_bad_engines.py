"""A comparison in real worker processes names every fault for what it is, keeps the others' results, leaves nothing."""

import os
from itertools import pairwise

import numpy as np
import psutil
import pytest

from tests.comparison.undisturbed import undisturbed
from vecml.comparison.budget import Budget
from vecml.comparison.compare import Job, compare_settings
from vecml.comparison.comparison import Comparison, families, figures
from vecml.comparison.settings import Chosen
from vecml.config import Setting
from vecml.measure.records import Plan
from vecml.measure.verdict import Verdict
from vecml.model.network import Architecture, Layer, Model
from vecml.report.comparison import reasons

# A machine that is busy is said, and does not matter here: every setting needs one CPU.
pytestmark = pytest.mark.filterwarnings("ignore:VML011", "ignore:VML012")

BAD = (
    "constant",
    "caching",
    "wrong",
    "sleeping",
    "hanging",
    "killed",
    "raising",
    "out_of_memory",
    "changing",
    "logits_off",
)
PLAN = Plan(launches=3, budget_seconds=None, rounds=6, block_seconds=0.02, warm_seconds=0.1, patience_seconds=4.0)
ROWS = 100_000


def small_model(widths: tuple[int, ...] = (10, 32, 2)) -> Model:
    random = np.random.default_rng(0)
    layers = tuple(
        Layer(
            (random.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)).astype(np.float32),
            random.standard_normal(fan_out).astype(np.float32),
        )
        for fan_in, fan_out in pairwise(widths)
    )
    shape = Architecture(widths[0], widths[1:-1], widths[-1], "relu")
    return Model(shape, layers, tuple(f"class {index}" for index in range(widths[-1])))


@pytest.fixture(scope="module")
def compared() -> Comparison:
    """All of them in one comparison, against a baseline that is right and slow; one without a fault among them."""
    setting = Setting("numpy", threads=1)
    names = ("slow", "sound", *BAD)
    settings = dict.fromkeys(names, setting)
    openers = {name: f"tests.comparison.bad_engines:open_{name}" for name in names if name != "sound"}
    x_FN = np.random.default_rng(1).standard_normal((10, ROWS), dtype=np.float32)
    made = compare_settings(Job(small_model(), x_FN), Chosen(settings, {}), Budget(PLAN, "", None, ""), openers)
    assert [
        child for child in psutil.Process(os.getpid()).children() if "vecml.measure.worker" in child.cmdline()
    ] == []
    return made


def verdict(comparison: Comparison, name: str) -> Verdict:
    (family,) = families(comparison)
    return next(one for one in family.verdicts if one.arm == name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("constant", "it gives the same answer, class 'class 1', to every row"),
        ("caching", "it answers from memory: a row was changed, and its label stayed"),
        ("killed", "its process was killed (SIGKILL), which is what the system does when memory runs out"),
        ("raising", "it raised ValueError: row 1000 has no label"),
    ],
)
def test_a_fault_is_named(compared: Comparison, name: str, reason: str) -> None:
    found = verdict(compared, name)
    assert (found.verdict, found.reason) == ("invalid", reason)


def test_one_that_hangs_is_named(compared: Comparison) -> None:
    found = verdict(compared, "hanging")
    assert found.verdict == "invalid"
    assert found.reason.startswith("it hung")
    assert found.reason.endswith(": no answer within 4 s, and it was ended")


def test_wrong_labels_are_counted(compared: Comparison) -> None:
    found = verdict(compared, "wrong")
    assert found.verdict == "invalid"
    number, _, rest = found.reason.partition(" ")
    assert rest == "of 100,000 labels are wrong: no near ties in float32"
    assert 990 <= int(number.replace(",", "")) <= 1_000


def test_labels_that_change_on_the_way(compared: Comparison) -> None:
    found = verdict(compared, "changing")
    assert found.verdict == "invalid"
    assert found.reason.startswith("its labels changed from call to call over the same rows, in ")


def test_logits_that_leave_the_tolerance(compared: Comparison) -> None:
    found = verdict(compared, "logits_off")
    assert found.verdict == "invalid"
    assert found.reason.startswith("its logits are off by ")
    assert found.reason.endswith(" times what float32 allows")


def test_memory_that_runs_out(compared: Comparison) -> None:
    found = verdict(compared, "out_of_memory")
    assert found.verdict == "invalid"
    assert found.reason.startswith("memory ran out (")


def test_one_that_sleeps_at_times_is_never_faster(compared: Comparison) -> None:
    found = verdict(compared, "sleeping")
    assert (found.while_busy or found.verdict) != "faster"
    # A busy machine's noise may hide the slow calls too; the rule itself is tested on made blocks.
    if found.reason.startswith("it has rare slow calls"):
        assert any(line.startswith("sleeping: rare slow calls: its mean call takes ") for line in reasons(compared))


def test_the_others_results_are_kept(compared: Comparison) -> None:
    quiet = undisturbed(compared)
    found = verdict(quiet, "sound")
    assert found.verdict in ("faster", "undetected"), found.reason  # undetected: by few rounds on a busy machine
    assert found.ratio is not None
    sound = next(arm for arm in figures(quiet) if arm.name == "sound")
    assert (sound.flips, sound.rows_scored, sound.failure) == (0, ROWS, None)
    assert sound.precision_used == "float32"
    assert {pool["api"] for pool in sound.facts["pools"]} >= {"blas"}
