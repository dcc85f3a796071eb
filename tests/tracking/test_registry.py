"""Champions in a real store: better promoted, worse refused, one winner of two at once, and back again."""

import dataclasses
import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.tracking import write
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.promotion import find_model, promote
from tasks.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    delete_version,
    find_version,
    move_champion,
    read_registered_model,
    register,
    roll_back,
)
from tasks.tracking.store import open_store
from tasks.tracking.write import tracked
from tests.made_comparison import comparison_of
from tests.tracking.test_read import NoFiles
from vecml.config import Setting
from vecml.errors import DataError, MeasureError, SettingError, StoreError
from vecml.report.summary import PipelineResult


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setattr(write, "file_writer", NoFiles)
    return tmp_path


def stored(result: PipelineResult, name: str, wrong: int = 0, **setting: Any) -> str:
    """The id of a run that has labelled so many more test rows wrong than `result`'s model did."""
    config = result.config.model_copy(update={"name": name})
    label_N, truth_N = result.inference.label_N.copy(), result.split.test.label_N
    right = np.flatnonzero(label_N == truth_N)
    other = np.flatnonzero(label_N != truth_N)
    changed = right[:wrong] if wrong >= 0 else other[:-wrong]
    label_N[changed] = 1 - label_N[changed] if wrong >= 0 else truth_N[changed]
    used = dataclasses.replace(result.inference.setting, **setting)
    inference = dataclasses.replace(result.inference, label_N=label_N, setting=used)
    none = np.zeros(0, np.int64)
    flips = dataclasses.replace(
        result.evaluation.flips, row_N=none, label_N=none, reference_N=none, margin_N=np.zeros(0)
    )
    evaluation = dataclasses.replace(result.evaluation, flips=flips)
    with tracked(config, used.device, None) as writer:
        writer.log_setting(used)
        told = dataclasses.replace(result, config=config, inference=inference, evaluation=evaluation)
        writer.log_result(told, "a note")
    return writer.run.run_id


def test_a_better_one_is_promoted_a_worse_one_refused_and_back_again(telling_result: PipelineResult) -> None:
    first, better, worse = (stored(telling_result, name, wrong) for name, wrong in (("a", 20), ("b", 0), ("c", 24)))
    made = promote("a")
    assert made.promoted
    assert made.reason == "it is the first: there was no champion to be held against"
    assert made.chosen.why == "the run's own setting: its model was not compared yet"
    assert promote("b").promoted
    told = read_registered_model()
    assert told.champion is not None and told.challenger is not None  # noqa: PT018
    assert (told.champion.run_id, told.challenger.run_id) == (better, first)
    assert told.champion.setting == telling_result.inference.setting
    assert told.champion.tags["vecml.replaced"] == "1"

    refused = promote("c")
    assert not refused.promoted
    assert refused.reason.startswith("it is worse: ")
    assert refused.decision is not None
    assert (refused.decision.only_champion, refused.decision.only_challenger) == (24, 0)
    versions = read_registered_model().versions
    assert [version.run_id for version in versions] == [better, first]  # no version is left of it

    forced = promote("c", force=True)
    assert forced.promoted
    assert forced.version is not None
    assert forced.version.tags["vecml.forced"] == "yes"
    assert forced.version.tags["vecml.reason"].startswith("forced: it is worse: ")
    back = roll_back()
    assert back.champion is not None and back.challenger is not None  # noqa: PT018
    assert (back.champion.run_id, back.challenger.run_id) == (better, worse)
    assert back.challenger.tags["vecml.rolled_back"].endswith(": back to version 2")
    again = roll_back()
    assert again.champion is not None
    assert again.champion.run_id == first  # two back, not the one that was rolled back


