"""Lines above a header, files that are no text, tables without a header, and the line in a refusal."""

from pathlib import Path

import numpy as np
import pytest

from vecml.config import make_config
from vecml.data.dialect import LOOK, AskedFormat, dialect_of
from vecml.data.encoding import Encoding
from vecml.data.raw import raw_columns
from vecml.data.sources import check_source, load_table
from vecml.data.stream import blocks, open_file
from vecml.errors import DataError
from vecml.warnings import VecmlWarning

ROWS = "".join(f"{i * i % 7},{20 + i % 13},{'xy'[i * 7919 // 13 % 2]}\n" for i in range(40))


def saved(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("above", "lines", "first"),
    [
        ("Report of 2024\n", 1, "Report of 2024"),
        ("Report of 2024\n\n", 2, "Report of 2024"),
        ("Report of 2024,,\n,,\n", 2, "Report of 2024,,"),
        ("Report of 2024,,\n", 1, "Report of 2024,,"),
        ("Sales\nAll shops\n\n", 3, "Sales"),
        ('"Sales, all shops"\n\n', 2, '"Sales, all shops"'),
    ],
)
def test_titles_above_the_header_are_left_out_and_said(tmp_path: Path, above: str, lines: int, first: str) -> None:
    path = saved(tmp_path, above + "a,b,label\n" + ROWS)
    with pytest.warns(VecmlWarning) as caught:
        table = load_table(make_config({"data": str(path), "target": "label"}))
    line = "1 line" if lines == 1 else f"{lines} lines"
    assert [str(one.message) for one in caught] == [f"VML050 a.csv: {line} above its header left out: {first!r}"]
    plain = load_table(make_config({"data": str(saved(tmp_path, "a,b,label\n" + ROWS, "b.csv")), "target": "label"}))
    assert table.digest == plain.digest
    encoding = Encoding.fit(table.columns)
    with pytest.warns(VecmlWarning, match="VML050"):
        read = raw_columns(path, encoding)
    with pytest.warns(VecmlWarning, match="VML050"):
        (block,) = blocks(open_file(path, encoding), 100)
    for one, two in zip(read, block.columns, strict=True):
        np.testing.assert_array_equal(one.values_N, two.values_N)


@pytest.mark.parametrize(
    "content",
    [
        "a,b,label\n" + ROWS,
        "note\nhello, world\nred, blue\ngood, bad\n",  # one column of texts with commas
        '"","a","label"\n' + "".join(f'"{i}",{i % 7},"x"\n' for i in range(9)),  # R's names of rows
        "a\n" + "".join(f"{i}\n" for i in range(9)),
        "a,b\n" + ROWS,
    ],
)
def test_what_may_be_a_header_is_one(content: str) -> None:
    assert not [what for what, _ in dialect_of(content.encode(), True, ".csv", LOOK, "a").said if "above" in what]


def test_the_row_that_does_not_fit_is_named_with_its_line(tmp_path: Path) -> None:
    content = 'Report\n\na,b,label\n1,2,x\n"3\n4",2,y\n\n5,1\n' + ROWS
    path = saved(tmp_path, content)
    with pytest.raises(DataError, match=r"^a\.csv: row 3, line 8 has 2 values, the header names 3 columns$"):
        load_table(make_config({"data": str(path), "target": "label"}))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"<!DOCTYPE html>\n<html><body>", "a web page (HTML)"),
        (b"\n  <html lang='en'>", "a web page (HTML)"),
        (b'{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n', "a JSON file"),
        (b'[\n  {"a": 1}\n]', "a JSON file"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"PK\x03\x04", "a zip archive or an Excel file"),
        (b"\xd0\xcf\x11\xe0\xa1", "an Excel file of before 2007"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "an XML file"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"SQLite format 3\0", "an SQLite database"),
    ],
)
def test_a_file_of_another_kind_is_said_to_be_one(start: bytes, kind: str) -> None:
    with pytest.raises(DataError) as caught:
        dialect_of(start, True, ".csv", LOOK, "a.csv")
    assert caught.value.message == f"a.csv is no text: it begins as {kind} does"
    assert caught.value.hint


