"""How a text file writes its table: separator, encoding, quotation mark, header; found by looking at its beginning.

A suffix has a default (`.csv` a comma, `.tsv` a tab), which is taken where it fits. Whatever else is found is said, and
can be set (`--separator`, `--encoding`, `--no-header`), at training and at predict alike.
"""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from vecml.config import TrainingConfig
from vecml.data.not_text import check_no_zero_bytes, check_text
from vecml.data.remedy import SettingHelpsError
from vecml.data.selection import shortened
from vecml.data.titles import NUMBER, lines_of_titles
from vecml.errors import SettingError
from vecml.numbers import count

SAMPLE_BYTES = 1 << 18
SAMPLE_ROWS = 1_000
WHITESPACE = " "  # any run of blanks and tabs
SEPARATORS = (",", ";", "\t", "|")
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": WHITESPACE, "whitespace": " "}
IN_WORDS = {value: name for name, value in NAMED.items() if name not in ("\\t", "space")}
COMPRESSIONS = (".gz", ".bz2", ".zst", ".xz", ".zip")
DEFAULTS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": None, ".dat": None, ".data": None}
# Quotation mark, what stands before one inside a value, and whether blanks stand before one.
WAYS = (
    *(('"', None, False), ('"', None, True), ('"', "\\", False), ('"', "\\", True)),
    ("'", None, False),
)
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class AskedFormat:
    """The user's word on a text file; None where it is to be found by looking.

    Attributes:
        separator: one character, or the name of one: `tab`, `semicolon`, `whitespace` ...
        encoding: a name that Python knows, `cp1252` for example.
        no_header: the first row is data; False: it is found by looking.
    """

    separator: str | None = None
    encoding: str | None = None
    no_header: bool = False


def asked_of(config: TrainingConfig) -> AskedFormat:
    """Take from a configuration what it says of a text file."""
    return AskedFormat(config.separator, config.encoding, config.no_header)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole rows of a text file, with all that stands above its first row.

    Attributes:
        above: bytes before the first row: lines that are skipped, and the header.
        first, stop: the bytes of the rows.
    """

    above: int
    first: int
    stop: int


@dataclass(frozen=True)
class Dialect:
    """How a text file writes its table.

    Attributes:
        separator: between values; `WHITESPACE` stands for any run of blanks and tabs.
        encoding: as Python calls it.
        quote: the quotation mark.
        escape: what stands before a quotation mark inside a value, beside doubling; None where nothing does.
        loose: whether blanks stand between a separator and a quotation mark; they belong to no value then.
        skipped: lines before the header, or before the data where there is no header.
        names: of the columns, where the file does not name all of them; `skipped` then counts the header too.
        is_encoding_asked: whether the user said the encoding, so that no other is tried.
        said: what of this is not what the suffix says, for people, with the setting that says it openly.
        span: the part of the file that is read, of a large file that is read in parts; None: all of it.
    """

    separator: str
    encoding: str = "utf-8"
    quote: str = '"'
    escape: str | None = None
    loose: bool = False
    skipped: int = 0
    names: tuple[str, ...] | None = None
    is_encoding_asked: bool = False
    said: tuple[tuple[str, dict[str, Any] | None], ...] = ()
    span: "Span | None" = None

    @property
    def is_rewritten(self) -> bool:
        """Whether Arrow's reader does not know it, so that the text has to be rewritten first."""
        return self.separator == WHITESPACE or self.loose


COMMA = Dialect(",")
LOOK = AskedFormat()


def text_suffix(path: PurePath) -> str | None:
    """The suffix of a text file without that of a compression; None where it is none. `.txt` for `x.txt.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in COMPRESSIONS and suffixes[-2] in DEFAULTS:
        return suffixes[-2]
    return suffixes[-1] if suffixes and suffixes[-1] in DEFAULTS else None


def in_encoding(dialect: Dialect, encoding: str) -> Dialect:
    """The dialect in another encoding, and only that said."""
    return replace(dialect, encoding=encoding, said=(_encoding_said(encoding),))


def _encoding_said(encoding: str) -> tuple[str, dict[str, Any] | None]:
    return f"the encoding is {encoding}", {"encoding": encoding}


def check_asked(asked: AskedFormat) -> None:
    """Raise SettingError for a separator that is more than one character, and an encoding that Python does not know."""
    if asked.separator is not None:
        separator_of(asked.separator)
    if asked.encoding is not None:
        try:
            codecs.lookup(asked.encoding)
        except LookupError:
            raise SettingError(
                f"--encoding {asked.encoding}: there is no such encoding", "for example utf-8, cp1252, latin-1, utf-16"
            ) from None


def separator_of(text: str) -> str:
    """The character that a separator's name stands for; raises SettingError for what is neither name nor character."""
    known = NAMED.get(text.lower(), text)
    if len(known) != 1 or known in '"\r\n' or known.isalnum():
        names = ", ".join(name for name in NAMED if name != "\\t")
        raise SettingError(f"--separator {text}: must be one character that no value has", f"or one of {names}")
    return known


