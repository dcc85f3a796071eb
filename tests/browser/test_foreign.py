"""What a foreign page, and a stranger's names, can do to the servers that vecml starts: nothing. A sample for CI."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import CHROMIUM, FLAGS, Processes
from tests.browser.foreign import ATTACK, MARK, RESOLVER, foreign_site, framed, mlflow_target
from tests.migrated_store import migrated_database
from tests.system.conftest import BIN, answers, free_port, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

__all__ = ["migrated_database"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("foreign pages")]


@pytest.fixture(scope="module")
def misled(chromium: "Browser") -> Iterator["BrowserContext"]:
    """A browser for which foreign names are this machine's."""
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, RESOLVER])
    yield browser.new_context()
    browser.close()


@pytest.fixture(scope="module")
def port(processes: Processes, migrated_database: Path) -> int:
    """Of `vecml ui` over a store with one run, whose note has a picture of another host."""
    from mlflow import MlflowClient

    folder: Path = processes.folder / "mlruns"
    folder.mkdir()
    shutil.copy(migrated_database, folder / "mlflow.db")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("theirs", artifact_location=(folder / "artifacts").as_uri())
    run = client.create_run(experiment, run_name="<img src=http://evil.example/x.png>")
    client.set_tag(run.info.run_id, "mlflow.note.content", "A note. ![x](http://evil.example/note.png)")
    (folder / "run").write_text(f"experiments/{experiment}/runs/{run.info.run_id}")
    found = free_port()
    processes(BIN / "vecml", "ui", "--port", str(found), log=processes.folder / "ui.log")
    wait_for(lambda: answers(f"http://127.0.0.1:{found}/health"), 120, "MLflow's UI")
    return found


def test_a_foreign_page_gets_nothing(misled: "BrowserContext", port: int, processes: Processes) -> None:
    target = mlflow_target(port)
    page = misled.new_page()
    page.goto(f"http://127.0.0.1:{port}/health")  # what the attack is worth: the server's own page gets all
    own = page.evaluate(ATTACK, {**target.at("127.0.0.1"), "writes": []})
    assert sum(one.startswith("read ") for one in own) == 2 * len(target.reads)
    with foreign_site() as site:
        for place, host in (
            (f"http://evil.example:{site}", "127.0.0.1"),
            (f"http://evil.example:{port}", "evil.example"),
        ):
            page.goto(f"{place}/")
            assert page.evaluate(ATTACK, target.at(host)) == []
        assert not framed(page, target, site)
    with sqlite3.connect(processes.folder / "mlruns" / "mlflow.db") as database:
        assert MARK not in "\n".join(database.iterdump())
    database.close()


def test_a_note_asks_no_other_host(misled: "BrowserContext", port: int, processes: Processes) -> None:
    page = misled.new_page()
    with page.expect_event("requestfailed", lambda request: "note.png" in request.url, timeout=60_000) as failed:
        page.goto(f"http://127.0.0.1:{port}/#/{(processes.folder / 'mlruns' / 'run').read_text()}")
    assert failed.value.failure == "csp"  # the browser never asked
