"""Settings that are tried on held-out rows: what is given stays, the best is chosen, and flags repeat it."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.pasted import parsed
from tests.model.made_split import made_split
from vecml.config import PipelineConfig, make_config
from vecml.data.split import Split
from vecml.errors import SettingError
from vecml.model import train as training_module
from vecml.model import tune as module
from vecml.model.recipe import make_recipe
from vecml.model.train import train
from vecml.model.tune import DECAYS, RATES, WIDTHS, settings_to_try
from vecml.model.until_done import train_until_done
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore:VML021")


def split_of(tmp_path: Path, **values: Any) -> tuple[Split, PipelineConfig]:
    return made_split(tmp_path, **{"n_rows": 250, "epochs": None, "batch_size": None, "max_steps": 120, **values})


def test_the_settings_are_drawn_by_the_seed_and_the_first_is_the_rules() -> None:
    config = make_config({"data": "sklearn:iris", "tune": 30})
    recipe = make_recipe(config, 120)
    settings = settings_to_try(config, recipe, 30)
    assert settings[0] == recipe
    assert (settings[1].hidden, settings[1].learning_rate) == (recipe.hidden, recipe.learning_rate)
    assert [one.weight_decay for one in settings[:2]] == [0.1, 3.0]  # what an untuned run chooses from
    assert settings_to_try(config, recipe, 1) == [recipe]
    assert len(set(settings)) == 30
    assert {one.hidden[0] for one in settings} == set(WIDTHS)
    for one in settings[1:]:
        assert RATES[0] <= one.learning_rate <= RATES[1]
        assert DECAYS[0] <= one.weight_decay <= DECAYS[1]
    assert settings == settings_to_try(config, recipe, 30)
    assert settings != settings_to_try(config.model_copy(update={"seed": 1}), recipe, 30)


def test_what_is_given_is_not_tuned() -> None:
    config = make_config({"data": "sklearn:iris", "tune": 9, "hidden": (7, 5), "weight_decay": 0.0})
    settings = settings_to_try(config, make_recipe(config, 120), 9)
    assert {(one.hidden, one.weight_decay) for one in settings} == {((7, 5), 0.0)}
    assert len({one.learning_rate for one in settings}) > 5


def test_flags_with_what_was_chosen_give_the_same_network(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, tune=5, seed=3)
    tuned = train(split, config)
    assert len(tuned.tried) == 5
    (chosen,) = (one for one in tuned.tried if one.chosen)
    assert chosen.held_out_loss == min(one.held_out_loss for one in tuned.tried)
    assert tuned.course is not None
    assert tuned.course.best_loss == pytest.approx(chosen.held_out_loss, rel=1e-4)
    values = {name: getattr(chosen, name) for name in ("hidden", "learning_rate", "weight_decay")}
    plain = train(split, config.model_copy(update={"tune": 0, **values}))
    assert plain.model.digest == tuned.model.digest
    assert plain.tried == ()


def test_networks_that_share_a_stack_are_judged_as_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, config = split_of(tmp_path, tune=6, hidden=(8,))
    together = train(split, config).tried
    monkeypatch.setattr(module, "stack_size", lambda *arguments: 1)
    for one, other in zip(together, train(split, config).tried, strict=True):
        assert one.held_out_loss == pytest.approx(other.held_out_loss, rel=1e-3)
        assert dataclasses.replace(one, held_out_loss=0.0, best_step=0) == dataclasses.replace(
            other, held_out_loss=0.0, best_step=0
        )


def test_a_setting_that_diverges_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, config = split_of(tmp_path, tune=3, hidden=(8,))
    recipe = make_recipe(config, split.train.n_rows)
    wild = [recipe, dataclasses.replace(recipe, learning_rate=1e30), dataclasses.replace(recipe, learning_rate=0.01)]
    monkeypatch.setattr(module, "settings_to_try", lambda *arguments: wild)
    tuned = train(split, config)
    assert not tuned.tried[1].chosen
    assert np.isfinite(tuned.tried[0].held_out_loss)


def test_the_clock_is_said(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, tune=3, max_seconds=1e-9)
    with pytest.warns(VecmlWarning) as said:
        tuned = train(split, config)
    (line,) = [str(one.message) for one in said if "the trials" in str(one.message)]
    assert line.startswith("VML020 the trials were ended after 1e-09 s; this gives them longer: vecml run --data ")
    assert "--max-seconds" in line
    assert tuned.tried[0].chosen


def test_the_command_that_repeats_a_tuned_training_has_the_setting_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(10_000))
    monkeypatch.setattr(training_module, "train_until_done", partial(train_until_done, clock=lambda: next(times)))
    monkeypatch.setattr(training_module, "tune", partial(module.tune, clock=lambda: 0.0))
    split, config = split_of(tmp_path, tune=3, hidden=(8,), max_seconds=2)
    with pytest.warns(VecmlWarning, match="^VML020 training ended after") as said:
        ended = train(split, config)
    monkeypatch.undo()
    (line,) = [str(one.message) for one in said if "training ended" in str(one.message)]
    again = parsed(line[line.index("vecml run") :])
    assert (again.tune, again.max_seconds) == (0, 200)
    assert train(split, again).model.digest == ended.model.digest


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "--tune 4 needs --data: generated data is trained on as the notebook does"),
        ({"data": "sklearn:iris", "epochs": 3}, "--tune 4: leave out --epochs: held-out rows end each trial"),
        ({"data": "sklearn:iris", "architecture": "a:B"}, "--tune 4: leave out --architecture: held-out"),
        ({"data": "sklearn:iris", "weights": "w"}, "--tune 4: leave out --weights: held-out rows end each trial"),
    ],
)
def test_what_does_not_go_with_it_is_said(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        make_config({"tune": 4, **values})
    assert caught.value.message.startswith(message)
