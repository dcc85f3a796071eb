"""The plan: which files, cut into which units, labelled by what and how. Its digest is the name of the work.

Units are cut from sizes alone. The same plan gives the same bytes on any machine, however many threads label it: the
number of threads is no part of it, the sizes of blocks are.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vecml.batch.inputs import Input
from vecml.batch.part import is_count
from vecml.data.dialect import Span
from vecml.errors import DataError, StoreError
from vecml.numbers import count

FORMAT = 1
UNIT_BYTES = 256 << 20  # of the rows in memory, as a Parquet footer counts them; of other files as they are
DIGITS = 12  # of the digest in the names of parts


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of one file.

    Attributes:
        file: the file's place in the plan.
        first_group, stop_group: the row groups of a Parquet file; both None: the whole file.
        first_row: number of the piece's first row in its file, from 0.
        n_rows: its rows; None where only reading tells.
        n_bytes: about how much it is to read.
        above, first_byte, stop_byte: the part of a text file, as of `Span`; all None: the whole file.
    """

    file: int
    first_group: int | None
    stop_group: int | None
    first_row: int
    n_rows: int | None
    n_bytes: int
    above: int | None = None
    first_byte: int | None = None
    stop_byte: int | None = None

    @property
    def span(self) -> Span | None:
        """The part of a text file; None: all of it."""
        if self.above is None or self.first_byte is None or self.stop_byte is None:
            return None
        return Span(self.above, self.first_byte, self.stop_byte)


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows that one worker labels in one go, and that become one part.

    Attributes:
        number: its place in the plan, from 0.
        folder: the Hive folders of its part, or nothing.
        first_row: number of its first row among all rows, from 0; None where only reading tells.
        pieces: what it consists of, in the order of the input.
    """

    number: int
    folder: str
    first_row: int | None
    pieces: tuple[Piece, ...]

    @property
    def n_rows(self) -> int | None:
        """The number of its rows; None where only reading tells."""
        return _total([piece.n_rows for piece in self.pieces])


@dataclass(frozen=True)
class Way:
    """How the units are labelled and written: all that decides on the bytes of a part beside the input.

    Attributes:
        model: digest of the network.
        encoding: digest of what turns rows into features.
        setting: the engine's setting as text, without its number of threads.
        block_rows: rows that the engine works on at a time.
        read_rows: rows that are read, labelled and written at a time.
        keep, probabilities, rows: the columns of the output beside the label.
        text: what was said of text files: separator, encoding, header.
        schema: names and types of the output's columns, as text.
        versions: of vecml and of pyarrow, which writes the parts.
    """

    model: str
    encoding: str
    setting: str
    block_rows: int
    read_rows: int
    keep: tuple[str, ...]
    probabilities: bool
    rows: bool
    text: str
    schema: str
    versions: str


IN_WORDS = {
    "model": "another model",
    "encoding": "another encoding of the columns",
    "setting": "another setting",
    "block_rows": "other blocks of rows",
    "read_rows": "other blocks of rows",
    "keep": "other columns to keep",
    "probabilities": "--probabilities",
    "rows": "--row",
    "text": "another separator, encoding or header",
    "schema": "other columns in the output",
    "versions": "another version of vecml or pyarrow",
}


@dataclass(frozen=True)
class Plan:
    """The whole work.

    Attributes:
        way: how it is done.
        files: the input.
        units: what it is cut into, in the order of the input.
        options: of the input's address, such as `region=eu-west-1`.
        digest: SHA-256 of all of it, in hexadecimal digits.
    """

    way: Way
    files: tuple[Input, ...] = field(repr=False)
    units: tuple[Unit, ...] = field(repr=False)
    options: str = ""
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(_content(self).encode()).hexdigest())

    def part_name(self, unit: Unit) -> str:
        """The name of the unit's part within the output."""
        return part_name(unit, self.digest)

    @property
    def n_rows(self) -> int | None:
        """Rows of all units; None where only reading tells."""
        return _total([unit.n_rows for unit in self.units])


class _Files(Protocol):
    def __getitem__(self, number: int, /) -> Input: ...


