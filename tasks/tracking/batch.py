"""A batch in MLflow: a run with its counts, its rates and its failures, and a link to it at the model's version."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from tasks.tracking.promotion import StoredModel
from tasks.tracking.registry import ADDRESS
from tasks.tracking.run import ResultWriter, RunContent, tracked_run
from tasks.tracking.store import store_errors
from vecml import keys
from vecml.batch.config import BatchConfig
from vecml.batch.label import Labelled
from vecml.device import device_name
from vecml.errors import StoreError
from vecml.numbers import count, rate
from vecml.passwords import without_passwords
from vecml.report.summary import markdown
from vecml.warnings import warn

LABELS_TAG = "vecml.labels"
LONGEST = 1_000  # characters of a param


@contextmanager
def tracked_batch(name: str | None, flow_run_id: str | None) -> Iterator[ResultWriter]:
    """Give a batch's writer for the `with` block, in a new run, which ends as in `tracked_run`.

    `name` is the run's, or None; `flow_run_id` is that of the Prefect flow run, or None. Raises StoreError.
    """
    with tracked_run(keys.PREDICT, name, device_name("cpu"), flow_run_id) as opened:
        yield ResultWriter(opened)


def log_batch(writer: ResultWriter, config: BatchConfig, named: StoredModel, labelled: Labelled) -> None:
    """Log what was labelled, and link the run at the model's version.

    Args:
        writer: of the batch's run.
        config: what was asked for.
        named: the model that labelled.
        labelled: what came of it.

    Raises StoreError where the run cannot be written; where only the link cannot, it warns (VML010).
    """
    writer.log(batch_content(config, named, labelled))
    version = ADDRESS.fullmatch(named.address)
    if version is None or version[2] is None:
        return
    store = writer.opened.store
    try:
        with store_errors(store.location):
            store.client.set_model_version_tag(version[1], version[2], LABELS_TAG, writer.run.url)
    except StoreError as error:
        warn("VML010", f"{named.address} could not be given the link to run {writer.run.name}: {error}")


def batch_content(config: BatchConfig, named: StoredModel, labelled: Labelled) -> RunContent:
    """Prepare a batch for its run; the arguments are those of `log_batch`."""
    asked: dict[str, Any] = {
        **config.model_dump(),
        **asdict(labelled.setting),
        "data_source": without_passwords(config.data),
        "model": named.address,
        "part_size": config.part_size or "256MiB",
    }
    classes = named.run.classifier.model.classes
    rates = {node.node: node.rows / node.seconds for node in labelled.crew.nodes if node.rows and node.seconds}
    own = labelled.new_rows / labelled.seconds
    metrics = {
        "predict/rows": labelled.n_rows,
        "predict/new_rows": labelled.new_rows,
        "predict/files": labelled.files,
        "predict/parts": labelled.parts,
        "predict/taken_over": labelled.taken_over,
        "predict/seconds": labelled.seconds,
        "predict/rows_per_s": own,
        "predict/nodes": len(rates) or 1,
        "predict/node_failures": sum(node.failures for node in labelled.crew.nodes),
        "predict/retries": labelled.crew.retries,
        "predict/slowest_node_rows_per_s": min(rates.values(), default=own),
        "predict/fastest_node_rows_per_s": max(rates.values(), default=own),
        "predict/unseen_categories": labelled.unseen,
        "predict/markers_filled_in": labelled.filled,
    }
    content = {
        "version": 1,
        "folder": labelled.folder,
        "plan": labelled.digest,
        "counts": dict(zip(classes, labelled.counts, strict=True)),
        "nodes": [asdict(node) for node in labelled.crew.nodes],
        "notes": labelled.crew.notes,
    }
    return RunContent(
        {"labels.json": json.dumps(content, indent=1) + "\n"},
        {key: keys.text(asked[key])[:LONGEST] for key in keys.PREDICT_PARAMS},
        {key: float(metrics[key]) for key in keys.PREDICT_METRICS},
        {
            "vecml.plan_digest": labelled.digest,
            "vecml.model_digest": named.run.model_digest,
            "vecml.model_run": named.run.run_id,
        },
        _note(labelled, named, classes),
    )


def _note(labelled: Labelled, named: StoredModel, classes: tuple[str, ...]) -> str:
    """The run's description: what was labelled, the classes, and the nodes, as Markdown."""
    lines = [
        f"{count(labelled.n_rows, 'row')} of {count(labelled.files, 'file')} labelled by {markdown(named.address)} in"
        f" {markdown(labelled.folder)}, {count(labelled.parts, 'part')}.",
        "",
        "| class | rows |",
        "|---|---|",
        *(f"| {markdown(name)} | {rows:,} |" for name, rows in zip(classes, labelled.counts, strict=True)),
    ]
    if labelled.crew.nodes:
        lines += ["", "| node | parts | rows | rate | failures |", "|---|---|---|---|---|"]
        lines += [
            f"| {markdown(one.node)} | {one.parts:,} | {one.rows:,} |"
            f" {rate(one.rows / one.seconds) if one.seconds else ''} | {one.failures} |"
            for one in labelled.crew.nodes
        ]
    return "\n".join(lines)
