"""A real browser, Debian's chromium driven by Playwright, before real servers; screenshots are kept to be looked at.

They go into the folder that VECML_SCREENSHOTS names, else into the test's own. A page that asks anybody but this
machine for anything fails its test.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.system.conftest import (
    BIN,
    ROOT,
    Processes,
    environment,
    forked,
    free_port,
    prefect_home,
    shared_prefect,
    wait_for,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = [
    "environment",
    "forked",
    "prefect_home",
    "shared_prefect",
]  # fixtures of the system tests, which the servers of these need too

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
HERE = ("127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """The browser; a test that needs it is skipped where it is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: `apt-get install chromium` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    """A page in a browser that has been nowhere before; afterwards it has asked nobody but this machine."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    elsewhere = [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and not _is_here(url)]
    assert elsewhere == []


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in HERE


@pytest.fixture
def screenshot(page: "Page", tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Keep what the page shows now, under a name."""

    def keep(name: str) -> Path:
        folder = Path(os.environ.get("VECML_SCREENSHOTS") or tmp_path)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{request.path.stem.removeprefix('test_')}-{name}.png"
        page.screenshot(path=path)
        return path

    return keep


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Processes]:
    """Starts processes in a folder for the module's tests."""
    made = Processes(tmp_path_factory.mktemp("servers"), environment)
    yield made
    made.end()


@pytest.fixture(scope="module")
def brought_up(processes: Processes, prefect_home: Path) -> dict[str, str]:
    """`vecml up` in a checkout of the module's own; the addresses that it prints, by name."""
    home = processes.folder
    for part in ("flows", "tasks", "vecml"):
        shutil.copytree(ROOT / part, home / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", home)
    (home / ".prefect").mkdir()
    shutil.copy(prefect_home / "prefect.db", home / ".prefect")
    log = home / "up.log"
    ports = ("--prefect-port", str(free_port()), "--mlflow-port", str(free_port()))
    process = processes(BIN / "vecml", "up", *ports, log=log)
    wait_for(lambda: "Ctrl-C ends" in log.read_text() or process.poll() is not None, 280, "vecml up")
    assert process.poll() is None, log.read_text()
    return dict(re.findall(r"^(\w+): +(http\S+)$", log.read_text(), flags=re.MULTILINE))