def test_zero_bytes_are_no_text_unless_they_are_utf_16() -> None:
    with pytest.raises(DataError, match=r"^a\.csv is no text: it holds zero bytes$"):
        dialect_of(b"a,b\n1,\0\n2,3\n" * 9, True, ".csv", LOOK, "a.csv")
    wide = dialect_of("a,b\n1,2\n".encode("utf-16"), True, ".csv", LOOK, "a.csv")
    assert wide.encoding == "utf-16"
    assert dialect_of(b"a,b\n1,2\n", True, ".csv", AskedFormat(encoding="utf-8"), "a.csv").separator == ","


def test_all_missing_files_of_a_list_are_named(tmp_path: Path) -> None:
    there = saved(tmp_path, "a,label\n1,x\n")
    gone, away = tmp_path / "b.csv", tmp_path / "c.csv"
    for data, n in ((f"{there},{gone},{away}", 3), (f"{gone},{away}", 2)):
        with pytest.raises(DataError) as caught:
            check_source(data)
        assert caught.value.message == f"no such files: {gone}, {away}, 2 of {n}"
    with pytest.raises(DataError, match=r"no such file: .*b\.csv$"):
        check_source(f"{there},{gone}")


def test_a_table_of_texts_without_a_header_is_said_to_have_none(tmp_path: Path) -> None:
    rows = [f"{'pe'[i * 7919 // 13 % 2]},{'xbs'[i % 3]},{'nyw'[i % 2]},{'tf'[i // 2 % 2]}" for i in range(60)]
    path = saved(tmp_path, "\n".join(rows) + "\n")
    with pytest.warns(VecmlWarning, match="VML050 a.csv: it has no header: its columns are called 0 to 3"):
        table = load_table(make_config({"data": str(path), "target": "0"}))
    assert (table.n_rows, table.classes) == (60, ("e", "p"))


@pytest.mark.parametrize(
    "first",
    ["class,cap,surface,bruises", "p,cap,n,t", "p,,n,t"],
)
def test_a_header_of_texts_stays_one(first: str) -> None:
    rows = [first, *(f"{'pe'[i % 2]},{'xbs'[i % 3]},{'nyw'[i % 2]},{'tf'[i // 2 % 2]}" for i in range(60))]
    assert dialect_of("\n".join(rows).encode(), True, ".csv", LOOK, "a").names is None


def test_a_header_that_is_repeated_stays_one() -> None:
    rows = ["red,blue", "x,y", "z,y", "red,blue", "x,w"]
    assert dialect_of("\n".join(rows * 9).encode(), True, ".csv", LOOK, "a").names is None


def test_arff_with_notes_and_blanks(tmp_path: Path) -> None:
    rows = ["@relation r", "@attribute a numeric", "@attribute b {x, 'y % z'}", "@attribute label {p,q}", "@data"]
    rows += ["1, ?, p % a note", " 2 , 'y % z' , q", "?,x,p", "% a line", "", "4 ,x, ?", "5,x,q%"]
    path = saved(tmp_path, "\n".join(rows) + "\n", "a.arff")
    from vecml.data.arff import read_arff

    assert read_arff(path).to_pydict() == {
        "a": [1.0, 2.0, None, 4.0, 5.0],
        "b": [None, "y % z", "x", "x", "x"],
        "label": ["p", "q", "p", None, "q%"],
    }
    saved(tmp_path, "\n".join([*rows[:9], "3,x"]) + "\n", "a.arff")
    with pytest.raises(DataError, match=r"^a\.arff: row 4, line 10, has 2 values, the header declares 3 columns$"):
        read_arff(path)


def test_a_value_that_cannot_be_is_named_with_its_line(tmp_path: Path) -> None:
    path = saved(tmp_path, 'a,b,label\n1,2,"x\ny"\n\n5,inf,x\n7,1e300,"x\ny"\n' + ROWS)
    with pytest.raises(DataError, match=r"^column 'b' has an infinite value in row 2, line 5$"):
        load_table(make_config({"data": str(path), "target": "label"}))


def test_where_a_title_is_not_certain_the_hint_names_it(tmp_path: Path) -> None:
    path = saved(tmp_path, "List of things\nname,colour,label\na,red,x\nb,blue,y\n")
    with pytest.raises(DataError, match=r"^a\.csv: row 1, line 2 has 3 values, the header names 1 column$") as caught:
        load_table(make_config({"data": str(path), "target": "label"}))
    assert str(caught.value.hint).startswith(
        "if the first line is a title, remove it; the row reads 'name,colour,label'"
    )
