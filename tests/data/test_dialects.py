"""One table, written in every way that people write it: the same columns, labels and digest; what was found is said."""

import bz2
import csv
import gzip
import io
import lzma
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecml.config import make_config
from vecml.data.dialect import LOOK, AskedFormat, check_asked, encoding_of
from vecml.data.encoding import Encoding
from vecml.data.files import read_file
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_file
from vecml.data.table import Table
from vecml.errors import DataError, SettingError
from vecml.warnings import VecmlWarning

ROWS = [
    ("größe", "wo", "geprüft", "art"),
    ("1.5", "Köln, am Rhein", "ja; sicher", "x"),
    ("-2", 'das "große" Dorf', "nein", "y"),
    ("", "Köln, am Rhein", "ja; sicher", "y"),
    ("3e2", "São Paulo", "nein", "x"),
    ("4", "São Paulo", "nein | vielleicht", "x"),
    ("0.25", "a\tb", "ja; sicher", "y"),
] + [(str(number / 4), "Köln, am Rhein", "nein", "xy"[number % 2]) for number in range(40)]


def written(separator: str = ",", encoding: str = "utf-8", newline: str = "\n", **how: object) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=newline, **how).writerows(ROWS)  # type: ignore[arg-type]
    return text.getvalue().encode(encoding)


def spaced() -> bytes:
    """A blank after each comma, and quotes round what has a comma."""
    return "\n".join(", ".join(f'"{v.replace(chr(34), chr(34) * 2)}"' for v in row) for row in ROWS).encode()


def escaped() -> bytes:
    return "\n".join(",".join('"' + v.replace('"', '\\"') + '"' for v in row) for row in ROWS).encode()


def loosely_escaped() -> bytes:
    """Both, as bokeh's table of sprinters is written."""
    return "\n".join(",   ".join('"' + v.replace('"', '\\"') + '"' for v in row) for row in ROWS).encode()


def aligned() -> bytes:
    """Runs of blanks between values in quotes, blanks at the ends of lines."""
    return "\n".join("  ".join(f'"{v.replace(chr(34), chr(34) * 2)}"' for v in row) + "  " for row in ROWS).encode()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside.csv", content)
        archive.writestr("__MACOSX/._inside.csv", b"\0")
    return file.getvalue()


# name of the file, its content, what the warning says of it (None: nothing is said)
WAYS: dict[str, tuple[str, bytes, str | None]] = {
    "with a mark": ("t.csv", written(encoding="utf-8-sig"), None),
    "semicolons": ("t.csv", written(";"), "values are separated by semicolon"),
    "Excel's own line": ("t.csv", b"sep=;\r\n" + written(";", newline="\r\n"), "values are separated by semicolon"),
    "tabs as .csv": ("t.csv", written("\t"), "values are separated by tab"),
    "tabs as .tab": ("t.tab", written("\t"), None),
    "pipes": ("t.txt", written("|"), "values are separated by pipe"),
    "commas as .dat": ("t.dat", written(), "values are separated by comma"),
    "blanks": ("t.data", aligned(), "values are separated by whitespace"),
    "cp1252": ("t.csv", written(encoding="cp1252"), "the encoding is cp1252"),
    "cp1252 and semicolons": (
        "t.csv",
        written(";", "cp1252"),
        "values are separated by semicolon; the encoding is cp1252",
    ),
    "UTF-16": ("t.csv", written(encoding="utf-16"), "the encoding is utf-16"),
    "UTF-16 without a mark": ("t.tsv", written("\t", "utf-16-le"), "the encoding is utf-16-le"),
    "all in quotes": ("t.csv", written(quoting=csv.QUOTE_ALL), None),
    "blanks after commas": ("t.csv", spaced(), None),
    "backslashes": ("t.csv", escaped(), None),
    "blanks and backslashes": ("t.csv", loosely_escaped(), None),
    "single quotes": ("t.csv", written(quotechar="'", quoting=csv.QUOTE_ALL), None),
    "DOS lines": ("t.csv", written(newline="\r\n"), None),
    "Mac lines": ("t.csv", written(newline="\r"), None),
    "comments": ("t.csv", b"# of the year 2020\n# by hand\n" + written(), "2 lines of comments at its top left out"),
    "gzip": ("t.tsv.gz", gzip.compress(written("\t")), None),
    "bzip2": ("t.csv.bz2", bz2.compress(written()), None),
    "xz": ("t.csv.xz", lzma.compress(written()), None),
    "zip": ("t.csv.zip", zipped(written(";", "cp1252")), "values are separated by semicolon; the encoding is cp1252"),
}


