"""`vecml bisect` put to the proof: 20 % planted at one of 30 commits, and 30 commits of which none is slower.

Each search is the command as a user runs it, in a repository of its own, with a cache and a store of its own.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rounds import Figure, Floor

COMMITS = 30
SLOWER = 1.20
SECONDS = 0.005  # of a start
BUDGET = os.environ.get("BENCH_BUDGET", "15m")  # of a search
PROBE = 20_000  # turns of the loop
STARTS = 30
OWN = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")


def bisecting(rounds: int) -> Iterator[Figure]:
    """The share of `rounds` searches that found what was planted, and of as many that accused where nothing was."""
    turns = {slower: _turns(slower) for slower in (1.0, SLOWER)}
    for slower in (SLOWER, 1.0):
        came, right, seconds = Counter[str](), [], []
        for number in range(rounds):
            place = random.Random(number).randint(1, COMMITS)
            begun = time.perf_counter()
            outcome, found = _searched(place, turns[1.0], turns[slower])
            seconds.append(time.perf_counter() - begun)
            right.append(outcome == "found" and (found == place or slower == 1.0))
            came[f"{outcome}, wrong" if outcome == "found" and found != place and slower > 1 else outcome] += 1
            print(f"  planted at {place if slower > 1 else '-'}: {outcome} {found}, {seconds[-1]:.0f} s", flush=True)
        what = (
            f"{SLOWER - 1:.0%} planted among {COMMITS} commits: found" if slower > 1 else "identical commits: accused"
        )
        told = ", ".join(f"{name} {count}" for name, count in sorted(came.items()))
        yield Figure(
            f"{what} {sum(right)} of {rounds}",
            (sum(right) / rounds,) * 3,
            Floor(1.0) if slower > 1 else Floor(0.0, at_least=False),
            unit="",
            detail=f"{told}; {statistics.median(seconds):.0f} s a search",
        )


def _searched(place: int, turns: int, slow_turns: int) -> tuple[str, int | None]:
    """Search a new repository whose commits from `place` on take the slow turns; the outcome and the place named."""
    with tempfile.TemporaryDirectory(prefix="vecml-bisect-") as folder:
        home, tree = Path(folder), Path(folder) / "tree"
        tree.mkdir()
        _git(tree, "init", "-q", "-b", "main")
        for number in range(COMMITS + 1):
            _write(tree / "program", slow_turns if number >= place else turns)
            (tree / "notes").write_text(f"{number}\n")
            _git(tree, "add", ".")
            _git(tree, "commit", "-qm", f"version {number}")
        flags = ("--good", f"main~{COMMITS}", "--bad", "main", "--budget", BUDGET, "--json", str(home / "found.json"))
        done = subprocess.run(
            [sys.executable, "-m", "vecml", "bisect", *flags, "--", "./program"],
            cwd=tree,
            env=_surroundings(home),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1, 3):
            raise SystemExit(done.stderr)
        found = json.loads((home / "found.json").read_text())
        if found["outcome"] != "found":
            return found["outcome"], None
        return "found", int(found["bad"]["subject"].removeprefix("version "))


def _surroundings(home: Path) -> dict[str, str]:
    return {**os.environ, "VECML_CACHE": str(home / "cache"), "PYTHONPATH": str(Path(__file__).parents[1])}


def _turns(slower: float) -> int:
    """How many turns of a shell's loop make a start take `SECONDS`, times `slower`, here and now."""
    with tempfile.TemporaryDirectory(prefix="vecml-bisect-") as folder:
        program = Path(folder) / "program"
        empty, full = (_start_seconds(program, turns) for turns in (0, PROBE))
        return max(1, round(PROBE * (SECONDS * slower - empty) / (full - empty)))


def _start_seconds(program: Path, turns: int) -> float:
    _write(program, turns)
    taken = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        subprocess.run([program], check=True)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _write(program: Path, turns: int) -> None:
    program.write_text(f"#!/bin/sh\ni=0; while [ $i -lt {turns} ]; do i=$((i+1)); done\n")
    program.chmod(0o755)


def _git(tree: Path, *words: str) -> None:
    subprocess.run(["git", *OWN, *words], cwd=tree, check=True, capture_output=True)