class Share(Protocol):
    """The part of a plan that labelling a unit needs: a whole `Plan` has it, and a node that knows its own units."""

    @property
    def way(self) -> Way: ...
    @property
    def files(self) -> _Files: ...
    @property
    def options(self) -> str: ...
    def part_name(self, unit: Unit) -> str: ...


def part_name(unit: Unit, digest: str) -> str:
    """The name of the unit's part within the output; `digest` is the plan's."""
    name = f"part-{unit.number:07}-{digest[:DIGITS]}.parquet"
    return f"{unit.folder}/{name}" if unit.folder else name


def cut(files: Sequence[Input], pieces: Iterable[tuple[Piece, str]], unit_bytes: int) -> tuple[Unit, ...]:
    """Put consecutive pieces together into units of about `unit_bytes`.

    Args:
        files: the input, by which a unit stays within one Hive folder.
        pieces: in the order of the input, each with a text that says of which types its columns are; a unit has one.
        unit_bytes: a piece that is larger is a unit of its own.
    """
    units: list[Unit] = []
    held: list[Piece] = []
    size, key, first_row = 0, ("", ""), 0
    known: int | None = 0
    for piece, types in pieces:
        own = (files[piece.file].folder, types)
        if held and (own != key or size + piece.n_bytes > unit_bytes):
            units.append(Unit(len(units), key[0], first_row if known is not None else None, tuple(held)))
            known = _total([known, *(one.n_rows for one in held)])
            first_row = known or 0
            held, size = [], 0
        held.append(piece)
        size, key = size + piece.n_bytes, own
    if held:
        units.append(Unit(len(units), key[0], first_row if known is not None else None, tuple(held)))
    return tuple(units)


def _total(counts: Sequence[int | None]) -> int | None:
    known = [one for one in counts if one is not None]
    return sum(known) if len(known) == len(counts) else None


def to_json(plan: Plan) -> str:
    """The plan as text, which `from_json` reads: a line for each file and each unit."""
    return f'{{"format": {FORMAT}, "digest": "{plan.digest}", {_content(plan)[1:]}'


def _content(plan: Plan) -> str:
    files = ",\n".join(json.dumps([one.address, one.size, one.stamp, one.folder]) for one in plan.files)
    units = ",\n".join(
        json.dumps([one.folder, one.first_row, [_as_list(piece) for piece in one.pieces]]) for one in plan.units
    )
    way = json.dumps(vars(plan.way))
    return f'{{"way": {way}, "options": {json.dumps(plan.options)}, "files": [\n{files}\n], "units": [\n{units}\n]}}\n'


def unit_line(plan: Plan, unit: Unit) -> str:
    """A unit with its files as a line of JSON, which `unit_of` reads on a node that does not have the plan."""
    files = {piece.file: plan.files[piece.file] for piece in unit.pieces}
    described = [[number, one.address, one.size, one.stamp, one.folder] for number, one in files.items()]
    pieces = [_as_list(piece) for piece in unit.pieces]
    return json.dumps([unit.number, unit.folder, unit.first_row, pieces, described])


def unit_of(line: str) -> tuple[Unit, dict[int, Input]]:
    """The unit of a line that `unit_line` wrote, and its files by their place in the plan."""
    number, folder, first_row, pieces, described = json.loads(line)
    unit = Unit(number, folder, first_row, tuple(Piece(*piece) for piece in pieces))
    return unit, {place: Input(*file) for place, *file in described}


def _as_list(piece: Piece) -> list[int | None]:
    whole = [piece.file, piece.first_group, piece.stop_group, piece.first_row, piece.n_rows, piece.n_bytes]
    return whole if piece.span is None else [*whole, piece.above, piece.first_byte, piece.stop_byte]


