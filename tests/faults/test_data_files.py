"""Damaged data files: refused in one line, or the right rows; never a crash, never more memory than there is."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.tally import Row, keep, row, scaled

ROOT = Path(__file__).parents[2]
FINE = ("right", "refused", "other rows")
TOGETHER = 500
FIRST = 0  # a seed is a file: `python tests/faults/read_damaged.py FOLDER SEED SEED+1` reads it again


def read(folder: Path, first: int, last: int, one: Row) -> Counter[str]:
    """Read these files in processes of their own, a fresh one after each that ended by itself."""
    came: Counter[str] = Counter()
    while first < last:
        command = [sys.executable, "-m", "tests.faults.read_damaged", str(folder), str(first), str(last)]
        begun = -1
        with (folder / "err").open("w+", encoding="utf-8") as err:
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=err, text=True) as reading:
                try:
                    for number, said in said_by(reading):
                        if said == "begun":
                            begun, one.tried = number, one.tried + 1
                            continue
                        came[said if said in FINE else "broken"] += 1
                        if said not in FINE:
                            one.broke(f"{said}   ({again(begun)})")
                        if one.tried % 100 == 0:
                            keep(f"{one} {dict(came)}")
                except BaseException:  # or leaving waits for it
                    reading.kill()
                    raise
            err.seek(0)
            end = err.read().strip().splitlines()[-1:]
        if reading.returncode:
            one.broke(f"exit {reading.returncode} {end}   ({again(begun)})")
        first = max(begun, first) + 1
    return came


def said_by(reading: subprocess.Popen[str]) -> Iterator[tuple[int, str]]:
    """The number of a file and what was said of it, line by line as it comes."""
    assert reading.stdout is not None
    for line in reading.stdout:
        number, _, said = line.rstrip("\n").partition(" ")
        yield int(number), said


def again(seed: int) -> str:
    """The command that reads this file again."""
    return f"python -m tests.faults.read_damaged FOLDER {seed} {seed + 1}"


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(True, marks=[pytest.mark.system, pytest.mark.timeout(300)]),
        pytest.param(False, marks=[pytest.mark.faults, pytest.mark.timeout(36_000)]),
    ],
)
def test_damaged_data_files(part: bool, tmp_path: Path) -> None:
    one = row("damaged data files, seven formats", "typed error or right rows; no crash, memory capped")
    begun = len(one.broken)
    came: Counter[str] = Counter()
    last = FIRST + (21 if part else scaled(10_000))
    for first in range(FIRST, last, TOGETHER):
        files = range(first, min(first + TOGETHER, last))
        if one.has_held(files, len(files)):
            continue
        broken = len(one.broken)
        came += read(tmp_path, files.start, files.stop, one)
        if len(one.broken) == broken:
            one.held(files)
    one.holds += f" ({', '.join(f'{count} {what}' for what, count in sorted(came.items()))})"
    assert one.broken[begun:] == []
