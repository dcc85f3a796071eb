"""The sentence, the table and the reasons of a comparison: what a person reads, word by word."""

import dataclasses
import re

import pytest

from tests.made_comparison import comparison_of
from vecml.cli.terminal import show_comparison
from vecml.report.comparison import as_html, as_text, expectation, note, reasons, sentence, shown, table
from vecml.report.page import About, page


def test_faster() -> None:
    assert re.fullmatch(
        r"torch is 2\.0\d times as fast \(1\.9\d to 2\.0\d\) as numpy here\.",
        sentence(comparison_of({"numpy": 0.02, "torch": 0.01})),
    )


def test_slower_is_told_the_other_way_round() -> None:
    found = sentence(comparison_of({"numpy": 0.01, "torch": 0.02}))
    assert re.fullmatch(r"numpy is (1\.9|2\.0)\d times as fast \(1\.9\d to 2\.0\d\) as torch here\.", found)


def test_equivalent() -> None:
    found = sentence(comparison_of({"numpy": 0.01, "torch": 0.01}))
    assert re.fullmatch(r"torch and numpy are equivalent here \((0\.99|1\.00) to 1\.0\d times as fast\)\.", found)


def test_undetected_says_what_could_have_been_seen() -> None:
    found = sentence(comparison_of({"numpy": 0.0104, "torch": 0.01}))
    assert found.startswith("No difference between torch and numpy was detected here: 1.0")
    assert "is within this machine's A/A gate (not measured yet: vecml qualify) of 5.0 %" in found
    assert re.search(r"this could have seen \d\.\d % or more\.$", found)


def test_invalid() -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01}, {"torch": "3 of 1,000 labels are wrong"})
    assert sentence(made) == "No answer: torch is invalid: 3 of 1,000 labels are wrong."


def test_an_invalid_baseline() -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01}, {"numpy": "it hung"})
    assert sentence(made) == "No answer: the baseline numpy is invalid: it hung."


def test_several_settings_and_a_tie_goes_to_the_simplest() -> None:
    made = comparison_of({"row_loop": 0.1, "numpy": 0.0101, "torch": 0.01, "bad": 0.001}, {"bad": "wrong"})
    found = sentence(made)
    assert found.startswith(
        "The fastest of the 3 that count here is numpy or torch, which cannot be told apart; torch is "
    )
    assert found.endswith(" as row_loop, and the simplest of these is numpy. Invalid: bad.")


def test_the_baseline_may_be_the_fastest() -> None:
    found = sentence(comparison_of({"numpy": 0.01, "torch": 0.02, "row_loop": 0.5}))
    assert found == "numpy, the baseline, is the fastest here."


def test_the_table_has_what_is_known() -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01})
    content = table(made)
    assert content.headings == (
        "setting", "rows/s", "ratio", "interval", "verdict", "load", "memory", "flips", "limit", "pays from",
    )  # fmt: skip
    numpy, torch = content.rows
    assert numpy[0] == "numpy"
    assert numpy[1].endswith(" krow/s")
    assert numpy[2:7] == ("1", "-", "baseline", "250 ms", "200 MB")
    assert torch[4:8] == ("faster", "250 ms", "200 MB", "2")
    # 0.25 s over a saving of 10 µs a row
    assert 24_000 < int(torch[9].removesuffix(" rows").replace(",", "")) < 26_000


def test_the_reasons_name_everything() -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01, "bad": 0.001}, {"bad": "wrong"})
    found = reasons(made)
    assert found[0].startswith("torch: faster: the interval ")
    assert found[1] == "bad: invalid: wrong"
    assert found[-1] == (
        "measured in 5 launches, 180 blocks, 55 s; 1 slow launch replaced; A/A gate 5.0 %"
        " (default; vecml qualify measures it)"
    )


def test_names_cannot_become_markup() -> None:
    made = comparison_of({"numpy": 0.02, "<b>[red]*x*|": 0.01})
    assert "<b>" not in as_html(made)
    assert "&lt;b&gt;" in as_html(made)
    assert "<b>" not in note(made).replace("\\<", "")
    assert shown(made)._repr_html_() == as_html(made)
    assert str(shown(made)) == as_text(made)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_it_fits_the_terminal_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    made = comparison_of({"numpy threads=1 layout=columns": 0.02, "torch threads=2 layout=rows": 0.01})
    content = table(made)
    show_comparison(sentence(made), content.headings, content.rows, reasons(made), "http://127.0.0.1:5000/#/x")
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in printed
    squeezed = re.sub(r"\s", "", printed)
    for word in ("baseline", "faster", "250ms", "200MB", "threads=1", "layout=rows"):
        assert word in squeezed


def test_a_column_without_a_figure_needs_no_table_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    headings, row = ("setting", "rows/s", "pays from"), ("numpy", "49.9 Mrow/s", "-")
    for width, is_there in (("40", True), ("20", False)):
        monkeypatch.setenv("COLUMNS", width)
        show_comparison("", headings, [row], [], None)
        assert ("pays from" in capsys.readouterr().out) == is_there


SEVEN = ("torch", "row_loop", "numpy", "torch_compile", "onnxruntime", "openvino", "halide")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_of_seven_engines_has_no_folded_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    seconds = (0.000020, 0.09, 0.000033, 0.0000151, 0.0000124, 0.0000112, 0.0000041)
    made = comparison_of(dict(zip(SEVEN, seconds, strict=True)))
    content = table(made)
    show_comparison(sentence(made), content.headings, content.rows, [], None)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    for row in content.rows:
        own = " ".join(line for line in lines if line.startswith(f"{row[0]} "))
        assert [cell for cell in row if f" {cell} " not in f" {own} "] == []
    if width == 80:
        assert sum(line.startswith("setting ") for line in lines) == 2


def test_what_is_said_before() -> None:
    assert expectation(0.056, "60s", "default") == (
        "budget 60s: differences of 5.6 % and more should be found nine times in ten (by a default noise figure: vecml"
        " qualify measures this machine's)"
    )
    assert expectation(None, "quick", "default") == "quick: one launch gives figures and no verdict"


@pytest.mark.parametrize(
    ("first", "line"),
    [
        (3.0, "torch: its first call takes 3 s, a later one 9.97 ms; it is in no rate"),
        (0.09, None),  # too short to matter
        (None, None),  # a record of an earlier version
    ],
)
def test_a_slow_first_call_is_told(first: float | None, line: str | None) -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01})
    arms = tuple(
        dataclasses.replace(
            arm,
            launches=tuple(
                dataclasses.replace(launch, facts={**launch.facts, "first_call_seconds": first})
                for launch in arm.launches
            ),
        )
        if arm.name == "torch"
        else arm
        for arm in made.measured.arms
    )
    made = dataclasses.replace(made, measured=dataclasses.replace(made.measured, arms=arms))
    told = [one for one in reasons(made) if "first call" in one]
    assert told == ([] if line is None else [line])


def test_what_no_verdict_can_exclude_is_said_where_there_is_one() -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01})
    about_bias = "no verdict here excludes a bias of code layout and of this one host"
    assert about_bias in as_text(made)
    assert about_bias in note(made)
    assert about_bias in page(made, About("run", "0" * 32))
    wrong = comparison_of({"numpy": 0.02, "torch": 0.01}, {"torch": "12 of 1,000 labels are wrong"})
    assert about_bias not in as_text(wrong)