def load(path: Path, **settings: object) -> tuple[Table, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VecmlWarning)
        table = load_table(make_config({"data": str(path), "target": "art", **settings}))
    said = [w.message for w in caught if isinstance(w.message, VecmlWarning)]
    return table, [one.message for one in said if one.code == "VML050"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = tmp_path_factory.mktemp("plain") / "t.csv"
    path.write_bytes(written())
    table, said = load(path)
    assert said == []
    assert [(column.name, column.kind) for column in table.columns] == [
        ("größe", "number"),
        ("wo", "category"),
        ("geprüft", "category"),
    ]
    assert table.columns[1].categories == ("Köln, am Rhein", "São Paulo", "a\tb", 'das "große" Dorf')
    return table


@pytest.mark.parametrize("way", WAYS)
def test_the_same_table_in_every_way(way: str, plain: Table, tmp_path: Path) -> None:
    name, content, says = WAYS[way]
    path = tmp_path / name
    path.write_bytes(content)
    table, said = load(path)
    assert said == ([] if says is None else [f"{name}: {says}"])
    assert table.classes == plain.classes
    np.testing.assert_array_equal(table.label_N, plain.label_N)
    assert [c.categories for c in table.columns] == [c.categories for c in plain.columns]
    assert table.digest == plain.digest


@pytest.mark.parametrize("way", WAYS)
def test_the_same_table_in_every_way_a_block_at_a_time(way: str, plain: Table, tmp_path: Path) -> None:
    """At predict the dialect is found from the file itself, whatever the training file's was."""
    name, content, says = WAYS[way]
    path = tmp_path / name
    path.write_bytes(content)
    encoding = Encoding.fit(plain.columns, np.arange(plain.n_rows), plain.target, plain.classes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VecmlWarning)
        x_FN = np.concatenate(
            [encoding.transform(block.columns)[0] for block in blocks(open_file(path, encoding), 7)], axis=1
        )
    assert len(caught) == (says is not None)
    np.testing.assert_array_equal(x_FN, encoding.transform(plain.columns)[0])


def test_what_is_said_openly_is_not_said_again(plain: Table, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(written(";", "cp1252"))
    table, said = load(path, separator="semicolon", encoding="cp1252", strict=True)
    assert said == []
    assert table.digest == plain.digest
    with pytest.raises(DataError, match="values are separated by semicolon; the encoding is cp1252") as caught:
        load(path, strict=True)
    assert "--separator semicolon --encoding cp1252" in str(caught.value.hint)


def test_an_encoding_of_which_the_beginning_gives_no_sign(tmp_path: Path) -> None:
    """The first value that is not ASCII stands far behind what is looked at."""
    path = tmp_path / "t.csv"
    rows = ["x,wo,art", *(f"{row},Bonn,{'ab'[row % 2]}" for row in range(60_000)), "1,Köln,a"]
    path.write_bytes("\n".join(rows).encode("cp1252"))
    table, said = load(path)
    assert said == ["t.csv: the encoding is cp1252"]
    assert table.columns[1].categories == ("Bonn", "Köln")
    encoding = Encoding.fit(table.columns, np.arange(table.n_rows), table.target, table.classes)
    with pytest.warns(VecmlWarning, match="the encoding is cp1252"):
        read = list(blocks(open_file(path, encoding), 10_000))
    assert sum(block.n_rows for block in read) == table.n_rows
    assert read[-1].columns[1].categories[read[-1].columns[1].values_N[-1]] == "Köln"
    with pytest.raises(DataError, match="column 'wo' in row 60001 is not UTF-8: b'K"):
        load(path, encoding="utf-8")


NUMBERED = "5.1,3.5,setosa\n4.9,3,setosa\n6.2,3.4,virginica\n5.9,3,virginica\n" * 5


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (NUMBERED, ("0", "1", "2")),  # a text that occurs again below is no name
        ("0,1,2\n" + "5,3,0\n4,2,1\n" * 5, ("0", "1", "2")),  # numbers that count on are names
        ("1999,2000,2001\n" + "5.5,3,0\n4,2,1\n" * 5, ("1999", "2000", "2001")),
        ("7,1,0\n" + "5,3,0\n4,2,1\n" * 5, ("0", "1", "2")),
        ("a,b,c\n" + NUMBERED, ("a", "b", "c")),
        ("1,b,c\n" + NUMBERED, ("1", "b", "c")),  # nothing says that b and c are no names
        ("# length width kind\n5 3 0\n4 2 1\n", ("length", "width", "kind")),  # numpy.savetxt
        ("# length,width,kind\n5,3,a\n4,2,b\n5,1,a\n", ("length", "width", "kind")),  # with texts too
        ("a,b\nx,5,3\ny,4,2\n", ("", "a", "b")),  # row names are told by being different
        ("a,b\n3,5,3\n7,4,2\n", ("", "a", "b")),  # and as numbers by rising
        ('"a" "b"\n"1" 5 3\n"2" 4 2\n', ("", "a", "b")),  # R's write.table
        ("a,b\n5,3,\n4,2,\n", ("a", "b", "")),
    ],
)
def test_the_names_of_the_columns(content: str, names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VecmlWarning)
        table = read_file(path)
    assert tuple(table.column_names) == names
    header = content.splitlines()[0].lstrip("#").replace('"', "").split("," if "," in content else " ")
    assert table.num_rows == len(content.splitlines()) - (header[0] in names or "#" in content)


