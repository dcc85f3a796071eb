"""The columns of a file of labels, and a block of rows in them: written as CSV or Parquet, the same bytes each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from vecml.data.data_file import DataFile
from vecml.data.stream import Block
from vecml.errors import DataError, SettingError, one_line

LABEL, ROW, PROBABILITY = "prediction", "row", "probability_"
WRITE_ROWS = 1 << 16  # that Arrow encodes at once; it would take 1,024


class OutputColumns:
    """The columns of the new file, and a block in them."""

    def __init__(self, data: DataFile, classes: tuple[str, ...], probabilities: bool, rows: bool) -> None:
        """Take the carried columns from `data`; raise SettingError where one has the name of a column of labels."""
        self.carried = data.carried
        self.types = data.carried_types
        self.classes, self.rows = classes, rows
        self.added = [f"{PROBABILITY}{name}" for name in classes] if probabilities else []
        for name in ([ROW] if rows else []) + [LABEL, *self.added]:
            if name in data.carried:
                raise SettingError(
                    f"--keep {name}: the new file has a column of its own of that name",
                    "rename the data's, or leave it out",
                )

    def schema(self, *, text: bool) -> "pa.Schema":
        """Names and types; `text`: the label as plain text, which a CSV needs, else as codes of it."""
        label = pa.string() if text else pa.dictionary(pa.int32(), pa.string())
        return pa.schema(
            [
                *([(ROW, pa.int64())] if self.rows else []),
                *((name, self._type(name, text)) for name in self.carried),
                (LABEL, label),
                *((name, pa.float32()) for name in self.added),
            ]
        )

    def _type(self, name: str, text: bool) -> "pa.DataType":
        kind = self.types[name]
        return kind.value_type if text and pa.types.is_dictionary(kind) else kind

    def table(
        self, block: Block, label_N: NDArray[np.int64], logits_NC: NDArray[np.floating] | None, schema: "pa.Schema"
    ) -> "pa.Table":
        """The block's rows as they are written.

        Args:
            block: the rows.
            label_N: int64, their class indices.
            logits_NC: float (N, C), or None where there are no probabilities.
            schema: from `schema`.
        """
        label = pa.DictionaryArray.from_arrays(label_N.astype(np.int32), pa.array(self.classes, pa.string()))
        columns: list[Any] = []
        if self.rows:
            columns.append(np.arange(block.first_row, block.first_row + block.n_rows))
        columns += [
            column.cast(schema.field(name).type) for name, column in zip(self.carried, block.carried, strict=True)
        ]
        columns.append(label.cast(schema.field(LABEL).type))
        if logits_NC is not None:
            columns += list(np.ascontiguousarray(_softmax(logits_NC).T))
        return pa.table(columns, schema=schema)

    def is_plain(self) -> bool:
        """Whether no text of a CSV needs quotes: nothing is carried over, and the classes' names need none."""
        return not self.carried and not any(set(name) & set('",\r\n') for name in (*self.classes, *self.added))


def _softmax(logits_NC: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the probabilities (N, C), float32, of each row; NaN if a logit of the row is NaN."""
    with np.errstate(all="ignore"):
        shifted_NC = logits_NC.astype(np.float64) - logits_NC.max(axis=1, keepdims=True)
        power_NC = np.exp(shifted_NC)
        share_NC: NDArray[np.float32] = (power_NC / power_NC.sum(axis=1, keepdims=True)).astype(np.float32)
    return share_NC


@contextmanager
def opened_output(path: Path, layout: OutputColumns) -> Iterator[Any]:
    """Yield a function that appends a block to the file. Raises DataError for a type that the format lacks."""
    as_csv = path.suffix.lower() == ".csv"
    schema = layout.schema(text=as_csv)
    try:
        if as_csv:
            options = csv.WriteOptions(quoting_style="none" if layout.is_plain() else "needed")
            writer: Any = csv.CSVWriter(str(path), schema, write_options=options)
        else:
            texts = [LABEL, *(name for name in layout.carried if not pa.types.is_primitive(layout.types[name]))]
            # Least and greatest label are the classes' own, and finding them in each block takes as long as writing it.
            numbers = [name for name in schema.names if name != LABEL]
            writer = pq.ParquetWriter(
                str(path),
                schema,
                use_dictionary=texts,
                store_schema=False,
                write_statistics=numbers or False,
                write_batch_size=WRITE_ROWS,
                write_page_checksum=True,
            )
        with writer:
            yield lambda block, label_N, logits_NC: writer.write_table(layout.table(block, label_N, logits_NC, schema))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = one_line(error)
        raise DataError(
            f"a column that is kept cannot be written as {path.suffix}: {reason}", "leave it out of --keep"
        ) from None
