"""Whether the answers are the same: each setting's flips against the float64 reference, as far as a record has them."""

from vecml.comparison.comparison import ArmFigures
from vecml.numbers import percent
from vecml.report.comparison import Table
from vecml.report.content import Content

NOT_RECORDED = (
    "A comparison records how many labels differ from the float64 reference's (flips), how many of those are no near"
    " ties within the precision's rounding, and how far the logits of up to 4,096 rows are off, as a share of what the"
    " precision allows. Which rows flipped, and the margin of each, is not recorded: a pipeline run's labels.npz has"
    " both."
)
OF_FUNCTIONS = (
    "Functions have no labels. Their results must equal the baseline's (floating-point ones to within 1e-5), over the"
    " first input and over a changed one; how far each was off is not recorded."
)


def answers(content: Content) -> Table | None:
    """A row for each setting; None for functions, and where no worker came so far."""
    rows = [_row(arm) for arm in content.arms.values() if arm.setting is not None and arm.facts]
    if not rows:
        return None
    headings = ("setting", "labels", "flips", "no near ties", "largest logit error", "right", "computed in")
    return Table(headings, tuple(rows))


def error_share(arm: ArmFigures) -> float | None:
    """The largest error of a logit in the last launch, as a share of what the precision allows; above 1 is a fault."""
    value = arm.facts.get("logit_error")
    return float(value) if isinstance(value, int | float) else None


def _row(arm: ArmFigures) -> tuple[str, ...]:
    wrong, error = arm.facts.get("wrong"), error_share(arm)
    allowed = (
        "-" if error is None else f"{percent(error)} of the allowed" if error < 10 else f"{error:.3g} times the allowed"
    )
    return (
        arm.name,
        f"{arm.rows_scored:,}" if arm.rows_scored else "-",
        f"{arm.flips:,}" if arm.rows_scored else "-",
        f"{wrong:,}" if isinstance(wrong, int) else "-",
        allowed,
        percent(arm.accuracy),
        arm.precision_used or "-",
    )
