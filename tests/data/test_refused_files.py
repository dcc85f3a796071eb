"""Every file that is refused, with the message and the hint, word for word."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import Case, check_refused, cut, parquet, rows, save, save_all, text
from vecml.config import make_config
from vecml.data.sources import check_source, load_table
from vecml.errors import DataError

DAMAGED = "is it complete? Copy or write it again"
LABELS = ["x", "y", "x", "y"]

REFUSED: dict[str, Case] = {
    "empty file": (
        "data.csv",
        text(""),
        {},
        "data.csv is empty",
        "its first line must name the columns",
    ),
    "only blank lines": (
        "data.csv",
        text("\n\n"),
        {},
        "data.csv is empty",
        "its first line must name the columns",
    ),
    "header only": (
        "data.csv",
        rows("a,label"),
        {},
        "data.csv has no rows",
        "there must be at least two of every class",
    ),
    "ragged, too few": (
        "data.csv",
        rows("a,label", "1,x", "2"),
        {},
        "data.csv: row 2, line 3 has 1 value, the header names 2 columns",
        "the row reads '2'; a value that holds a separator must be in quotes",
    ),
    "ragged, too many": (
        "data.csv",
        rows("a,label", "1,x", "2,y", "3,x,9"),
        {},
        "data.csv: row 3, line 4 has 3 values, the header names 2 columns",
        "the row reads '3,x,9'; a value that holds a separator must be in quotes",
    ),
    "not in the encoding that was asked for": (
        "data.csv",
        text("a,label\n1,x\n2,café\n".encode("latin-1")),
        {"encoding": "utf-8"},
        "data.csv is not in the encoding utf-8: \"'utf-8' codec can't decode byte 0xe…",
        "let vecml find it, without --encoding: {run}",
    ),
    "a separator that it has not": (
        "data.csv",
        rows("a;label", "1;x"),
        {"separator": "comma"},
        "data.csv has a single column, called 'a;label'",
        "it was read with the separator ','; this one seems to use ';': {run} --separator semicolon",
    ),
    "another kind of file": (
        "data.csv",
        text(b"PK\x03\x04 and so on"),
        {},
        "data.csv is no text: it begins as a zip archive or an Excel file does",
        "give its name the suffix .csv.zip or .xlsx",
    ),
    "quotation mark not closed": (
        "data.csv",
        rows("a,label", '1,"x', "2,y"),
        {},
        "data.csv ends inside a quoted value, which begins in row 1, line 2: 'x\\n2,y\\n'",
        "close the quotation mark, or double it where it belongs to the value",
    ),
    "damaged gzip": (
        "data.csv.gz",
        text(gzip.compress(b"a,label\n" + b"1,x\n2,y\n" * 500)[:-9]),
        {},
        "data.csv.gz cannot be read as CSV: …",
        DAMAGED,
    ),
    "no gzip": (
        "data.csv.gz",
        rows("a,label", "1,x"),
        {},
        "data.csv.gz cannot be read as CSV: …",
        DAMAGED,
    ),
    "unknown suffix": (
        "data.doc",
        text("a"),
        {},
        "data.doc: its suffix does not say what kind of file it is",
        "known: .csv, .tsv, .tab, .txt, .dat, .data, each also with .gz, .bz2, .zst, .xz, .zip; .parquet, .pq, "
        ".feather, .arrow, .npy, .npz, .arff, .xlsx",
    ),
    "damaged parquet": (
        "data.parquet",
        text(b"PAR1 and then nothing of it"),
        {},
        "data.parquet cannot be read as Parquet: …",
        DAMAGED,
    ),
    "damaged feather": (
        "data.feather",
        text(b"ARROW1 and then nothing of it"),
        {},
        "data.feather cannot be read as Feather: …",
        DAMAGED,
    ),
    "damaged npy": (
        "data.npy",
        text(b"no numpy file"),
        {},
        "data.npy cannot be read as npy: …",
        DAMAGED,
    ),
    "damaged npz": (
        "data.npz",
        text(b"no zip file"),
        {},
        "data.npz cannot be read as npz: it is no zip archive",
        DAMAGED,
    ),
    "npy cut short": (
        "data.npy",
        cut(save(np.zeros((9, 2))), 8),
        {},
        "data.npy cannot be read as npy: …",
        DAMAGED,
    ),
    "npz cut short": (
        "data.npz",
        cut(save_all(a=np.zeros(9)), 40),
        {},
        "data.npz cannot be read as npz: it is no zip archive",
        DAMAGED,
    ),
    "npy with one of its own kind only": (
        "data.npz",
        save(np.zeros((9, 2))),
        {},
        "data.npz cannot be read as npz: it is no zip archive",
        DAMAGED,
    ),
    "parquet cut short": (
        "data.parquet",
        cut(parquet(a=[1, 2]), 40),
        {},
        "data.parquet cannot be read as Parquet: …",
        DAMAGED,
    ),
    "npy of objects": (
        "data.npy",
        save(np.array([[1, "x"]], dtype=object), allow_pickle=True),
        {},
        "data.npy holds Python objects, which vecml does not unpickle",
        "save numbers or text: array.astype(float) or array.astype(str)",
    ),
    "npz of objects": (
        "data.npz",
        save_all(a=np.array([1, "x"], dtype=object)),
        {},
        "data.npz holds Python objects, which vecml does not unpickle",
        "save numbers or text: array.astype(float) or array.astype(str)",
    ),
    "npy with one dimension": (
        "data.npy",
        save(np.arange(3.0)),
        {},
        "data.npy holds an array of shape (3,); rows by columns are needed",
        "save a 2-D array (N, F), or a 1-D array of records",
    ),
    "npy with three dimensions": (
        "data.npy",
        save(np.zeros((2, 3, 4))),
        {},
        "data.npy holds an array of shape (2, 3, 4); rows by columns are needed",
        "save a 2-D array (N, F), or a 1-D array of records",
    ),
    "npz with a scalar": (
        "data.npz",
        save_all(a=np.arange(3), seed=np.int64(7)),
        {},
        "array 'seed' in data.npz has shape (); a column is 1-D, a table 2-D",
        "save the file without it",
    ),
    "npz of different lengths": (
        "data.npz",
        save_all(X=np.zeros((4, 2)), label=np.arange(3)),
        {},
        "arrays in data.npz differ in length: 'X' has 4 rows, 'label' has 3",
        "save arrays that have a row for a row",
    ),
    "npz without arrays": (
        "data.npz",
        save_all(),
        {},
        "data.npz holds no array",
        "save one with numpy.savez",
    ),
}


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_these_words(case: str, tmp_path: Path) -> None:
    check_refused(REFUSED[case], tmp_path)


def test_no_such_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "measurements.csv").write_text("a,label\n")
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path / "mesurements.csv"))
    assert caught.value.message == f"no such file: {tmp_path}/mesurements.csv"
    assert caught.value.hint == "did you mean 'measurements.csv'?"


def test_no_such_file_lists_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path / "x.npy"))
    assert caught.value.hint == f"there is no data file in {tmp_path}"
    (tmp_path / "measurements.csv").write_text("a,label\n")
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path / "x.npy"))
    assert caught.value.hint == f"the only one in {tmp_path} is: measurements.csv"
    (tmp_path / "more.csv").write_text("a,label\n")
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path / "x.npy"))
    assert caught.value.hint == f"files in {tmp_path}: 'measurements.csv', 'more.csv'"


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path / "there" / "a.csv"))
    assert caught.value.message == f"no such file: {tmp_path}/there/a.csv"
    assert caught.value.hint == f"there is no folder {tmp_path}/there either"


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path))
    assert caught.value.message == f"{tmp_path} is a folder without a data file"
    assert str(caught.value.hint).startswith("known: .csv, ")


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,label\n")

    def refuse(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read anything, so that the mode of a file would not do
    with pytest.raises(DataError) as caught:
        check_source(str(path))
    assert caught.value.message == f"{path} may not be read by this user"
    assert caught.value.hint == "allow it: chmod u+r a.csv"


def test_name_that_no_file_can_have() -> None:
    with pytest.raises(DataError) as caught:
        check_source("a\0b.csv")
    assert caught.value.message == "'a\\x00b.csv' cannot be opened: embedded null byte"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "iriss",
            "there is no set sklearn:iriss",
            "sets: 'breast_cancer', 'digits', 'iris', 'wine'; did you mean 'iris'?",
        ),
        (
            "diabetes",
            "sklearn:diabetes is a regression set; vecml trains classifiers",
            "choose from sklearn:breast_cancer, sklearn:digits, sklearn:iris, sklearn:wine, for example:",
        ),
    ],
)
def test_no_such_built_in_set(name: str, message: str, hint: str) -> None:
    for refuse in (check_source, lambda data: load_table(make_config({"data": data}))):
        with pytest.raises(DataError) as caught:
            refuse(f"sklearn:{name}")
        assert caught.value.message == message
        assert str(caught.value.hint).startswith(hint)


def test_one_generated_row_has_one_class() -> None:
    with pytest.raises(DataError) as caught:
        load_table(make_config({"rows": 1}))
    assert caught.value.message == "target 'label' has one class only: '1' in the only row"


def test_nothing_is_wrong_with_these() -> None:
    check_source(None)
    check_source("sklearn:iris")
