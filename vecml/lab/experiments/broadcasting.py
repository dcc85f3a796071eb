"""Broadcasting against tile: add a row to every row of a matrix, with and without a copy of it for each of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.lab.experiment import Call, Experiment, Outcome, Plan, Point, Way, against
from vecml.numbers import size

TILE, BROADCAST = "np.tile", "broadcasting"
WIDTH = 64
ROWS = (16, 1_024, 16_384)
LARGEST = 131_072


def make_input(n_rows: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a matrix m_NW (N, W) and a row row_W (W,) of float64 values."""
    random = np.random.default_rng(seed)
    return random.random((n_rows, WIDTH)), random.random(WIDTH)


def plain(m_NW: NDArray[np.float64], row_W: NDArray[np.float64], out_NW: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add row_W (W,) to every row of m_NW (N, W), into out_NW, with `np.tile`: a matrix of copies of the row."""
    return np.add(m_NW, np.tile(row_W, (len(m_NW), 1)), out=out_NW)


def vectorised(
    m_NW: NDArray[np.float64], row_W: NDArray[np.float64], out_NW: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add row_W (W,) to every row of m_NW (N, W), into out_NW, by broadcasting: the row is not copied."""
    return np.add(m_NW, row_W, out=out_NW)


def prepare(way: Mapping[str, Any]) -> Call:
    """Make the call that adds with tile or by broadcasting, into an array that is allocated before."""
    m_NW, row_W = make_input(way["rows"])
    out_NW = np.empty_like(m_NW)
    function = plain if way["tile"] else vectorised
    return lambda: function(m_NW, row_W, out_NW)


def plan(quick: bool) -> Plan:
    """Plan a point for each number of rows; at each, adding with tile is compared with broadcasting."""
    return Plan(
        tuple(
            Point(
                f"{rows:,} rows of {WIDTH}",
                rows * WIDTH * 8,
                (Way(TILE, {"rows": rows, "tile": True}), Way(BROADCAST, {"rows": rows, "tile": False})),
                16 * rows * WIDTH,
                rows * WIDTH,
            )
            for rows in (ROWS if quick else (*ROWS, LARGEST))
        )
    )


def tell(outcome: Outcome) -> tuple[str, str, str]:
    """Compare the times and the memory that was allocated."""
    found = [cell for cell in outcome.of(BROADCAST) if cell.ratio]
    if not found:
        return "No pair gave a ratio.", "So nothing is said of the time.", "Measure again on a quieter machine."
    small, large = found[0], found[-1]
    tiled = outcome.cell(large.point, TILE)
    first = f"Over {large.point} broadcasting is {against(large)} as np.tile, over {small.point} {against(small)}."
    second = "The memory that a call allocates could not be measured."
    if tiled is not None and tiled.allocated_bytes is not None and large.allocated_bytes is not None:
        second = (
            f"np.tile allocates {size(tiled.allocated_bytes)} a call for its copies there, broadcasting"
            f" {size(large.allocated_bytes)}, which is NumPy's own buffer: it reads the one row again and again."
        )
    third = (
        "What is saved is writing the copies and reading them back, which costs more than the sum itself."
        if (large.ratio or 0.0) >= 2
        else "What is saved is writing the copies and reading them back; here that costs less than the sum itself."
    )
    return first, second, third


EXPERIMENT = Experiment(
    name="broadcasting",
    title="Broadcasting instead of copies",
    idea="Broadcasting works on shapes that differ without making copies.",
    axis="bytes of the matrix",
    plan=plan,
    prepare=prepare,
    tell=tell,
    allocations=True,
)
