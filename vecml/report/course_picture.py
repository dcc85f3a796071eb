"""The picture of a training that held-out rows ended, as PNG bytes: both losses by step, and the step that was kept."""

import numpy as np

from vecml.model.course import Course
from vecml.report.figure import BLUE, VERMILLION, new_figure, png_bytes


def course_curves(course: Course) -> bytes:
    """The loss of the training rows and of the held-out rows by step, as a PNG; a line marks the step that was kept."""
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    step_E = np.array(course.at_step)
    marker = "o" if len(step_E) <= 3 else None
    axes.plot(step_E[1:], course.train_losses[1:], color=BLUE, linewidth=1.8, marker=marker, label="training rows")
    axes.plot(step_E, course.held_out_losses, color=VERMILLION, linewidth=1.8, marker=marker, label="held-out rows")
    axes.axvline(
        course.best_step, color="#6f6f6f", linewidth=1, linestyle="--", label=f"kept: step {course.best_step:,}"
    )
    axes.set_xlabel("training step")
    axes.set_ylabel("loss (cross-entropy)")
    axes.set_ylim(bottom=0)
    axes.set_title("Training and held-out loss")
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return png_bytes(figure)
