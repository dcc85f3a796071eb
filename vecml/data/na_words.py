"""`NA` as a word: Namibia, North America, a league. In a text file the column alone tells it from a missing value.

In quotes it is a word, without them a missing value, unless the column's other values are codes of the same form: two
capital letters, at least two different ones. (`M`, `F` and `NA`, or `YES`, `NO` and `NA`, are no such codes.) Where a
column has it in quotes as well, whoever wrote the file told both apart. A model keeps for each column what it is.
"""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from vecml.data.arrow_types import is_text
from vecml.data.text_values import SILENT_MARKERS

NA = "NA"
BUT_NA = [marker for marker in SILENT_MARKERS if marker != NA]  # what is missing in a column in which NA is a word
CODE = "^[A-Z]{2}$"
FEWEST_CODES = 2
MARK = {"vecml": "NA is a word"}


def may_be_word(column: "pa.ChunkedArray") -> bool:
    """Whether a column has missing values, and all others are codes of which `NA` may be one, but is not yet."""
    if not column.null_count or not is_text(column.type):
        return False
    values = pc.unique(column.cast(pa.large_string())).drop_null()
    if pc.any(pc.equal(values, NA)).as_py():  # in quotes
        return False
    return len(values) >= FEWEST_CODES and bool(pc.all(pc.match_substring_regex(values, CODE)).as_py())


def with_words(table: "pa.Table", written: "pa.Table") -> "pa.Table":
    """The table with the columns of `written`, in which `NA` stands as it is in the file, where they hold it."""
    for name, column in zip(written.column_names, written.columns, strict=True):
        if pc.any(pc.equal(column, NA)).as_py():
            table = marked(table.set_column(table.column_names.index(name), name, column), name)
    return table


def marked(table: "pa.Table", name: str) -> "pa.Table":
    """The table with a mark at a column that says: `NA` is a word in it."""
    column = table[name]
    return table.set_column(table.column_names.index(name), pa.field(name, column.type, metadata=MARK), column)


def word_columns(table: "pa.Table", names: Collection[str]) -> list[str]:
    """Those of the named columns in which `with_words` put the word."""
    mark = {key.encode(): value.encode() for key, value in MARK.items()}
    return [name for name in names if table.schema.field(name).metadata == mark]
