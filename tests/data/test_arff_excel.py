"""ARFF and Excel: the same table as the CSV, and what is refused."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest

from tests.data.made_files import Case, check_refused, text
from vecml.config import make_config
from vecml.data.arff import read_arff
from vecml.data.files import read_file
from vecml.data.sources import load_table
from vecml.data.table import Table
from vecml.errors import DataError
from vecml.warnings import VecmlWarning

CSV = "sepal length,colour,kind\n" + '5.1,"it\'s, red",a\n,blue,b\n4,"it\'s, red",b\n3.5,blue,a\n' * 3
ARFF = """% A comment.
@RELATION flowers

@attribute 'sepal length' NUMERIC
@ATTRIBUTE colour {'it\\'s, red', blue}
@attribute kind {a,b}
@DATA
% another one
""" + ("5.1,'it\\'s, red',a\n?,blue,b\n4, 'it\\'s, red',b\n3.5,blue,a\n" * 3)


def load(path: Path, target: str = "kind") -> Table:
    return load_table(make_config({"data": str(path), "target": target}))


@pytest.fixture
def plain(tmp_path: Path) -> Table:
    path = tmp_path / "plain.csv"
    path.write_text(CSV)
    return load(path)


def test_arff_reads_as_the_csv(plain: Table, tmp_path: Path) -> None:
    path = tmp_path / "t.arff"
    path.write_text(ARFF)
    table = load(path)
    assert table.digest == plain.digest
    assert table.classes == ("a", "b")
    assert table.columns[1].categories == ("blue", "it's, red")
    assert read_file(path, text=["sepal length"])["sepal length"].to_pylist()[:2] == ["5.1", None]


Cell = str | float | bool | None


def write_excel(path: Path, sheets: dict[str, Sequence[Sequence[Cell]]]) -> None:
    """The least that an Excel file needs, by hand."""
    kind = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path, "w") as book:
        names = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, 1))
        book.writestr("xl/workbook.xml", f'<workbook {kind} xmlns:r="{relation}"><sheets>{names}</sheets></workbook>')
        links = "".join(
            f'<Relationship Id="r{i}" Type="{relation}/worksheet" Target="worksheets/{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        package = f'<Relationship Id="r1" Type="{relation}/officeDocument" Target="xl/workbook.xml"/>'
        home = "http://schemas.openxmlformats.org/package/2006/relationships"
        book.writestr("_rels/.rels", f'<Relationships xmlns="{home}">{package}</Relationships>')
        book.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{home}">{links}</Relationships>')
        for i, rows in enumerate(sheets.values(), 1):
            body = "".join(
                f'<row r="{r}">' + "".join(cell(f"{'ABCDEFG'[c]}{r}", v) for c, v in enumerate(row)) + "</row>"
                for r, row in enumerate(rows, 1)
            )
            book.writestr(f"xl/worksheets/{i}.xml", f"<worksheet {kind}><sheetData>{body}</sheetData></worksheet>")


def cell(place: str, value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


ROWS: list[list[Cell]] = [
    ["sepal length", "colour", "kind"],
    *[[5.1, "it's, red", "a"], [None, "blue", "b"], [4, "it's, red", "b"], [3.5, "blue", "a"]] * 3,
]


def test_excel_reads_as_the_csv(plain: Table, tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_excel(path, {"Notes": [["only a title"]], "Table": ROWS})
    table = load(path)
    assert table.digest == plain.digest
    np.testing.assert_array_equal(table.label_N, plain.label_N)


def test_of_two_sheets_the_first_is_taken_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_excel(path, {"A": ROWS, "B": ROWS})
    with pytest.warns(VecmlWarning, match=r"t.xlsx: the sheet 'A' was taken; there are others: 'B'"):
        assert load(path).n_rows == 12


def test_titles_above_a_sheets_header_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    titles: list[list[Cell]] = [["Report of 2024", "", ""], ["", "", ""]]
    rows: list[list[Cell]] = [["a", "b", "kind"], *([i, i * i % 7, "xy"[i * 7919 // 13 % 2]] for i in (3, 1, 4, 1, 5))]
    write_excel(path, {"A": [*titles, *rows]})
    with pytest.warns(VecmlWarning, match=r"t.xlsx: 2 rows above its header left out: 'Report of 2024'"):
        table = read_file(path)
    write_excel(path, {"A": rows})
    assert table.to_pydict() == read_file(path).to_pydict()
    assert table.column_names == ["a", "b", "kind"]


def test_kinds_of_excels_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    write_excel(path, {"A": [["flag", "mixed", "n"], [True, 1, 2], [False, "x", 2.5], [None, 2.5, None]]})
    table = read_file(path)
    assert table.to_pydict() == {
        "flag": [True, False, None],
        "mixed": ["1", "x", "2.5"],
        "n": [2, 2.5, None],
    }


HEAD = "@relation r\n@attribute a numeric\n@attribute label {x,y}\n@data\n"
REFUSED: dict[str, Case] = {
    "no @data": (
        "t.arff",
        text("@relation r\n@attribute a numeric\n"),
        {},
        "t.arff has no line @data",
        "an ARFF file declares its columns, then has @data and rows",
    ),
    "sparse": (
        "t.arff",
        text(HEAD + "{0 1, 1 x}\n"),
        {},
        "t.arff has sparse rows, which are not read",
        "write it as a CSV or with all values",
    ),
    "ragged": (
        "t.arff",
        text(HEAD + "1,x\n2\n"),
        {},
        "t.arff: row 2, line 6, has 1 value, the header declares 2 columns",
        "a value that holds a comma must be in quotes",
    ),
    "no number": (
        "t.arff",
        text(HEAD + "1,x\nred,y\n"),
        {},
        "t.arff cannot be read as ARFF: …",
        "mend that value",
    ),
    "no column": (
        "t.arff",
        text("@attribute\n@data\n"),
        {},
        "t.arff: line 1 declares no column: '@attribute'",
        "it reads @attribute, a name and a kind",
    ),
    "no Excel": (
        "t.xlsx",
        text("PK no"),
        {},
        "t.xlsx cannot be read as Excel: …",
        "is it complete? Copy or write it again",
    ),
    "an empty book": (
        "t.xlsx",
        lambda path: write_excel(path, {"A": []}),
        {},
        "t.xlsx has no sheet with a header and rows",
        "the first row must name the columns",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_these_words(case: str, tmp_path: Path) -> None:
    check_refused(REFUSED[case], tmp_path)


def test_excel_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    write_excel(tmp_path / "t.xlsx", {"A": ROWS})
    with pytest.raises(DataError, match="needs python-calamine") as caught:
        load(tmp_path / "t.xlsx")
    assert caught.value.hint == "pip install 'vecml[excel]', or save it as CSV"


def test_a_wrong_row_far_down_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROWS_AT_ONCE", "CHARACTERS_AT_ONCE", "BLOCK_BYTES"):  # as in a file that is read in many parts
        monkeypatch.setattr(f"vecml.data.arff.{name}", 7)
    path = tmp_path / "a.arff"
    rows = [f"{row}, 'a , {row}' % a comment" for row in range(50)]
    path.write_text("\n".join(["@attribute a numeric", "@attribute b string", "@data", *rows]))
    assert read_arff(path).column("b").to_pylist() == [f"a , {row}" for row in range(50)]
    path.write_text("\n".join(["@attribute a numeric", "@attribute b string", "@data", "% none", *rows, "1,2,3"]))
    with pytest.raises(DataError, match=r"a\.arff: row 51, line 55, has 3 values, the header declares 2 columns"):
        read_arff(path)
