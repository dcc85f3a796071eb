"""Damaged data files: refused in one line, or the right rows; never a crash, never more memory than there is."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.tally import Row, row, scaled

ROOT = Path(__file__).parents[2]
FINE = ("right", "refused", "other rows")
FIRST = 0  # a seed is a file: `python tests/faults/read_damaged.py FOLDER SEED SEED+1` reads it again


def read(folder: Path, first: int, last: int, one: Row) -> Counter[str]:
    """Read these files in processes of their own, a fresh one after each that ended by itself."""
    came: Counter[str] = Counter()
    while first < last:
        command = [sys.executable, "-m", "tests.faults.read_damaged", str(folder), str(first), str(last)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=36_000, check=False)
        begun = -1
        for line in done.stdout.splitlines():
            number, said = re.fullmatch(r"(\d+) (.*)", line).groups()  # type: ignore[union-attr]
            begun = int(number)
            if said == "begun":
                continue
            came[said if said in FINE else "broken"] += 1
            if said not in FINE:
                one.broke(f"{said}   (python -m tests.faults.read_damaged FOLDER {begun} {begun + 1})")
        one.tried += begun + 1 - first
        if done.returncode:
            end = done.stderr.strip().splitlines()[-1:]
            one.broke(
                f"exit {done.returncode} {end}   (python -m tests.faults.read_damaged FOLDER {begun} {begun + 1})"
            )
        first = max(begun, first) + 1
    return came


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
    came = read(tmp_path, FIRST, FIRST + (21 if part else scaled(10_000)), one)
    one.holds += f" ({', '.join(f'{count} {what}' for what, count in sorted(came.items()))})"
    assert one.broken[begun:] == []
