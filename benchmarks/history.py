"""`python -m benchmarks.history [--count N] [--print]`: vecml's change detection beside Apache Otava's.

Otava and its generators get an environment of their own in .bench/history, made with pip the first time.
Nothing is timed, so other things may run meanwhile. The tables go into docs/history.md between two markers.

A clone of the Turing Change Point Dataset in .bench/history/TCPD (or where BENCH_TCPD says) is used where it is
there; no package has it:
`git clone https://github.com/alan-turing-institute/TCPD .bench/history/TCPD`.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.history_cases import SITTINGS, Case, made_cases
from benchmarks.history_scores import Found, agreement_table, table
from vecml.atomic import write_bytes
from vecml.history.changes import history_of
from vecml.history.series import Point, Series

FOLDER = Path(__file__).parent.parent / ".bench" / "history"  # no part of this repository: git ignores it
SCRIPT = Path(__file__).parent / "history_otava.py"
PAGE = Path(__file__).parent.parent / "docs" / "history.md"
PACKAGES = ("apache-otava==0.8.0", "otava-test-data==0.1.9")
OURS = "vecml"
BEGIN, END = "<!-- bench-history: written by make bench-history -->", "<!-- /bench-history -->"
FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)


def main() -> int:
    """Make the environment where it is missing, let both detect, and print and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="series of each kind (default 100)")
    parser.add_argument("--print", action="store_true", help="leave docs/history.md as it is")
    asked = parser.parse_args()
    python = environment()
    own, public, recorded = made_cases(asked.count), public_cases(python, asked.count), recorded_cases()
    everything = [*own, *public, *recorded]
    found: dict[str, Sequence[Found]] = {OURS: vecml_places(everything), **otava_places(python, everything)}
    parts = np.cumsum([0, len(own), len(public), len(recorded)])
    text = page(
        (own, _part(found, parts[0], parts[1])),
        (public, _part(found, parts[1], parts[2])),
        (recorded, _part(found, parts[2], parts[3])),
        asked.count,
    )
    print(text)
    if not asked.print:
        write(text)
    return 0


def environment() -> Path:
    """Give the Python of Otava's environment; pip installs it the first time."""
    folder = FOLDER / "otava"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / ".ready"
    wanted = "\n".join(PACKAGES)
    if not ready.is_file() or ready.read_text(encoding="utf-8") != wanted:
        print(f"installing {' and '.join(PACKAGES)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        ready.write_text(wanted, encoding="utf-8")
    return python


def _ask(python: Path, arguments: Sequence[str], given: str = "") -> Any:
    done = subprocess.run([python, SCRIPT, *arguments], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{SCRIPT.name} {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2_000:]}")
    return json.loads(done.stdout)


def public_cases(python: Path, count: int) -> list[Case]:
    """Give the series of `otava-test-data`, `count` of each kind."""
    made = _ask(python, ["generate", str(count), str(SITTINGS)])
    return [Case(one["kind"], np.array(one["values"]), tuple(one["places"])) for one in made]


def otava_places(python: Path, cases: Sequence[Case]) -> dict[str, list[Found]]:
    """Give what Otava finds in each series, by its setting. What it found once is kept."""
    return _kept(
        "otava", [*PACKAGES, SCRIPT.read_text(encoding="utf-8")], cases, lambda given: _ask(python, ["detect"], given)
    )


def vecml_places(cases: Sequence[Case]) -> list[Found]:
    """Give what vecml finds in each series. What this state of its code found once is kept."""
    code = [
        path.read_text(encoding="utf-8") for path in sorted((PAGE.parent.parent / "vecml" / "history").glob("*.py"))
    ]
    found: list[Found] = _kept("vecml", code, cases, lambda _given: [places_of(case.value_N) for case in cases])
    return found


def _kept(name: str, code: Sequence[str], cases: Sequence[Case], detect: Callable[[str], Any]) -> Any:
    """What `detect` gives for these series as JSON, read from a file where the same `code` gave it before."""
    given = json.dumps([case.value_N.tolist() for case in cases])
    key = hashlib.sha256("\0".join([*code, given]).encode()).hexdigest()[:16]
    kept = FOLDER / f"{name}-{key}.json"
    if not kept.is_file():
        write_bytes(kept, json.dumps(detect(given)).encode())
    return json.loads(kept.read_text(encoding="utf-8"))


def places_of(value_N: np.ndarray) -> list[int]:
    """Give the places that `vecml history` would tell for these rates, one sitting a day, without a canary."""
    points = tuple(Point(FIRST + timedelta(days=day), math.log(value)) for day, value in enumerate(value_N))
    series = Series((("engine", "numpy"),), "machine", "architecture", 1, "a machine", "a device", points)
    return [change.place for change in history_of(series).changes]


def recorded_cases() -> list[Case]:
    """Give the series of the Turing Change Point Dataset that have one dimension, no gap, and only positive values."""
    folder = Path(os.environ.get("BENCH_TCPD", FOLDER / "TCPD"))
    marks = folder / "annotations.json"
    if not marks.is_file():
        return []
    annotated: Mapping[str, Mapping[str, Sequence[int]]] = json.loads(marks.read_text(encoding="utf-8"))
    cases = []
    for path in sorted(folder.glob("datasets/*/*.json")):
        recorded = json.loads(path.read_text(encoding="utf-8"))
        values = recorded["series"][0]["raw"]
        if recorded["n_dim"] != 1 or path.stem not in annotated or any(value is None or value <= 0 for value in values):
            continue
        marked = tuple(tuple(those) for those in annotated[path.stem].values())
        cases.append(Case(path.stem, np.array(values, np.float64), annotations=marked))
    return cases


def _part(found: Mapping[str, Sequence[Found]], start: int, end: int) -> dict[str, Sequence[Found]]:
    return {name: places[start:end] for name, places in found.items()}


Judged = tuple[Sequence[Case], Mapping[str, Sequence[Found]]]


def page(own: Judged, public: Judged, recorded: Judged, count: int) -> str:
    """Make the text between the markers."""
    lines = [
        f"{' and '.join(PACKAGES)}, {datetime.now(UTC).date()}; {SITTINGS} sittings a series, {count} series of each"
        " kind, no canary. A change counts as found when it is told within three sittings of the truth; beside it"
        " stands how far off it is in the mean, and how many series had a change told where there is none. Otava runs"
        " with its defaults (p < 0.001, a window of 50), and once ten times as ready to tell.",
        "",
        "Series of our own (`benchmarks/history_cases.py`), 3 % from sitting to sitting; where there are outliers, one"
        " sitting in ten is one:",
        "",
        *table(*own),
        "",
        "Series of Otava's public generators (`otava-test-data`), noise of 3 %; a single outlier and a change of the"
        " spread are no change of level:",
        "",
        *table(*public),
    ]
    if recorded[0]:
        lines += [
            "",
            f"Recorded series that people marked: {len(recorded[0])} of the Turing Change Point Dataset (one dimension,"
            " no gap, positive values), by its own measure, F1 with a margin of five. They are of economies, rivers and"
            " prices, and most have a trend, which neither detector knows:",
            "",
            *agreement_table(*recorded),
        ]
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the text between its two markers in docs/history.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE.name} has no {BEGIN} ... {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
