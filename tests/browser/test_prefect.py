"""Prefect's UI on the server that `vecml up` brings up: the form's choices, the flow run, its link to MLflow."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient

from tests.browser.conftest import Processes
from tests.system.conftest import runs_in
from vecml.config import ENGINES

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(1_200)]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make setup` does").expect
expect.set_options(timeout=60_000)  # MLflow's pages take their time when the machine is busy


@pytest.fixture(scope="module")
def client(brought_up: dict[str, str]) -> Iterator[SyncPrefectClient]:
    with SyncPrefectClient(f"{brought_up['Prefect']}/api") as connected:
        yield connected


def done(client: SyncPrefectClient) -> UUID:
    """A flow run that the worker has brought to its end."""
    deployment = client.read_deployment_by_name("pipeline/cpu")
    config = {"rows": 400, "epochs": 1, "device": "cpu"}
    flow_run = client.create_flow_run_from_deployment(deployment.id, parameters={"config": config})
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        state = client.read_flow_run(flow_run.id).state
        if state is not None and state.is_final():
            assert state.is_completed(), state
            return flow_run.id
        time.sleep(0.2)
    pytest.fail("the flow run did not end within 120 s")


def test_the_form_has_choices(
    page: "Page", brought_up: dict[str, str], client: SyncPrefectClient, screenshot: Callable[[str], Path]
) -> None:
    deployment = client.read_deployment_by_name("pipeline/cpu")
    page.goto(f"{brought_up['Prefect']}/deployments/deployment/{deployment.id}/run")
    label = page.locator(".schema-form-property__label", has_text=re.compile("^Engine"))
    field = page.locator(".schema-form-property").filter(has=label).last.locator(".p-select-button__control")
    expect(field).to_have_text("torch")
    field.scroll_into_view_if_needed()
    screenshot("form")
    field.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".p-select-option").first).to_be_visible()
    screenshot("form-engines")
    assert {option.inner_text() for option in page.locator(".p-select-option").all()} == {"auto", *ENGINES}


def test_a_flow_run_links_to_its_mlflow_run(
    page: "Page",
    brought_up: dict[str, str],
    client: SyncPrefectClient,
    processes: Processes,
    screenshot: Callable[[str], Path],
) -> None:
    flow_run = done(client)
    (run,) = runs_in(processes.folder)
    page.goto(f"{brought_up['Prefect']}/runs/flow-run/{flow_run}")
    expect(page.get_by_text("Completed").first).to_be_visible()
    screenshot("flow-run")
    page.get_by_text("Artifacts", exact=True).first.click()
    link = page.get_by_role("link", name=f"MLflow run {run.info.run_name}").first
    expect(link).to_be_visible()
    screenshot("flow-run-artifacts")
    target = link.get_attribute("href")
    assert target is not None
    assert run.info.run_id in target
    page.goto(target)  # on the port that MLflow's UI has here
    expect(page.get_by_text(run.info.run_name).first).to_be_visible()
    screenshot("mlflow-run")
