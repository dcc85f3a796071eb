"""How names of columns are written in one word: `a,b`, and in double quotes what would be taken for something else.

`read_names` is the inverse of `write_names`, for every text. It reads what people type as well: a blank after a comma
does not count, and a quotation mark inside a name need not be doubled.
"""

import re
from collections.abc import Iterable, Iterator

# A name as it is: not empty, without a comma, a quotation mark at its begin, a blank at an end, or a line break.
PLAIN = re.compile(r'[^\s",](?:[^,\r\n]*[^\s,])?')

QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=,|\Z)')


def write_names(names: Iterable[str]) -> str:
    """The names with commas between them; `"a, b",c` where a name needs double quotes."""
    return ",".join(name if PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"' for name in names)


def read_names(text: str) -> tuple[str, ...]:
    """The names that `text` lists; the empty text is the empty name."""
    return tuple(_names(text))


def _names(text: str) -> Iterator[str]:
    place = 0
    while True:
        quoted = QUOTED.match(text, place)
        if quoted:
            yield quoted[1].replace('""', '"')
            place = quoted.end()
        else:
            end = text.find(",", place)
            end = len(text) if end < 0 else end
            yield text[place:end].strip()
            place = end
        if place >= len(text):
            return
        place += 1
