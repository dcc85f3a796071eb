"""The result of a pipeline run as one sentence and one table, the same in terminal, MLflow, Prefect and Jupyter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from vecml.foreign_text import clean
from vecml.measure.limits import CEILING_WRONG
from vecml.model.course import Course
from vecml.model.evaluate import Evaluation, ReplicaAccuracy
from vecml.model.recipe import Tried
from vecml.model.simple_models import SimpleModel, best_of
from vecml.numbers import count, percent, rate, score, seconds
from vecml.record import PipelineRecord

STAGE_NAMES = {
    "generate": "generate",
    "split": "split",
    "train": "train",
    "load_engine": "load engine",
    "infer": "vectorized-infer",
    "evaluate": "evaluate",
}


def sentence(record: PipelineRecord) -> str:
    """The answer: the accuracy, the engine, the device and the speed; before it a simple model that is better."""
    evaluation, setting = record.evaluation, record.inference.setting
    better = best_of(record.simple)
    return (
        ("" if better is None else f"{_better(better, evaluation)} ")
        + f"{percent(evaluation.accuracy)} of {count(evaluation.n_rows, 'test row')} labelled right"
        f" ({percent(evaluation.accuracy_low)} to {percent(evaluation.accuracy_high)};"
        f" always guessing {shortened(evaluation.majority_class)!r}: {percent(evaluation.majority_accuracy)}),"
        f" by {setting.engine} on {setting.device} at {rate(record.inference.measurement.rows_per_s)}."
    )


def rows(record: PipelineRecord) -> list[tuple[str, str]]:
    """The rows of the table, as pairs of a name and a value."""
    evaluation, inference, measurement = record.evaluation, record.inference, record.inference.measurement
    setting = inference.setting
    busy = f" while {inference.disturbed_while}" if inference.disturbed_while else ""
    flips = len(evaluation.flips.row_N)
    lines = [
        ("data", f"{record.table.source}: {_size(record)}, {len(record.table.classes)} classes"),
        ("network", network(record)),
    ]
    if record.training.tried:
        lines.append(("tuned", _tried(record.training.tried)))
    if record.training.course is not None:
        lines.append(("training", _course(record.training.course)))
    if record.choice is not None:
        lines.append(("engine", record.choice.reason + (" (known from before)" if record.choice.kept else "")))
    lines += [(STAGE_NAMES[stage], seconds(taken)) for stage, taken in record.seconds.items()]
    lines += [
        (
            "rows/s",
            f"{rate(measurement.rows_per_s)} ({setting.engine}, {inference.precision_used}, {setting.layout},"
            f" {count(setting.threads, 'thread')}; a single launch{busy}, not for comparing)",
        ),
        *(
            []
            if inference.fraction_of_limit is None
            else [("of the limit", _of_the_limit(inference.fraction_of_limit))]
        ),
        (
            "accuracy",
            f"{percent(evaluation.accuracy)} (95 % interval {percent(evaluation.accuracy_low)} to"
            f" {percent(evaluation.accuracy_high)})",
        ),
        *([] if evaluation.replicas is None else [("replicas", _replicas(evaluation.replicas))]),
        (
            "majority",
            f"{percent(evaluation.majority_accuracy)} (always guessing {shortened(evaluation.majority_class)!r})",
        ),
        *([] if not record.simple else [("simple models", _simple(record.simple))]),
        *_unbalanced(evaluation),
        ("macro F1", score(evaluation.macro_f1)),
        ("log-loss", score(evaluation.log_loss)),
        ("ROC AUC", score(evaluation.roc_auc)),
        ("flips", f"{flips} of {count(evaluation.flips.reference_rows, 'row')} that the reference engine ran as well"),
    ]
    if evaluation.never_predicted:
        lines.append(("never named", _never(evaluation.never_predicted)))
    if record.split.test.unseen_categories:
        lines.append(
            ("unseen", f"{count(record.split.test.unseen_categories, 'value')} of a category that training has not")
        )
    if record.split.seen_rows:
        rows = f"{record.split.seen_rows:,} of {count(record.split.test.n_rows, 'test row')}"
        lines.append(("seen before", f"the features of {rows} are those of a training row as well"))
    return [*lines, ("run", f"{record.run.name} in {record.run.store}"), ("open it", open_command(record))]


def _size(record: PipelineRecord) -> str:
    """How large the table is, and how much of it was trained on."""
    size = f"{count(record.table.n_rows, 'row')}, {count(record.training.model.architecture.n_features, 'feature')}"
    if record.config.sample is not None:
        size += f", a sample of {count(record.split.train.n_rows, 'row')} to train on"
    if record.split.disk is not None:
        size += ", kept on the disk"
    return size


def network(record: PipelineRecord) -> str:
    """The shape of the classifier in a few words, and where its class or its weights come from."""
    shape, config = record.training.model.architecture, record.config
    told = [
        f"{shape.name}, {count(shape.multiply_adds, 'multiply-add')} a row"
        if shape.obstacle is not None
        else f"{shape}, {shape.activation}"
    ]
    if config.architecture is not None and shape.obstacle is None:
        told.append(f"of {config.architecture}")
    if config.weights is not None:
        told.append(f"weights of {shortened(Path(config.weights).name)}")
    return ", ".join(told)


def open_command(record: PipelineRecord) -> str:
    """How to open the page of the run, `record.run.url`; a local store needs a command first."""
    return "vecml ui, and there the page below" if record.run.local else "the page below"


def note(record: PipelineRecord) -> str:
    """The run's description in MLflow, as Markdown."""
    body = "\n".join(f"| {markdown(name)} | {markdown(value)} |" for name, value in rows(record))
    return f"{markdown(sentence(record))}\n\n| | |\n|---|---|\n{body}\n\n{record.run.url}\n"


