"""Several processes want the same thing at once: one champion after every race, and each imported run once."""

import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.faults.tally import keep, row, scaled
from tests.tracking.conftest import machine

PROCESSES = 3
# In CI tests/tracking/test_registry.py races two promotions.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(36_000)]
_at_once: list[Barrier] = []


def _begin(barrier: Barrier) -> None:
    _at_once.append(barrier)


def _promoted(home: str, asked: str) -> str:
    """What came of a promotion: `promoted`, or why not."""
    from tasks.tracking.promotion import promote
    from vecml.errors import VecmlError

    os.environ["VECML_HOME"] = home
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    _at_once[0].wait(120)
    try:
        return "promoted" if promote(asked, force=True).promoted else "refused"
    except VecmlError as error:
        return error.message


def _imported(home: str, file: str) -> str:
    """The id of what was imported, or what was said."""
    from tasks.tracking.export_import import import_runs
    from vecml.errors import VecmlError

    os.environ["VECML_HOME"] = home
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    _at_once[0].wait(120)
    try:
        (found,) = import_runs([Path(file)])
    except VecmlError as error:
        return error.message
    return found.run_id


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES, _begin, (context.Barrier(PROCESSES),)) as made:
        yield made


def test_promotion_races(pool: Pool, tmp_path: Path, template: Path) -> None:
    from tasks.tracking.promotion import find_model
    from tasks.tracking.registry import read_registered_model
    from vecml.errors import VecmlError

    one = row("promotion races of three", "one champion, its model's digest right")
    shutil.copytree(template, tmp_path / "home")
    for number in range(scaled(200)):
        if one.has_held(number):
            continue
        broken = len(one.broken)
        asked = ["first", "second", "first" if number % 2 else "second"]
        said = pool.starmap(_promoted, [(str(tmp_path / "home"), name) for name in asked], chunksize=1)
        one.tried += 1
        if one.tried % 5 == 0:
            keep(str(one))
        other = [text for text in said if text != "promoted" and "is champion already" not in text]
        one.broke(*(f"race {number}: {text}" for text in other))
        with machine(tmp_path / "home"):
            told = read_registered_model()
            try:
                model = find_model("models:/vecml@champion")
            except VecmlError as error:
                one.broke(f"race {number}: {error.message}")
                continue
        if told.champion is None or told.champion.address != model.address or told.champion == told.challenger:
            one.broke(f"race {number}: champion {told.champion}, challenger {told.challenger}")
        if len(one.broken) == broken:
            one.held(number)
    assert one.broken == []


def test_parallel_imports(pool: Pool, tmp_path: Path, template: Path) -> None:
    from tasks.tracking.store import open_store

    one = row("parallel imports by three", "each run once")
    for number in range(scaled(100)):
        if one.has_held(number):
            continue
        broken = len(one.broken)
        home = tmp_path / f"home-{number}"
        shutil.copytree(template, home)
        said = pool.starmap(_imported, [(str(home), str(home / "theirs.zip"))] * PROCESSES, chunksize=1)
        one.tried += 1
        if one.tried % 5 == 0:
            keep(str(one))
        if len(set(said)) != 1:
            one.broke(f"import {number}: {said}")
        with machine(home):
            store = open_store()
            runs = store.client.search_runs([store.experiment.experiment_id])
        there = Counter(
            (str(run.info.run_name), run.info.status) for run in runs if run.info.run_name.startswith("their")
        )
        if len(there) != 3 or set(there.values()) != {1} or {status for _, status in there} != {"FINISHED"}:
            one.broke(f"import {number}: {there}")
        if len(one.broken) == broken:
            one.held(number)
        shutil.rmtree(home)
    assert one.broken == []
