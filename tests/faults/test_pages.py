"""Foreign pages before every server that vecml starts, and a hundred hostile names on every page that shows names."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import CHROMIUM, FLAGS, Processes, chromium, processes
from tests.browser.foreign import MARK, RESOLVER, Target, attacks, foreign_site, framed, mlflow_target, prefect_target
from tests.browser.hostile_names import NAMES
from tests.faults.tally import row, scaled, spread
from tests.made_comparison import comparison_of
from tests.system.conftest import BIN, answers, free_port, wait_for
from vecml.report.page import About
from vecml.report.page import page as report_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

__all__ = ["chromium", "processes"]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(7_200)]


@pytest.fixture(scope="module")
def misled(chromium: "Browser") -> Iterator["BrowserContext"]:
    """A browser for which foreign names are this machine's."""
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, RESOLVER])
    yield browser.new_context()
    browser.close()


@pytest.fixture(scope="module")
def brought_up(processes: Processes, migrated_database: Path) -> tuple[int, int]:
    """`vecml up` over a store with a run for each hostile name; the ports of Prefect's server and of MLflow's UI."""
    folder = processes.folder / "mlruns"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(migrated_database.read_bytes())
    _plant(folder)
    ports = free_port(), free_port()
    log = processes.folder / "up.log"
    flags = ("--no-deploy", "--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1]))
    process = processes(BIN / "vecml", "up", *flags, log=log)
    wait_for(lambda: "Ctrl-C ends" in log.read_text() or process.poll() is not None, 280, "vecml up")
    assert answers(f"http://127.0.0.1:{ports[0]}/api/health"), log.read_text()
    return ports


def _plant(folder: Path) -> None:
    """Make a run of each name, which stands in all places where MLflow takes one."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("theirs", artifact_location=(folder / "artifacts").as_uri())
    found = []
    for name in _sayable():
        tags = {"mlflow.note.content": name, "mlflow.source.name": name, "mlflow.user": name, "theirs": name}
        run = client.create_run(experiment, run_name=name, tags=tags)
        client.log_param(run.info.run_id, "engine", name)
        client.set_terminated(run.info.run_id)
        found.append(f"experiments/{experiment}/runs/{run.info.run_id}")
    (folder / "pages").write_text("\n".join(found))


def _sayable() -> list[str]:
    """The names that can be written as UTF-8."""
    return [name for name in NAMES if not any("\ud800" <= one <= "\udfff" for one in name)]


def servers(ports: tuple[int, int]) -> tuple[Target, Target]:
    return prefect_target(ports[0]), mlflow_target(ports[1])


def test_foreign_pages(misled: "BrowserContext", brought_up: tuple[int, int], processes: Processes) -> None:
    one = row("foreign pages: origins, rebinding, forms, sockets, frames", "nothing read, nothing changed")
    page = misled.new_page()
    with foreign_site() as site:
        for target in servers(brought_up):
            for where, got in attacks(page, target, site):
                one.tried += 1
                one.broken += [f"{where}: {what}" for what in got]
            one.tried += 1
            one.broken += [f"port {target.port} in a frame"] * framed(page, target, site)
    for path in (processes.folder / "mlruns" / "mlflow.db", processes.folder / ".prefect" / "prefect.db"):
        with sqlite3.connect(path) as database:
            said = "\n".join(database.iterdump())
        database.close()
        one.broken += [f"{path.name} was changed"] * (MARK in said or MARK.replace("-", "_") in said)
    assert one.broken == []


def _watched(context: "BrowserContext", met: list[str]) -> "Page":
    """A page that writes down scripts of strangers and what reached another host."""
    page = context.new_page()
    page.on("dialog", lambda dialog: (met.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("requestfailed", lambda asked: met.append(asked.url) if _left(asked.url, asked.failure) else None)
    page.on("response", lambda answer: met.append(answer.url) if _left(answer.url, None) else None)
    return page


def _left(url: str, failure: str | None) -> bool:
    """Whether a request to a foreign host left the browser; what its policy stops never does."""
    return "evil" in (urlsplit(url).hostname or "") and failure != "csp"


def test_names_on_mlflows_pages(misled: "BrowserContext", brought_up: tuple[int, int], processes: Processes) -> None:
    one = row("hostile names on MLflow's pages", "0 scripts, 0 foreign requests")
    met: list[str] = []
    page = _watched(misled, met)
    paths = (processes.folder / "mlruns" / "pages").read_text().splitlines()
    paths = [paths[number - 1] for number in spread(scaled(len(paths)), len(paths))]
    for path in (paths[0].partition("/runs/")[0], *paths):
        page.goto("about:blank")
        page.goto(f"http://127.0.0.1:{brought_up[1]}/#/{path}")
        page.get_by_text("theirs").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1_000)  # for what a script might do
        one.tried += 1
        one.broken += [f"{path}: {what}" for what in met]
        one.broken += [f"{path}: a script ran"] * bool(page.evaluate("!!window.obeyed"))
        met.clear()
    assert one.broken == []


def test_names_on_prefects_pages(misled: "BrowserContext", brought_up: tuple[int, int]) -> None:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import ArtifactCreate
    from prefect.flows import Flow

    one = row("hostile names on Prefect's pages", "0 scripts, 0 foreign requests")
    met: list[str] = []
    page = _watched(misled, met)
    place = f"http://127.0.0.1:{brought_up[0]}"
    names = _sayable()
    with SyncPrefectClient(f"{place}/api") as client:
        for number in spread(scaled(len(names)), len(names)):
            name = names[number - 1].replace("\x00", "")  # which Prefect's database cannot hold
            run = client.create_flow_run(Flow(lambda: None, name="theirs"), name=name, tags=[name])
            made = ArtifactCreate(key="theirs", type="markdown", data=name, description=name, flow_run_id=run.id)
            artifact = client.create_artifact(made)
            for path in (f"runs/flow-run/{run.id}", f"artifacts/artifact/{artifact.id}"):
                page.goto(f"{place}/{path}")
                page.wait_for_timeout(2_000)  # for the page, and for what a script might do
                one.tried += 1
                one.broken += [f"{name!r} on {path}: {what}" for what in met]
                one.broken += [f"{name!r} on {path}: a script ran"] * bool(page.evaluate("!!window.obeyed"))
                met.clear()
    assert one.broken == []


def test_names_in_reports(misled: "BrowserContext", tmp_path: Path) -> None:
    one = row("hostile names in the report", "0 scripts, 0 foreign requests")
    met: list[str] = []
    page = _watched(misled, met)
    path = tmp_path / "report.html"
    for name in _sayable():
        made = comparison_of({"numpy": 0.02, name: 0.0101}, {name: name})
        path.write_text(report_page(made, About(name, "0" * 32, error=name, note=name)), encoding="utf-8")
        page.goto(path.as_uri())
        one.tried += 1
        one.broken += [f"{name!r}: {what}" for what in met]
        one.broken += [f"{name!r}: a script ran"] * bool(page.evaluate("!!window.obeyed"))
        met.clear()
    assert one.broken == []
