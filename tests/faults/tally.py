"""What the harness of faults has tried and what did not hold, a row for each kind of fault."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

KEPT = Path(__file__).parents[2] / ".faults" / f"{datetime.now():%m%d-%H%M%S}-{os.getpid()}"
SCALE = float(os.environ.get("VECML_FAULTS", "1"))
# VECML_FAULTS_HELD=FILE goes on with what was cut off: what held once is written there, and not tried again.
HELD = Path(os.environ["VECML_FAULTS_HELD"]) if "VECML_FAULTS_HELD" in os.environ else None


@dataclass
class Row:
    """One kind of fault: how often it was tried, how often it did not come about, and what broke, to be done again."""

    fault: str
    holds: str
    tried: int = 0
    missed: int = 0
    broken: list[str] = field(default_factory=list)
    earlier: int = 0

    def has_held(self, point: object, count: int = 1) -> bool:
        """Whether this point, which stands for `count` tries, held before: it counts, and need not be tried again."""
        if HELD is None or not HELD.exists() or f"{self.fault}: {point}" not in HELD.read_text().splitlines():
            return False
        self.tried += count
        self.earlier += count
        return True

    def held(self, point: object) -> None:
        """Write down that this point was tried and nothing broke."""
        if HELD is not None:
            with HELD.open("a", encoding="utf-8") as file:
                file.write(f"{self.fault}: {point}\n")

    def broke(self, *what: str) -> None:
        """Write down what did not hold, at once where it is kept: the test may be cut off before its end."""
        self.broken += what
        for text in what:
            keep(f"broken: {self.fault}: {text}")

    def __str__(self) -> str:
        """The row of the table."""
        tried = f"{self.tried} ({self.earlier} earlier)" if self.earlier else str(self.tried)
        return f"| {self.fault} | {self.holds} | {tried} | {self.missed} | {len(self.broken)} |"


ROWS: dict[str, Row] = {}
HEAD = "| fault | what holds | tried | did not come about | broken |\n|---|---|---|---|---|"


def keep(line: str) -> None:
    """Add a line to the file of this process in `.faults/`."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now():%m-%d %H:%M:%S} {line}\n")


def row(fault: str, holds: str) -> Row:
    """The row of this fault, made when it is first asked for."""
    return ROWS.setdefault(fault, Row(fault, holds))


def scaled(full: int, sample: bool = False) -> int:
    """How many of `full` to try: all, or the share that VECML_FAULTS says (0.1), or one where CI takes a sample."""
    return 1 if sample else max(1, round(full * SCALE))


def spread(points: int, last: int) -> Sequence[int]:
    """So many of the numbers 1 to `last`, evenly spread, the last among them."""
    points = min(points, last)
    return sorted({max(1, round(last * (number + 1) / points)) for number in range(points)})


def scattered(points: Sequence[int]) -> Iterator[int]:
    """All of them, each far from the one before, so that what is cut off has been tried everywhere."""
    step = next((step for step in (19, 23, 29) if len(points) % step), 1)
    yield from (points[number * step % len(points)] for number in range(len(points)))


def table() -> Iterator[str]:
    """The lines of the table, and of what did not hold."""
    yield from (HEAD, *map(str, ROWS.values()))
    for one in ROWS.values():
        yield from (f"  {one.fault}: {what}" for what in one.broken)
