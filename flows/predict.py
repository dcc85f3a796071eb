"""A batch as a Prefect flow: find-model → label, recorded in MLflow.

>>> from flows.predict import predict
>>> from vecml.batch.config import BatchConfig
>>> predict(BatchConfig(data="orders/", out="labels/"))  # doctest: +SKIP
"""

from prefect import flow
from prefect.runtime import flow_run

from flows.artifacts import publish_labels
from flows.cancellation import as_cancelled, close_run, stop_when_cancelled
from flows.server import serving, without_heartbeat
from flows.signals import leaving_in_order
from tasks import batch
from tasks.compare import as_task
from tasks.tracking.batch import log_batch, tracked_batch
from vecml.batch.config import BatchConfig
from vecml.batch.label import Labelled


@flow(
    name="predict",
    persist_result=False,
    validate_parameters=True,
    on_cancellation=[close_run],
    on_crashed=[as_cancelled, close_run],
)
def predict_flow(config: BatchConfig) -> Labelled:
    """Label many files into a folder of parts, on this machine or on a cluster; again, after an end, for the rest."""
    batch.check(config)
    with stop_when_cancelled(), tracked_batch(config.name, flow_run.get_id()) as writer:
        asked = (config.model, config.engine, config.threads, config.architecture)
        named, setting, _ = as_task("find-model", batch.find)(*asked)
        labelled = as_task("label", batch.label)(config, named, setting)
        log_batch(writer, config, named, labelled)
    publish_labels(labelled, named.run.classifier.model.classes, writer.run)
    return labelled


def predict(config: BatchConfig) -> Labelled:
    """Label many files as a flow from Python, on the user's Prefect server or, without one, a temporary one.

    Raises what `vecml.batch.label.label_files` raises, StoreError or ServerError when a store or server fails.
    """
    with leaving_in_order(), serving(), without_heartbeat():
        labelled: Labelled = predict_flow(config)
    return labelled