def test_without_a_header(tmp_path: Path) -> None:
    path, named = tmp_path / "t.csv", tmp_path / "named.csv"
    path.write_text(NUMBERED)
    named.write_text("0,1,2\n" + NUMBERED)
    table, said = load(path, target="2")
    assert said == ["t.csv: it has no header: its columns are called 0 to 2"]
    assert table.classes == ("setosa", "virginica")
    assert table.n_rows == 20
    openly, said = load(path, target="2", no_header=True)
    assert said == []
    assert table.digest == openly.digest == load(named, target="2")[0].digest
    encoding = Encoding.fit(table.columns, np.arange(20), table.target, table.classes)
    file = open_file(path, encoding, asked=AskedFormat(no_header=True))
    (block,) = blocks(file, 100)
    assert block.n_rows == 20


def test_missing_values_in_quotes(tmp_path: Path) -> None:
    """Among numbers they are missing; in a text what stands in quotes is a word: Namibia's code."""
    path = tmp_path / "t.csv"
    path.write_text(
        'n,code,art\n"1.5","NA","a"\n"","DE","b"\n"NA","NA","a"\n"2","","b"\n3,NA,"a"\n' + '4,"DE","b"\n' * 9
    )
    table, _ = load(path)
    number, code = table.columns[:2]
    assert number.kind == "number"
    np.testing.assert_array_equal(number.values_N[:5], [1.5, np.nan, np.nan, 2, 3])
    assert [code.categories[v] if v >= 0 else None for v in code.values_N[:3]] == ["NA", "DE", "NA"]
    assert code.values_N[4] == -1  # not in quotes
    encoding = Encoding.fit(table.columns, np.arange(table.n_rows), table.target, table.classes)
    (block,) = blocks(open_file(path, encoding), 100)
    np.testing.assert_array_equal(encoding.transform(block.columns)[0], encoding.transform(table.columns)[0])


@pytest.mark.parametrize(
    "content",
    [
        "a,b,art\n1,2,x\n3,4\n",  # ragged: the header's separator is the one
        "a;b;art\n1;2;x\n3;4\n",
        "# a comment\n# another\na,b,art\n1,2,x\n3,4\n",
    ],
)
def test_a_ragged_row_is_refused_with_its_number(content: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=r"row 2, line [35] has 2 values, the header names 3 columns"):
        load(path)


def test_a_ragged_row_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,2,x\n3,4\n5,6,x\n")
    with pytest.raises(DataError, match=r"row 2, line 2 has 2 values, others have 3 columns"):
        load(path, no_header=True, target="2")


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    """As Excel writes it in Europe; blocks at predict say the same."""
    plain, path = tmp_path / "plain.csv", tmp_path / "t.csv"
    sizes = [f"{row % 9}.{row % 7}5" for row in range(60)]
    plain.write_text("\n".join(["size,art", *(f"{size},{'xy'[i % 2]}" for i, size in enumerate(sizes)), ""]))
    path.write_bytes(
        plain.read_bytes().replace(b",", b";").replace(b".", b",").replace(b"size", "größe".encode("cp1252"))
    )
    plain.write_text(plain.read_text().replace("size", "größe"), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VecmlWarning)
        whole, european = load(plain)[0], load(path)[0]
        assert european.columns[0].kind == "number"
        assert european.digest == whole.digest
        encoding = Encoding.fit(european.columns, np.arange(60), european.target, european.classes)
        x_FN = np.concatenate([encoding.transform(b.columns)[0] for b in blocks(open_file(path, encoding), 7)], axis=1)
    np.testing.assert_array_equal(x_FN, encoding.transform(whole.columns)[0])