def from_json(text: str, name: str) -> Plan:
    """The plan that `to_json` wrote; raises StoreError, which names the file `name`, for one that was damaged."""
    try:
        content: Mapping[str, Any] = json.loads(text)
        if content["format"] != FORMAT:
            raise StoreError(
                f"{name} has format {content['format']!r}; this vecml reads {FORMAT}",
                "finish the work with the vecml that began it, or name a new folder",
            )
        way = content["way"]
        plan = Plan(
            Way(**{**way, "keep": tuple(way["keep"])}),
            tuple(Input(*one) for one in content["files"]),
            tuple(
                Unit(number, folder, first, tuple(Piece(*piece) for piece in pieces))
                for number, (folder, first, pieces) in enumerate(content["units"])
            ),
            content["options"],
        )
        wanted = content["digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(name) from None
    if plan.digest != wanted or not _can_be(plan):
        raise _damaged(name)
    return plan


def _can_be(plan: Plan) -> bool:
    """Whether the values of a plan that was read have their types: whoever made the folder can give it any digest."""
    way = plan.way
    texts = (way.model, way.encoding, way.setting, way.text, way.schema, way.versions, plan.options, *way.keep)
    return (
        all(isinstance(text, str) for text in texts)
        and is_count(way.block_rows)
        and is_count(way.read_rows)
        and all(_is_input(file) for file in plan.files)
        and all(_is_unit(unit, len(plan.files)) for unit in plan.units)
    )


def _is_input(file: Input) -> bool:
    texts = (file.address, file.stamp, file.folder)
    return (
        all(isinstance(text, str) and "\0" not in text for text in texts)
        and bool(file.address)
        and is_count(file.size)
        and _stays_within(file.folder)
    )


def _is_unit(unit: Unit, n_files: int) -> bool:
    return (
        isinstance(unit.folder, str)
        and _stays_within(unit.folder)
        and (unit.first_row is None or is_count(unit.first_row))
        and bool(unit.pieces)
        and all(_is_piece(piece, n_files) for piece in unit.pieces)
    )


def _is_piece(piece: Piece, n_files: int) -> bool:
    bounds = (piece.above, piece.first_byte, piece.stop_byte)
    if bounds.count(None) not in (0, 3):
        return False
    known = [one for one in (piece.first_group, piece.stop_group, piece.n_rows, *bounds) if one is not None]
    return all(map(is_count, (piece.file, piece.first_row, piece.n_bytes, *known))) and piece.file < n_files


def _stays_within(folder: str) -> bool:
    """Whether the folder of a part lies in the output: it is made of `name=value`."""
    return not folder or all("=" in part for part in folder.split("/"))


def _damaged(name: str) -> StoreError:
    return StoreError(f"{name} is damaged or was altered", "name a new folder, and remove this one")


def check_same(found: Plan, wanted: Plan, folder: str) -> None:
    """Raise DataError, with the reason, where the labels that `folder` has begun are of another plan than `wanted`."""
    if found.digest == wanted.digest:
        return
    reason = _difference(found, wanted)
    raise DataError(
        f"{folder} holds labels of another plan: {reason}",
        "name a new folder; or do as before, and the rest of this one is labelled",
    )


def _difference(found: Plan, wanted: Plan) -> str:
    before, now = {one.address: one for one in found.files}, {one.address: one for one in wanted.files}
    for address, file in now.items():
        if address not in before:
            return f"{address} is new"
        if (file.size, file.stamp) != (before[address].size, before[address].stamp):
            return f"{address} has changed since"
    gone = [address for address in before if address not in now]
    if gone:
        return f"{gone[0]} is not among the {count(len(now), 'file')} any more"
    for name, words in IN_WORDS.items():
        if getattr(found.way, name) != getattr(wanted.way, name):
            was, now_is = map(shown, _parts_that_differ(getattr(found.way, name), getattr(wanted.way, name)))
            return f"{words}: {was} before, {now_is} now"
    return "its files come in another order, or parts of another size"


def _parts_that_differ(was: object, now: object) -> tuple[object, object]:
    """Two values; of two long texts with commas, such as settings, only what one has and the other has not."""
    if not (isinstance(was, str) and isinstance(now, str) and ", " in was and ", " in now):
        return was, now
    before, after = was.split(", "), now.split(", ")
    differ = ([one for one in before if one not in after], [one for one in after if one not in before])
    return ", ".join(differ[0]) or "none of it", ", ".join(differ[1]) or "none of it"


def shown(value: object) -> str:
    """A value of a plan's way in short, for a message."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "with" if value else "without"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:12]}..."
