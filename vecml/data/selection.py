"""Which columns are used: the target, and the features that --drop and --keep leave.

A name that does not exist is answered with the nearest ones that do, because it is nearly always a typing error.
"""

import difflib
import shlex
from collections.abc import Collection, Sequence

from vecml.data.name_list import write_names
from vecml.errors import DataError
from vecml.numbers import plural

SHOWN_NAMES = 10
SHOWN_CHARACTERS = 40
SEARCHED_NAMES = 10_000


def select_features(
    names: Sequence[str], target: str, drop: Collection[str] = (), keep: Collection[str] = (), source: str = "the data"
) -> tuple[str, ...]:
    """Choose the feature columns, in the order of `names`.

    Args:
        names: of all columns.
        target: the label column, which is never a feature.
        drop: names to leave out.
        keep: the only names to use; empty: all.
        source: of the columns, for messages.

    Raises:
        DataError: a name of `target`, `drop` or `keep` is not among `names`, or no feature is left.
    """
    known = set(names)
    for name in (target, *drop, *keep):
        if name not in known:
            raise no_such_column(name, names, source)
    left_out = {target, *drop}
    features = tuple(name for name in names if name not in left_out and (not keep or name in keep))
    if not features:
        raise DataError(
            f"no feature column is left of {source}", f"beside the target {target!r}, --drop and --keep must leave one"
        )
    return features


def no_such_column(name: str, names: Sequence[str], source: str) -> DataError:
    """The error for a column called `name` that `source` does not have; its columns are `names`."""
    return DataError(f"there is no column {name!r} in {source}", did_you_mean(name, names, "columns"))


def did_you_mean(name: str, names: Sequence[str], what: str) -> str:
    """A hint: the name nearest to `name`, if any is near, and the first few of all `names`, introduced by `what`."""
    whole = [one for one in names if "," in one and name in map(str.strip, one.split(","))]
    if whole:
        return f"did you mean {whole[0]!r}? In a list it stands in double quotes: {_in_list(whole[0])}"
    close = difflib.get_close_matches(name, names[:SEARCHED_NAMES], n=1)
    listing = f"{what}: {listed(names)}"
    return f"did you mean {close[0]!r}? {listing}" if close else listing


def listed(names: Sequence[str]) -> str:
    """The first few names, quoted, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    rest = len(names) - SHOWN_NAMES
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def listed_columns(names: Sequence[str]) -> str:
    """Write which columns they are: `column 'a'`, `columns 'a', 'b'`."""
    return f"{'column' if len(names) == 1 else plural('column')} {listed(names)}"


def shortened(value: object) -> str:
    """`value` as Python writes it, cut so that an error stays one line."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def drop_flag(name: str) -> str:
    """The flag that leaves the column out, as one types it."""
    return f"--drop {_in_list(name)}"


def _in_list(name: str) -> str:
    """The column's name as one types it in a list of names: in double quotes where it must."""
    return shlex.quote(write_names([name]))
