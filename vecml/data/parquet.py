"""A Parquet file in memory without a second copy of it: Arrow's own reading of a whole file takes twice its size.

Every value is validated, and every page's checksum where the file has them: a damaged file is not other data.
Row groups are read one by one. Columns of numbers without missing values are filled into an array of their own, which
numpy then reads in place; of the others, Arrow's chunks are kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vecml.data.memory_limit import MemoryLimit

MOST_ROWS = 1 << 20  # of a row group that is read at once
FEWEST_ROWS = 1 << 10
PIECE_BYTES = 1 << 26  # of a table that is put on the disk


def read_parquet(path: Path) -> "pa.Table":
    """The whole file as an Arrow table; raises what Arrow raises."""
    # One file as it is: pq.read_table goes through data sets, which may take folder names for columns.
    # Without its buffer ahead, which would hold the compressed file beside the table.
    limit = MemoryLimit(path.name)
    with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
        limit.check(expected=_table_bytes(file))
        if file.metadata.num_rows <= MOST_ROWS:
            table = file.read()
            table.validate(full=True)
            return table
        columns = [_Column(file, place) for place in range(len(file.schema_arrow))]
        for group in range(file.num_row_groups):
            limit.check(so_far=f"{group:,} of {file.num_row_groups:,} row groups were read")
            if file.metadata.row_group(group).num_rows <= MOST_ROWS:
                _add(columns, file.read_row_group(group))
                continue
            for batch in file.iter_batches(MOST_ROWS, [group]):
                _add(columns, pa.Table.from_batches([batch]))
        table = pa.table([column.whole() for column in columns], schema=file.schema_arrow)
    pa.default_memory_pool().release_unused()  # what decoding took
    return table


def parquet_tables(path: Path) -> "Iterator[pa.Table]":
    """The file in tables of at most about 64 MB, in order; raises what Arrow raises."""
    limit = MemoryLimit(path.name)
    with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
        n_rows = max(1, file.metadata.num_rows)
        most = max(FEWEST_ROWS, min(MOST_ROWS, int(PIECE_BYTES * n_rows / max(1.0, _table_bytes(file)))))
        for group in range(file.num_row_groups):
            limit.check(so_far=f"{group:,} of {file.num_row_groups:,} row groups were read")
            for batch in file.iter_batches(most, [group]):
                batch.validate(full=True)
                yield pa.Table.from_batches([batch])
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table()


def parquet_bytes(path: Path) -> float:
    """The least that the table takes in memory, by its footer; raises what Arrow raises."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        return _table_bytes(file)


def _table_bytes(file: "pq.ParquetFile") -> float:
    """The least that the table takes in memory, by the footer: rows of a known size, and text as it is stored."""
    widths = [kind.bit_width / 8 for kind in file.schema_arrow.types if pa.types.is_primitive(kind)]
    metadata, texts = file.metadata, 0
    for place in range(metadata.num_columns):
        if metadata.schema.column(place).physical_type == "BYTE_ARRAY":
            texts += sum(
                metadata.row_group(group).column(place).total_uncompressed_size
                for group in range(metadata.num_row_groups)
            )
    return float(sum(widths) * metadata.num_rows + texts)


def _add(columns: "list[_Column]", rows: "pa.Table") -> None:
    rows.validate(full=True)
    for column, values in zip(columns, rows.columns, strict=True):
        column.add(values)


class _Column:
    """A column that is put together: an array that is filled, or a list of chunks."""

    def __init__(self, file: "pq.ParquetFile", place: int) -> None:
        field = file.schema_arrow.field(place)
        self._kind = field.type
        self._chunks: list[Any] = []
        self._array: NDArray[Any] | None = None
        self._rows = 0
        plain = pa.types.is_integer(self._kind) or pa.types.is_floating(self._kind)
        if plain and not pa.types.is_float16(self._kind) and self._is_full(file, place):
            self._array = np.empty(file.metadata.num_rows, self._kind.to_pandas_dtype())

    @staticmethod
    def _is_full(file: "pq.ParquetFile", place: int) -> bool:
        """Whether the file's statistics say that the column misses no value."""
        if file.metadata.num_columns != len(file.schema_arrow):  # with nested columns, places differ
            return False
        groups = (file.metadata.row_group(group).column(place) for group in range(file.num_row_groups))
        return all(one.is_stats_set and one.statistics.null_count == 0 for one in groups)

    def add(self, values: "pa.ChunkedArray") -> None:
        if self._array is not None and values.null_count == 0:
            self._array[self._rows : self._rows + len(values)] = values.to_numpy()
        elif self._array is None:
            self._chunks += values.chunks
        else:
            raise pa.ArrowInvalid("its statistics say that a column misses no value, but it does")
        self._rows += len(values)

    def whole(self) -> "pa.ChunkedArray":
        if self._array is not None:
            return pa.chunked_array([pa.array(self._array, self._kind)])
        return pa.chunked_array(self._chunks, self._kind)