def as_text(record: PipelineRecord) -> str:
    """Sentence and table as plain text."""
    lines = rows(record)
    width = max(len(name) for name, _ in lines)
    return "\n".join([sentence(record), "", *(f"{name:<{width}}  {value}" for name, value in lines), record.run.url])


def as_html(record: PipelineRecord) -> str:
    """Sentence and table for a Jupyter cell; names from the data are escaped."""
    left = "style='text-align:left'"
    body = "".join(
        f"<tr><th {left}>{escape(clean(name))}</th><td {left}>{escape(clean(value))}</td></tr>"
        for name, value in rows(record)
    )
    link = f"<a href='{escape(record.run.url)}'>{escape(record.run.url)}</a>"
    return f"<p>{escape(clean(sentence(record)))}</p><table>{body}</table><p>{link}</p>"


@dataclass(frozen=True, repr=False)
class PipelineResult(PipelineRecord):
    """A pipeline run's record; `print` and a Jupyter cell show sentence and table."""

    __str__ = __repr__ = as_text
    _repr_html_ = as_html


def shortened(name: str, width: int = 40) -> str:
    """A name from the data on one line, cut with an ellipsis past `width` characters."""
    flat = " ".join(clean(name).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def markdown(value: str) -> str:
    """Text as Markdown on one line in which nothing has a meaning: no link, no emphasis, no HTML, no table cell.

    What means something at the start of a line alone is escaped there alone: Prefect's pages show the backslashes of a
    link's text.
    """
    flat = " ".join(clean(value).split())
    flat = re.sub(r"([\\`*_{}\[\]().!|<>~&])", r"\\\1", flat)
    flat = flat.replace("://", "&#58;//")  # an address would be made a link; a colon elsewhere means nothing
    return re.sub(r"^([#+=-])", r"\\\1", flat)


def _better(simple: SimpleModel, evaluation: Evaluation) -> str:
    """The sentence about a simple model that is better than the network."""
    return (
        f"{simple.name.capitalize()} is better than the network on this table: {percent(simple.accuracy)} of the test"
        f" rows against {percent(evaluation.accuracy)} (McNemar p {simple.p_value:.2g})."
    )


def _simple(models: tuple[SimpleModel, ...]) -> str:
    """What simple models give on the same rows, and whether that is more than the network gives."""
    said = ", ".join(
        f"{one.name} {percent(one.accuracy)}" + (f" (with {one.cut})" if one.cut else "") for one in models
    )
    better = [one.name for one in models if one.better]
    verdict = f"{' and '.join(better)} better than the network" if better else "none better beyond chance"
    return f"{said}; {verdict}"


def _unbalanced(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What stands beside the accuracy where nearly all rows have the same class."""
    if evaluation.balanced_accuracy is None or evaluation.average_precision is None:
        return []
    return [
        ("balanced", f"{percent(evaluation.balanced_accuracy)} (mean share of right labels over the classes)"),
        ("precision", f"{score(evaluation.average_precision)} (mean average precision of the rarer classes)"),
    ]


def _never(names: tuple[str, ...]) -> str:
    """The classes that have test rows and that the network names none of."""
    shown = ", ".join(repr(shortened(name)) for name in names[:5])
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"{shown}{more}: no test row was labelled so"


def _tried(tried: Sequence[Tried]) -> str:
    """The setting that was chosen of those that were tried, and what it is worth against the rule's own."""
    best = next(one for one in tried if one.chosen)
    setting = f"width {','.join(map(str, best.hidden))}, rate {best.learning_rate:g}, decay {best.weight_decay:g}"
    if best is tried[0]:
        return f"{setting}: the rule's own setting is the best of {len(tried)} (held-out loss {best.held_out_loss:.3g})"
    loss = f"{best.held_out_loss:.3g}, of the rule's own setting {tried[0].held_out_loss:.3g}"
    return f"{setting}: the best of {len(tried)} settings (held-out loss {loss})"


def _course(course: Course) -> str:
    """How a training went that held-out rows ended."""
    why = {
        "settled": "until the loss of held-out rows fell no more",
        "steps": "its bound",
        "seconds": "until its time was over, which another machine would not repeat",
    }[course.reason]
    return f"{count(course.steps, 'step')}, {why}; kept: step {course.best_step:,}, after {course.epochs:.3g} epochs"


def _replicas(replicas: ReplicaAccuracy) -> str:
    """The accuracies of the networks that were trained at once."""
    return (
        f"{percent(replicas.mean)} (mean accuracy of {len(replicas.accuracy_R)} seeds; 95 % interval"
        f" {percent(replicas.low)} to {percent(replicas.high)})"
    )


def _of_the_limit(fraction: float) -> str:
    """The share of the machine's limit, and what it means if it is above what is possible."""
    meaning = "what this machine's measured GEMM rate and bandwidth would allow"
    if fraction > CEILING_WRONG:
        meaning += ", measured too low: vecml doctor --limits measures them anew"
    return f"{percent(fraction)} ({meaning})"
