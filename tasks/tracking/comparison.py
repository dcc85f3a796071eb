"""A comparison in MLflow: a parent run with the whole record, and below it a child run for each setting."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.entities import Metric

from tasks.tracking.content import Content, as_params, log_values
from tasks.tracking.location import locate
from tasks.tracking.read import read_run
from tasks.tracking.run import (
    LONGEST_NOTE,
    NOTE,
    OpenRun,
    created_run,
    kept_on_failure,
    tracked_run,
)
from tasks.tracking.store import PARENT, child_runs, store_errors
from vecml import cache, keys
from vecml import record as records
from vecml.comparison.comparison import ArmFigures, Comparison, figures
from vecml.comparison.document import to_json
from vecml.comparison.subject import RecordedRun
from vecml.comparison.unfinished import Kept, Unfinished, comparison_of, unlogged
from vecml.device import device_name
from vecml.environment import Environment, of_json
from vecml.errors import StoreError, VecmlError
from vecml.leftovers import scratch_folder
from vecml.measure.records import Measured
from vecml.numbers import count
from vecml.progress import stage
from vecml.report.charts import pictures
from vecml.report.comparison import note as description
from vecml.report.comparison import sentence
from vecml.report.page import About, page
from vecml.tracked_run import TrackedRun
from vecml.warnings import warn

REPORT, PICTURES = "report.html", "pictures"
REST = "\n\nEverything is in `comparison.json`.\n"


@dataclass(frozen=True)
class ComparisonWriter:
    """Writes one comparison into the run `opened`.

    `file` keeps its launches until they are logged; `kept` is the file's content where a stopped comparison goes on.
    """

    opened: OpenRun
    file: Unfinished | None = None
    kept: Kept | None = None

    @property
    def run(self) -> TrackedRun:
        return self.opened.run

    def keep(self, measured: Measured) -> None:
        """Save all launches so far in the file until the comparison is logged."""
        if self.file is not None:
            self.file.keep_launches(measured)

    def log(self, comparison: Comparison, note: str | None = None) -> None:
        """Log the parent's params, tags and artifacts, then a child run for each setting.

        All files are on the disk before anything is logged; when logging fails, the StoreError names their folder.

        Args:
            comparison: the whole record.
            note: the parent run's description, in Markdown; None takes the comparison's own.
        """
        store = self.opened.store
        note = description(comparison) if note is None else note
        whole = self.file is not None and self.file.keep_whole(comparison, note)
        with (
            self._said_where_kept(comparison, whole=whole),
            stage("storing the comparison"),
            store_errors(store.location),
            scratch_folder() as scratch,
        ):
            folder = scratch / "comparison"
            folder.mkdir()
            (folder / "comparison.json").write_text(to_json(comparison), encoding="utf-8")
            environment = json.dumps(dict(comparison.environment), indent=1)
            (folder / "environment.json").write_text(environment + "\n", encoding="utf-8")
            self._draw(comparison, folder)
            content = self._content(comparison, note)
            unfinished = "" if self.file is None else str(self.file.path)
            with kept_on_failure(store, self.run, folder, content, unfinished=unfinished):
                log_values(store, self.run.run_id, replace(content, children=()))
                store.client.log_artifacts(self.run.run_id, str(folder))
                known = self._finished_children()
                for child in content.children:
                    if child["name"] not in known:
                        self._log_child(child)

    @contextmanager
    def _said_where_kept(self, comparison: Comparison, *, whole: bool) -> Iterator[None]:
        """Add to the error of a `with` block that could not log it where the comparison is, or that it is nowhere.

        `whole`: all of it is in the file.
        """
        try:
            yield
        except VecmlError as error:
            if isinstance(error, StoreError) and error.kept is not None:
                raise
            if whole:
                kept = said_where_kept()
            else:
                kept = f"it could not be kept anywhere else ({cache.folder()}). What it found: {sentence(comparison)}"
            error.hint = f"{kept}; {error.hint}" if error.hint else kept
            raise

    def _draw(self, comparison: Comparison, folder: Path) -> None:
        """Write report and pictures for MLflow into `folder`; a warning says where the figures cannot be drawn."""
        run = self.run
        about = About(run.name, run.run_id, run.url, created=comparison.created)
        try:
            report, drawn = page(comparison, about), pictures(comparison)
        except (ValueError, ArithmeticError) as error:  # unforeseen figures; they are stored already
            warn("VML010", f"the report of run {run.name} could not be drawn: {type(error).__name__}: {error}")
            return
        (folder / PICTURES).mkdir()
        (folder / REPORT).write_text(report, encoding="utf-8")
        for name, content in drawn.items():
            (folder / PICTURES / name).write_bytes(content)

    def _content(self, comparison: Comparison, note: str) -> Content:
        """What is logged of the parent and of each setting, beside the files."""
        now = int(time.time() * 1000)
        return Content(
            records.parent_params(comparison),
            {**records.parent_end_tags(comparison), NOTE: _shortened(note)},
            tuple((name, value, now, 0) for name, value in records.parent_metrics(comparison).items()),
            children=tuple(
                {
                    "name": arm.name,
                    "tags": {**self.opened.tags, **records.child_tags(comparison, arm), **self._device_tag(arm)},
                    "params": records.child_params(arm),
                    "metrics": records.child_metrics(arm),
                    "at": now,
                }
                for arm in figures(comparison)
            ),
        )

    def _device_tag(self, arm: ArmFigures) -> dict[str, str]:
        setting = arm.setting
        if setting is None:
            return {}
        if setting.device == "cpu":
            return {keys.DEVICE_NAME: self.opened.environment.cpu_name}
        return {keys.DEVICE_NAME: device_name(setting.device, setting.device_index)}

    def _finished_children(self) -> set[str]:
        """Give the names of the settings that were logged before this run was stopped; delete half-logged ones."""
        store, finished = self.opened.store, set()
        for run in child_runs(store, self.run.run_id):
            if run.info.status == "FINISHED":
                finished.add(str(run.info.run_name))
            else:
                store.client.delete_run(run.info.run_id)
        return finished

    def _log_child(self, child: Mapping[str, Any]) -> None:
        """Log the setting's run. It is FINISHED whatever the verdict: that a setting is invalid is a result too."""
        store = self.opened.store
        metrics = [Metric(name, value, child["at"], 0) for name, value in child["metrics"].items()]
        with (
            created_run(store, child["name"], {**child["tags"], PARENT: self.run.run_id}) as run,
            store_errors(store.location),
        ):
            store.client.log_batch(run.run_id, metrics=metrics, params=as_params(child["params"]))