def dialect_of(start: bytes, complete: bool, suffix: str, asked: AskedFormat, source: str) -> Dialect:
    """Find how a text file writes its table.

    Args:
        start: its first bytes, decompressed.
        complete: whether these are the whole file.
        suffix: `.csv` and the like, which says the separator to expect.
        asked: what the user says.
        source: name of the file, for messages.

    Raises:
        DataError: it is no text but a file of another kind, or not in the encoding that was asked for.
    """
    check_asked(asked)
    check_text(start, source)
    encoding = asked.encoding or encoding_of(start, complete)
    check_no_zero_bytes(start, encoding, source)
    text = _decoded(start, encoding, complete, source)
    if not complete:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    wanted = None if asked.separator is None else separator_of(asked.separator)
    found = _layout(text, wanted, DEFAULTS.get(suffix, ","))
    found = _header(text, found, asked)
    said = list(found.said)
    if asked.separator is None and found.separator != DEFAULTS.get(suffix, ",") and _n_fields(text, found) > 1:
        word = IN_WORDS.get(found.separator, found.separator)
        said.insert(0, (f"values are separated by {word}", {"separator": word}))
    if asked.encoding is None and encoding != "utf-8":
        said.append(_encoding_said(encoding))
    return replace(found, encoding=encoding, is_encoding_asked=asked.encoding is not None, said=tuple(said))


def encoding_of(start: bytes, complete: bool) -> str:
    """Find the encoding: by its mark, UTF-16 by its zero bytes, UTF-8 where the bytes are that, else cp1252 or latin-1.

    `start` are a file's first bytes; `complete` says whether these are all.
    """
    for mark, name in MARKS:
        if start.startswith(mark) and _decodes(start, name, complete):
            return name
    zeros = [start[offset : 1 << 12 : 2].count(0) for offset in (0, 1)]
    if max(zeros) > 0.4 * len(start[: 1 << 12 : 2]) and min(zeros) == 0:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    if is_damaged(*count_characters(start)):
        return "utf-8"
    return next((name for name in ("utf-8", "cp1252") if _decodes(start, name, complete)), "latin-1")


def count_characters(content: bytes) -> tuple[int, int]:
    """How many characters of several bytes the content holds as UTF-8, and how many bytes that belong to none."""
    if content.isascii():
        return 0, 0
    text = content.decode("utf-8", "surrogateescape")
    return len(re.findall("[^\x00-\x7f\udc80-\udcff]", text)), len(re.findall("[\udc80-\udcff]", text))


def is_damaged(good: int, bad: int) -> bool:
    """Whether the counts are those of UTF-8 with a few wrong bytes: text in cp1252 has next to none by chance."""
    return bad > 0 and good >= 3 * bad


def _decodes(start: bytes, encoding: str, complete: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(start, complete)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(start: bytes, encoding: str, complete: bool, source: str) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start, complete)
    except (UnicodeError, LookupError) as error:
        if encoding == "utf-8" and isinstance(error, UnicodeDecodeError) and is_damaged(*count_characters(start)):
            raise damaged(source, start[error.start : error.end], start.count(b"\n", 0, error.start) + 1) from None
        raise SettingHelpsError(
            f"{source} is not in the encoding {encoding}: {shortened(str(error))}",
            "let vecml find it, without --encoding:",
            {"encoding": None},
        ) from None
    return text.removeprefix("\ufeff")


def damaged(source: str, wrong: bytes, line: int) -> SettingHelpsError:
    """The error for a few wrong bytes in a file of UTF-8, whose letters another encoding would spoil."""
    return SettingHelpsError(
        f"{source} is UTF-8, but for bytes such as {wrong!r} in line {line:,}",
        "mend them; or read all of it as another encoding:",
        {"encoding": "cp1252"},
    )


