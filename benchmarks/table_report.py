"""What `make bench-tables` prints: mean accuracies by size and half, refusals, and vecml against the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.table_sources import TableFile

SIZES = ((200, "under 200 rows"), (1_000, "200 to 999"), (10_000, "1,000 to 9,999"), (float("inf"), "10,000 and more"))
PEERS = ("logistic", "boosting", "mlp")
ROWS_A_CLASS = 10  # with fewer, a refusal is not held against vecml
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """A table, what vecml made of it, and scikit-learn's accuracies on the same rows.

    Attributes:
        table: which it is.
        vecml: what `table_models.vecml_record` gave.
        peers: accuracies by model; empty where none was measured.
        asked: the models of scikit-learn's that were asked for.
    """

    table: TableFile
    vecml: Record
    peers: Record
    asked: Sequence[str] = PEERS

    @property
    def trained(self) -> bool:
        return self.vecml["outcome"] == "trained"

    @property
    def enough_rows(self) -> bool:
        return self.table.smallest_class >= ROWS_A_CLASS

    @property
    def below_majority(self) -> bool:
        """Whether vecml is below the majority by more than one standard error of the difference."""
        if not self.trained:
            return False
        return bool(self.vecml["accuracy"] < self.vecml["majority"] - self.vecml["to_majority_se"])

    @property
    def complete(self) -> bool:
        """Whether every model that was asked for has a figure."""
        return self.trained and all(self.peers.get(name) is not None for name in self.asked)


def report(results: Sequence[Result]) -> str:
    """The table by half and size, and the sentences under it, as Markdown."""
    lines = [
        "| tables | all | complete | majority | vecml | logistic | boosting | MLP | vecml - logistic |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    halves = [half for half in ("dev", "held-out") if any(result.table.half == half for result in results)]
    for half in halves:
        of_half = [result for result in results if result.table.half == half]
        least = 0.0
        for limit, name in SIZES:
            lines.append(_row(f"{half}, {name}", [one for one in of_half if least <= one.table.rows < limit]))
            least = limit
        lines.append(_row(f"**{half}**", of_half))
    if len(halves) > 1:
        lines.append(_row("**all**", results))
    sentences = [sentence for half in halves for sentence in _sentences(half, results)]
    lines += ["", "Complete: with a figure of every model; the means are over these.", ""]
    return "\n".join([*lines, *sentences])


def _row(name: str, results: Sequence[Result]) -> str:
    figures = [result for result in results if result.complete]
    means = [_mean(result.vecml[key] for result in figures) for key in ("majority", "accuracy")]
    means += [_mean(result.peers[key] for result in figures if key in result.asked) for key in PEERS]
    cells = [name, str(len(results)), str(len(figures)), *means, difference(results, "logistic")]
    return f"| {' | '.join(cells)} |"


def _mean(values: Iterable[float]) -> str:
    numbers = list(values)
    return f"{np.mean(numbers):.3f}" if numbers else "-"


def difference(results: Sequence[Result], peer: str) -> str:
    """Mean of vecml's accuracy less the peer's over the tables, and its standard error."""
    both = [result for result in results if result.trained and result.peers.get(peer) is not None]
    if len(both) < 2:
        return "-"
    values = np.array([result.vecml["accuracy"] - result.peers[peer] for result in both])
    return f"{values.mean():+.4f} ± {values.std(ddof=1) / np.sqrt(len(values)):.4f} (n {len(values)})"


def _sentences(half: str, results: Sequence[Result]) -> list[str]:
    of_half = [result for result in results if result.table.half == half]
    enough = [result for result in of_half if result.enough_rows]
    refused = [result for result in enough if result.vecml["outcome"] == "refused"]
    others = [result for result in of_half if result.vecml["outcome"] in ("exception", "out of time")]
    trained = [result for result in of_half if result.trained]
    below = [result for result in trained if result.below_majority]
    seconds = sorted(result.vecml["cpu_s"] for result in trained) or [0.0]
    return [
        f"{half}: of {len(enough)} tables with {ROWS_A_CLASS} rows a class or more, {_share(refused, enough)} refused; "
        f"of all {len(of_half)}, {_share([one for one in of_half if one.vecml['outcome'] == 'refused'], of_half)}.",
        f"{half}: {len(others)} ended with an exception that is no VecmlError, or out of time.",
        f"{half}: {_share(below, trained)} below the majority by more than one standard error.",
        *(f"{half}: vecml - {peer}: {difference(of_half, peer)}." for peer in PEERS),
        f"{half}: CPU seconds of a table with vecml: median {np.median(seconds):.2f}, 95 % under "
        f"{np.quantile(seconds, 0.95):.1f}, most {seconds[-1]:.1f}.",
        "",
    ]


def _share(part: Sequence[Result], whole: Sequence[Result]) -> str:
    return f"{len(part)} ({100 * len(part) / max(1, len(whole)):.1f} %)"


def refusals(results: Sequence[Result]) -> str:
    """Each table that was refused or failed, with the reason, for a person to judge."""
    lines = []
    for outcome in ("exception", "out of time", "refused"):
        for result in sorted(results, key=lambda one: (not one.enough_rows, one.table.name)):
            if result.vecml["outcome"] != outcome:
                continue
            table = result.table
            what = f"{table.rows:,} rows, {table.classes} classes, rarest {table.smallest_class}"
            lines.append(f"{outcome.upper()} {table.name} --target {table.target!r} ({what})")
            lines += [f"    {result.vecml[key]}" for key in ("message", "hint") if result.vecml.get(key)]
    return "\n".join(lines)


def worst(results: Sequence[Result], count: int = 40) -> str:
    """The tables on which vecml is furthest below the logistic regression, or below the majority."""
    both = [result for result in results if result.trained and result.peers.get("logistic") is not None]
    both.sort(key=lambda one: one.vecml["accuracy"] - one.peers["logistic"])
    lines = ["vecml  logistic  boosting  mlp    majority  test rows   steps  table"]
    below = [result for result in results if result.below_majority]
    for result in [*both[:count], *(one for one in below if one not in both[:count])]:
        figures = [result.vecml["accuracy"], *(result.peers.get(name) for name in PEERS), result.vecml["majority"]]
        shown = "  ".join("  -  " if value is None else f"{value:.3f}" for value in figures)
        mark = " BELOW THE MAJORITY" if result.below_majority else ""
        rows, steps = result.vecml["test_rows"], result.vecml["steps"]
        lines.append(f"{shown}  {rows:>6}  {steps or 0:>6}  {result.table.name} --target {result.table.target!r}{mark}")
    return "\n".join(lines)


def over_seeds(records: Sequence[Record], names: Sequence[str]) -> str:
    """Mean accuracies of a few sets over their splits, and the mean difference with its standard error."""
    lines = ["| set | splits | vecml | MLP | vecml - MLP |", "|---|---|---|---|---|"]
    for name in names:
        own = [record for record in records if record["name"].rpartition(" ")[0] == name]
        if not own:
            continue
        vecml, mlp = (np.array([record[key] for record in own]) for key in ("vecml", "mlp"))
        error = (vecml - mlp).std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else float("nan")
        figures = f"{vecml.mean():.4f} | {mlp.mean():.4f} | {(vecml - mlp).mean():+.4f} ± {error:.4f}"
        lines.append(f"| {name} | {len(own)} | {figures} |")
    return "\n".join(lines)