@dataclass(frozen=True)
class ComparisonTracking:
    """Records comparisons in MLflow; see `vecml.comparison.session`.

    Attributes:
        flow_run_id: the Prefect flow run that they belong to, or None.
        elsewhere: the machine and the libraries that measured; None: those of this process.
    """

    flow_run_id: str | None = None
    elsewhere: Environment | None = None

    def read_run(self, run_id: str, architecture: str | None) -> RecordedRun:
        return read_run(run_id, architecture)

    @contextmanager
    def open(self, name: str | None, file: Unfinished) -> Iterator[ComparisonWriter]:
        """Give the writer of a comparison for the `with` block; first log earlier comparisons that could not be."""
        log_unlogged(file)
        with tracked_comparison(name, self.flow_run_id, file, self.elsewhere) as writer:
            yield writer


@contextmanager
def tracked_comparison(
    name: str | None,
    flow_run_id: str | None = None,
    file: Unfinished | None = None,
    elsewhere: Environment | None = None,
) -> Iterator[ComparisonWriter]:
    """Open a comparison's parent run for the `with` block; it ends as in `tracked_run`.

    Args:
        name: name of the run; None lets MLflow make one.
        flow_run_id: id of the Prefect flow run that it belongs to.
        file: the file that keeps its launches; if it holds a stopped comparison, that run goes on.
        elsewhere: as for `ComparisonTracking`.

    Raises StoreError when the store cannot be opened or written.
    """
    store = locate().shown
    kept = file.resumable(store) if file is not None else None
    resume = (kept.run_id or None) if kept is not None else None
    try:
        device = device_name("cpu") if elsewhere is None else elsewhere.cpu_name
        with tracked_run(keys.COMPARE, name, device, flow_run_id, resume, elsewhere) as opened:
            if kept is not None and kept.measured is not None:
                launches = count(kept.launches, "complete launch")
                warn(
                    "VML016",
                    f"going on with run {opened.run.name}, which was stopped: {launches} kept; --fresh starts anew",
                )
            if file is not None:
                file.begin(store, opened.run.run_id, kept)
            yield ComparisonWriter(opened, file, kept)
        if file is not None:
            file.discard()
    finally:
        if file is not None:
            file.release()


def keep_measured(file: Unfinished, comparison: Comparison, name: str | None) -> bool:
    """Keep a whole comparison, which is to be logged in this store as `name`, in `file`; whether that could be done."""
    return file.keep_measured(locate().shown, comparison, description(comparison), name)


def said_where_kept() -> str:
    """Say where a comparison is that could not be logged."""
    return f"the comparison is kept in {cache.folder()}, and logged by the next start of vecml"


def log_unlogged(except_for: Unfinished | None = None) -> list[str]:
    """Log the finished comparisons that could not be logged because their store did not answer; give the runs' names.

    The file `except_for` is left out if its comparison goes on in this sitting.
    """
    location, logged = locate(), []
    going_on = except_for is not None and except_for.resumable(location.shown) is not None
    for file, kept in unlogged(location.shown):
        comparison = comparison_of(kept)
        if comparison is None or (going_on and except_for is not None and file.path == except_for.path):
            continue
        with tracked_comparison(kept.name, None, file, of_json(comparison.environment)) as writer:
            writer.log(comparison, kept.note)
        warn("VML016", f"run {writer.run.name} is logged now; it was measured when {location.shown} was away")
        logged.append(writer.run.name)
    return logged


def _shortened(note: str) -> str:
    """Cut the note to as many whole lines as MLflow accepts."""
    if len(note) <= LONGEST_NOTE:
        return note
    return note[: LONGEST_NOTE - len(REST)].rpartition("\n")[0] + REST
