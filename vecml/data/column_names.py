"""Names of columns that can be told apart and typed, and the column that is meant by a typed name."""

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vecml.data.findings import Findings

UNNAMED = "unnamed_"
PANDAS_UNNAMED = re.compile(r"Unnamed: [0-9]+")  # as pandas calls it, also in files that it writes


def typeable_names(names: Sequence[str], findings: "Findings | None" = None) -> list[str]:
    """Give unnamed columns a name (`unnamed_1`, `unnamed_2` ...) and repeated names a number: `a`, `a.1`.

    A name of blanks alone is no name, nor is pandas' `Unnamed: 0`. Whatever has a name of its own keeps it.
    `findings` is told of each new name.
    """
    taken = {name for name in names if not is_unnamed(name)}
    seen: set[str] = set()
    unnamed = 0
    made = []
    for place, name in enumerate(names, 1):
        new = name
        if is_unnamed(name):
            unnamed += 1
            new = _free(UNNAMED, unnamed, taken)
            what = f"is column {place} of the file, which has no name"
        elif name in seen:
            new = _free(f"{name}.", 1, taken)
            what = f"is column {place} of the file, another one called {name!r}"
        if new != name and findings is not None:
            findings.decided("VML040", new, what)
        taken.add(new)
        seen.add(new)
        made.append(new)
    return made


def is_unnamed(name: str) -> bool:
    """Whether this is no name, or the one that pandas gives to a column without any."""
    return not name.strip() or PANDAS_UNNAMED.fullmatch(name) is not None


def _free(stem: str, number: int, taken: set[str]) -> str:
    """The stem with the number, or with the first higher one that no column has."""
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def find_column(name: str, names: Sequence[str]) -> str | None:
    """The column that is meant by a typed name; None where there is none, or several.

    It is the one of this very name, else the only one whose name differs in blanks, line breaks and the way that
    accents are encoded alone. The empty name, and pandas' `Unnamed: 0`, mean the only unnamed column.
    """
    if name in names:
        return name
    wanted = squeezed(name)
    if is_unnamed(name):
        unnamed = [one for one in names if one.startswith(UNNAMED)]
        return unnamed[0] if len(unnamed) == 1 else None
    alike = [one for one in names if squeezed(one) == wanted]
    return alike[0] if len(alike) == 1 else None


def squeezed(name: str) -> str:
    """The name in one line: single blanks inside, none at the ends, accents as one character with their letter."""
    return " ".join(unicodedata.normalize("NFC", name).split())
