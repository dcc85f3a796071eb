"""The markers of a missing value (`?`, `207a`) that are filled in when new data is labelled: counted, then told."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.column_encoding import ColumnEncoding
from vecml.data.findings import Findings
from vecml.data.selection import shortened
from vecml.data.text_values import is_marker, is_silent_marker, stands_for_missing
from vecml.numbers import count


@dataclass(frozen=True)
class Filled:
    """Rows by column and marker, of columns that are numbers or booleans to a model.

    What was declared with `--missing` is not counted, nor what every reader takes for missing (`NA`, an empty value).

    Attributes:
        rows: how many, by the column's name and the marker.
    """

    rows: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, entry: ColumnEncoding, values: "pa.Array", count_D: NDArray[np.int64]) -> None:
        """Count the markers among a column's distinct texts (D,), each with its rows."""
        texts = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
        reading = entry.reading
        declared = tuple(text for text in reading.missing if text not in reading.odd)
        told_D = is_marker(texts) | stands_for_missing(texts, reading.odd)
        told_D &= ~(stands_for_missing(texts, declared) | is_silent_marker(texts))
        for place in np.flatnonzero(told_D & (count_D > 0)):
            self.rows[entry.name, texts[int(place)].as_py()] += int(count_D[place])

    @property
    def total(self) -> int:
        """How many values they are in all."""
        return self.rows.total()

    def tell(self) -> None:
        """Warn of them, with VML032."""
        by_column: dict[str, list[str]] = {}
        for name, marker in self.rows:
            by_column.setdefault(name, []).append(marker)
        findings = Findings()
        for name, markers in by_column.items():
            rows = count(sum(self.rows[name, marker] for marker in markers), "row")
            said = ", ".join(map(shortened, sorted(markers)))
            findings.decided("VML032", name, f"has {said} in {rows}: a missing value, which is filled in")
        findings.settle()
