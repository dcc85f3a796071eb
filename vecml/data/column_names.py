"""Names of columns that can be told apart and typed, and the column that is meant by a typed name."""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vecml.data.findings import Findings

UNNAMED = "unnamed_"


def typeable_names(names: Sequence[str], findings: "Findings | None" = None) -> list[str]:
    """Give unnamed columns a name (`unnamed_1`, `unnamed_2` ...) and repeated names a number (`a`, `a_2`).

    A name of blanks alone is no name. What has a name of its own keeps it, whatever it holds. `findings` is told of
    each new name.
    """
    taken = {name for name in names if name.strip()}
    seen: set[str] = set()
    unnamed = 0
    made = []
    for place, name in enumerate(names, 1):
        new = name
        if not name.strip():
            unnamed += 1
            new = _free(f"{UNNAMED}{unnamed}", taken)
            what = f"is column {place} of the file, which has no name"
        elif name in seen:
            new = _free(f"{name}_2", taken)
            what = f"is column {place} of the file, another one called {name!r}"
        if new != name and findings is not None:
            findings.decided("VML040", new, what)
        taken.add(new)
        seen.add(new)
        made.append(new)
    return made


def _free(name: str, taken: set[str]) -> str:
    """`name`, or with the first higher number that no column has: `a_2`, `a_3`."""
    stem, _, first = name.rpartition("_")
    number = int(first)
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"


def find_column(name: str, names: Sequence[str]) -> str | None:
    """The column that is meant by a typed name; None where there is none, or several.

    It is the one of this very name, else the only one whose name differs in blanks, line breaks and the way that
    accents are encoded alone. The empty name means the only unnamed column.
    """
    if name in names:
        return name
    wanted = squeezed(name)
    if not wanted:
        unnamed = [one for one in names if one.startswith(UNNAMED)]
        return unnamed[0] if len(unnamed) == 1 else None
    alike = [one for one in names if squeezed(one) == wanted]
    return alike[0] if len(alike) == 1 else None


def squeezed(name: str) -> str:
    """The name in one line: single blanks inside, none at the ends, accents as one character with their letter."""
    return " ".join(unicodedata.normalize("NFC", name).split())
