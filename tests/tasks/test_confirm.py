"""The nightly's check over a real store: a slowdown is measured again before it alarms; a slow machine is none."""

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tasks import history
from tasks.history import confirm
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.location import locate
from tests.made_comparison import comparison_of
from vecml.comparison import session
from vecml.comparison.compare import Job
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.settings import Chosen
from vecml.comparison.unfinished import unfinished
from vecml.config import Setting
from vecml.errors import RegressionError
from vecml.history.series import Point, Series
from vecml.history.watch import Alarm, watch
from vecml.model.network import Architecture, Layer, Model
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore:VML015")  # the copies say that they are some

NIGHTS = 12
CONFIG = ComparisonConfig(fail_on_regression=True)
CHOSEN = Chosen({name: Setting(name, threads=2) for name in ("numpy", "torch")}, {})


@pytest.fixture(scope="module")
def quiet_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of nights on which nothing happened; each test works on a copy."""
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(folder))
        for seed in range(NIGHTS):
            night(made(seed))
    return folder


@pytest.fixture(autouse=True)
def home(quiet_nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(quiet_nights / "mlruns", tmp_path / "mlruns")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))


def made(seed: int, numpy: float = 1.0, machine: float = 1.0) -> Comparison:
    """A night: numpy takes so many times its time, and everything, the canary too, so many times."""
    random = Random(seed)

    def luck() -> float:
        return machine * math.exp(random.gauss(0, 0.01))

    found = comparison_of({"numpy": 0.01 * numpy * luck(), "torch": 0.005 * luck()}, flips=0)
    arms = tuple(
        dataclasses.replace(
            arm,
            launches=tuple(
                dataclasses.replace(one, canary_seconds=one.canary_seconds * machine) for one in arm.launches
            ),
        )
        for arm in found.measured.arms
    )
    return dataclasses.replace(found, measured=dataclasses.replace(found.measured, arms=arms))


def night(comparison: Comparison) -> str:
    with tracked_comparison(None) as writer:
        writer.log(comparison, "a note")
    return writer.run.run_id


def job() -> Job:
    layer = Layer(np.ones((2, 1), np.float32), np.zeros(2, np.float32))
    return Job(Model(Architecture(1, (), 2, "relu"), (layer,), ("0", "1")), np.zeros((1, 5), np.float32))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """What fresh sittings will find, one after the other; what is left of it at the end was not asked for."""
    coming: list[dict[str, float]] = []

    def compare(*args: Any, resumed: Any, **more: Any) -> Comparison:
        assert resumed is None
        return made(100 + len(coming), **coming.pop(0))

    monkeypatch.setattr(session, "compare_settings", compare)
    return coming


def test_a_slowdown_that_fresh_sittings_confirm_fails(measured: list[dict[str, float]]) -> None:
    measured += [{"numpy": 1.2}] * 3
    tonight = night(made(50, numpy=1.2))
    with pytest.raises(RegressionError) as caught:
        confirm.fn(CONFIG, job(), CHOSEN, tonight)
    assert caught.value.message.startswith("numpy, a processor, 2 CPUs, ")
    assert "% slower" in caught.value.message
    assert "; measured again " in caught.value.message
    assert "torch" not in caught.value.message
    assert caught.value.exit_code == 1
    assert len(measured) < 3


@pytest.mark.parametrize("name", [None, "nightly"])
@pytest.mark.parametrize("repeats", [True, False])
def test_a_fresh_sitting_takes_nothing_that_was_kept(
    measured: list[dict[str, float]], repeats: bool, name: str | None
) -> None:
    """Neither a fresh sitting that was killed nor tonight's own, which another process may still record."""
    tonight = night(made(50, numpy=1.2))
    kept_name = f"{name}, again" if repeats and name else name
    file = unfinished(job(), CHOSEN, CONFIG.budget, kept_name, repeats=repeats)
    file.begin(locate().shown, tonight, None)
    file.keep_launches(made(50, numpy=1.2).measured)
    file.release()
    measured += [{}] * 3
    assert confirm.fn(CONFIG.model_copy(update={"name": name}), job(), CHOSEN, tonight) == ()
    assert len(measured) < 3
    assert (file.read() is None) == repeats


def test_one_bad_night_does_not(measured: list[dict[str, float]]) -> None:
    measured += [{}] * 3
    assert confirm.fn(CONFIG, job(), CHOSEN, night(made(50, numpy=1.2))) == ()
    assert 0 < len(measured) < 3


def test_a_usual_night_is_not_measured_again(measured: list[dict[str, float]]) -> None:
    measured += [{}] * 3
    assert confirm.fn(CONFIG, job(), CHOSEN, night(made(50))) == ()
    assert len(measured) == 3


def test_a_slower_machine_is_no_failure(measured: list[dict[str, float]]) -> None:
    measured += [{"machine": 1.3}] * 3
    alarms = confirm.fn(CONFIG, job(), CHOSEN, night(made(50, machine=1.3)))
    assert {alarm.change.cause for alarm in alarms} <= {"machine"}


def test_an_alarm_of_the_machine_is_a_warning(
    measured: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found to be the machine's is told; here it is said to be, whatever the canary shows."""

    def of_the_machine(series: Series, fresh: Callable[[], Point]) -> Alarm | None:
        alarm = watch(series, fresh)
        return (
            None
            if alarm is None
            else dataclasses.replace(alarm, change=dataclasses.replace(alarm.change, cause="machine"))
        )

    monkeypatch.setattr(history, "watch", of_the_machine)
    measured += [{"numpy": 1.2}] * 3
    with pytest.warns(VecmlWarning, match="VML017 numpy, a processor, 2 CPUs, "):
        (alarm,) = confirm.fn(CONFIG, job(), CHOSEN, night(made(50, numpy=1.2)))
    assert dict(alarm.series.setting)["engine"] == "numpy"
