"""An encoding as plain JSON: the content of a saved model's preprocessing.json.

Read back as suspiciously as any file from elsewhere. Floats survive to the last bit: JSON writes them as Python's repr.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from vecml.data.column_encoding import ColumnEncoding
from vecml.data.reading_json import reading_before_format_2, reading_from_json, reading_to_json
from vecml.data.selection import shortened
from vecml.data.table import Kind
from vecml.errors import ModelError

FORMAT = 2
KNOWN = (1, FORMAT)  # format 1 has no readings, indicators and other values


def to_json(columns: Sequence[ColumnEncoding], target: str, classes: Sequence[str]) -> dict[str, Any]:
    """The encoding as JSON's own types: format, target, classes, and an object for each column.

    A column has name, kind and impute (a number, a boolean or a category); a number has offset and scale too, its
    feature being (value - offset) / scale, and a category has categories and the name of its other values. All have a
    reading (`vecml.data.reading`) and say whether they have an indicator.
    """
    entries: list[dict[str, Any]] = []
    for column in columns:
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind}
        match column.kind:
            case "number":
                entry |= {"impute": column.impute, "offset": column.offset, "scale": column.scale}
            case "boolean":
                entry |= {"impute": bool(column.impute)}
            case "category":
                entry |= {"impute": column.categories[int(column.impute)], "categories": list(column.categories)}
                entry["other"] = column.other
        entry |= {
            "indicator": column.indicator,
            "constant": column.constant,
            "reading": reading_to_json(column.reading),
        }
        entries.append(entry)
    return {"format": FORMAT, "target": target, "classes": list(classes), "columns": entries}


def from_json(content: object) -> tuple[tuple[ColumnEncoding, ...], str, tuple[str, ...]]:
    """Columns, target and classes from what `to_json` gave.

    Raises ModelError for another format version and anything malformed, saying what.
    """
    if not isinstance(content, Mapping):
        raise _malformed("it is no JSON object")
    version = content.get("format")
    if version not in KNOWN or isinstance(version, bool):
        raise ModelError(
            f"preprocessing.json has format {shortened(version)}; this vecml reads up to {FORMAT}",
            "load it with the vecml that saved it",
        )
    target, classes = _text(content, "target"), _texts(content, "classes")
    entries = content.get("columns")
    if not isinstance(entries, list) or not entries:
        raise _malformed(f"columns is {shortened(entries)}")
    columns = tuple(_column(entry, version) for entry in entries)
    if len({column.name for column in columns}) != len(columns):
        raise _malformed("a column occurs twice")
    return columns, target, classes


def _column(entry: object, version: int) -> ColumnEncoding:
    if not isinstance(entry, Mapping):
        raise _malformed(f"a column is {shortened(entry)}")
    made = _feature(entry)
    if version == 1:
        return replace(made, reading=reading_before_format_2(made.kind))
    indicator, constant, other = entry.get("indicator"), entry.get("constant"), entry.get("other", "")
    if not isinstance(indicator, bool):
        raise _malformed(f"column {made.name!r} has the indicator {shortened(indicator)}")
    if not isinstance(constant, bool) or constant > indicator:
        raise _malformed(f"column {made.name!r} has {shortened(constant)} for a constant")
    if not isinstance(other, str) or (other and (other in made.categories or made.kind != "category")):
        raise _malformed(f"column {made.name!r} has {shortened(other)} for its other values")
    try:
        reading = reading_from_json(entry.get("reading"), made.kind)
    except ValueError as error:
        raise _malformed(f"column {made.name!r} has {error}") from None
    return replace(made, other=other, indicator=indicator, constant=constant, reading=reading)


def _feature(entry: Mapping[str, Any]) -> ColumnEncoding:
    """The column without what format 1 did not have."""
    name, kind, impute = _text(entry, "name"), entry.get("kind"), entry.get("impute")
    if kind not in get_args(Kind):
        raise _malformed(f"column {name!r} has the kind {shortened(kind)}")
    match kind:
        case "number":
            offset, scale = _number(name, entry.get("offset")), _number(name, entry.get("scale"))
            if scale <= 0:
                raise _malformed(f"column {name!r} has the scale {shortened(scale)}")
            return ColumnEncoding(name, "number", _number(name, impute), offset, scale)
        case "boolean":
            if not isinstance(impute, bool):
                raise _malformed(f"column {name!r} has {shortened(impute)} for a boolean")
            return ColumnEncoding(name, "boolean", float(impute))
        case _:
            categories = _texts(entry, "categories")
            if impute not in categories:
                raise _malformed(f"column {name!r} has no category {shortened(impute)}")
            return ColumnEncoding(name, "category", float(categories.index(impute)), categories=categories)


def _number(name: str, value: object) -> float:
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise _malformed(f"column {name!r} has {shortened(value)} for a number")


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise _malformed(f"{key} is {shortened(value)}")
    return value


def _texts(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = content.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _malformed(f"{key} is {shortened(values)}")
    if len(set(values)) != len(values):
        raise _malformed(f"{key} holds a value twice")
    return tuple(values)


def _malformed(what: str) -> ModelError:
    return ModelError(
        f"preprocessing.json is malformed: {what}", "the model was altered or damaged: take it from its run again"
    )