def _layout(text: str, wanted: str | None, default: str | None) -> Dialect:
    """Find the separator and the quotation mark; without any sign of one, there is a single column.

    Blanks separate only where nothing else does, and only where all rows agree: they stand in texts as well.
    """
    lines = text.splitlines()
    declared = re.fullmatch(r"sep=(.)", lines[0].strip()) if lines else None
    if declared and wanted in (None, declared[1]):  # Excel's own way to name it
        return Dialect(declared[1], skipped=1)
    comments, usual = _comments(lines), default or ","
    separators = (wanted,) if wanted else tuple(dict.fromkeys((usual, *SEPARATORS)))
    titles = lines_of_titles(_after(text, comments), [one for one in separators if one != WHITESPACE])
    skipped = comments + titles
    content = _after(text, skipped)
    first = _first_row(lines[skipped:])
    tried = (wanted,) if wanted else [one for one in dict.fromkeys((usual, *SEPARATORS)) if one in first]
    best = _best(content, tried, usual)
    if best is None and (wanted is None or wanted == WHITESPACE):
        best = _best(content, (WHITESPACE,), usual, least=0.0 if wanted else 1.0)
    said = (*_comments_said(comments), *_titles_said(lines[comments:skipped]))
    return replace(best or Dialect(wanted or usual), skipped=skipped, said=said)


def _first_row(lines: Sequence[str]) -> str:
    """The first line that is not empty, with those after it that belong to a value in quotes."""
    row = ""
    for line in lines:
        row += line
        if row.strip() and row.count('"') % 2 == 0:
            break
    return row


def _best(text: str, separators: Sequence[str], usual: str, least: float = 0.0) -> Dialect | None:
    """The reading in which most rows have as many values; of several those with most values, then the usual one.

    None where the first row, which may be the header, has a single value in each, or at most the share `least` agrees.
    """
    best, best_score = None, (0.0, 0, False, (False, False, False))
    for separator in separators:
        for quote, escape, loose in WAYS:
            tried = Dialect(separator, quote=quote, escape=escape, loose=loose)
            plain = quote == '"' and not (escape or loose)
            if not plain and not _may_be(text, tried):
                continue
            likely = (escape is not None and _is_escaped(text, tried), loose, plain)
            share, fields = _agreement(_rows(text, tried))
            score = (round(share, 2), fields, separator == usual, likely)
            if fields > 1 and 0 < share >= least and score > best_score:
                best, best_score = tried, score
    return best


def _may_be(text: str, tried: Dialect) -> bool:
    """Whether there is any sign of the less common ways to quote; looking is cheap, reading is not."""
    if tried.escape and f"\\{tried.quote}" not in text:
        return False
    if tried.loose:
        if tried.separator == WHITESPACE or not re.search(rf'{re.escape(tried.separator)} +"', text):
            return False
        tight = replace(tried, loose=False)
        return any(
            value.startswith(" ") and value.lstrip(" ").startswith('"') for row in _rows(text, tight) for value in row
        )
    if tried.escape:
        return True
    return bool(re.search(rf"(^|{re.escape(tried.separator)})'", text, flags=re.MULTILINE))


def _is_escaped(text: str, tried: Dialect) -> bool:
    """Whether a quotation mark after a backslash stands inside a value: what follows ends no value."""
    return bool(re.search(rf"\\{tried.quote}[^{tried.quote}{re.escape(tried.separator)}\r\n]", text))


def _comments_said(lines: int) -> tuple[tuple[str, dict[str, Any] | None], ...]:
    return ((f"{count(lines, 'line')} of comments at its top left out", None),) if lines else ()


def _titles_said(lines: Sequence[str]) -> tuple[tuple[str, dict[str, Any] | None], ...]:
    first = next((line.strip() for line in lines if line.strip()), "")
    return ((f"{count(len(lines), 'line')} above its header left out: {shortened(first)}", None),) if lines else ()


def _comments(lines: Sequence[str]) -> int:
    """How many lines at the top are comments: they begin with # and a blank, and a line without # follows."""
    n = 0
    while n < len(lines) and re.match(r"#(\s|#|$)", lines[n]):
        n += 1
    return n if n < len(lines) else 0


def _rows(text: str, dialect: Dialect) -> Iterator[list[str]]:
    """The rows that are not empty, at most `SAMPLE_ROWS` of them."""
    spaces = dialect.separator == WHITESPACE
    if spaces:
        text = "\n".join(line.strip() for line in text.expandtabs(1).splitlines())
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.separator,
        quotechar=dialect.quote,
        escapechar=dialect.escape,
        skipinitialspace=spaces or dialect.loose,
    )
    n = 0
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                yield row
                n += 1
            if n == SAMPLE_ROWS:
                return
    except csv.Error:  # a value of more than 128 KB: the rest of the sample is not looked at
        return


