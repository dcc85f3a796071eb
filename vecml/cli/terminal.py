"""What the user sees: results on standard output, everything else on standard error; bars only on a terminal.

A bar appears when a stage lasts over a second. Colour, width and TERM=dumb are rich's: NO_COLOR is honoured, nothing is
cut off, long lines fold.
"""

import os
import shutil
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from vecml.errors import SettingError, VecmlError
from vecml.foreign_text import clean
from vecml.numbers import rate, whole
from vecml.warnings import CODES, VecmlWarning

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

PREDICTING = "predicting"  # the stage whose unit is rows
SHOW_AFTER_SECONDS = 1.0
MOST_TABLES = 3  # that the columns of one are shared among, where the terminal is narrow


def console(stream: TextIO | None = None) -> "Console":
    """A rich console on `stream` (standard output by default), at least 20 columns wide."""
    from vecml.cli.clean_console import CleanConsole

    target = stream or sys.stdout
    width = whole(os.environ.get("COLUMNS", ""))
    if width is None and not target.isatty():
        width = 80
    return CleanConsole(
        file=target, width=max(width, 20) if width else None, highlight=False, soft_wrap=False, emoji=False
    )


def show_error(error: VecmlError) -> None:
    """Print `error: ...` and, under it, `hint: ...`, on standard error."""
    out = console(sys.stderr)
    out.print(f"[bold red]error:[/] {_plain(error.message)}", soft_wrap=True)
    if error.hint:
        out.print(f"[bold]hint:[/] {_plain(error.hint)}", soft_wrap=True)


def show_result(sentence: str, rows: Iterable[tuple[str, str]], address: str) -> None:
    """Print the sentence, the table of two columns, folded to the terminal's width, and the page's address unfolded."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(clean(name)), Text(clean(value)))
    out.print(Text(clean(sentence), style="bold"))
    out.print()
    out.print(table)
    out.print(Text(clean(address)), soft_wrap=True)


def show_comparison(
    sentence: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    lines: Iterable[str],
    address: str | None,
    *,
    names: int = 1,
) -> None:
    """Print the sentence, a table with a row for each setting, the reasons under it, and the page's address unfolded.

    No cell is folded. Where the table is wider than the terminal, columns without any figure are left out, and the
    others are shared among up to three tables, of which each has the first columns, as many as `names`; where even that
    is too wide, each setting has its lines to itself.
    """
    from rich.table import Table
    from rich.text import Text

    out = console()
    cells = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in (headings, *cells)) for column in range(len(headings))]
    known = [at for at in range(len(headings)) if at < names or any(row[at] != "-" for row in cells)]
    if _width(range(len(headings)), widths) <= out.width:
        known = list(range(len(headings)))
    parts = _shared(headings, widths, names, out.width, known)
    out.print(Text(clean(sentence), style="bold"))
    out.print()
    for number, columns in enumerate(parts):
        if number:
            out.print()
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(headings[column], justify="left" if column < names else "right", no_wrap=True)
        for row in cells:
            table.add_row(*(Text(row[column]) for column in columns))
        out.print(table)
    if not parts:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for row in cells:
            for title, cell in zip(headings, row, strict=True):
                table.add_row(Text(title, style="bold"), Text(cell))
            table.add_row("", "")
        out.print(table)
    out.print()
    for line in lines:
        out.print(Text(clean(line)))
    if address is not None:
        out.print(Text(clean(address)), soft_wrap=True)


def _shared(
    headings: Sequence[str], widths: Sequence[int], names: int, room: int, shown: Sequence[int]
) -> list[list[int]]:
    """Share the columns whose numbers are `shown` among tables of at most `room` characters.

    Each table has the first `names` columns, and an interval stays beside what it is the interval of.

    Returns the columns' numbers, table by table; nothing where three tables are too few.
    """
    units: list[list[int]] = []
    for column in shown[names:]:
        if headings[column] == "interval" and units:
            units[-1].append(column)
        else:
            units.append([column])
    first = list(range(names))
    parts: list[list[int]] = []
    for unit in units:
        if parts and _width([*parts[-1], *unit], widths) <= room:
            parts[-1] += unit
        elif _width([*first, *unit], widths) <= room:
            parts.append([*first, *unit])
        else:
            return []
    return parts if len(parts) <= MOST_TABLES else []


def _width(columns: Sequence[int], widths: Sequence[int]) -> int:
    """The width of a table of these columns, with a blank between two."""
    return sum(widths[column] for column in columns) + len(columns) - 1


def own_name() -> str:
    """Return how the user can call this command: `vecml` if the shell finds it, else as it was called now."""
    if shutil.which("vecml"):
        return "vecml"
    return "python -m vecml" if sys.argv[0].endswith("__main__.py") else sys.argv[0]


def opening(address: str) -> str:
    """Return the line that is printed above the address of a run's page and says how to open it."""
    return f"open it: {own_name()} ui, and there the page below" if "127.0.0.1" in address else "open it:"


@contextmanager
def shown_warnings(ignored: Iterable[str]) -> Iterator[None]:
    """Show vecml's warnings during the `with` block as one line each, `VML012 ...`, except the ignored codes.

    Raises SettingError for a code that does not exist.
    """
    silent = set(ignored)
    for code in sorted(silent - set(CODES)):
        raise SettingError(f"--ignore {code}: there is no such warning", f"known: {', '.join(CODES)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", VecmlWarning)
        seen: set[str] = set()

        def show(message: Warning | str, *_: object, **__: object) -> None:
            if isinstance(message, VecmlWarning) and message.code not in silent and str(message) not in seen:
                seen.add(str(message))
                console(sys.stderr).print(f"[yellow]{message.code}[/] {_plain(message.message)}", soft_wrap=True)

        warnings.showwarning = show
        yield


@dataclass(frozen=True)
class _Bar:
    task: "TaskID"
    show: threading.Timer


def _speed_column() -> Any:
    """The column of a bar that says how many rows a second are labelled; empty for other stages."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.speed if task.description == PREDICTING else None
            return Text(rate(speed) if speed and speed > 0 else "")

    return Speed()


class Bars:
    """A listener of `vecml.progress` that draws a progress bar for each stage that lasts over a second."""

    def __init__(self, after_seconds: float = SHOW_AFTER_SECONDS) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            _speed_column(),
            console=console(sys.stderr),
            transient=True,
            refresh_per_second=4,  # something may be timed meanwhile
        )
        self._after_seconds = after_seconds

    def begin(self, name: str, total: float | None) -> object:
        """Note that a stage begins; its bar is shown once it has lasted a second."""
        task = self._progress.add_task(name, total=total, visible=False)
        show = threading.Timer(self._after_seconds, self._show, (task,))
        show.daemon = True
        show.start()
        return _Bar(task, show)

    def advance(self, stage: object, amount: float) -> None:
        if isinstance(stage, _Bar):
            self._progress.update(stage.task, advance=amount)

    def end(self, stage: object) -> None:
        if not isinstance(stage, _Bar):
            return
        stage.show.cancel()
        stage.show.join()
        self._progress.remove_task(stage.task)
        if not self._progress.tasks:
            self._progress.stop()

    def _show(self, task: "TaskID") -> None:
        self._progress.update(task, visible=True)
        self._progress.start()


@contextmanager
def progress_bars() -> Iterator[None]:
    """Draw a bar for each stage during the `with` block if standard error is a terminal."""
    from vecml.progress import listening

    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    with listening(Bars()):
        yield


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(clean(text))
