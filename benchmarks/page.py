"""Writes the table and the picture of the benchmarks into the README; the rest of the README stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.peers import CPP, PEERS
from vecml.environment import describe
from vecml.report.figure import new_figure, png_bytes

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "bench.png"
SURELY = 1.05  # of the limit; what is above shows that the limit was measured too low
BEGIN, END = "<!-- bench: written by make bench -->", "<!-- /bench -->"


@dataclass(frozen=True)
class Ratio:
    """vecml's rate over another's, with its 95 % interval; and what the verdict says of the other."""

    value: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Row:
    """A shape's result.

    Attributes:
        shape: `10-32-2`.
        n_rows: rows of a call.
        rows_per_s: by arm.
        ratios: vecml over each other arm.
        limit: vecml's share of the limit.
        blocks: each compared peer's block size, None: the whole array.
        searched: every peer's rows a second at its best size, from the search alone.
        same_array: over the notebook's function, both from the same float64 rows.
        absent: why a peer could not run, by peer.
        modes: an arm's two speeds, or its page faults, in words.
        launches: of the comparison.
    """

    shape: str
    n_rows: int
    rows_per_s: Mapping[str, float]
    ratios: Mapping[str, Ratio]
    limit: float | None
    blocks: Mapping[str, int | None]
    searched: Mapping[str, float]
    same_array: Ratio | None
    absent: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    launches: int = 0

    @property
    def best_peer(self) -> str | None:
        """The fastest of the peers, the notebook's function not counted."""
        there = [name for name in self.ratios if name != "notebook"]
        return min(there, key=lambda name: self.ratios[name].value, default=None)


def write(rows: Sequence[Row], engine: str, threads: int) -> None:
    """Write the picture, and put the table between its two markers in the README.

    Args:
        rows: one for each network that was measured.
        engine: which of vecml's engines was measured.
        threads: how many threads vecml and each peer were given.
    """
    PICTURE.write_bytes(picture(rows, engine))
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"README.md has no {BEGIN} ... {END}")
    README.write_text(f"{before}{BEGIN}\n{table(rows, engine, threads)}\n{END}{after}", encoding="utf-8")


def table(rows: Sequence[Row], engine: str, threads: int) -> str:
    """The Markdown table: for each network the rate, the ratios with their intervals, and the share of the limit."""
    environment = describe()
    lines = [
        "",
        f"![vecml against its peers, by shape]({PICTURE.relative_to(ROOT)})",
        "",
        f"`{engine}` on {environment.cpu_model} ({threads} threads), {datetime.now(UTC).date()}: how many times the"
        " rate of the notebook's function (from its float64 rows) and of the fastest peer (from float32 in"
        " the layout and the blocks that suit it), with 95 % intervals. Peers are libraries as their documentation"
        f" says, and what a specialist writes; {CPP} is a kernel of the compiler's vectors (`benchmarks/peer.cpp`).",
        "",
        f"| network | rows/s | × notebook | × same float64 rows | × best peer | which | × {CPP} | of the limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        best = row.best_peer
        lines.append(
            f"| {row.shape} | {row.rows_per_s['vecml'] / 1e6:.3g} M | {_told(row.ratios.get('notebook'))}"
            f" | {_told(row.same_array)} | {_told(row.ratios[best]) if best else '-'} | {best or '-'}"
            f" | {_told(row.ratios.get(CPP))} | {_share(row.limit)} |"
        )
    lines += ["", f"Held against: {_peers(rows)}."]
    lines += [f"{name} is absent: {reason}." for name, reason in _absent(rows).items()]
    lines += [
        f"{row.shape}, {name}: {told}."
        for row in rows
        for name, told in row.modes.items()
        if told.startswith("two modes") and name in ("vecml", "notebook", row.best_peer, CPP)
    ]
    if any(row.limit is not None and row.limit > SURELY for row in rows):
        lines += ["", f"\\* above {SURELY}: the limit beside it was measured too low."]
    return "\n".join(lines)


def _peers(rows: Sequence[Row]) -> str:
    """The peers that ran, with their versions."""
    ran = [name for name in PEERS if any(name in row.searched for row in rows)]
    return ", ".join(_with_versions(name) for name in ran)


def _with_versions(name: str) -> str:
    try:
        versions = " ".join(version(package) for package in PEERS[name].packages)
    except PackageNotFoundError:
        versions = ""
    return f"{name} ({versions})" if versions else name


def _absent(rows: Sequence[Row]) -> dict[str, str]:
    return {name: reason for row in rows for name, reason in row.absent.items()}


def _share(limit: float | None) -> str:
    if limit is None:
        return "-"
    return f"{limit:.2f}{'*' if limit > SURELY else ''}"


def picture(rows: Sequence[Row], engine: str) -> bytes:
    """The picture as PNG bytes: for each network, bars of vecml's rate over each peer's, with intervals."""
    names = sorted({name for row in rows for name in row.ratios}, key=lambda name: (name != "notebook", name))
    colours = ["#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"]
    figure = new_figure(9, 1.2 + 0.95 * len(rows))
    axes = figure.add_subplot()
    height = 0.8 / max(1, len(names))
    for place, name in enumerate(names):
        there = [(index, row.ratios[name]) for index, row in enumerate(rows) if name in row.ratios]
        axes.barh(
            [index + (place + 0.5) * height - 0.4 for index, _ in there],
            [ratio.value for _, ratio in there],
            height,
            xerr=[
                [ratio.value - ratio.low for _, ratio in there],
                [ratio.high - ratio.value for _, ratio in there],
            ],
            color=colours[place % len(colours)],
            error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
            label=name,
        )
    axes.axvline(1, color="#555555", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.set_yticks(range(len(rows)), [row.shape for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"times as many rows a second: vecml ({engine}) over the other")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    return png_bytes(figure)


def _told(ratio: Ratio | None) -> str:
    if ratio is None:
        return "-"
    note = " (disturbed)" if ratio.verdict.startswith("invalid") else ""
    return f"{ratio.value:.3g} ({ratio.low:.3g} to {ratio.high:.3g}){note}"
