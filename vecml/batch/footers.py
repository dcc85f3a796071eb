"""Cutting files into pieces by what their footers and headers say, without reading rows.

Footers are read by threads, some hundred at a time, so that 100,000 files take neither minutes nor the memory of their
schemas.
"""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vecml.batch.inputs import Input, Inputs, stamp_of
from vecml.batch.plan import Piece
from vecml.batch.schemas import Schemas
from vecml.data.addresses import is_address
from vecml.data.data_file import DataFile
from vecml.data.dialect import Span
from vecml.data.files import arrow_errors
from vecml.data.places import naming, of_address, place_errors
from vecml.data.stream import is_csv, is_parquet
from vecml.data.text_cuts import cut_text
from vecml.data.text_stream import find_dialect
from vecml.errors import DataError
from vecml.progress import stage

THREADS = 8
TOGETHER = 512  # footers that are in memory at a time


@dataclass(frozen=True)
class Surveyed:
    """The input as its footers describe it.

    Attributes:
        files: the input, with the stamps of objects.
        pieces: each with a text that says of which types its columns are.
        first: the first file, which says of which types the kept columns are.
    """

    files: tuple[Input, ...]
    pieces: tuple[tuple[Piece, str], ...]
    first: DataFile


@dataclass(frozen=True, slots=True)
class _Footer:
    """Schema, rows and bytes of each row group, size and stamp of a file; of one that is no Parquet the last two."""

    schema: Any
    groups: tuple[tuple[int, int], ...]
    size: int
    stamp: str


def survey(inputs: Inputs, schemas: Schemas, unit_bytes: int) -> Surveyed:
    """Look at the footer or header of every file.

    Args:
        inputs: the files.
        schemas: checks each against the model and the first file.
        unit_bytes: a file with more is cut between its row groups.

    Raises DataError, which names file and column, for the first file that does not fit.
    """
    files: list[Input] = []
    pieces: list[tuple[Piece, str]] = []
    look = functools.partial(_footer, options=inputs.options)
    with stage("planning", len(inputs.files)) as advance, ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(inputs.files), TOGETHER):
            some = inputs.files[start : start + TOGETHER]
            for file, footer in zip(some, pool.map(look, some), strict=True):
                if file.stamp and (footer.size, footer.stamp) != (file.size, file.stamp):
                    raise DataError(f"{file.address} changes while it is looked at", "wait until it is complete")
                if footer.schema is None:
                    try:
                        types = schemas.of_other(file)
                        parts = list(_text_pieces(len(files), file, footer.size, unit_bytes, schemas))
                    except DataError as error:
                        raise naming(error, file.address) from None
                    pieces += [(piece, types) for piece in parts]
                else:
                    types = schemas.of_parquet(file, footer.schema)
                    pieces += [(piece, types) for piece in _pieces(len(files), footer.groups, unit_bytes)]
                files.append(replace(file, size=footer.size, stamp=footer.stamp))
            advance(len(some))
    return Surveyed(tuple(files), tuple(pieces), schemas.first)


def _pieces(number: int, groups: Sequence[tuple[int, int]], unit_bytes: int) -> Iterator[Piece]:
    """Consecutive row groups of a file, together up to `unit_bytes`."""
    first = first_row = rows = size = 0
    for group, (more_rows, more_bytes) in enumerate(groups):
        if group > first and size + more_bytes > unit_bytes:
            yield Piece(number, first, group, first_row, rows, size)
            first, first_row, rows, size = group, first_row + rows, 0, 0
        rows, size = rows + more_rows, size + more_bytes
    yield Piece(number, first, len(groups), first_row, rows, size)


def _text_pieces(number: int, file: Input, size: int, unit_bytes: int, schemas: Schemas) -> Iterator[Piece]:
    """The whole file, or parts of a text file of this machine that is larger than a unit."""
    path = Path(file.address)
    spans: tuple[Span, ...] = ()
    if size > unit_bytes and not is_address(file.address) and is_csv(path):
        spans = cut_text(path, find_dialect(path, schemas.asked), unit_bytes)
    if not spans:
        yield Piece(number, None, None, 0, None, size)
    for one in spans:
        yield Piece(number, None, None, 0, None, one.stop - one.first, one.above, one.first, one.stop)


def _footer(file: Input, options: str) -> _Footer:
    try:
        return _read_footer(file, options)
    except DataError as error:
        raise naming(error, file.address) from None


def _read_footer(file: Input, options: str) -> _Footer:
    place, path = of_address(file.address, options), Path(file.address)
    if not is_parquet(path):
        return _Footer(None, (), *stamp_of(place))
    with place_errors(place, "read"), place.system.open_input_file(place.path) as source:
        size, stamp = stamp_of(place, source)
        with arrow_errors(path, "Parquet"), pq.ParquetFile(source) as opened:
            metadata = opened.metadata
            groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
            sizes = tuple((group.num_rows, group.total_byte_size) for group in groups)
            return _Footer(opened.schema_arrow, sizes, size, stamp)