def test_what_a_version_says(telling_result: PipelineResult) -> None:
    stored(telling_result, "a", 3)
    stored(telling_result, "b", 0)
    promote("a", "my model")
    version = promote("b", "my model").version
    assert version is not None
    page = (Path(__file__).parents[2] / "docs" / "champion.md").read_text(encoding="utf-8")
    assert {tag for tag in version.tags if f"| `{tag}` |" not in page} == set()
    assert json.loads(version.tags["vecml.setting"])["engine"] == telling_result.inference.setting.engine
    assert float(version.tags["vecml.accuracy"]) == telling_result.evaluation.accuracy
    assert version.tags["vecml.only_challenger"] == "3"
    assert find_version("models:/my model@champion") == version
    assert find_version("models:/my model/2") == version
    named = find_model("models:/my model@champion")
    assert (named.address, named.run.name, named.setting) == ("models:/my model/2", "b", version.setting)
    assert find_model("a").setting == telling_result.inference.setting


def compared(result: PipelineResult, times: dict[str, float], faults: dict[str, str] | None = None) -> str:
    comparison = comparison_of(times, faults)
    subject = dataclasses.replace(comparison.subject, model_digest=result.training.model.digest)
    with tracked_comparison("sitting") as writer:
        writer.log(dataclasses.replace(comparison, subject=subject), "a note")
    return writer.run.run_id


def test_the_setting_is_the_best_of_the_latest_comparison(telling_result: PipelineResult) -> None:
    stored(telling_result, "a")
    run_id = compared(telling_result, {"torch": 0.02, "numpy": 0.01})
    made = promote("a")
    assert made.chosen.setting == Setting("numpy", threads=2)
    assert made.chosen.why == "the fastest of 2 settings in comparison sitting"
    assert made.version is not None
    assert (made.version.tags["vecml.comparison"], made.version.tags["vecml.engine"]) == (run_id, "numpy")
    with pytest.raises(StoreError, match=r"^run a is champion already: version 1 of model 'vecml', in this setting$"):
        promote("a")
    compared(telling_result, {"torch": 0.01, "numpy": 0.02})  # another sitting, another setting of the same model
    assert promote("a").chosen.setting == Setting("torch", threads=2)


def test_where_nothing_is_valid_it_is_refused(telling_result: PipelineResult) -> None:
    stored(telling_result, "a")
    fault = "12 of 1,000 labels are wrong: no near ties in float32"
    compared(telling_result, {"numpy": 0.02, "torch": 0.01}, {"numpy": fault, "torch": fault})
    with pytest.raises(MeasureError, match=rf"^comparison sitting of run a has no valid setting: numpy: {fault}$"):
        promote("a")
    assert read_registered_model().versions == ()


def test_a_comparison_of_another_model_is_refused(telling_result: PipelineResult) -> None:
    stored(telling_result, "a")
    with tracked_comparison("other") as writer:
        writer.log(comparison_of({"numpy": 0.02, "torch": 0.01}), "a note")
    with pytest.raises(StoreError, match=r"^comparison other is of another model than run a's$"):
        promote("a", comparison="other")
    with pytest.raises(StoreError, match=r"^run a is no comparison that has come to its end$"):
        promote("a", comparison="a")


def test_a_champion_whose_run_is_gone_needs_force(telling_result: PipelineResult) -> None:
    first = stored(telling_result, "a")
    promote("a")
    open_store().client.delete_run(first)
    stored(telling_result, "b")
    with pytest.raises(
        DataError, match=r"^run b cannot be held against the champion, version 1: there is no run "
    ) as caught:
        promote("b")
    assert caught.value.hint is not None
    own, force = caught.value.hint.split("; ")[-2:]
    assert own == "--name NAME keeps a champion of its own"
    assert force == "--force promotes without the test, and that is written down"
    forced = promote("b", force=True)
    assert forced.reason == "forced: it could not be held against the champion, version 1"


