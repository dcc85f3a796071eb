"""The leaderboard word by word, within 80 columns, and as JSON."""

import json
from datetime import timedelta

import pytest

from tests.made_recorded import FIRST, recorded
from vecml.cli.terminal import show_comparison
from vecml.history.leaderboard import Board, boards
from vecml.report.leaderboard import as_json, remarks, sentence, table, title

NOW = FIRST + timedelta(days=9)
OTHER = {"machine_key": "m2" * 8, "machine": "a faster processor, 8 CPUs", "device_name": "a faster processor"}


@pytest.fixture
def board() -> Board:
    made = [recorded(day, 2e6 * (1 + 0.01 * day), "torch", tied=True, break_even_rows=1234.5) for day in range(6)]
    made += [recorded(day, 2.03e6, tied=True) for day in range(6)]
    made += [recorded(7, 2.04e6, rows_per_s_low=1.9e6, rows_per_s_high=2.2e6, **OTHER)]
    made += [recorded(8, 1e6, "openvino")]
    made += [recorded(8.5, 9e6, "halide", verdict="invalid", reason="12 of 1,000 labels are wrong")]
    (found,) = boards(made)
    return found


def test_the_title_and_the_sentence(board: Board) -> None:
    assert title(board) == "network a1a1a1a1, digits.csv, 64 features, 10 classes, 100,000 to 999,999 rows"
    assert sentence(board) == (
        "torch on A has the highest rate on record of the 4 that count, 2.05 Mrow/s; numpy on B, numpy on A may be as"
        " fast; no verdict shows that it is faster than openvino on A."
    )


def test_the_table(board: Board) -> None:
    content = table(board, NOW)
    assert content.headings == (
        *("", "setting", "on", "rows/s", "interval", "tie", "accuracy", "memory", "pays from", "age"),
    )
    assert content.rows == (
        ("1", "torch", "A", "2.05 Mrow/s", "2 to 2.1", "first", "97.0 %", "210 MB", "1,235 rows", "4 d"),
        ("2", "numpy", "B", "2.04 Mrow/s", "~1.9 to 2.2", "tied?", "97.0 %", "210 MB", "-", "2 d"),
        ("3", "numpy", "A", "2.03 Mrow/s", "2.03 to 2.03", "tied", "97.0 %", "210 MB", "-", "4 d"),
        ("4", "openvino", "A", "1.00 Mrow/s", "-", "?", "97.0 %", "210 MB", "-", "24 h"),
        ("-", "halide", "A", "invalid", "-", "-", "97.0 %", "210 MB", "-", "12 h"),
    )


def test_the_remarks(board: Board) -> None:
    assert remarks(board) == [
        "A: a processor, 2 CPUs (m1m1m1m1)",
        "B: a faster processor, 8 CPUs (m2m2m2m2)",
        "~ indicative: there were fewer than 5 sittings, so the interval does not show how days differ",
        "first: its rate is the highest, and no verdict shows that it is faster than all others",
        "tied: a comparison that measured both together found no certain difference from the first",
        "tied?: its interval overlaps the first's; vecml compare with both settings can tell more",
        "?: it has no interval, so it cannot be compared with the first",
        "halide on A: 12 of 1,000 labels are wrong",
    ]


def test_only_so_many_places(board: Board) -> None:
    assert [row[0] for row in table(board, NOW, top=2).rows] == ["1", "2", "-"]
    assert "2 further settings not shown (--top 2)" in remarks(board, top=2)
    assert [place["rank"] for place in as_json([board], top=2)["boards"][0]["places"]] == [1, 2, None]


def test_one_machine_is_not_named_in_the_sentence() -> None:
    (board,) = boards([recorded()])
    assert sentence(board) == (
        "No answer: nothing else that counts is beside numpy, 1.00 Mrow/s. Compare it with others: vecml compare."
    )


def test_what_is_shown_to_be_the_fastest_is_called_so() -> None:
    (board,) = boards([recorded(0, 2e6, "torch", tied=True), recorded(0, 1e6, tied=False)])
    assert sentence(board) == "torch is the fastest on record, 2.00 Mrow/s."
    (board,) = boards([recorded(0, 2e6, "torch", tied=True), recorded(0, 1.9e6, tied=True)])
    assert sentence(board) == (
        "The fastest on record is torch or numpy, which cannot be told apart; torch ran 2.00 Mrow/s."
    )


def test_of_two_machines_whose_only_rival_is_invalid_nothing_is_said() -> None:
    (board,) = boards([recorded(), recorded(0, 2e6, "halide", verdict="invalid", reason="its rounds were disturbed")])
    assert sentence(board).startswith("No answer: nothing else that counts is beside numpy")
    assert "best" not in {place.tie for place in board.places}


def test_only_invalid_ones() -> None:
    (board,) = boards([recorded(verdict="invalid", reason="x", setting={"request_rows": "32"}, n_rows=None)])
    assert sentence(board) == "No answer: every setting is invalid."
    assert title(board) == "network a1a1a1a1, digits.csv, 64 features, 10 classes, requests of 32 rows"


def test_json_goes_through(board: Board) -> None:
    content = json.loads(json.dumps(as_json([board]), allow_nan=False))
    assert (content["version"], content["kind"]) == (1, "leaderboard")
    first = content["boards"][0]["places"][0]
    assert (first["rank"], first["setting"]["engine"], first["tie"], first["sittings"]) == (1, "torch", "highest", 6)
    assert first["latest"] == "2026-01-06T02:00:00+00:00"


def test_it_fits_80_columns(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    content = table(board, NOW)
    show_comparison(sentence(board), content.headings, content.rows, remarks(board), None, names=3)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for word in ("halide", "tied?", "97.0 %", "1,235", "first"):
        assert word in printed
