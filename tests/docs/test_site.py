"""The site builds without a warning, and no page of it asks another host for anything."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "use": "href",
}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "prefetch", "manifest"}
REMOTE = re.compile(r"^(https?:)?//")


class Fetched(HTMLParser):
    """Collects the addresses that a browser fetches by itself when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in FETCHED and FETCHED[tag] in given:
            self.addresses.append(given[FETCHED[tag]])
        elif tag == "link" and set(given.get("rel", "").split()) & FETCHED_LINKS:
            self.addresses.append(given.get("href", ""))
        self.addresses += in_css(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.addresses += in_css(data)


def in_css(text: str) -> list[str]:
    """What a style sheet fetches."""
    return re.findall(r"""url\(\s*["']?([^"')]+)""", text) + re.findall(r"""@import\s+["']([^"']+)""", text)


def remote(path: Path) -> list[str]:
    """Addresses on other hosts that a page or a style sheet fetches."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        found = in_css(text)
    else:
        page = Fetched()
        page.feed(text)
        found = page.addresses
    return [address for address in found if REMOTE.match(address)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="make setup installs what builds the site")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def test_no_page_asks_another_host(site: Path) -> None:
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > 15
    assert {str(path.relative_to(site)): remote(path) for path in files if remote(path)} == {}


def test_every_command_and_every_public_name_has_its_place(site: Path) -> None:
    from vecml import __all__
    from vecml.cli.app import app

    commands = (site / "commands.html").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f">vecml {command.name}<" in commands, command.name

    python = (site / "python.html").read_text(encoding="utf-8")
    for name in set(__all__) - {"__version__"}:
        assert re.search(rf'id="[a-z_.]*\.{name}"', python), name


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ("a.html", '<link rel="preconnect" href="//fonts.example">', ["//fonts.example"]),
        (
            "a.html",
            '<img src="http://example.org/a.png"><a href="https://example.org">read</a>',
            ["http://example.org/a.png"],
        ),
        (
            "a.html",
            "<style>@font-face { src: url(https://example.org/f.woff2) }</style>",
            ["https://example.org/f.woff2"],
        ),
        (
            "a.css",
            '@import "https://example.org/a.css"; b { background: url("data:image/png,x") }',
            ["https://example.org/a.css"],
        ),
        ("a.html", '<script src="assets/x.js"></script><link rel="canonical" href="https://example.org">', []),
    ],
)
def test_the_checker_itself(tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert remote(tmp_path / name) == found
