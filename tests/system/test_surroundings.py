"""Every command in the surroundings that people have: none fails of itself, hangs, or does other than elsewhere."""

import itertools
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.migrated_store import _stores_are_copies, migrated_database
from tests.system.conftest import ROOT
from tests.system.covering import COMMANDS_OF_EACH, KIND_OF, KINDS, design
from tests.system.forked_commands import Commands
from tests.system.surroundings import ALL, HEAVY, LIGHT, PLAIN, Ended, can_be_nobody, forks, run_in, wrong
from vecml.report.summary import PipelineResult

__all__ = ["_stores_are_copies", "migrated_database"]
pytestmark = pytest.mark.system
# What may be given at once; the matrix has drawn sets.
SAMPLE = (
    "tmpdir-missing columns-20 term-dumb umask-077 tz-odd threads-nonsense stdin-closed hash-seed",
    "tmpdir-read-only folder-odd no-color lang-c socks-proxy no-core-and-small-stack",
    "tmpdir-relative warnings-are-errors ascii-streams columns-nonsense term-unset certificates-missing threads-0",
    "tmpdir-odd home-empty folder-odd optimised lang-missing http-proxy columns-0 few-files by-link",
)


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


@pytest.fixture(scope="module")
def served(environment: dict[str, str], shared_prefect: str) -> dict[str, str]:
    """The environment with a Prefect server; without one, a command starts its own."""
    return {**environment, "PREFECT_API_URL": shared_prefect}


@pytest.mark.long
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(("together", "name"), design())
def test_every_command(
    together: str,
    name: str,
    template: Path,
    plain: dict[str, Ended],
    served: dict[str, str],
    forked: Commands,
    tmp_path: Path,
) -> None:
    around = tuple(ALL[one] for one in together.split())
    if any(one.nobody for one in around) and not can_be_nobody():
        pytest.skip("this Python lies where only root reaches it")
    if name not in plain:
        plain[name] = run_in((PLAIN,), name, template, tmp_path / "plain", served, forked)
    without = {key: value for key, value in served.items() if key != "PREFECT_API_URL"}
    base = served if forks(around, name) else without
    ended = run_in(around, name, template, tmp_path / "around", base, forked)
    assert wrong(around, name, ended, plain[name]) == [], ended


def test_the_design_tries_every_kind_with_every_command() -> None:
    tried = {(one, name) for together, name in design() for one in together.split()}
    assert {(KIND_OF[one], name) for one, name in tried} == set(itertools.product(KINDS, {**LIGHT, **HEAVY}))
    commands = Counter(one for one, _ in tried)
    assert commands.keys() == ALL.keys()
    assert min(commands.values()) >= COMMANDS_OF_EACH
    assert len(design()) < 120


@pytest.mark.timeout(600)
def test_a_sample(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "template" / "work").mkdir(parents=True)
    for together in SAMPLE:
        around = tuple(ALL[one] for one in together.split())
        ended = run_in(around, "doctor", tmp_path / "template", tmp_path / "around", environment)
        assert wrong(around, "doctor", ended, Ended(0, "", "", {"files": []}, [])) == [], ended