@pytest.mark.parametrize(
    "content",
    [
        "comment,art\nfine; really,x\nno; no,y\nok,x\n",
        "first name,last name\nJohn Smith,May Lee\nAnn Dee,Bo Fo\n",
        "art\nx y\nx z\n",
        '"a, b",art\n1,x\n2,y\n',
        "text,art\nat 10:30; then|later,x\nat 11:30; then|later,y\n",
    ],
)
def test_a_comma_stays_a_comma(content: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    expected = list(csv.reader(io.StringIO(content)))
    table = read_file(path)
    assert table.column_names == expected[0]
    assert [list(map(str, row.values())) for row in table.to_pylist()] == expected[1:]


CELL = st.text(st.sampled_from("ab1ü,;|\t '\"."), min_size=1, max_size=6).filter(lambda text: text == text.strip())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.tuples(CELL, st.integers(-99, 99).map(str), CELL), min_size=3, max_size=8),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_comes_back_as_it_was_written(
    rows: list[tuple[str, str, str]], separator: str, encoding: str, quoting: int, newline: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=newline).writerows(  # type: ignore[call-overload]
        [("name", "number", "other"), *rows]
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", VecmlWarning)
        path = Path(folder) / "t.txt"
        path.write_bytes(text.getvalue().encode(encoding))
        table = read_file(path, text=("name", "number", "other"))
    assert table.column_names == ["name", "number", "other"]
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (AskedFormat(separator="::"), "--separator ::: must be one character that no value has"),
        (AskedFormat(separator="a"), "--separator a: must be one character"),
        (AskedFormat(encoding="klingon"), "--encoding klingon: there is no such encoding"),
    ],
)
def test_what_cannot_be_asked_for(asked: AskedFormat, message: str) -> None:
    check_asked(LOOK)
    with pytest.raises(SettingError, match=message):
        check_asked(asked)


def broken(path: Path) -> None:
    path.write_bytes(lzma.compress(written())[:-20])


def two(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", b"a\n")
        archive.writestr("b.csv", b"a\n")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("t.csv.xz", broken, "t.csv.xz cannot be read as CSV: "),
        ("t.csv.zip", two, "t.csv.zip holds 2 files: 'a.csv', 'b.csv'"),
        ("t.csv.zip", lambda path: path.write_bytes(b"PK no"), "t.csv.zip cannot be read as CSV: "),
    ],
)
def test_archives_that_cannot_be_read(name: str, write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_name_with_a_line_break_before_the_first_separator(separator: str, tmp_path: Path) -> None:
    rows = [["a\nb", "c, d", "art"], *([f"{i % 7}", "x;|y", "pq"[i % 2]] for i in range(20))]
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    (tmp_path / "t.txt").write_text(text.getvalue(), newline="")
    with pytest.warns(VecmlWarning, match="values are separated by"):
        table = read_file(tmp_path / "t.txt")
    assert table.column_names == ["a\nb", "c, d", "art"]
    assert table.num_rows == 20
    assert table["c, d"].unique().to_pylist() == ["x;|y"]


def test_utf_16_that_begins_like_utf_32(tmp_path: Path) -> None:
    """The mark of UTF-32 is that of UTF-16 and a NUL."""
    (tmp_path / "u.csv").write_bytes("a,art\n1,x\n2,y\n".encode("utf-32"))
    with pytest.warns(VecmlWarning, match="the encoding is utf-32"):
        assert read_file(tmp_path / "u.csv").to_pydict() == {"a": [1, 2], "art": ["x", "y"]}
    assert encoding_of(b"\xff\xfe\0\0" + "a,art\n".encode("utf-16-le"), complete=True) == "utf-16"


@pytest.mark.parametrize("rows", ["x,5,3\nx,4,2\n", "7,5,3\n3,4,2\n", "0.5,5,3\n0.7,4,2\n"])
def test_a_row_that_is_too_long_is_refused_where_it_names_no_row(tmp_path: Path, rows: str) -> None:
    (tmp_path / "t.csv").write_text("a,art\n" + rows)
    with pytest.raises(DataError, match=r"^t\.csv: row 1, line 2 has 3 values, the header names 2 columns$"):
        load(tmp_path / "t.csv")


@pytest.mark.parametrize("late", [False, True])
def test_a_few_wrong_bytes_in_utf8_are_named_by_their_line(tmp_path: Path, late: bool) -> None:
    """Read as cp1252, every letter beyond ASCII would be two others."""
    n = 60_000 if late else 40
    rows = [f"{index},{('Köln', 'Münster')[index % 2]},{'ab'[index % 2]}".encode() for index in range(n)]
    rows[n - 10] = b"7,K\xf6ln,a"
    (tmp_path / "t.csv").write_bytes(b"\n".join([b"x,city,art", *rows, b""]))
    with pytest.raises(DataError) as caught:
        load(tmp_path / "t.csv")
    assert caught.value.message == f"t.csv is UTF-8, but for bytes such as b'\\xf6' in line {n - 8:,}"
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("--encoding cp1252")


def test_comments_are_a_decision(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("# by hand\na,art\n1,x\n2,y\n1,x\n")
    with pytest.raises(
        DataError, match=r"^--strict: vecml would decide this: .*1 line of comments at its top left out"
    ):
        load(tmp_path / "t.csv", strict=True)