def _agreement(rows: Iterator[list[str]]) -> tuple[float, int]:
    """The share of the rows that have as many values as the first has, and how many these are.

    The rows may all have one more: a header that does not name the first column, or the last.
    """
    counts = [len(row) for row in rows]
    if not counts:
        return 0.0, 0
    first, below = counts[0], counts[1:]
    if not below:
        return 1.0, first
    return max(below.count(first) / len(below), float(set(below) == {first + 1})), first


def _n_fields(text: str, dialect: Dialect) -> int:
    rows = _rows(_after(text, dialect.skipped), dialect)
    return max((len(row) for row, _ in zip(rows, range(2), strict=False)), default=0)


def _after(text: str, lines: int) -> str:
    return "".join(text.splitlines(keepends=True)[lines:]) if lines else text


def _header(text: str, found: Dialect, asked: AskedFormat) -> Dialect:
    """Find whether there is a header, and whether it names every column."""
    rows = list(_rows(_after(text, found.skipped), found))
    if not rows:
        return found
    first, below = rows[0], rows[1:]
    named = _named_by_comment(text, found)
    may_be_data = _are_numbers(first) or _is_data(first, below)
    if not asked.no_header and len(named) == len(first) and may_be_data and not _are_numbers(named):
        return replace(found, names=named, said=_comments_said(found.skipped - 1))
    if asked.no_header or _is_data(first, below):
        names = tuple(map(str, range(len(first))))
        said = found.said
        if not asked.no_header:
            said += ((f"it has no header: its columns are called 0 to {len(first) - 1}", {"no_header": True}),)
        return replace(found, names=names, said=said)
    if below and all(len(row) == len(first) + 1 for row in below) and len(below) > 1:
        ends_empty = all(not row[-1].strip() for row in below)
        if not ends_empty and not _name_rows([row[0] for row in below]):
            return found  # Arrow's reader refuses the first row that is too long
        names = (*first, "") if ends_empty else ("", *first)
        place = "last" if ends_empty else "first"
        header_lines = _lines_of_first_row(_after(text, found.skipped), found)
        return replace(
            found,
            names=names,
            skipped=found.skipped + header_lines,
            said=(*found.said, (f"its header does not name the {place} column", None)),
        )
    return found


def _name_rows(values: Sequence[str]) -> bool:
    """Whether the values may be R's names of rows: no two alike, and texts, or whole numbers that rise."""
    if len(set(values)) < len(values):
        return False
    numbers = [value for value in values if NUMBER.fullmatch(value.strip())]
    if not numbers:
        return True
    if len(numbers) < len(values) or not all(value.strip().isdecimal() for value in values):
        return False
    return all(int(before) < int(after) for before, after in itertools.pairwise(values))


def _named_by_comment(text: str, found: Dialect) -> tuple[str, ...]:
    """The names in the last comment above the rows, as numpy.savetxt writes them; none where there is no comment."""
    if not found.skipped:
        return ()
    line = text.splitlines()[found.skipped - 1]
    if not line.startswith("#"):
        return ()
    line = line.lstrip("# \t")
    return tuple(name.strip() for row in _rows(line, found) for name in row)


def _lines_of_first_row(text: str, dialect: Dialect) -> int:
    """How many lines there are up to the end of the first row; a name in quotes may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.separator, quotechar=dialect.quote)
    for row in reader:
        if row and (len(row) > 1 or row[0].strip()):
            break
    return reader.line_num


def _is_data(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is data: each value is a number, or a text that occurs again in its own column.

    Numbers that count on (0, 1, 2 or years) are names. There must be a row below. Without a number, there must be two
    columns, and each text must occur again in rows that are not the same as the first (a header may be repeated).
    """
    if not any(NUMBER.fullmatch(value.strip()) for value in first):
        below = [row for row in below if list(row) != list(first)]
        if len(first) == 1 or not all(value.strip() for value in first):
            return False
    if not below:
        return False
    if _are_numbers(first):
        return not _counts_on(first)
    again = [{row[place].strip() for row in below if len(row) == len(first)} for place in range(len(first))]
    return all(
        NUMBER.fullmatch(value.strip()) or (value.strip() and value.strip() in again[place])
        for place, value in enumerate(first)
    )


def _are_numbers(values: Sequence[str]) -> bool:
    return all(NUMBER.fullmatch(value.strip()) for value in values)


def _counts_on(values: Sequence[str]) -> bool:
    if not all(value.strip().isdecimal() for value in values):
        return False
    whole = [int(value) for value in values]
    if len(whole) == 1:
        return whole == [0]
    steps = {after - before for before, after in itertools.pairwise(whole)}
    return steps == {1} and (len(whole) > 2 or whole[0] in (0, 1))
