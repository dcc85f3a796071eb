"""What is drawn, read back from the figure before it becomes a PNG: texts, colours, places; and that nothing warns."""

import io
import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from numpy.typing import NDArray

from vecml.errors import DataError
from vecml.report.run_pictures import confusion_matrix, loss_curve

HOSTILE = [
    "$x_1$",
    "$\\frac{",
    "<script>alert(1)</script>",
    "%s %d {0}",
    "two\nlines\tand a tab",
    "long " * 100,
    "\N{GRINNING FACE} and \N{FAMILY}",
    "漢字",
    "\ud800 lone",
    "\x00\x1b[31m",
    "",
    "   ",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
]


def drawn(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], bytes]) -> Figure:
    """The figure behind a picture, laid out."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments, **options) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", keep)
        draw()
    return figures[0]


def confusion(n_classes: int, n_rows: int, seed: int = 0) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    share_C = np.full(n_classes, 0.1 / n_classes)
    return np.stack([random.multinomial(n_rows // n_classes, share_C + 0.9 * row_C) for row_C in np.eye(n_classes)])


def pixels(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    height, width, _ = imread(io.BytesIO(png)).shape
    return width, height


def cell_texts(figure: Figure) -> list[Text]:
    return figure.axes[0].texts


@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 20, 60, 150])
def test_every_text_of_a_confusion_matrix_is_within_the_picture(monkeypatch, n_classes: int) -> None:
    names = [f"{'a very long class name' if n_classes % 3 == 0 else 'c'} {c}" for c in range(n_classes)]
    figure = drawn(monkeypatch, lambda: confusion_matrix(confusion(n_classes, 4321 * n_classes), names))
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            extent = text.get_window_extent()
            assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1


@pytest.mark.parametrize(("n_classes", "count"), [(2, 0), (2, 10**15), (3, 999_999), (10, 12_345_678), (20, 999_999)])
def test_counts_are_in_their_cells(monkeypatch, n_classes: int, count: int) -> None:
    confusion_CC = np.full((n_classes, n_classes), count)
    figure = drawn(monkeypatch, lambda: confusion_matrix(confusion_CC, [str(c) for c in range(n_classes)]))
    cell = figure.axes[0].get_window_extent().width / n_classes
    assert len(cell_texts(figure)) == n_classes**2
    for text in cell_texts(figure):
        assert text.get_window_extent().width < cell
        assert text.get_fontsize() >= 5


def test_a_count_stands_at_its_true_row_and_predicted_column(monkeypatch) -> None:
    figure = drawn(monkeypatch, lambda: confusion_matrix(np.array([[1, 2], [3, 1_234_567]]), ["no", "yes"]))
    found = {text.get_position(): text.get_text() for text in cell_texts(figure)}
    assert found == {(0, 0): "1", (1, 0): "2", (0, 1): "3", (1, 1): "1.2M"}
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.get_title() == "Confusion matrix: 1,234,568 of 1,234,573 rows right"
    assert axes.yaxis_inverted()


def test_colour_is_the_share_of_the_row(monkeypatch) -> None:
    figure = drawn(monkeypatch, lambda: confusion_matrix(np.array([[30, 10], [0, 0]]), ["a", "b"]))
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 0]])


def luminance(rgb) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_counts_are_readable_on_every_shade(monkeypatch) -> None:
    from matplotlib.colors import to_rgb

    figure = drawn(
        monkeypatch,
        lambda: confusion_matrix(np.array([[100 - 5 * i] + [5 * i] + [0] * 18 for i in range(20)]), ["x"] * 20),
    )
    image = figure.axes[0].images[0]
    for text in cell_texts(figure):
        column, row = text.get_position()
        cell = luminance(image.cmap(image.norm(image.get_array()[row, column])))
        low, high = sorted([cell, luminance(to_rgb(text.get_color()))])
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.1, level AA


def test_the_scale_is_told_apart_without_colour() -> None:
    from matplotlib import colormaps

    lightness = [luminance(colormaps["Blues"](level)) for level in np.linspace(0, 1, 50)]
    assert all(dark < light for light, dark in itertools.pairwise(lightness))


@pytest.mark.parametrize(("n_classes", "step"), [(20, 1), (30, 1), (31, 2), (60, 2), (150, 5), (1000, 34)])
def test_many_classes_have_sparse_names_and_no_counts(monkeypatch, n_classes: int, step: int) -> None:
    names = [f"n{c}" for c in range(n_classes)]
    figure = drawn(monkeypatch, lambda: confusion_matrix(np.eye(n_classes, dtype=np.int64), names))
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == names[::step]
    assert bool(cell_texts(figure)) == (n_classes <= 20)


def test_names_that_fit_lie_flat_and_do_not_touch(monkeypatch) -> None:
    for n_classes in (2, 10, 60):
        names = [str(c) for c in range(n_classes)]
        figure = drawn(monkeypatch, lambda names=names: confusion_matrix(confusion(len(names), 5000), names))
        labels = figure.axes[0].get_xticklabels()
        assert {label.get_rotation() for label in labels} == {0}
        extents = [label.get_window_extent() for label in labels]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(extents))


def test_long_names_are_shortened_and_turned(monkeypatch) -> None:
    figure = drawn(monkeypatch, lambda: confusion_matrix(np.eye(2, dtype=int), ["a" * 40, "b"]))
    labels = figure.axes[0].get_xticklabels()
    assert labels[0].get_text() == "a" * 17 + "…"
    assert labels[0].get_rotation() == 45


def test_hostile_names_are_plain_text(monkeypatch) -> None:
    n_classes = len(HOSTILE)
    with rc_context({"text.parse_math": True}):
        figure = drawn(monkeypatch, lambda: confusion_matrix(np.eye(n_classes, dtype=int), HOSTILE))
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        labels = axis.get_ticklabels()
        shown = [label.get_text() for label in labels]
        assert shown[:5] == ["$x_1$", "$\\frac{", "<script>alert(1)<…", "%s %d {0}", "two lines and a t…"]
        assert shown[10:12] == ["(empty)", "(empty)"]
        assert all("\n" not in text and text.isprintable() for text in shown)
        assert not any(label.get_parse_math() or label.get_usetex() for label in labels)


def test_tex_of_the_users_own_settings_does_not_reach_names(monkeypatch) -> None:
    asked: dict[Text, bool] = {}
    set_usetex = Text.set_usetex

    def keep(text: Text, usetex: bool | None) -> None:
        asked[text] = usetex is None or usetex  # None: as the settings say
        set_usetex(text, False)  # there may be no TeX here

    monkeypatch.setattr(Text, "set_usetex", keep)
    with rc_context({"text.usetex": True}):
        confusion_matrix(np.eye(2, dtype=int), ["\\input{/etc/passwd}", "b"])
    usetex = [asked[text] for text in asked if text.get_text() == "\\input{/etc/passw…"]
    assert usetex
    assert not any(usetex)
    assert any(asked.values())  # the settings did reach the other texts


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_text_is_drawn_without_a_warning(names: list[str]) -> None:
    pixels(confusion_matrix(np.ones((len(names), len(names)), dtype=np.int64), names))


def test_no_row_at_all_is_drawn() -> None:
    pixels(confusion_matrix(np.zeros((2, 2), dtype=np.int64), ["a", "b"]))


@pytest.mark.parametrize(("shape", "names"), [((2, 2), ["a"]), ((2, 3), ["a", "b"]), ((0, 0), []), ((4,), ["a", "b"])])
def test_a_matrix_that_does_not_fit_is_named(shape: tuple[int, ...], names: list[str]) -> None:
    with pytest.raises(DataError, match="confusion_CC has shape"):
        confusion_matrix(np.zeros(shape, dtype=np.int64), names)


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 5, 40, 41, 200, 1000])
def test_epochs_are_integers_from_1(monkeypatch, n_epochs: int) -> None:
    losses = [2 / epoch for epoch in range(1, n_epochs + 1)]
    figure = drawn(monkeypatch, lambda: loss_curve(losses))
    axes = figure.axes[0]
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), range(1, n_epochs + 1))
    np.testing.assert_array_equal(line.get_ydata(), losses)
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == round(tick) and 1 <= tick <= n_epochs for tick in ticks)
    assert (line.get_marker() == "o") == (n_epochs <= 40)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "training loss (cross-entropy)")
    assert axes.get_title() == "Training loss"


@pytest.mark.parametrize(
    ("losses", "title"),
    [
        ([1.0, float("nan"), 0.5], "Training loss: nan in epoch 2"),
        ([1.0, 0.5, float("inf")], "Training loss: inf in epoch 3"),
        ([float("nan")] * 3, "Training loss: nan in epoch 1"),
        ([1.0, 1e300], "Training loss: 1e+300 in epoch 2"),
        ([1.0, *[float("nan")] * 99], "Training loss: nan in epoch 2"),
    ],
)
def test_a_loss_that_is_no_number_is_a_gap_and_said(monkeypatch, losses: list[float], title: str) -> None:
    figure = drawn(monkeypatch, lambda: loss_curve(losses))
    assert figure.axes[0].get_title() == title
    (line,) = figure.axes[0].lines
    assert np.isfinite(line.get_ydata()).sum() == sum(loss < 1e100 for loss in losses)
    if len(losses) > 40:
        assert line.get_marker() == "o"  # a single point has no line to be seen by


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=60))
def test_any_losses_are_drawn_without_a_warning(losses: list[float]) -> None:
    assert pixels(loss_curve(losses)) == (840, 480)


def test_no_epoch_is_an_error() -> None:
    with pytest.raises(DataError, match="no loss to draw"):
        loss_curve([])


def test_the_same_numbers_make_the_same_bytes() -> None:
    assert loss_curve([1, 0.5]) == loss_curve([1, 0.5])
    assert confusion_matrix(np.eye(2, dtype=int), ["a", "b"]) == confusion_matrix(np.eye(2, dtype=int), ["a", "b"])


def test_matplotlib_is_imported_when_a_picture_is_drawn_and_pyplot_never() -> None:
    program = (
        "import sys, vecml.report.run_pictures as pictures; print('matplotlib' in sys.modules)\n"
        "pictures.loss_curve([1]); print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
