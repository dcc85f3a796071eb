"""The user's file that the target is in, and what a candidate makes of it."""

from dataclasses import dataclass
from pathlib import Path

from vecml.optimize.lifted import Lifted, lift
from vecml.optimize.stored import Stored, lines_with_ends, read_stored
from vecml.optimize.target import Place


@dataclass(frozen=True)
class Made:
    """A file of the user's after a change.

    Attributes:
        module: the module's text, which runs.
        whole: the file's text, with its own ends of lines.
    """

    module: str
    whole: str


@dataclass(frozen=True)
class Origin:
    """The file of the target.

    Attributes:
        place: of the target.
        stored: the file as it is.
        lifted: the text that candidates are made of.
    """

    place: Place
    stored: Stored
    lifted: Lifted

    @property
    def file_name(self) -> str:
        return Path(self.place.file).name

    def put_back(self, text: str) -> Made:
        """The file after a candidate changed the text that it was made of; raises NotPlacedError where it cannot be."""
        new = self.stored.mark + "".join(one.text for one in self.lifted.put_back(text))
        return Made(new, new)


def origin_of(target: Place) -> Origin:
    """Read the target's file, and lift the target out of the block that it is in."""
    stored = read_stored(target.file)
    return Origin(target, stored, lift(stored.plain, lines_with_ends(stored), target.name))
