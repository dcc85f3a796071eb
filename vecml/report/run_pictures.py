"""The pictures of a pipeline run as PNG bytes: the training loss by epoch, and the confusion matrix.

Class names come from files, so they are drawn as plain text, whatever characters they hold.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecml.errors import DataError
from vecml.report.figure import BLUE, PLAIN, drawable, new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUIET = "#6f6f6f"  # a light grey that is still readable on a nearly white cell: contrast 4.5 (WCAG 2.1)
_NUMBERED_CLASSES = 20  # up to here a cell has room for its count
_NAME_LENGTH = 18
_NAME_SIZE = 9  # points
_CHARACTER = 0.62  # width of a character, as a share of the font's size
_TICKS = 30
_MARKED_EPOCHS = 40


def loss_curve(losses: Sequence[float]) -> bytes:
    """The training loss by epoch, as a PNG.

    An epoch whose loss is no finite number is a gap, and the title says where the first one is.

    Args:
        losses: mean loss of each epoch (cross-entropy, nats), the first epoch first; one or more.

    Raises:
        DataError: there is no epoch.
    """
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 -- heavy, see above

    if len(losses) == 0:
        raise DataError("no loss to draw: there was no epoch")
    loss_E = np.asarray(losses, dtype=np.float64)
    drawable_E = np.abs(loss_E) < 1e100  # False for NaN and inf; beyond it the axis itself would overflow
    epoch_E = np.arange(1, len(loss_E) + 1)
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    marker = "o" if len(loss_E) <= _MARKED_EPOCHS or drawable_E.sum() == 1 else None
    axes.plot(epoch_E, np.where(drawable_E, loss_E, np.nan), color=BLUE, marker=marker, markersize=5, linewidth=1.8)
    axes.set_xlim(0.5, len(loss_E) + 0.5)
    if not drawable_E.any():
        axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (cross-entropy)")
    axes.set_title(_loss_title(loss_E, drawable_E))
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return png_bytes(figure)


def confusion_matrix(confusion_CC: NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """The confusion matrix, as a PNG: a cell's colour is its share of its row, its number the rows counted.

    The colour follows the square root of the share, so that a few per cent of errors can be seen. More than 20 classes
    have no numbers, more than 30 no name on every row.

    Args:
        confusion_CC: integer counts, true class by row, predicted class by column.
        classes: the C names; long ones are shortened.

    Raises:
        DataError: the shape of the matrix does not fit the number of classes.
    """
    from matplotlib import colormaps  # noqa: PLC0415 -- heavy, see above
    from matplotlib.colors import PowerNorm  # noqa: PLC0415

    n_classes = len(classes)
    if n_classes == 0 or confusion_CC.shape != (n_classes, n_classes):
        raise DataError(f"confusion_CC has shape {confusion_CC.shape}, but there are {n_classes} classes")
    share_CC = confusion_CC / np.maximum(confusion_CC.sum(axis=1, keepdims=True), 1)
    position = range(0, n_classes, -(-n_classes // _TICKS))
    names, fonts = drawable([_shortened(classes[index]) for index in position])
    longest = max(map(len, names)) * _CHARACTER * _NAME_SIZE / 72
    side = float(np.clip(0.52 * n_classes, 2.6, 8.5))  # inches, as all sizes of a figure
    figure = new_figure(1.16 * side + longest + 1.75, side + 0.7 * longest + 1.3)
    axes = figure.add_subplot()
    image = axes.imshow(share_CC, cmap=colormaps["Blues"], norm=PowerNorm(0.5, vmin=0, vmax=1))
    bar = figure.colorbar(image, ax=axes, shrink=0.9, label="share of the true class")
    bar.set_ticks([0, 0.01, 0.1, 0.25, 0.5, 1], labels=["0 %", "1 %", "10 %", "25 %", "50 %", "100 %"])
    bar.minorticks_off()
    n_right, n_rows = int(np.trace(confusion_CC)), int(confusion_CC.sum())
    axes.set_title(f"Confusion matrix: {n_right:,} of {n_rows:,} rows right")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    plain: dict[str, Any] = {**PLAIN, "fontfamily": fonts, "fontsize": _NAME_SIZE}
    if longest > 0.9 * side / len(names):
        plain_x = {**plain, "rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    else:
        plain_x = plain
    axes.set_xticks(position, labels=names, **plain_x)
    axes.set_yticks(position, labels=names, **plain)
    if n_classes <= _NUMBERED_CLASSES:
        axes.set_xticks(np.arange(1, n_classes) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, n_classes) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)
        colour_CC4 = np.asarray(image.cmap(image.norm(share_CC)))
        _number_cells(axes, confusion_CC, colour_CC4, 72 * side / n_classes)
    return png_bytes(figure)


def _loss_title(loss_E: NDArray[np.float64], drawable_E: NDArray[np.bool_]) -> str:
    if drawable_E.all():
        return "Training loss"
    first = int(np.argmin(drawable_E))
    return f"Training loss: {loss_E[first]:.3g} in epoch {first + 1:,}"


def _number_cells(axes: "Axes", confusion_CC: NDArray[np.int64], colour_CC4: NDArray[np.floating], cell: float) -> None:
    """Write the counts; `cell` is a cell's side in points. Zeros are muted, so that the errors stand out."""
    texts = [[_count(int(count)) for count in row] for row in confusion_CC]
    longest = max(len(text) for row in texts for text in row)
    size = min(12.0, 0.85 * cell / (_CHARACTER * longest), 0.5 * cell)
    for (i, j), count in np.ndenumerate(confusion_CC):
        dark = _luminance(colour_CC4[i, j]) < 0.179  # below it white has the greater contrast (WCAG 2.1)
        colour = "white" if dark else _QUIET if count == 0 else "black"
        axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=colour)


def _count(count: int) -> str:
    """Write a number below a million in full, as `123456`, and a larger one as `1.2M`."""
    for unit, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if count >= unit:
            return f"{count / unit:.1f}{letter}"
    return str(count)


def _luminance(colour_4: NDArray[np.floating]) -> float:
    """Relative luminance of an sRGB colour, 0 to 1: WCAG 2.1, "relative luminance"."""
    rgb = colour_4[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _shortened(name: str) -> str:
    """Write a name as one line of printable characters; a long one is cut and ends with an ellipsis."""
    line = " ".join(name.split())
    line = "".join(character if character.isprintable() else "\N{WHITE SQUARE}" for character in line) or "(empty)"
    return line if len(line) <= _NAME_LENGTH else line[: _NAME_LENGTH - 1].rstrip() + "…"
