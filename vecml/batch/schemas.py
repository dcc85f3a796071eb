"""Whether the columns of all files fit the model and each other; what does not is named by file and column."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecml.batch.inputs import Input
from vecml.data.data_file import DataFile
from vecml.data.dialect import AskedFormat
from vecml.data.encoding import Encoding
from vecml.data.files import Say, check_distinct
from vecml.data.places import Place, local_file, naming, of_address, place_errors
from vecml.data.selection import shortened
from vecml.data.several import are_unlike
from vecml.data.stream import checked_file, is_csv, open_file
from vecml.errors import DataError, SettingError

MOST_TEXTS = 200  # text files that are looked at before work starts; of the others only the header is compared
HEADER_BYTES = 1 << 16
SAME_TYPES = "write all files with the same types"


@dataclass(frozen=True)
class Wanted:
    """The columns that are read of every file, and how.

    Attributes:
        encoding: names the columns that the model reads.
        carried: names of columns that are copied to the output.
        asked: what the user says of text files.
    """

    encoding: Encoding
    carried: tuple[str, ...]
    asked: AskedFormat


class Schemas:
    """The schemas of the files that were seen so far: the first, and those that differ from it."""

    def __init__(self, wanted: Wanted, options: str, say: Say) -> None:
        """`options` are those of the input's address; `say` hears what was found by looking at text files."""
        self._wanted, self._options, self._say = wanted, options, say
        self._first: DataFile | None = None
        self._schema: Any = None  # of the first Parquet file, and its address
        self._address = ""
        self._others: list[tuple[Any, str]] = []
        self._headers: set[tuple[str, bytes]] = set()
        self._texts = 0

    @property
    def asked(self) -> AskedFormat:
        """The words of the user on how text files are written."""
        return self._wanted.asked

    @property
    def first(self) -> DataFile:
        """The first file, checked; raises DataError where there was none."""
        if self._first is None:
            raise DataError("there is no file to label", "name at least one")
        return self._first

    def of_parquet(self, file: Input, schema: "pa.Schema") -> str:
        """Check the names and types of a Parquet file; return a text that says which types they are.

        Raises DataError where a column is missing, or its type does not fit the model or the first file.
        """
        if self._schema is not None and schema.equals(self._schema):
            return ""
        for other, types in self._others:
            if schema.equals(other):
                return types
        check_distinct(schema.names, file.address)
        whole = with_constants(schema, file)
        self._check_kept(file)
        data = DataFile(Path(file.address), self._wanted.encoding, self._wanted.carried, {}, (), None)
        try:
            self._take(checked_file(data, whole, file.address), file)
        except DataError as error:
            raise naming(error, file.address) from None
        if self._schema is None:
            self._schema, self._address = schema, file.address
            return ""
        names = [column.name for column in self._wanted.encoding.columns if column.name not in file.constants]
        for name in names:
            kind, first = schema.field(name).type, self._schema.field(name).type
            if are_unlike([kind, first]):
                raise _unlike(file.address, name, kind, self._address, first)
        types = "; ".join(str(schema.field(name).type) for name in names)
        self._others.append((schema, types))
        return types

    def of_other(self, file: Input) -> str:
        """Check the header of a text file, and the columns of any other that is no Parquet; return that it is such.

        Raises DataError as `of_parquet` does.
        """
        place, path = of_address(file.address, self._options), Path(file.address)
        header = (path.suffix.lower(), _start(place)) if is_csv(path) else None
        if header in self._headers and (self._texts > MOST_TEXTS or not place.is_local):
            return "text"
        self._check_kept(file)
        with local_file(place) as here:
            data = open_file(here, *self._inner(file), self._wanted.asked, self._say)
        self._take(replace(data, encoding=self._wanted.encoding), file)
        self._texts += 1
        if header is not None:
            self._headers.add(header)
        return "text"

    def _inner(self, file: Input) -> tuple[Encoding, tuple[str, ...]]:
        return without_constants(self._wanted.encoding, file), self._wanted.carried

    def _check_kept(self, file: Input) -> None:
        kept = [name for name in self._wanted.carried if name in file.constants]
        if kept:
            raise SettingError(
                f"--keep {kept[0]}: the output keeps its folders {kept[0]}=...", "leave it out of --keep"
            )

    def _take(self, data: DataFile, file: Input) -> None:
        """Take the first file as the one whose kept columns all others must have."""
        if self._first is None:
            self._first = replace(data, path=Path(file.address))
        for name, kind in data.carried_types.items():
            first = self._first.carried_types[name]
            if kind != first:
                raise _unlike(file.address, name, kind, str(self._first.path), first)


def without_constants(encoding: Encoding, file: Input) -> Encoding:
    """The encoding without the columns that the file's Hive folders hold."""
    held = file.constants
    if not held:
        return encoding
    return replace(encoding, columns=tuple(column for column in encoding.columns if column.name not in held))


def with_constants(schema: "pa.Schema", file: Input) -> "pa.Schema":
    """The schema with the columns of the file's Hive folders; raises DataError where it has one of that name."""
    for name, value in file.constants.items():
        if name in schema.names:
            raise DataError(
                f"{file.address} has a column {name!r}, and lies in a folder {name}={value}",
                "rename the column, or the folder",
            )
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def _unlike(address: str, name: str, kind: object, other: str, first: object) -> DataError:
    return DataError(
        f"{address}: column {name!r} is {shortened(str(kind))}, but in {other} it is {shortened(str(first))}",
        SAME_TYPES,
    )


def _start(place: Place) -> bytes:
    with place_errors(place, "read"), place.system.open_input_stream(place.path, compression=None) as stream:
        start: bytes = stream.read(HEADER_BYTES)
    return start.partition(b"\n")[0]
