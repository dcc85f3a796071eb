"""`python -m benchmarks.tables [--half dev|held-out|all|none] [--only PATTERN] [--jobs N] [--refusals] [--worst]`.

Hundreds of tables that ship with public packages, each given to vecml as it comes and to scikit-learn on the same rows.
Choose by the half `dev`; the other half is there to be reported, as a whole. What was computed is kept in
benchmarks/.tables and not computed again: vecml's part as long as its code is the same, scikit-learn's as long as the
rows are. At the end, four sets that everybody knows over ten splits, against scikit-learn's MLP.
"""

import argparse
import fnmatch
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Protocol, TypeVar

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy and torch are imported: a table is one process on one thread

from benchmarks.table_models import MODELS, Record, Seeded, peers_record, seeded_record, vecml_record  # noqa: E402
from benchmarks.table_report import Result, over_seeds, refusals, report, worst  # noqa: E402
from benchmarks.table_sources import FOLDER, TableFile, tables  # noqa: E402

RECORDS = FOLDER / "records"
MOST_WALL_SECONDS = 900
SEEDS = 10


def main() -> int:
    """Compute what is missing and print; 1 when a table ended with an exception that is no VecmlError."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__.splitlines()[2])
    parser.add_argument(
        "--half", choices=("dev", "held-out", "all", "none"), default="all", help="which half of the tables"
    )
    parser.add_argument("--only", metavar="PATTERN", help="only tables whose name fits, for example 'dmba/*'")
    parser.add_argument("--jobs", type=int, default=1, help="tables at once (default 1)")
    parser.add_argument("--models", default=",".join(MODELS), help=f"of scikit-learn's: {', '.join(MODELS)}, or none")
    parser.add_argument("--refusals", action="store_true", help="list what was refused, with the reason")
    parser.add_argument("--worst", action="store_true", help="list where logistic regression is better")
    asked = parser.parse_args()
    os.nice(5)
    everything, left_out = tables()
    chosen = [one for one in everything if asked.half in (one.half, "all")]
    if asked.only:
        chosen = [one for one in chosen if fnmatch.fnmatch(one.name, asked.only)]
    models = [name for name in asked.models.split(",") if name in MODELS]
    results = compute(chosen, models, asked.jobs)
    print(f"{len(everything)} tables; left out: {', '.join(f'{count} ({why})' for why, count in left_out.items())}\n")
    print(report(results))
    if asked.refusals:
        print(refusals(results))
    if asked.worst:
        print(worst(results))
    if not asked.only:
        print(known_sets([one for one in everything if one.name.startswith("sklearn/")], asked.jobs))
    return int(any(result.vecml["outcome"] == "exception" for result in results))


def compute(chosen: Sequence[TableFile], models: list[str], jobs: int) -> list[Result]:
    """The results of every table, computed where they are not recorded yet."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    own, theirs = RECORDS / f"vecml-{code_key()}.jsonl", RECORDS / "peers.jsonl"
    recorded = {record["name"]: record for record in _read(own)}
    in_processes(vecml_record, [one for one in chosen if one.name not in recorded], own, jobs)
    recorded = {record["name"]: record for record in _read(own)}

    def peers() -> dict[tuple[str, str], Record]:
        merged: dict[tuple[str, str], Record] = {}
        for record in _read(theirs):
            merged.setdefault((record["name"], record.get("rows_key", "")), {}).update(record)
        return merged

    for model in models:
        known = peers()
        missing = [
            one
            for one in chosen
            if recorded[one.name]["outcome"] == "trained"
            and not {model, "misaligned"} & set(known.get((one.name, recorded[one.name]["rows_key"]), {}))
        ]
        in_processes(_Peers([model]), missing, theirs, jobs)
    known = peers()
    return [
        Result(one, recorded[one.name], known.get((one.name, recorded[one.name].get("rows_key", "")), {}), models)
        for one in chosen
    ]


def known_sets(sets: Sequence[TableFile], jobs: int) -> str:
    """The table of the sets that come with scikit-learn, over several splits."""
    path = RECORDS / f"seeds-{code_key()}.jsonl"
    there = {record["name"] for record in _read(path)}
    wanted = [Seeded(one, seed) for one in sets for seed in range(SEEDS)]
    in_processes(seeded_record, [one for one in wanted if one.name not in there], path, jobs)
    return over_seeds(_read(path), [one.name for one in sets])


class _Peers:
    """scikit-learn's models of these names, as a function of the table."""

    def __init__(self, models: list[str]) -> None:
        self.models = models

    def __call__(self, table: TableFile) -> Record:
        return peers_record(table, self.models)


class Named(Protocol):
    """What a record is of."""

    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=Named)


def in_processes(function: Callable[[Item], Record], chosen: Sequence[Item], records: Path, jobs: int) -> None:
    """Call `function` for each table in a forked process of its own, `jobs` at once, and append what it returns.

    A process that ends without an answer, or takes longer than MOST_WALL_SECONDS, is recorded as an exception.
    """
    context = multiprocessing.get_context("fork")
    waiting, done, begin = list(reversed(chosen)), 0, time.monotonic()
    running: dict[Connection, tuple[multiprocessing.process.BaseProcess, Item, float]] = {}
    with records.open("a", encoding="utf-8") as file:
        while waiting or running:
            while waiting and len(running) < jobs:
                table = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_answer, args=(function, table, sender))
                process.start()
                sender.close()
                running[receiver] = (process, table, time.monotonic() + MOST_WALL_SECONDS)
            ready = wait(list(running), timeout=5)
            late = [one for one, (_, _, end) in running.items() if one not in ready and time.monotonic() > end]
            for receiver in [*ready, *late]:
                process, table, _ = running.pop(receiver)
                record = _received(receiver, process, table, receiver in late)
                file.write(json.dumps(record) + "\n")
                file.flush()
                done += 1
                print(f"\r{done}/{len(chosen)} in {time.monotonic() - begin:.0f} s", end="", file=sys.stderr)
    if chosen:
        print(file=sys.stderr)


def _answer(function: Callable[[Item], Record], table: Item, sender: Connection) -> None:
    sender.send_bytes(json.dumps(function(table)).encode())
    sender.close()


def _received(
    receiver: Connection, process: multiprocessing.process.BaseProcess, table: Named, is_late: bool
) -> Record:
    """What the process answered; the process is over afterwards."""
    try:
        if is_late:
            process.kill()
            return {"name": table.name, "outcome": "out of time", "cpu_s": 0.0, "warnings": []}
        answer: Record = json.loads(receiver.recv_bytes())
        return answer
    except EOFError:
        process.join()
        message = f"the process ended with {process.exitcode}"
        return {"name": table.name, "outcome": "exception", "message": message, "cpu_s": 0.0, "warnings": []}
    finally:
        process.join()
        receiver.close()


def code_key() -> str:
    """A hash of vecml's code and of what is done with it here."""
    folder = Path(__file__).parent
    files = [*sorted((folder.parent / "vecml").rglob("*.py")), folder / "table_models.py"]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _read(path: Path) -> list[Record]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
