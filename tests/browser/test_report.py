"""The report in a real browser, from a file: no request, no console error, every picture there, light and dark."""

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.report.made_reports import functions, hostile, latency, many, quick, usual
from vecml.comparison.comparison import Comparison
from vecml.comparison.document import to_json
from vecml.report.page import About, page, page_of_run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("report")]

ABOUT = About("red kite", "0123456789abcdef0123456789abcdef", created="2026-11-25T20:48:10+00:00")
ALL: dict[str, Callable[[], Comparison]] = {
    "usual": usual,
    "quick": quick,
    "functions": functions,
    "latency": latency,
    "hostile": hostile,
    "fifty": many,
}
WIDTHS = (1280, 390)


@cache
def page_of(kind: str) -> str:
    """The page of a kind of comparison, made once."""
    return page(ALL[kind](), ABOUT)


class Shown:
    """A page that is open, and everything that it asked for or complained of."""

    def __init__(self, context: Any, path: Path) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        self.page = context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.goto(path.as_uri())

    def check(self) -> None:
        """Nothing was asked for beside the file itself, and nothing was complained of."""
        assert {urlsplit(url).scheme for url in self.asked} <= {"file", "data", "blob"}
        assert [url for url in self.asked if url.startswith("file:")] == [self.page.url.partition("#")[0]]
        assert self.said == []


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    """Open a page: `show(text, width=390, scheme="dark")`."""
    contexts = []

    def opened(text: str, width: int = 1280, scheme: str = "light") -> Shown:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 844 if width < 500 else 900}, color_scheme=scheme
        )
        contexts.append(context)
        return Shown(context, path)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Shown, str], None]:
    """Keep what is shown, the whole page, in the folder that VECML_SCREENSHOTS names, else in the test's own."""
    folder = Path(os.environ.get("VECML_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda shown, name: shown.page.screenshot(path=folder / f"report-{name}.png", full_page=True)


@pytest.mark.parametrize("kind", ALL)
def test_it_is_all_there_in_light_and_dark_on_a_desk_and_on_a_phone(
    show: Callable[..., Shown], keep: Callable[[Shown, str], None], kind: str
) -> None:
    text = page_of(kind)
    for width in WIDTHS:
        for scheme in ("light", "dark") if kind == "usual" else ({1280: "light", 390: "dark"}[width],):
            shown = show(text, width, scheme)
            shown.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
            sizes = shown.page.evaluate(
                """[...document.querySelectorAll("figure svg")].map((picture) => {
                    const box = picture.getBoundingClientRect();
                    return [picture.classList.contains("wide"), box.width, box.height, box.right];
                })"""
            )
            seen = [size for size in sizes if size[1] > 0]
            assert len(seen) == len(sizes) / 2 >= 2
            assert {wide for wide, *_ in seen} == {width >= 768}
            assert all(across >= 300 and high >= 100 and right <= width for _, across, high, right in seen)
            assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
            background = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
            light = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(","))) > 384
            assert light == (scheme == "light")
            keep(shown, f"{kind}-{width}-{scheme}")
            shown.check()


def test_no_text_is_cut_off_or_lies_on_other_text_in_a_picture(show: Callable[..., Shown]) -> None:
    """Every label lies within its picture, in the browser's own font."""
    text = page_of("usual")
    for width in WIDTHS:
        shown = show(text, width)
        outside = shown.page.evaluate(
            """[...document.querySelectorAll("figure svg")].filter((svg) => svg.getBoundingClientRect().width).flatMap(
                (svg) => {
                    const frame = svg.getBoundingClientRect();
                    return [...svg.querySelectorAll("text")].filter((text) => {
                        const box = text.getBoundingClientRect();
                        return box.left < frame.left - 6 || box.right > frame.right + 6;
                    }).map((text) => `${svg.id}: ${text.textContent}`);
                })"""
        )
        assert outside == []


