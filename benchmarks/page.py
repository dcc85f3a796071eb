"""The README's table and picture, written from what was measured; everything else of the README is left as it is."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.shapes import ENGINE, THREADS, Ratio, Row
from vecml.environment import describe

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "bench.png"
SURELY = 1.05  # of the limit; what is above shows that the limit was measured too low
BEGIN, END = "<!-- bench: written by make bench -->", "<!-- /bench -->"


def write(rows: Sequence[Row]) -> None:
    """Put table and picture where the README shows them."""
    PICTURE.write_bytes(picture(rows))
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"README.md has no {BEGIN} ... {END}")
    README.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """Markdown: for each shape the rate, the ratios with their intervals, the share of the limit."""
    environment = describe()
    lines = [
        "",
        f"![vecml against its peers, by shape]({PICTURE.relative_to(ROOT)})",
        "",
        f"`{ENGINE}` on {environment.cpu_model} ({THREADS} threads), {datetime.now(UTC).date()}: how many times the"
        " rate of the notebook's function (from its float64 rows) and of the fastest peer used directly (from float32"
        " rows, at its best block size), with 95 % intervals.",
        "",
        "| network | rows/s | × notebook | × same float64 rows | × best peer | which | of the limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        best = row.best_peer
        lines.append(
            f"| {row.shape} | {row.rows_per_s['vecml'] / 1e6:.3g} M | {_told(row.ratios.get('notebook'))}"
            f" | {_told(row.same_array)} | {_told(row.ratios[best]) if best else '-'} | {best or '-'}"
            f" | {_share(row.limit)} |"
        )
    if any(row.limit is not None and row.limit > SURELY for row in rows):
        lines += ["", f"\\* above {SURELY}: the limit beside it was measured too low."]
    return "\n".join(lines)


def _share(limit: float | None) -> str:
    if limit is None:
        return "-"
    return f"{limit:.2f}{'*' if limit > SURELY else ''}"


def picture(rows: Sequence[Row]) -> bytes:
    """Bars by shape: vecml's rate over each other's, on a logarithmic axis, with intervals; PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = sorted({name for row in rows for name in row.ratios}, key=lambda name: (name != "notebook", name))
    colours = ["#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"]
    figure = Figure(figsize=(9, 1.2 + 0.95 * len(rows)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
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
    axes.set_xlabel(f"times as many rows a second: vecml ({ENGINE}) over the other")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _told(ratio: Ratio | None) -> str:
    if ratio is None:
        return "-"
    note = " (disturbed)" if ratio.verdict.startswith("invalid") else ""
    return f"{ratio.value:.3g} ({ratio.low:.3g} to {ratio.high:.3g}){note}"
