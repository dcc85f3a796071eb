"""Every command in the surroundings that people have: none fails of itself, hangs, or does other than elsewhere."""

import shutil
from pathlib import Path

import pytest

from tests.migrated_store import _stores_are_copies, migrated_database
from tests.system.conftest import ROOT
from tests.system.surroundings import ALL, APART, HEAVY, LIGHT, PLAIN, TOGETHER, Ended, can_be_nobody, run_in, wrong
from vecml.report.summary import PipelineResult

__all__ = ["_stores_are_copies", "migrated_database"]
pytestmark = pytest.mark.system
SAMPLE = tuple(together for together in TOGETHER if "tmpdir" in together)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, telling_result: PipelineResult, prefect_home: Path) -> Path:
    """A folder with a store, tables and a function, to be copied."""
    from tests.faults.conftest import lay_template

    folder = tmp_path_factory.mktemp("template")
    work = folder / "work"
    work.mkdir()
    lay_template(work, telling_result)
    rows = "\n".join(f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(400))
    (work / "table.csv").write_text(f"x,y,label\n{rows}\n")
    shutil.copy(ROOT / "examples/optimize/masked_clip.py", work)
    shutil.copy(prefect_home / "prefect.db", folder)
    return folder


@pytest.fixture(scope="module")
def plain() -> dict[str, Ended]:
    """How commands ended in plain surroundings, by name."""
    return {}


@pytest.mark.long
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("name", {**LIGHT, **HEAVY})
@pytest.mark.parametrize("together", [*TOGETHER, *APART])
def test_every_command(
    together: str, name: str, template: Path, plain: dict[str, Ended], environment: dict[str, str], tmp_path: Path
) -> None:
    around = tuple(ALL[one] for one in together.split())
    if any(one.nobody for one in around) and not can_be_nobody():
        pytest.skip("this Python lies where only root reaches it")
    if name not in plain:
        plain[name] = run_in((PLAIN,), name, template, tmp_path / "plain", environment)
    ended = run_in(around, name, template, tmp_path / "around", environment)
    assert wrong(around, name, ended, plain[name]) == [], ended


@pytest.mark.timeout(600)
def test_a_sample(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "template" / "work").mkdir(parents=True)
    for together in SAMPLE:
        around = tuple(ALL[one] for one in together.split())
        ended = run_in(around, "doctor", tmp_path / "template", tmp_path / "around", environment)
        assert wrong(around, "doctor", ended, Ended(0, "", "", {"files": []}, [])) == [], ended
