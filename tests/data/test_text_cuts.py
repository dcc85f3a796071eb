"""A text file is cut between rows alone, whatever stands in quotes; and what is cut holds what the whole file holds."""

import csv
import io
import itertools
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.data.delimited import read_delimited
from vecml.data.dialect import LOOK, Dialect
from vecml.data.encoding import Encoding
from vecml.data.stream import open_file, tables_of
from vecml.data.text_cuts import cut_text
from vecml.data.text_stream import find_dialect

PIECES = st.text(st.sampled_from('ab",\n ;'), max_size=8)


def rows_of(path: Path, dialect: Dialect) -> list[list[str | None]]:
    table = read_delimited(path, dialect, text=["x", "y", "z"])
    return [list(row.values()) for row in table.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(PIECES, PIECES, PIECES), min_size=1, max_size=30), st.integers(1, 60), st.booleans())
def test_parts_hold_the_rows_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], n_bytes: int, crlf: bool
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n" if crlf else "\n")
    writer.writerow(["x", "y", "z"])
    writer.writerows([(f"r{number}{x}", y, z) for number, (x, y, z) in enumerate(rows)])
    path.write_bytes(text.getvalue().encode())
    dialect = Dialect(",")
    spans = cut_text(path, dialect, n_bytes)
    assert all(one.stop == other.first for one, other in itertools.pairwise(spans))
    if spans:
        found = [row for span in spans for row in rows_of(path, replace(dialect, span=span))]
        assert found == rows_of(path, dialect)


@pytest.mark.parametrize("slice_bytes", [3, 7, 1 << 22])
def test_a_break_in_quotes_is_no_place_to_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_bytes: int
) -> None:
    monkeypatch.setattr("vecml.data.text_cuts.SLICE_BYTES", slice_bytes)
    draw, path = random.Random(1), tmp_path / "a.csv"
    values = ['"one\nand ""two""\n"', "plain", '"a, b"', '""', '"\n\n"']
    path.write_text("x,y\n" + "".join(f"{n},{draw.choice(values)}\n" for n in range(400)))
    dialect = find_dialect(path, LOOK)
    spans = cut_text(path, dialect, 500)
    assert len(spans) > 5
    content = path.read_bytes()
    assert [content[one.first - 1 : one.first] for one in spans] == [b"\n"] * len(spans)
    tables = [read_delimited(path, replace(dialect, span=one), text=["y"]) for one in spans]
    assert pa.concat_tables(tables) == read_delimited(path, dialect, text=["y"])
    several = [table for one in spans for table in tables_of(open_file(path, Encoding(()), ["x", "y"], span=one), 100)]
    assert pa.concat_tables(several)["x"].to_pylist() == [str(n) for n in range(400)]


@pytest.mark.parametrize(
    "row",
    ['{0},5" pipe', '{0},5",x"', '{0}, "a\nb"', '{0},"a"b'],
    ids=["a mark in a value", "a mark at its end", "a blank before", "text behind"],
)
def test_a_file_is_not_cut_where_a_mark_has_no_meaning(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{n},b\n" for n in range(300)) + row.format(7) + "\n" + "8,b\n" * 300)
    assert cut_text(path, Dialect(","), 500) == ()
    path.write_text(path.read_text().replace(row.format(7), '7,"c"'))
    assert len(cut_text(path, Dialect(","), 500)) > 3


@pytest.mark.parametrize("dialect", [Dialect(",", "utf-16"), Dialect(",", escape="\\"), Dialect(" ")])
def test_what_is_not_known_byte_by_byte_is_not_cut(tmp_path: Path, dialect: Dialect) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x y\n" + "1 2\n" * 1_000)
    assert cut_text(path, dialect, 500) == ()


def test_lines_above_the_header_stand_above_every_part(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('# a table\n# of numbers\nx,"y\nz"\n' + "".join(f"{n},{n % 3}\n" for n in range(500)))
    dialect = find_dialect(path, LOOK)
    spans = cut_text(path, dialect, 600)
    assert len(spans) > 4
    tables = [read_delimited(path, replace(dialect, span=one)) for one in spans]
    assert tables[-1].column_names == ["x", "y\nz"]
    assert pa.concat_tables(tables) == read_delimited(path, dialect)
