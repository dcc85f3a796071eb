"""The pipeline's inference loads the engine once, with the setting that it is given."""

from typing import Any

import numpy as np
import pytest

from tests.comparison.test_bad_engines import small_model
from vecml.config import Setting
from vecml.data.split import Part
from vecml.engines.base import Loaded
from vecml.inference import block_size
from vecml.inference import infer as infer_module
from vecml.inference.block_size import Complete
from vecml.inference.infer import complete_setting, infer

ROWS = 20_000


@pytest.fixture
def test_part() -> Part:
    x_FN = np.random.default_rng(0).standard_normal((10, ROWS)).astype(np.float32)
    return Part(x_FN, np.zeros(ROWS, np.int64), np.arange(ROWS))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """Every setting that infer loads an engine with."""
    settings, load = [], infer_module.load_engine

    def load_engine(model: Any, setting: Setting) -> Loaded:
        settings.append(setting)
        return load(model, setting)

    monkeypatch.setattr(infer_module, "load_engine", load_engine)
    return settings


def test_a_complete_setting_is_run_as_it_is(test_part: Part, loaded: list[Setting]) -> None:
    setting = Setting("numpy", threads=1, block_rows=512)
    assert complete_setting(small_model(), test_part, setting) == Complete(setting)
    found = infer(small_model(), test_part, setting)
    assert found.setting == setting
    assert [one for one in loaded if one.engine == "numpy"] == [setting]


def test_an_open_block_size_is_chosen_before_the_engine_is_loaded(
    test_part: Part, loaded: list[Setting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_size, "choose", lambda _: 1)  # the first size that is tried beside the engine's own rule
    complete = complete_setting(small_model(), test_part, Setting("numpy", threads=1, precision="float64"))
    assert loaded == []
    assert complete.setting.block_rows is not None
    assert complete.first_load_seconds is not None
    found = infer(small_model(), test_part, complete.setting, complete.first_load_seconds)
    assert [one for one in loaded if one.engine == "numpy"] == [complete.setting]
    assert found.load_seconds == complete.first_load_seconds
