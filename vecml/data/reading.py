"""What the text of a column says: a record that is decided once, at training, and kept with the model.

Every reader applies it alike (`vecml.data.text_values`): a whole file, a file in blocks, a data frame. So the same text
gives the same feature.
"""

from collections.abc import Collection
from dataclasses import dataclass

Words = Collection[str] | None  # the columns of a text file in which NA without quotes is a word; None: that is found

ISO = "YYYY-MM-DD"
TIME_OF_DAY = "HH:MM:SS"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Attributes:
        decimal: the decimal mark, `.` or `,`.
        thousands: the mark between groups of digits: empty, `,`, `.`, `'`, `_` or a blank, which stands for any blank.
        before: the unit before the number (`$`), which may be left out; empty where there is none.
        after: the unit after it (`%`, `kg`).
        bounds: whether `<0.5`, `>=3` and `90+` count as the number that they name.
    """

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""
    bounds: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as every program writes them."""
        return self == PLAIN

    def described(self) -> str:
        """Write what the format is: `numbers with the unit '$' and ',' between thousands`."""
        said = [f"the unit {unit!r}" for unit in (self.before, self.after) if unit]
        if self.thousands:
            said.append(f"{self.thousands!r} between thousands")
        if self.decimal != ".":
            said.append("a decimal comma")
        if self.bounds:
            said.append("bounds such as '<5' or '5+', which count as the number itself")
        return "numbers" + (" with " + " and ".join(said) if said else "")


PLAIN = NumberFormat()


@dataclass(frozen=True)
class Reading:
    """How the text of a column is read, beside its kind.

    Attributes:
        number: how its numbers are written.
        date: the format of its dates, a name of `FORMATS`; empty where the column holds none. `unknown`: numbers or ISO
            dates, in a model that vecml saved before it kept readings.
        missing: texts that stand for a missing value, without blanks around them; in a column of typed numbers the
            numbers that they say. In a number or a boolean the empty text and words such as `?` do so without being
            named, in a category only what is named.
        odd: those of `missing` that nobody declared: words that were found among numbers or dates.
        na_is_word: whether `NA` without quotes is one of a category's values in a text file.
    """

    number: NumberFormat = PLAIN
    date: str = ""
    missing: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    na_is_word: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is the reading of numbers that every program reads alike."""
        return self == PLAIN_READING


PLAIN_READING = Reading()
