"""Lab experiments in MLflow: one run with the figures of each, the whole record, the pictures and the page."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Metric

from tasks.tracking.run import OpenRun, as_params, as_tags, kept_on_failure, tracked_run
from tasks.tracking.store import store_errors
from vecml.device import device_name
from vecml.lab.experiment import Outcome
from vecml.lab.report import to_json_dict
from vecml.progress import stage
from vecml.record import TrackedRun, text

LAB = "lab"  # what stands under the tag `vecml.kind`
NOTE = "mlflow.note.content"
PARAMS = ("experiments", "quick")
METRICS = ("best_ratio", "cells", "faster", "invalid")  # under `lab/<experiment>/`
BATCH_METRICS = 900  # MLflow takes 1,000 at once
LONGEST_NOTE = 8_000


@dataclass(frozen=True)
class LabWriter:
    """Writes the outcomes of one `vecml lab`.

    Attributes:
        opened: its run.
    """

    opened: OpenRun

    @property
    def run(self) -> TrackedRun:
        """Where it is."""
        return self.opened.run

    def log(self, outcomes: Sequence[Outcome], pictures: Mapping[str, bytes], page: str, *, quick: bool) -> None:
        """Log params, metrics and files; the sentences are the run's description.

        Everything is on the disk before any of it is logged: when that fails, the StoreError says where it is kept.
        """
        store, run_id = self.opened.store, self.run.run_id
        with (
            stage("storing the lab"),
            store_errors(store.location),
            tempfile.TemporaryDirectory(prefix="vecml-") as scratch,
        ):
            folder = Path(scratch) / "lab"
            (folder / "pictures").mkdir(parents=True)
            (folder / "lab.json").write_text(json.dumps(to_json_dict(outcomes)) + "\n", encoding="utf-8")
            (folder / "lab.html").write_text(page, encoding="utf-8")
            for name, content in pictures.items():
                (folder / "pictures" / f"{name}.png").write_bytes(content)
            with kept_on_failure(store, run_id, folder):
                now = int(time.time() * 1000)
                values = [Metric(name, value, now, 0) for name, value in metrics(outcomes).items()]
                params = {"experiments": text(tuple(outcome.name for outcome in outcomes)), "quick": text(quick)}
                store.client.log_batch(
                    run_id,
                    metrics=values[:BATCH_METRICS],
                    params=as_params(params),
                    tags=as_tags({NOTE: note(outcomes)}),
                )
                store.client.log_artifacts(run_id, str(folder))


@contextmanager
def tracked_lab(name: str | None) -> Iterator[LabWriter]:
    """A lab's run round the block: FINISHED when it ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    with tracked_run(LAB, name, device_name("cpu"), None) as opened:
        yield LabWriter(opened)


def metrics(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """`METRICS` of each experiment under `lab/<experiment>/`: the best valid ratio, and how many cells were what."""
    values: dict[str, float] = {}
    for outcome in outcomes:
        words = [cell.word for cell in outcome.cells]
        valid = [
            cell.ratio for cell in outcome.cells if cell.ratio is not None and cell.failure is None and not cell.plain
        ]
        if valid:
            values[f"lab/{outcome.name}/best_ratio"] = max(valid)
        counts = (len(words), words.count("faster"), words.count("invalid"))
        values |= {f"lab/{outcome.name}/{key}": float(count) for key, count in zip(METRICS[1:], counts, strict=True)}
    return values


def note(outcomes: Sequence[Outcome]) -> str:
    """The run's description, in Markdown: the experiments' sentences, as much of them as MLflow takes."""
    parts = [f"### {outcome.title}\n\n{' '.join(outcome.sentences)}\n" for outcome in outcomes if outcome.sentences]
    return "\n".join(parts)[:LONGEST_NOTE]
