"""Lab experiments in MLflow: one run with the figures of each, the whole record, the pictures and the page."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tasks.tracking.run import Logged, ResultWriter, tracked_result
from vecml import keys
from vecml.lab.experiment import Outcome
from vecml.progress import stage
from vecml.report.lab import to_json_dict


@dataclass(frozen=True)
class LabWriter(ResultWriter):
    """Writes the outcomes of one `vecml lab`."""

    def log(self, outcomes: Sequence[Outcome], pictures: Mapping[str, bytes], page: str, *, quick: bool) -> None:
        """Log params, metrics and files; the sentences are the run's description.

        Everything is on the disk before any of it is logged: when that fails, the StoreError says where it is kept.
        """
        with stage("storing the lab"):
            files: dict[str, str | bytes] = {
                "lab.json": json.dumps(to_json_dict(outcomes)) + "\n",
                "lab.html": page,
                **{f"pictures/{name}.png": content for name, content in pictures.items()},
            }
            self.log_at_once(Logged(files, params(outcomes, quick=quick), metrics(outcomes), {}, note(outcomes)))


def tracked_lab(name: str | None) -> AbstractContextManager[LabWriter]:
    """A lab's run round the block: FINISHED when it ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    return tracked_result(keys.LAB, name, LabWriter)


def params(outcomes: Sequence[Outcome], *, quick: bool) -> dict[str, str]:
    """`LAB_PARAMS` of `vecml.keys`."""
    values = (tuple(outcome.name for outcome in outcomes), quick)
    return {name: keys.text(value) for name, value in zip(keys.LAB_PARAMS, values, strict=True)}


def metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Every experiment's `LAB_METRICS` of `vecml.keys`: the best valid ratio, and how many cells were what."""
    values: dict[str, float | None] = {}
    for outcome in outcomes:
        words = [cell.word for cell in outcome.cells]
        valid = [
            cell.ratio for cell in outcome.cells if cell.ratio is not None and cell.failure is None and not cell.plain
        ]
        own = (max(valid, default=None), len(words), words.count("faster"), words.count("invalid"))
        values |= dict(zip(keys.lab_metrics(outcome.name), own, strict=True))
    return {name: float(value) for name, value in values.items() if value is not None}


def note(outcomes: Sequence[Outcome]) -> str:
    """The run's description, in Markdown: the experiments' sentences."""
    parts = [f"### {outcome.title}\n\n{' '.join(outcome.sentences)}\n" for outcome in outcomes if outcome.sentences]
    return "\n".join(parts)
