"""A part: the file that a unit becomes, and the record of what is in it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.batch.folder import Folder
from vecml.errors import StoreError

RECORDS = "_parts"


@dataclass(frozen=True, slots=True)
class Part:
    """The record of a part.

    Attributes:
        unit: number of its unit.
        name: of the file within the output.
        rows: its rows.
        counts: rows with each class as their label.
        sha256: of its bytes, in hexadecimal digits.
        bytes: its size.
        unseen: values of a category that the training part has not.
        filled: markers of a missing value, such as `?`, among numbers and booleans.
    """

    unit: int
    name: str
    rows: int
    counts: tuple[int, ...]
    sha256: str
    bytes: int
    unseen: int
    filled: int


def to_json(part: Part) -> str:
    """The record as a line of JSON."""
    return json.dumps(asdict(part))


def from_json(content: Mapping[str, Any], name: str) -> Part:
    """The record that `to_json` wrote; raises StoreError, which names the file `name`, for one that is damaged."""
    try:
        part = Part(**{**content, "counts": tuple(content["counts"])})
    except (KeyError, TypeError):
        raise damaged(name) from None
    numbers = (part.unit, part.rows, part.bytes, part.unseen, part.filled, *part.counts)
    texts = (part.name, part.sha256)
    if not all(is_count(one) for one in numbers) or not all(isinstance(one, str) for one in texts):
        raise damaged(name)
    if sum(part.counts) != part.rows:
        raise damaged(name)
    return part


def of_line(text: str, name: str) -> Part:
    """The record of a line that `to_json` wrote; `name` and what is raised are as for `from_json`."""
    return from_json(json.loads(text), name)


def is_count(value: object) -> bool:
    """Whether a value that was read from JSON is a whole number of things."""
    return type(value) is int and value >= 0  # True is an int to isinstance


def damaged(name: str) -> StoreError:
    """The error for a record or a manifest, called `name`, that is not as it was written."""
    return StoreError(f"{name} is damaged or was altered", "remove it, and run the same command again")


def record_name(part_name: str) -> str:
    """The name of the record of a part, which is written after it."""
    return f"{RECORDS}/{part_name.rsplit('/', 1)[-1].removesuffix('.parquet')}.json"


class Tally:
    """Counts what goes into a part while it is written."""

    def __init__(self, n_classes: int) -> None:
        """`n_classes` is the number of the model's classes."""
        self.count_C = np.zeros(n_classes, np.int64)
        self.rows = self.unseen = self.filled = 0

    def add(self, label_N: NDArray[np.int64], unseen: int, filled: int) -> None:
        """Count a block with the class indices label_N, int64 (N,)."""
        self.count_C += np.bincount(label_N, minlength=len(self.count_C))
        self.rows += len(label_N)
        self.unseen += unseen
        self.filled += filled


def finish(folder: Folder, part: Part) -> Part:
    """Write the part's record: from then on, the part counts as done. Raises StoreError."""
    folder.write(record_name(part.name), f"{to_json(part)}\n".encode())
    return part
