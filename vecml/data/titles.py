"""Lines above the header that belong to no table: `Report of 2024`, an empty line, then the names of the columns.

They are left out only where it is certain that they are no header.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence

NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
LOOKED_AT = 200  # rows
MOST_TITLES = 20  # rows
FEWEST_BELOW = 2
AGREE = 0.95


def lines_of_titles(text: str, separators: Sequence[str]) -> int:
    """How many lines of titles stand above the header of a text; 0 where that is not certain.

    Args:
        text: the beginning of a file, whole lines.
        separators: that may stand between its values.
    """
    for separator in separators:
        rows, ends = _rows(text, separator)
        titles = rows_of_titles(rows)
        if titles:
            return ends[titles - 1]
    return 0


def rows_of_titles(rows: Sequence[Sequence[str]]) -> int:
    """How many rows stand above the header of a table; 0 where that is not certain.

    Most rows have as many values as the header; its values are distinct texts, each above a column. A row above has
    fewer than half as many values that are not empty, or one. And a row without a value stands above the header, or a
    column below it holds numbers alone.

    Args:
        rows: of the table's beginning, as texts; an empty line is a row without values.
    """
    width = Counter(len(row) for row in rows if len(row) > 1).most_common(1)
    if not width or (rows and _is_header(rows[0], width[0][0])):
        return 0
    n = width[0][0]
    header = next((place for place, row in enumerate(rows[: MOST_TITLES + 1]) if _is_header(row, n)), 0)
    above, below = rows[:header], [row for row in rows[header + 1 :] if any(row)]
    if not header or len(below) < FEWEST_BELOW or not all(_is_title(row, n) for row in above):
        return 0
    if sum(len(row) == n for row in below) < AGREE * len(below):
        return 0
    is_certain = not any(above[-1]) or any(_is_number_column(below, place) for place in range(n))
    return header if is_certain else 0


def _rows(text: str, separator: str) -> tuple[list[list[str]], list[int]]:
    """The first rows, empty ones too, their values without blanks around them, and the lines at which they end."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    ends: list[int] = []
    try:
        for row in reader:
            rows.append([value.strip() for value in row])
            ends.append(reader.line_num)
            if len(rows) == LOOKED_AT:
                break
    except csv.Error:  # a value of more than 128 KB
        pass
    return rows, ends


def _is_header(row: Sequence[str], n: int) -> bool:
    return len(row) == n and all(row) and len(set(row)) == n and not any(NUMBER.fullmatch(value) for value in row)


def _is_title(row: Sequence[str], n: int) -> bool:
    values = [value for value in row if value]
    return len(values) <= max(1, (n - 1) // 2)


def _is_number_column(rows: Sequence[Sequence[str]], place: int) -> bool:
    values = [row[place] for row in rows if len(row) > place and row[place]]
    return len(values) >= FEWEST_BELOW and all(NUMBER.fullmatch(value) for value in values)
