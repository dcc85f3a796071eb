"""Whatever a name holds, no output has a character that a terminal or a page obeys, and no forged line."""

import dataclasses
import io
import json
import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made_comparison import comparison_of
from vecml.cli import terminal
from vecml.comparison.document import to_json
from vecml.errors import DataError
from vecml.foreign_text import JOINERS, clean, clean_json
from vecml.report import comparison as report
from vecml.report.page import About, page
from vecml.report.summary import markdown
from vecml.warnings import warn

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "a\rb",
    "a\nerror: forged",
    "a\u2028error: forged",
    "a\x0bb",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\u200fright",
    "\ufeffmark",
    "\x00null",
    "\x7fdelete",
    "\ud800lone",
    "\U000e0041tag",
    "<script>alert(1)</script>",
    "[bold red]markup[/]",
    "[link=http://evil.example]here[/link]",
    "![x](http://evil.example)",
    "|cell|",
    "{{ 7 * 7 }}",
]


def obeyed(text: str) -> list[str]:
    """The characters of a text that something may obey; line breaks are ours to make."""
    return [one for one in text if not one.isprintable() and one not in JOINERS and one != "\n"]


@given(st.text(st.characters(), max_size=40))
def test_clean_text_is_harmless_and_the_rest_stays(text: str) -> None:
    found = clean(text)
    assert obeyed(found) == []
    assert "\n" not in found
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        if unicodedata.category(before)[0] in "LNMPS":
            assert after == before


@given(st.recursive(st.text(st.characters(), max_size=20), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_clean_json_says_the_same(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    found = clean_json(text)
    assert json.loads(found) == value
    assert obeyed(found) == []


def shown_error(name: str) -> None:
    terminal.show_error(DataError(f"there is no column {name}", f"did you mean {name}?"))


def shown_warning(name: str) -> None:
    with terminal.shown_warnings(()):
        warn("VML001", f"column {name} is constant")


def shown_result(name: str) -> None:
    terminal.show_result(f"{name} is right", [("data", name), (name, "1")], f"http://127.0.0.1/{name}")


def shown_comparison(name: str) -> None:
    terminal.show_comparison(f"{name} is fastest", ("setting", "interval"), [(name, "1 to 2")], [name], None)


def shown_line(name: str) -> None:
    terminal.console().print(f"Our runs: {name}", soft_wrap=True, markup=False)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("show", [shown_error, shown_warning, shown_result, shown_comparison, shown_line])
def test_the_terminal_obeys_no_name(show: Callable[[str], None], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    show(name)
    assert obeyed(out.getvalue()) == []
    if show is not shown_line:  # which is for paths and addresses of ours
        assert not [line for line in out.getvalue().splitlines() if line.startswith("error: forged")]


# Of JSON and of tables no lone surrogate comes: both are UTF-8.
@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "\ud800lone"], ids=ascii)
def test_no_page_obeys_a_name(name: str) -> None:
    made = comparison_of({"numpy": 0.02, name: 0.0101}, {name: name})
    subject = dataclasses.replace(made.subject, data_source=name)
    made = dataclasses.replace(made, subject=subject, faults={name: name})
    html, note = page(made, About(name, "0" * 32, error=name, note=name)), markdown(name)
    visible = html.split("application/json", maxsplit=1)[0]  # the raw record below is data, in escapes of its own
    for text in (visible, report.as_html(made), report.note(made), note):
        assert obeyed(text) == []
        assert "<script>alert" not in text
    assert obeyed(clean_json(to_json(made))) == []
