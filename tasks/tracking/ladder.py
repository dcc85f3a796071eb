"""A ladder in MLflow: one run with every rung's figures, the whole record and the picture."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Metric

from tasks.tracking.run import OpenRun, as_params, as_tags, kept_on_failure, tracked_run
from tasks.tracking.store import store_errors
from vecml.device import device_name
from vecml.lab.ladder import Ladder, best, figures, gain, to_json_dict
from vecml.progress import stage
from vecml.record import TrackedRun, text

LADDER = "ladder"  # what stands under the tag `vecml.kind`
NOTE = "mlflow.note.content"
PARAMS = ("data_source", "n_rows", "n_features", "n_classes", "widths", "rungs")
METRICS = ("ladder/gain", "ladder/rows_per_s", "ladder/fraction_of_limit", "ladder/flips")
RUNG_METRICS = ("rows_per_s", "ratio", "ratio_low", "ratio_high", "gain", "flips", "memory_bytes", "fraction_of_limit")
TAGS = ("vecml.launches", "vecml.model_digest", "vecml.best", "vecml.stopped_paying")


@dataclass(frozen=True)
class LadderWriter:
    """Writes one ladder.

    Attributes:
        opened: its run.
    """

    opened: OpenRun

    @property
    def run(self) -> TrackedRun:
        """Where it is."""
        return self.opened.run

    def log(self, ladder: Ladder, note: str, drawn: bytes | None) -> None:
        """Log params, metrics, tags and files; `note` (Markdown) is the description, `drawn` the picture's PNG.

        Everything is on the disk before any of it is logged: when that fails, the StoreError says where it is kept.
        """
        store, run_id = self.opened.store, self.run.run_id
        with (
            stage("storing the ladder"),
            store_errors(store.location),
            tempfile.TemporaryDirectory(prefix="vecml-") as scratch,
        ):
            folder = Path(scratch) / "ladder"
            folder.mkdir()
            (folder / "ladder.json").write_text(json.dumps(to_json_dict(ladder)) + "\n", encoding="utf-8")
            environment = json.dumps(dict(ladder.environment), indent=1)
            (folder / "environment.json").write_text(environment + "\n", encoding="utf-8")
            if drawn is not None:
                (folder / "pictures").mkdir()
                (folder / "pictures" / "ladder.png").write_bytes(drawn)
            with kept_on_failure(store, run_id, folder):
                now = int(time.time() * 1000)
                values = [Metric(name, value, now, 0) for name, value in metrics(ladder).items()]
                labels = as_tags({**tags(ladder), NOTE: note})
                store.client.log_batch(run_id, metrics=values, params=as_params(params(ladder)), tags=labels)
                store.client.log_artifacts(run_id, str(folder))


@contextmanager
def tracked_ladder(name: str | None) -> Iterator[LadderWriter]:
    """A ladder's run round the block: FINISHED when it ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    with tracked_run(LADDER, name, device_name("cpu"), None) as opened:
        yield LadderWriter(opened)


def params(ladder: Ladder) -> dict[str, str]:
    """`PARAMS`."""
    values = (
        *(ladder.data_source, ladder.n_rows, ladder.widths[0], ladder.widths[-1]),
        "-".join(map(str, ladder.widths)),
        tuple(rung.name for rung in ladder.rungs),
    )
    return {name: text(value) for name, value in zip(PARAMS, values, strict=True)}


def metrics(ladder: Ladder) -> dict[str, float]:
    """`METRICS` of the best rung, and `RUNG_METRICS` under `ladder/<rung>/`, of both those that are known."""
    found = figures(ladder)
    top = best(found)
    values: dict[str, float | None] = {
        "ladder/gain": gain(found),
        "ladder/rows_per_s": None if top is None else top.rows_per_s,
        "ladder/fraction_of_limit": None if top is None else top.fraction_of_limit,
        "ladder/flips": None if top is None else float(top.flips),
    }
    for rung in found:
        before, first = rung.before, rung.first
        own: tuple[float | None, ...] = (
            rung.rows_per_s,
            None if before is None else before.ratio,
            None if before is None else before.ratio_low,
            None if before is None else before.ratio_high,
            None if first is None else first.ratio,
            float(rung.flips),
            float(rung.memory_bytes),
            rung.fraction_of_limit,
        )
        values |= {f"ladder/{slug(rung.name)}/{key}": value for key, value in zip(RUNG_METRICS, own, strict=True)}
    return {name: value for name, value in values.items() if value is not None}


def tags(ladder: Ladder) -> dict[str, str]:
    """`TAGS`."""
    found = figures(ladder)
    top = best(found)
    idle = tuple(rung.name for rung in found if rung.stopped_paying)
    values = (ladder.measured.launches, ladder.model_digest, None if top is None else top.name, idle or None)
    return {name: text(value) for name, value in zip(TAGS, values, strict=True)}


def slug(name: str) -> str:
    """A rung's name in a key: `whole-array BLAS` as `whole_array_blas`."""
    return name.lower().replace(" ", "_").replace("-", "_")
