"""MLflow's page of our runs, opened by the address that `vecml ui` prints: our columns are there without a click."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow.entities import Run

from tests.browser.conftest import Processes
from tests.system.conftest import BIN, free_port, runs_in, wait_for
from tests.system.forked_commands import Commands

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("MLflow's pages")]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make setup` does").expect
expect.set_options(timeout=60_000)  # as long as the page itself is waited for, on a busy machine too

QUICK = ("compare", "--quick", "--rows", "50000", "--engines", "numpy,torch")
OURS = {
    "engine": "params.`engine`",
    "device": "params.`device`",
    "rows/s": "metrics.`infer/rows_per_s`",
    "accuracy": "metrics.`test/accuracy`",
    "verdict": "tags.`vecml.verdict`",
}


@pytest.fixture(scope="module")
def address(processes: Processes, forked: Commands) -> str:
    """Of the runs' page: `vecml ui` over a store with two comparisons."""
    for _ in range(2):
        done = forked(QUICK, processes.folder)
        assert done.returncode == 0, done.stderr
    log = processes.folder / "ui.log"
    port = free_port()
    processes(BIN / "vecml", "ui", "--port", str(port), log=log)
    wait_for(lambda: "startup complete" in log.read_text(), 120, "MLflow's UI")
    (found,) = re.findall(r"^Our runs: (\S+)$", log.read_text(), flags=re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def runs(processes: Processes, address: str) -> list[Run]:
    return runs_in(processes.folder)


def cells(page: "Page", column: str) -> "Locator":
    return page.locator(f'.ag-center-cols-container .ag-cell[col-id="{column}"]')


def texts(page: "Page", column: str) -> list[str]:
    """A column's texts from top to bottom; in the page's source rows may stand in another order."""
    found = page.locator(f'.ag-cell[col-id="{column}"]').evaluate_all(
        "cells => cells.map(cell => [Number(cell.closest('.ag-row').getAttribute('row-index')), cell.innerText])"
    )
    return [text.strip() for _, text in sorted(found)]


def names(page: "Page") -> list[str]:
    """Below the colour that a run has on charts."""
    return [text.splitlines()[-1] for text in texts(page, "attributes.`Run Name`")]


def test_parents_nested_runs_and_our_columns_without_a_click(
    page: "Page", address: str, runs: list[Run], screenshot: Callable[[str], Path]
) -> None:
    page.goto(address)
    expect(cells(page, OURS["engine"])).to_have_count(len(runs))
    for column in OURS.values():
        expect(page.locator(f'.ag-header-cell[col-id="{column}"]')).to_be_in_viewport(ratio=1)
        expect(cells(page, column).first).to_be_in_viewport(ratio=1)
    screenshot("runs")
    parents = {run.info.run_id: run.info.run_name for run in runs if run.data.tags["vecml.kind"] == "compare"}
    shown = names(page)
    assert sorted(shown) == sorted([*parents.values(), *["numpy", "torch"] * 2])
    for parent in parents.values():  # each comparison stands above its settings
        place = shown.index(parent)
        assert set(shown[place + 1 : place + 3]) == {"numpy", "torch"}
    engines = texts(page, OURS["engine"])
    assert [text for text in engines if text != "-"] == [name for name in shown if name in ("numpy", "torch")]
    settings = [place for place, name in enumerate(shown) if name in ("numpy", "torch")]
    for column, fits in (
        ("device", r"cpu"),
        ("rows/s", r"\d+(\.\d+)?"),
        ("accuracy", r"0\.\d+|1|-"),  # none where a quick look was disturbed
        ("verdict", r"none|baseline|invalid|busy"),
    ):
        found = texts(page, OURS[column])
        assert all(re.fullmatch(fits, found[place]) for place in settings), (column, found)


def test_the_compare_page_works_on_them(page: "Page", address: str, screenshot: Callable[[str], Path]) -> None:
    page.goto(address)
    expect(cells(page, OURS["engine"]).first).to_be_visible()
    for name in ("numpy", "torch"):
        row = page.locator(".ag-pinned-left-cols-container .ag-row").filter(has_text=name).first
        row.locator(".ag-checkbox-input").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(re.compile("compare-runs"))
    expect(page.get_by_text("infer/rows_per_s").first).to_be_visible()
    screenshot("compare")
    text = page.inner_text("body")
    for expected in ("engine", "numpy", "torch", "infer/rows_per_s", "test/accuracy"):
        assert expected in text
