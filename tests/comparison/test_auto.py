"""`--engine auto`: what a comparison says is taken, with its reason, and is known the next time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_comparison import comparison_of
from vecml import cache
from vecml.comparison import auto
from vecml.comparison.auto import choose_engine, conclude
from vecml.comparison.comparison import Comparison, families
from vecml.comparison.settings import Chosen
from vecml.config import Setting
from vecml.errors import EngineUnavailableError, MeasureError, SettingError
from vecml.measure.records import ArmMeasurement
from vecml.model.network import Architecture, Layer, Model

CANDIDATES = [Setting(name, threads=2) for name in ("numpy", "torch", "halide")]


def concluded(comparison: Comparison) -> tuple[str, str, bool]:
    setting, reason, certain = conclude(comparison, Chosen(comparison.settings, {}))
    return setting.engine, reason, certain


def make_model(seed: int = 0, hidden: int = 8) -> Model:
    random = np.random.default_rng(seed)
    layers = tuple(
        Layer(random.standard_normal((fan_out, fan_in)).astype(np.float32), np.zeros(fan_out, np.float32))
        for fan_in, fan_out in ((4, hidden), (hidden, 2))
    )
    return Model(Architecture(4, (hidden,), 2, "relu"), layers, ("no", "yes"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Chosen]:
    """Every comparison that is made; each finds halide to be five times as fast."""
    made: list[Chosen] = []

    def compare(job: Any, chosen: Chosen, budget: Any) -> Comparison:
        made.append(chosen)
        seconds = {"torch": 0.005, "numpy": 0.006, "halide": 0.001}
        return comparison_of({name: seconds[name] for name in chosen.settings})

    monkeypatch.setenv("VECML_CACHE", str(tmp_path))
    monkeypatch.setattr(auto, "compare_settings", compare)
    return made


def test_the_fastest_is_taken_and_the_reason_is_one_line() -> None:
    engine, reason, certain = concluded(comparison_of({"torch": 0.005, "numpy": 0.006, "halide": 0.001}, flips=0))
    assert (engine, certain) == ("halide", True)
    # 0.25 s of loading over what a row saves: 0.25 / (5 us - 1 us)
    assert reason.startswith("halide: 5.0 times torch, same labels, ready in 0.2 s; worth it from 6")
    assert reason.endswith(",000 rows")
    assert "\n" not in reason


def test_near_ties_that_fell_otherwise_are_said() -> None:
    assert "same labels but for 2 near ties" in concluded(comparison_of({"torch": 0.005, "halide": 0.001}))[1]


def test_where_no_other_is_faster_the_baseline_stays() -> None:
    engine, reason, certain = concluded(comparison_of({"torch": 0.001, "numpy": 0.002}))
    assert (engine, certain) == ("torch", True)
    assert reason.startswith("torch: no other engine was certainly faster; next is numpy, 0.5")


def test_of_those_that_tie_the_simplest_is_taken() -> None:
    assert concluded(comparison_of({"torch": 0.005, "numpy": 0.001, "halide": 0.001}))[0] == "numpy"


@pytest.mark.parametrize(("seconds", "engine"), [(0.0042, "halide"), (0.0049, "torch")])
def test_of_those_that_noise_hides_the_likeliest_is_taken(seconds: float, engine: str) -> None:
    """Launches that differ by a third tell neither 19 % nor 2 % apart; the first is worth going for."""
    quiet = comparison_of({"torch": 0.005, "halide": seconds})
    luck = (0.75, 0.9, 1.0, 1.1, 1.35)

    def shaken(arm: ArmMeasurement) -> ArmMeasurement:
        if arm.name != "halide":
            return arm
        pairs = zip(arm.blocks.launch, arm.blocks.seconds, strict=True)
        taken = tuple(value * luck[launch] for launch, value in pairs)
        return replace(arm, blocks=replace(arm.blocks, seconds=taken))

    noisy = replace(quiet, measured=replace(quiet.measured, arms=tuple(map(shaken, quiet.measured.arms))))
    assert set(families(noisy)[0].tied) == {"torch", "halide"}
    assert concluded(noisy)[0] == engine


def test_wrong_answers_are_never_taken_however_fast() -> None:
    made = comparison_of({"torch": 0.005, "halide": 0.001}, {"halide": "12 of 1,000 labels are wrong"})
    assert concluded(made)[0] == "torch"


def test_where_nothing_is_right_it_ends_with_the_reason() -> None:
    faults = {"torch": "its labels are wrong", "halide": "its labels are wrong too"}
    with pytest.raises(
        MeasureError, match=r"^--engine auto: no engine gave right answers: its labels are wrong"
    ) as error:
        concluded(comparison_of({"torch": 0.005, "halide": 0.001}, faults))
    assert error.value.hint == "name one with --engine"


@pytest.mark.parametrize("halide", [0.001, 0.0045])
def test_without_verdicts_the_highest_rate_is_taken_and_not_remembered(
    measured: list[Chosen], monkeypatch: pytest.MonkeyPatch, halide: float
) -> None:
    monkeypatch.setattr(auto, "_quickest", lambda comparison, said, found: None)
    engine, _, known = concluded(comparison_of({"torch": 0.005, "halide": halide}))
    assert (engine, known) == ("halide", False)
    x_FN = np.zeros((4, 500), np.float32)
    first, second = (choose_engine(make_model(), x_FN, CANDIDATES) for _ in range(2))
    assert (first.setting.engine, first.kept, second.kept) == ("halide", False, False)
    assert ": no answer: " in second.reason
    assert len(measured) == 2  # the second looked again


def test_what_an_earlier_version_remembered_without_a_verdict_is_looked_for_again(
    measured: list[Chosen], monkeypatch: pytest.MonkeyPatch
) -> None:
    x_FN = np.zeros((4, 500), np.float32)
    choose_engine(make_model(), x_FN, CANDIDATES)
    whole = cache.read
    monkeypatch.setattr(cache, "read", lambda kind, key: {**(whole(kind, key) or {}), "format": 1})
    assert not choose_engine(make_model(), x_FN, CANDIDATES).kept
    assert len(measured) == 2


def test_a_baseline_that_is_left_alone_because_the_others_were_disturbed_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auto, "_quickest", lambda comparison, said, found: "torch")
    engine, reason, certain = concluded(comparison_of({"torch": 0.005, "numpy": 0.004, "halide": 0.001}))
    assert (engine, certain) == ("halide", False)
    assert reason.startswith("halide: no answer: some of the rounds were disturbed; its rate was 5.0 times torch, ")


def test_the_second_time_nothing_is_measured_for_a_new_model_of_the_architecture_too(measured: list[Chosen]) -> None:
    x_FN = np.zeros((4, 500), np.float32)
    first = choose_engine(make_model(), x_FN, CANDIDATES)
    assert (first.setting.engine, first.kept, len(measured)) == ("halide", False, 1)
    again = choose_engine(make_model(seed=1), x_FN[:, :150], CANDIDATES)
    assert (again.setting, again.reason, again.kept) == (first.setting, first.reason, True)
    assert len(measured) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda: (make_model(hidden=9), 500, CANDIDATES),
        lambda: (make_model(), 5_000, CANDIDATES),
        lambda: (make_model(), 500, [Setting(one.engine, threads=1) for one in CANDIDATES]),
        lambda: (make_model(), 500, [Setting(one.engine, threads=2, layout="rows") for one in CANDIDATES]),
    ],
)
def test_another_architecture_number_of_rows_or_setting_is_measured_anew(
    measured: list[Chosen], other: Callable[[], tuple[Model, int, list[Setting]]]
) -> None:
    choose_engine(make_model(), np.zeros((4, 500), np.float32), CANDIDATES)
    model, rows, candidates = other()
    choose_engine(model, np.zeros((4, rows), np.float32), candidates)
    assert len(measured) == 2


def test_a_damaged_entry_is_as_good_as_none(measured: list[Chosen], monkeypatch: pytest.MonkeyPatch) -> None:
    x_FN = np.zeros((4, 500), np.float32)
    choose_engine(make_model(), x_FN, CANDIDATES)
    monkeypatch.setattr(
        cache, "read", lambda kind, key: {"format": auto._FORMAT, "setting": {"engine": "halide", "colour": "red"}}
    )
    assert not choose_engine(make_model(), x_FN, CANDIDATES).kept
    assert len(measured) == 2


def test_what_was_chosen_and_cannot_run_any_more_is_chosen_anew(measured: list[Chosen]) -> None:
    x_FN = np.zeros((4, 500), np.float32)
    choose_engine(make_model(), x_FN, CANDIDATES)
    choose_engine(make_model(), x_FN, CANDIDATES[:2])
    assert len(measured) == 2


def test_a_single_engine_needs_no_comparison(measured: list[Chosen]) -> None:
    choice = choose_engine(make_model(), np.zeros((4, 500), np.float32), CANDIDATES[:1])
    assert (choice.setting.engine, choice.reason) == ("numpy", "numpy: no other engine here runs this model so")
    assert measured == []


def test_no_engine_is_one_line(measured: list[Chosen]) -> None:
    with pytest.raises(EngineUnavailableError, match=r"^--engine auto: no engine runs this model here: .*bfloat16"):
        choose_engine(make_model(), np.zeros((4, 9), np.float32), [Setting("numpy", precision="bfloat16")])


def test_a_budget_that_is_too_short_names_flags_that_a_run_has(measured: list[Chosen]) -> None:
    with pytest.raises(SettingError, match=r"^--budget 5s: too short for a verdict on 3 settings$") as caught:
        choose_engine(make_model(), np.zeros((4, 9), np.float32), CANDIDATES, "5s")
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("s would do; or name one, such as --engine numpy")
    assert measured == []
