"""Files to label, a model that labels them, and how they are labelled in memory: what the tests of batches share."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from tests.data.test_stream import table, written
from tests.inference.test_predict_file import classifier
from vecml.batch.label import Ask, Labelled, label_files
from vecml.config import Setting
from vecml.data.stream import open_file
from vecml.inference.predict_file import predict_file
from vecml.model.store import Classifier

SETTING = Setting("numpy", threads=2, block_rows=64)
SMALL = 5_000  # bytes of a unit: a few hundred rows

__all__ = ["SETTING", "SMALL", "classifier", "files_of", "label", "parts_of", "single", "table", "written"]


def files_of(folder: Path, cuts: Sequence[int], group_rows: int = 100, suffix: str = ".parquet") -> Path:
    """Write the table of the tests into files that are cut at these rows; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = table()
    bounds = [0, *sorted(cuts), whole.num_rows]
    for number, (first, last) in enumerate(pairwise(bounds)):
        rows = whole.slice(first, last - first)
        path = folder / f"{number:03}{suffix}"
        if suffix == ".parquet":
            pq.write_table(rows, path, row_group_size=group_rows)
        elif suffix == ".feather":
            feather.write_feather(rows, path)
        else:
            written(path, rows)
    return folder


def label(data: Any, out: Path | str, model: Classifier | None = None, **asked: Any) -> Labelled:
    """Label the data into parts of a few hundred rows."""
    asked.setdefault("unit_bytes", SMALL)
    setting = asked.pop("setting", SETTING)
    return label_files(model or classifier(), data, setting, str(out), Ask(**asked))


def parts_of(out: Path) -> "pa.Table":
    """All rows of the parts, in the order of their names."""
    tables = [pq.ParquetFile(path).read() for path in sorted(out.rglob("part-*.parquet"))]
    return pa.concat_tables(
        [
            one.set_column(one.column_names.index("prediction"), "prediction", one["prediction"].cast(pa.string()))
            for one in tables
        ]
    )


def single(folder: Path, **asked: Any) -> "pa.Table":
    """The labels of the same table as one file, by the way of a single file."""
    model = classifier()
    path = written(folder / "single.parquet", table())
    out = folder / "single-labels.parquet"
    keep = asked.pop("keep", ())
    predict_file(model, open_file(path, model.encoding, keep), SETTING, out, **asked)
    found = pq.read_table(out)
    place = found.column_names.index("prediction")
    return found.set_column(place, "prediction", found["prediction"].cast(pa.string()))


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
