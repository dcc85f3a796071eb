"""Reads damaged data files, one for each seed from FIRST to before LAST, and prints what came of each.

    python -m tests.faults.read_damaged FOLDER FIRST LAST

A line for each begins with its seed before it is read, so that whoever started this sees which one ended it.
"""

import resource
import sqlite3
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.errors import VecmlError

N_ROWS = 400
MEMORY = 6 << 30  # of address space: torch's libraries alone map 2
# A change of one of these is found by a checksum that the format has, so what is read is what was written.
CHECKED = (".parquet", ".npz", ".xlsx")


def table(seed: int) -> pa.Table:
    """Numbers, categories and a label."""
    rng = np.random.default_rng(seed)
    # No -0.0, which SQLite keeps as 0: "+ 0.0" makes it 0.0.
    columns = {"a": rng.normal(size=N_ROWS).round(6) + 0.0, "b": rng.integers(0, 99, N_ROWS)}
    words = np.array(["red", "grün", "blue sky"])[rng.integers(0, 3, N_ROWS)]
    return pa.table({**columns, "word": words, "label": np.array(["yes", "no"])[rng.integers(0, 2, N_ROWS)]})


def write_arff(made: pa.Table, path: Path) -> None:
    """The table as ARFF."""
    rows = (
        ",".join(f"'{value}'" if isinstance(value, str) else str(value) for value in row.values())
        for row in made.to_pylist()
    )
    kinds = {"a": "numeric", "b": "numeric", "word": "string", "label": "{yes,no}"}
    head = "@relation r\n" + "".join(f"@attribute {name} {kind}\n" for name, kind in kinds.items()) + "@data\n"
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def write_excel(made: pa.Table, path: Path) -> None:
    """The table as an Excel file, of the least that one has."""
    cells = [made.column_names, *[list(row.values()) for row in made.to_pylist()]]

    def cell(value: object) -> str:
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value}</v></c>"

    sheet = "".join("<row>" + "".join(map(cell, row)) + "</row>" for row in cells)
    schemas = "http://schemas.openxmlformats.org"
    main, office = f"{schemas}/spreadsheetml/2006/main", f"{schemas}/officeDocument/2006/relationships"

    def links(kind: str, target: str) -> str:
        one = f'<Relationship Id="r" Type="{office}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{schemas}/package/2006/relationships">{one}</Relationships>'

    sheets = '<sheets><sheet name="s" sheetId="1" r:id="r"/></sheets>'
    book = f'<workbook xmlns="{main}" xmlns:r="{office}">{sheets}</workbook>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{schemas}/package/2006/content-types"/>',
        "_rels/.rels": links("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": links("worksheet", "worksheets/s.xml"),
        "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)


def write_sqlite(made: pa.Table, path: Path) -> None:
    """The table as SQLite's only one."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("create table t (a real, b integer, word text, label text)")
        database.executemany("insert into t values (?, ?, ?, ?)", [tuple(row.values()) for row in made.to_pylist()])
    database.close()


def write(made: pa.Table, path: Path, seed: int) -> None:
    """Write the table in the format that the name says."""
    if path.suffix == ".parquet":
        pa.parquet.write_table(made, path, write_page_checksum=True, compression=["none", "snappy", "zstd"][seed % 3])
    elif path.suffix == ".feather":
        pa.feather.write_feather(made, str(path), compression=["uncompressed", "lz4", "zstd"][seed % 3])
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(made[name].to_pylist()) for name in made.column_names})
    elif path.suffix == ".arff":
        write_arff(made, path)
    elif path.suffix == ".xlsx":
        write_excel(made, path)
    elif path.suffix == ".db":
        write_sqlite(made, path)
    else:
        lines = [made.column_names, *[list(row.values()) for row in made.to_pylist()]]
        text = "\n".join((";" if seed % 2 else ",").join(map(str, line)) for line in lines) + "\n"
        path.write_text(text, encoding="utf-8")


def damage(content: bytes, seed: int) -> bytes:
    """Bit flips, a cut, a hole, a doubled part, or none in one of eight."""
    rng = np.random.default_rng(seed + 1_000_000)
    changed = bytearray(content)
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    kind = seed % 8
    if kind in (1, 2, 3):
        for _ in range(1 if kind == 1 else length):
            changed[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    elif kind == 4:
        del changed[at:]
    elif kind == 5:
        del changed[at : at + length]
    elif kind == 6:
        changed[at:at] = changed[at : at + length]
    elif kind == 7:
        changed[at : at + length] = rng.bytes(len(changed[at : at + length]))
    return bytes(changed)


def say(line: str) -> None:
    """A line for whoever reads this process's output."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def asked(path: Path) -> dict[str, object]:
    """The settings that read this file."""
    return {"data": f"sqlite:///{path}", "query": "select * from t"} if path.suffix == ".db" else {"data": str(path)}


def outcome(folder: Path, seed: int) -> str:
    """What came of one file: `right`, `other rows`, `refused`, or what is wrong."""
    ending = (".csv", ".parquet", ".feather", ".npz", ".arff", ".xlsx", ".db")[seed // 8 % 7]
    path, made = folder / f"damaged{ending}", table(seed)
    write(made, path, seed)
    whole = path.read_bytes()
    path.write_bytes(damage(whole, seed))
    begun = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = load_table(make_config({**asked(path), "target": "label"}))
    except VecmlError as error:
        if "\n" in error.message or len(error.message) > 2_000:
            return f"an error of {len(error.message)} characters"
        return "refused" if seed % 8 else f"an undamaged {ending} is refused: {error.message}"
    except MemoryError:
        return f"{ending}: no memory"
    except Exception as error:  # noqa: BLE001 -- whatever is no error of vecml's is what is looked for
        return f"{ending}: {type(error).__name__}: {str(error)[:200]}"
    finally:
        if time.monotonic() - begun > 60:
            say(f"{seed} took {time.monotonic() - begun:.0f} s")
    if path.read_bytes() != whole and ending not in CHECKED:
        return "other rows"
    again = path.with_name("whole.parquet")
    pa.parquet.write_table(made, again)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = load_table(make_config({"data": str(again), "target": "label"})).digest == found.digest
    return "right" if same else f"{ending}: other rows than were written"


if __name__ == "__main__":
    place, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, last):
        say(f"{number} begun")
        say(f"{number} {outcome(place, number)}")
