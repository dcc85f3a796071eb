"""Which columns are used: the target, and the features that --drop and --keep leave.

A name that does not exist is answered with the nearest ones that do, because it is nearly always a typing error.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vecml.data.column_names import find_column, squeezed
from vecml.errors import DataError
from vecml.numbers import plural

SHOWN_NAMES = 10
SHOWN_CHARACTERS = 40
SEARCHED_NAMES = 10_000


@dataclass(frozen=True)
class Chosen:
    """The columns that a configuration names, as the source writes them.

    Attributes:
        target, drop, keep, categorical: with the nearest name for each that does not exist; what has none near is left
            out.
        unknown: the names that do not exist.
    """

    target: str | None
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    categorical: tuple[str, ...]
    unknown: tuple[str, ...]


def choose_columns(
    names: Sequence[str], target: str | None, drop: Iterable[str], keep: Iterable[str], categorical: Iterable[str] = ()
) -> Chosen:
    """Find the columns that are named.

    Args:
        names: of all columns.
        target: the name of the label's column, as typed; None where none was.
        drop, keep, categorical: the names of these flags, as typed.
    """
    unknown = []

    def found(name: str) -> str | None:
        column = find_column(name, names)
        if column is None:
            unknown.append(name)
            return nearest(name, names)
        return column

    label = None if target is None else found(target)
    found_of = [[one for name in listed if (one := found(name)) is not None] for listed in (drop, keep, categorical)]
    return Chosen(label, *(tuple(dict.fromkeys(listed)) for listed in (*found_of, unknown)))


def features_of(names: Sequence[str], chosen: Chosen) -> tuple[str, ...]:
    """The feature columns, in the order of `names`: without the target and what is dropped, and only what is kept."""
    left_out = {chosen.target, *chosen.drop}
    return tuple(name for name in names if name not in left_out and (not chosen.keep or name in chosen.keep))


def no_such_column(name: str, names: Sequence[str], source: str) -> DataError:
    """The error for a column called `name` that `source` does not have; its columns are `names`."""
    return DataError(f"there is no column {name!r} in {source}", did_you_mean(name, names, "columns"))


def no_such_columns(unknown: Sequence[str], source: str) -> str:
    """The message for columns that `source` does not have."""
    are = "is" if len(unknown) == 1 else "are"
    return f"there {are} no {listed_columns(unknown)} in {source}"


def nearest(name: str, names: Sequence[str]) -> str | None:
    """Find the one of the `names` that is most likely meant; None where none is near."""
    whole = [one for one in names if "," in one and name in map(str.strip, one.split(","))]
    close = whole or difflib.get_close_matches(name, names[:SEARCHED_NAMES], n=1)
    if close:
        return close[0]
    folded = [one for one in names if squeezed(one).casefold() == squeezed(name).casefold()]
    return folded[0] if folded else None


def did_you_mean(name: str, names: Sequence[str], what: str) -> str:
    """A hint: the name nearest to `name`, if any is near, and the first few of all `names`, introduced by `what`."""
    close = nearest(name, names)
    listing = f"{what}: {listed(names)}"
    return listing if close is None else f"did you mean {close!r}? {listing}"


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