def test_the_keyboard_reaches_every_link_and_table(show: Callable[..., Shown]) -> None:
    shown = show(page_of("usual"), 1280)
    reached = []
    for _ in range(80):
        shown.page.keyboard.press("Tab")
        told = shown.page.evaluate(
            """(() => {
                const at = document.activeElement;
                const line = getComputedStyle(at);
                return [at.tagName, at.textContent.trim().slice(0, 40), line.outlineStyle, line.outlineWidth];
            })()"""
        )
        if told[0] == "BODY":
            break
        reached.append(told)
    assert reached[0][:2] == ["A", "Skip to the content"]
    names = [name for _, name, *_ in reached]
    for name in ("Settings", "Verdicts", "Raw record", "rows/s", "The rules in words"):
        assert name in names
    assert any(name.startswith("Download red-kite.json") for name in names)
    assert all(style != "none" and width != "0px" for _, _, style, width in reached)
    shown.page.keyboard.press("Tab")
    shown.page.reload()
    shown.page.keyboard.press("Tab")
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate("document.activeElement.id") == "content"


def test_the_record_is_downloaded_as_it_was(show: Callable[..., Shown], tmp_path: Path) -> None:
    comparison = usual()
    shown = show(page(comparison, ABOUT))
    with shown.page.expect_download() as waiting:
        shown.page.click("#download")
    assert waiting.value.suggested_filename == "red-kite.json"
    waiting.value.save_as(tmp_path / "taken.json")
    assert (tmp_path / "taken.json").read_text(encoding="utf-8") == to_json(comparison)
    assert json.loads((tmp_path / "taken.json").read_bytes())["kind"] == "comparison"
    shown.check()


def test_the_table_is_sorted_by_a_column(show: Callable[..., Shown]) -> None:
    shown = show(page_of("usual"))
    names = "[...document.querySelectorAll('table.settings tbody th')].map((cell) => cell.textContent)"
    shown.page.click("text=rows/s >> nth=0")
    assert shown.page.evaluate(names)[0] == "row_loop threads=1"
    shown.page.click("text=rows/s >> nth=0")
    assert shown.page.evaluate(names)[0] == "torch threads=2"
    assert shown.page.evaluate("document.querySelectorAll('[aria-sort=descending]').length") == 1
    shown.check()


def test_it_is_there_without_a_script(chromium: Any, tmp_path: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    shown = Shown(context, _written(page_of("usual"), tmp_path))
    assert shown.page.get_attribute("#download", "download") == "red-kite.json.gz"
    with shown.page.expect_download() as waiting:
        shown.page.click("#download")
    assert waiting.value.suggested_filename == "red-kite.json.gz"
    context.close()


def test_fifty_settings_are_there_within_a_second(show: Callable[..., Shown], record_property: Any) -> None:
    """The time is kept and not judged tightly: the machine may be busy. By itself it is a third of a second."""
    text = page_of("fifty")
    assert len(text.encode()) < 2_000_000
    began = time.perf_counter()
    shown = show(text)
    interactive = shown.page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive") / 1000
    record_property("dom_interactive_seconds", round(interactive, 3))
    record_property("open_seconds", round(time.perf_counter() - began, 3))
    record_property("page_bytes", len(text.encode()))
    shown.check()


def test_it_prints_in_light_with_everything_open(show: Callable[..., Shown], tmp_path: Path) -> None:
    shown = show(page_of("usual"), 1280, "dark")
    shown.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert shown.page.evaluate("[...document.querySelectorAll('details')].every((part) => part.open)")
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.page.pdf().startswith(b"%PDF")
    shown.check()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_that_failed_is_a_page_too(
    show: Callable[..., Shown], keep: Callable[[Shown, str], None], width: int
) -> None:
    about = About("no luck", "0" * 32, status="FAILED", error="column 'a' is gone")
    text = page_of_run(
        about,
        "comparison",
        {"budget": "60s", "x" * 200: "y" * 900},
        {"infer/rows_per_s": 1.0},
        {"vecml.kind": "compare"},
    )
    shown = show(text, width)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    keep(shown, f"failed-{width}-light")
    shown.check()


def _written(text: str, folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path