def test_an_alias_that_moved_meanwhile_is_said_and_nothing_moves(telling_result: PipelineResult) -> None:
    run_id = stored(telling_result, "a")
    store, setting = open_store(), Setting("numpy")
    first, second, third = (register(store, "vecml", run_id, setting, {}) for _ in range(3))
    move_champion(store, first, None)
    move_champion(store, second, first)
    with pytest.raises(StoreError) as caught:
        move_champion(store, third, first)
    assert caught.value.message == (
        "the alias moved meanwhile: champion of model 'vecml' named version 1 and names version 2 now"
    )
    assert caught.value.hint == "another promotion came first; run it again"
    with pytest.raises(StoreError, match=r"^the alias moved meanwhile: champion of model 'vecml' named no version and"):
        move_champion(store, third, None)
    delete_version(store, third)
    delete_version(store, second)
    told = read_registered_model()
    assert (told.champion, told.challenger) == (second, first)
    assert told.versions == (second, first)


def test_a_promotion_that_was_killed_half_way_leaves_the_champion(telling_result: PipelineResult) -> None:
    """The challenger names the champion already; going back still finds the one before."""
    run_id = stored(telling_result, "a")
    store = open_store()
    first = register(store, "vecml", run_id, Setting("numpy"), {})
    move_champion(store, first, None)
    second = register(store, "vecml", run_id, Setting("numpy"), {"vecml.replaced": "1"})
    move_champion(store, second, first)
    store.client.set_registered_model_alias("vecml", CHALLENGER, "2")  # and here it was killed
    told = read_registered_model()
    assert told.champion == second
    back = roll_back().champion
    assert back is not None
    assert back.number == 1


def _promoted(home: str, asked: str) -> bool:
    import os

    os.environ["VECML_HOME"] = home
    return promote(asked).promoted


def test_two_at_once_leave_one_consistent_winner(telling_result: PipelineResult, home: Path) -> None:
    """In two processes: each decides by what is champion when it holds the lock."""
    for name, wrong in (("a", 30), ("b", 10), ("c", 0)):
        stored(telling_result, name, wrong)
    promote("a")
    with ThreadPoolExecutor(2) as pool, multiprocessing.get_context("spawn").Pool(2) as processes:
        made = list(pool.map(lambda name: processes.apply(_promoted, (str(home), name)), ("b", "c")))
    told = read_registered_model()
    assert told.champion is not None and told.challenger is not None  # noqa: PT018
    assert made[1]  # c is better than either of the others
    assert told.champion.tags["vecml.run_name"] == "c"
    assert told.champion.tags["vecml.replaced"] == str(told.challenger.number)
    assert told.challenger.tags["vecml.run_name"] == ("b" if made[0] else "a")


@pytest.fixture
def empty() -> None:
    open_store()


@pytest.mark.usefixtures("empty")
def test_an_empty_registry_is_clear() -> None:
    assert read_registered_model().versions == ()
    with pytest.raises(StoreError, match=r"^model 'vecml' has no champion in /") as caught:
        roll_back()
    assert caught.value.hint == "vecml champion RUN makes one"
    with pytest.raises(StoreError, match=r"^there is no model 'vecml' in the registry of /"):
        find_version("models:/vecml@champion")


def test_addresses_and_names_that_cannot_be(telling_result: PipelineResult) -> None:
    for wrong in ("models:/a/b/c", "models:/", "models:/a@b@c", "models:/a/x"):
        with pytest.raises(SettingError, match=r"is no address of a model$"):
            find_model(wrong)
    for wrong in ("a/b", "a:b", " ", "a'b", "a\nb"):
        with pytest.raises(SettingError, match=r"^--name .*: no name for a model$"):
            read_registered_model(wrong)
    stored(telling_result, "a")
    promote("a")
    with pytest.raises(StoreError, match=r"^model 'vecml' has no version 9$"):
        find_version("models:/vecml/9")
    with pytest.raises(StoreError, match=r"^model 'vecml' has no best$") as caught:
        find_version("models:/vecml@best")
    assert caught.value.hint == f"aliases: {CHAMPION}"
    with pytest.raises(StoreError, match=r"^version 1 of model 'vecml' is its first champion"):
        roll_back()
