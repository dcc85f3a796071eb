"""The page as a file: whole in itself, closed to what names may hold, and true to the record that it carries."""

import base64
import dataclasses
import hashlib
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from tests.made_comparison import comparison_of
from tests.report.made_reports import HOSTILE, PREFIX, functions, hostile, latency, many, quick, record_in, usual
from vecml.comparison.comparison import Comparison, families
from vecml.comparison.document import from_json, to_json
from vecml.report.comparison import reasons, sentence, table
from vecml.report.page import About, download_address, file_stem, is_a_page, page, page_of_run

ABOUT = About("a run of mine", "0123456789abcdef0123456789abcdef", created="2026-11-25T20:48:10+00:00")
ALL: dict[str, Callable[[], Comparison]] = {
    "usual": usual,
    "quick": quick,
    "functions": functions,
    "latency": latency,
    "hostile": hostile,
}
VOID = {"meta", "link", "img", "br", "path", "rect", "circle", "line"}


class Reader(HTMLParser):
    """Every element with its attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((self.inside[-1] if self.inside else "", data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.elements if found == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(data for tag, data in self.texts if tag not in ("style", "script")).split())


@pytest.mark.parametrize("kind", ALL)
def test_the_page_is_whole_in_itself(kind: str) -> None:
    """Every element is closed, every id is there once, every link leads somewhere within, and no address leads out."""
    reader = Reader(page(ALL[kind](), ABOUT))
    assert reader.inside == []
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            if value is not None:
                assert value.startswith(("#", "data:")), value
                assert not value.startswith("#") or value[1:] in ids, value
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert [
        attributes for tag, attributes in reader.elements if tag in ("iframe", "object", "embed", "base", "form")
    ] == []
    assert [tag for tag, _ in reader.elements].count("script") == 1


@pytest.mark.parametrize("kind", ALL)
def test_no_address_and_nothing_outside_is_named(kind: str) -> None:
    assert re.findall(r"(?:https?:)?//[a-zA-Z0-9]", re.sub(f'{PREFIX}[^"]*', "", page(ALL[kind](), ABOUT))) == []


def test_the_policy_allows_the_pages_own_lines_alone() -> None:
    text = page(usual(), ABOUT)
    reader = Reader(text)
    policy = next(meta["content"] for meta in reader.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script>")


@pytest.mark.parametrize("kind", ALL)
def test_the_record_in_the_page_gives_the_same_verdicts(kind: str) -> None:
    comparison = ALL[kind]()
    content = record_in(page(comparison, ABOUT))
    assert content.decode() == to_json(comparison)
    assert families(from_json(content, "a page")) == families(comparison)


def test_the_record_can_be_seen_and_taken_by_a_link_without_a_script() -> None:
    (link,) = [found for found in Reader(page(usual(), ABOUT)).all("a") if "download" in found]
    assert link["download"] == "a-run-of-mine.json.gz"
    assert link["href"] == download_address(to_json(usual()))
    assert "hidden" not in link


@pytest.mark.parametrize("kind", ALL)
def test_answer_table_and_reasons_are_those_of_every_other_place(kind: str) -> None:
    comparison = ALL[kind]()
    text = page(comparison, ABOUT)
    if kind == "hostile":
        return
    told = Reader(text).text
    assert sentence(comparison) in told
    content = table(comparison)
    for line in (content.headings, *content.rows):
        for cell in line:
            assert cell in told
    for line in reasons(comparison)[:-1]:
        assert line in told
    how = reasons(comparison)[-1]
    assert f"{how[0].upper()}{how[1:]}." in told


def test_what_was_asked() -> None:
    assert "Which of 5 ways to run the inference of a 10-32-2 network labels 1,000 generated rows fastest" in (
        Reader(page(usual(), ABOUT)).text
    )
    assert "Which of 4 ways to run the inference of a 10-32-2 network answers requests of 1 or 32 rows soonest" in (
        Reader(page(latency(), ABOUT)).text
    )
    assert "Which of 2 functions is fastest here over the same input?" in Reader(page(functions(), ABOUT)).text
    assert "Measured in a quick look." in Reader(page(quick(), ABOUT)).text


def test_the_run_and_its_day() -> None:
    told = Reader(page(usual(), ABOUT)).text
    assert "25 November 2026, 20:48 UTC" in told
    assert "0123456789abcdef0123456789abcdef" in told
    assert "yesterday" in Reader(page(usual(), dataclasses.replace(ABOUT, created="yesterday"))).text


def test_only_an_address_of_a_page_becomes_a_link() -> None:
    links = Reader(page(usual(), dataclasses.replace(ABOUT, address="http://127.0.0.1:5000/#/x?a=1&b=2"))).all("a")
    assert [link["href"] for link in links if link["href"].startswith("http")] == ["http://127.0.0.1:5000/#/x?a=1&b=2"]
    for address in ("javascript:alert(1)", "data:text/html,x", " https://x", "file:///etc/passwd"):
        links = Reader(page(usual(), dataclasses.replace(ABOUT, address=address))).all("a")
        assert address not in [link["href"] for link in links]


def test_a_quick_look_says_that_there_is_no_verdict() -> None:
    told = Reader(page(quick(), ABOUT)).text
    assert "This was a quick look: there are figures, but no intervals and no verdicts." in told
    assert "the whiskers are" not in told


def test_functions_have_no_labels_and_no_limits() -> None:
    told = Reader(page(functions(), ABOUT)).text
    assert "Functions have no labels." in told
    assert "Limits of the machine" not in told
    assert "Accuracy and speed" not in told


def test_an_invalid_baseline_gives_a_page_too() -> None:
    comparison = usual()
    comparison = dataclasses.replace(comparison, faults={"numpy threads=1": "its logits are off"})
    told = Reader(page(comparison, ABOUT)).text
    assert "No answer: the baseline numpy threads=1 is invalid: its logits are off." in told
    assert "Recommended no answer" in " ".join(told.split())


def test_a_baseline_with_nothing_beside_it_gives_a_page_too() -> None:
    """Of a comparison whose other settings all failed, only the baseline and its copy have a ratio."""
    alone = comparison_of({"numpy": 0.02})
    assert "nothing was measured beside numpy" in page(alone, ABOUT)
    assert sentence(alone).startswith("No answer: nothing was measured beside numpy.")


def test_what_is_not_recorded_is_said() -> None:
    told = Reader(page(usual(), ABOUT)).text
    assert "Which rows flipped, and the margin of each, is not recorded" in told


def test_what_differs_between_the_arms() -> None:
    comparison = usual()
    arms = tuple(
        dataclasses.replace(
            arm,
            launches=tuple(
                dataclasses.replace(launch, facts={**launch.facts, "os_threads": 9 if "torch" in arm.name else 4})
                for launch in arm.launches
            ),
        )
        for arm in comparison.measured.arms
    )
    changed = dataclasses.replace(comparison, measured=dataclasses.replace(comparison.measured, arms=arms))
    told = Reader(page(changed, ABOUT)).text
    assert "os threads 4 numpy threads=1, openvino threads=2, onnxruntime threads=1, row_loop threads=1" in told
    assert "os threads 9 torch threads=2" in told
    assert "No recorded fact of the workers differs between them." in Reader(page(comparison, ABOUT)).text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    """The same elements as with a harmless name, in a page of names that try everything."""
    about = dataclasses.replace(ABOUT, name=name, run_id=name, error=name, status="FAILED", note=name, created=name)
    harmless = dataclasses.replace(ABOUT, name="n", run_id="n", error="n", status="FAILED", note="n", created="n")
    for made in (page(hostile(), about), page_of_run(about, "run", {name: name}, {name: 1.0}, {name: name})):
        reader = Reader(made)
        tags = {tag for tag, _ in reader.elements}
        assert "img" not in tags
        assert [tag for tag, _ in reader.elements].count("script") == 1
        assert not [attribute for _, found in reader.elements for attribute in found if attribute.startswith("on")]
    tags_of = [[tag for tag, _ in Reader(page(hostile(), one)).elements] for one in (about, harmless)]
    assert tags_of[0] == tags_of[1]


def test_templates_in_names_are_not_carried_out() -> None:
    text = page(hostile(), ABOUT)
    assert html.escape("{{7*7}} {% raw %} ${7*7} <%= 7*7 %>", quote=False) in text


def test_hidden_and_turning_characters_are_shown_as_squares() -> None:
    text = page(hostile(), dataclasses.replace(ABOUT, name="a\u202eb\x00"))
    outside = text[: text.index(PREFIX)]
    assert "\u202e" not in outside
    assert "\x00" not in text
    assert "a□b□" in outside


def test_the_same_record_gives_the_same_page() -> None:
    assert page(usual(), ABOUT) == page(usual(), ABOUT)


def test_fifty_settings_are_under_two_megabytes() -> None:
    comparison = many(50)
    text = page(comparison, ABOUT)
    assert len(comparison.settings) == 50
    assert len(text.encode()) < 2_000_000
    assert families(from_json(record_in(text), "a page")) == families(comparison)


def test_a_run_that_failed_shows_what_there_is() -> None:
    about = dataclasses.replace(ABOUT, status="FAILED", error="column 'a' is gone")
    text = page_of_run(
        about,
        "comparison",
        {"budget": "60s"},
        {"infer/rows_per_s": 1234567.0, "test/accuracy": float("nan")},
        {"vecml.kind": "compare", "mlflow.user": "somebody"},
    )
    told = Reader(text).text
    for words in ("This run failed.", "column 'a' is gone", "budget 60s", "infer/rows_per_s 1,234,567", "nan"):
        assert words in told
    assert "somebody" not in told
    killed = Reader(page_of_run(dataclasses.replace(about, status="KILLED", error=None), "run", {}, {}, {})).text
    assert "This run was killed. It does not say why." in killed
    assert killed.count("None was logged.") == 3
    running = Reader(page_of_run(dataclasses.replace(about, status="RUNNING"), "run", {}, {}, {})).text
    assert "This run has not ended yet." in running


def test_a_comparison_that_failed_after_its_measurement_has_both() -> None:
    told = Reader(page(usual(), dataclasses.replace(ABOUT, status="FAILED", error="no room"))).text
    assert "This run failed. no room" in told
    assert sentence(usual()) in told


def test_the_pictures_of_a_run_are_in_its_page() -> None:
    png = b"\x89PNG\r\n\x1a\n..."
    reader = Reader(page_of_run(ABOUT, "pipeline run", {}, {}, {}, {"loss.png": png}))
    (image,) = reader.all("img")
    assert image["alt"] == "loss.png"
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == png


def test_our_pages_are_known_again() -> None:
    for text in (page(usual(), ABOUT), page_of_run(dataclasses.replace(ABOUT, name="x" * 6000), "run", {}, {}, {})):
        assert is_a_page(text.encode())
    assert not is_a_page(b"<!doctype html><p>vecml report")
    assert not is_a_page(json.dumps({"a": 1}).encode())


def test_a_files_name_is_plain() -> None:
    assert file_stem("red kite 3", "id") == "red-kite-3"
    assert file_stem("../../etc/passwd", "id") == "etc-passwd"
    assert file_stem("שלום", "id") == "id"
    assert file_stem("..", "id") == "id"
    assert len(file_stem("x" * 400, "id")) == 60


def test_keyboard_and_screen_reader_find_their_way() -> None:
    reader = Reader(page(usual(), ABOUT))
    links = reader.all("a")
    assert links[0] == {"class": "skip", "href": "#content"}
    assert all(
        found.get("tabindex") == "0" for _, found in reader.elements if "scroll" in found.get("class", "").split()
    )
    assert all(picture.get("aria-label") for picture in reader.all("svg"))
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("h1")) == 1
    assert len(reader.all("main")) == 1
    assert len(reader.all("summary")) == len(reader.all("details")) >= 3
