"""Files of another kind that are called as text files are: known by their first bytes, and refused in one line."""

import re

from vecml.errors import DataError

SAVE = "save it as a CSV file"
# How a file begins; what it is; what to do.
OTHER_FILES = {
    b"SQLite format 3": ("an SQLite database", "--data sqlite:///FILE --query 'SELECT * FROM TABLE'"),
    b"PAR1": ("a Parquet file", "give its name the suffix .parquet"),
    b"ARROW1": ("a Feather file", "give its name the suffix .feather"),
    b"PK\x03\x04": ("a zip archive or an Excel file", "give its name the suffix .csv.zip or .xlsx"),
    b"\x1f\x8b": ("a gzip file", "give its name the suffix .csv.gz"),
    b"\xfd7zXZ": ("an xz file", "give its name the suffix .csv.xz"),
    b"BZh": ("a bzip2 file", "give its name the suffix .csv.bz2"),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "give its name the suffix .csv.zst"),
    b"\x93NUMPY": ("a numpy file", "give its name the suffix .npy"),
    b"\xd0\xcf\x11\xe0": ("an Excel file of before 2007", "save it as .xlsx or as a CSV file"),
    b"%PDF-": ("a PDF document", SAVE),
    b"\x89PNG": ("a PNG picture", "name the file of the table"),
    b"\xff\xd8\xff": ("a JPEG picture", "name the file of the table"),
    b"GIF8": ("a GIF picture", "name the file of the table"),
    b"\x89HDF": ("an HDF5 file", SAVE),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it first"),
    b"Rar!": ("a RAR archive", "unpack it first"),
    b"\x7fELF": ("a program", "name the file of the table"),
    b"$FL2": ("an SPSS file", SAVE),
    b"<stata_dta>": ("a Stata file", SAVE),
    b"RDX": ("R's own format", "write it from R: write.csv(table, 'table.csv', row.names = FALSE)"),
    b"@relation": ("an ARFF file", "give its name the suffix .arff"),
}
HTML = re.compile(rb"\s*<(!doctype html|html|head|body|table)\b", re.IGNORECASE)
XML = re.compile(rb"\s*<\?xml\b")
JSON = re.compile(rb'\s*(\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*\{\s*"|\[\s*\[)')
PICKLE = re.compile(rb"\x80[\x02-\x05]")
WIDE = ("utf-16", "utf-32")  # encodings in which zero bytes belong to the text


def check_text(start: bytes, source: str) -> None:
    """Raise DataError where a file that begins so is of another kind than text.

    Args:
        start: its first bytes.
        source: its name, for the message.
    """
    kind, hint = _kind(start.removeprefix(b"\xef\xbb\xbf"))
    if kind:
        raise DataError(f"{source} is no text: it begins as {kind} does", hint)


def check_no_zero_bytes(start: bytes, encoding: str, source: str) -> None:
    """Raise DataError where bytes in this encoding hold a zero byte: no table of text does."""
    if not encoding.startswith(WIDE) and b"\0" in start:
        raise DataError(f"{source} is no text: it holds zero bytes", "name a file of text, or give it its own suffix")


def _kind(start: bytes) -> tuple[str, str]:
    """What a file is that begins so, and what to do; two empty texts where it may be text."""
    for mark, found in OTHER_FILES.items():
        if start.startswith(mark) or (mark == b"@relation" and start[:9].lower() == mark):
            return found
    if HTML.match(start):
        return "a web page (HTML)", "save the table itself, as a CSV file"
    if XML.match(start):
        return "an XML file", SAVE
    if JSON.match(start):
        return "a JSON file", "write it as a CSV file: pandas.read_json('FILE').to_csv('table.csv', index=False)"
    if PICKLE.match(start):
        return "a Python pickle", "vecml unpickles nothing: write it as Parquet, df.to_parquet('table.parquet')"
    return "", ""
