"""The pipeline: generate → split → train → vectorized-infer → evaluate, as one flow run and one MLflow run.

>>> from flows.pipeline import pipeline
>>> from vecml import PipelineConfig
>>> pipeline(PipelineConfig(data="table.csv", target="label"))      # shows itself in a terminal or a Jupyter cell
>>> pipeline(data=df, target="label")                               # a data frame, an Arrow table or a dict of arrays
"""

import dataclasses
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.artifacts import publish
from flows.cancellation import as_cancelled, close_run, stop_when_cancelled
from flows.server import serving, without_heartbeat
from flows.signals import leaving_in_order
from tasks.beforehand import read_before
from tasks.pipeline import choose, evaluate, generate, simple_models, split, train, vectorized_infer
from tasks.tracking.write import tracked
from vecml.config import PipelineConfig
from vecml.data.handed import handing_over, with_settings
from vecml.engines.own import check_runs
from vecml.inference.infer import complete_setting
from vecml.inference.setting import requested_setting, training_device
from vecml.model.find import check_there, find_class
from vecml.report.summary import PipelineResult, note


@flow(
    name="pipeline",
    persist_result=False,
    validate_parameters=True,
    on_cancellation=[close_run],
    on_crashed=[as_cancelled, close_run],
)
def pipeline_flow(config: PipelineConfig = PipelineConfig()) -> PipelineResult:  # noqa: B008 -- the form shows it
    """Train a classifier on a table and run its inference on one engine, tracked in MLflow."""
    setting = requested_setting(config)
    check_there(config.weights)
    if config.architecture is not None:
        find_class(config.architecture)
    device = training_device(config)
    with stop_when_cancelled(), tracked(config, device, flow_run.get_id()) as writer:
        table = generate(config)
        parts = split(table.value, config)
        writer.log_data(table.value, parts.value)
        if config.architecture is not None and setting is not None:
            check_runs(config.architecture, parts.value.encoding.n_features, len(parts.value.classes), setting)
        training = train(parts.value, config, device)
        model, test = training.value.model, parts.value.test
        choice = None
        if setting is None:
            choice = choose(model, test, config)
            setting = choice.setting
        complete = complete_setting(model, test, setting)
        writer.log_setting(complete.setting)
        inference = vectorized_infer(model, test, complete)
        evaluation = evaluate(parts.value, inference, training.value.replicas)
        asked = config.data is not None and not config.no_simple_models
        simple = simple_models(parts.value, inference, config) if asked else ()
        result = PipelineResult(
            config=config,
            table=dataclasses.replace(table.value, columns=()),
            split=parts.value,
            training=training.value,
            inference=inference,
            evaluation=evaluation.value,
            seconds={
                "generate": table.seconds,
                "split": parts.seconds,
                "train": training.seconds if config.weights is None else 0.0,
                "load_engine": inference.load_seconds,
                "infer": inference.measurement.seconds_per_call,
                "evaluate": evaluation.seconds,
            },
            environment=writer.environment,
            run=writer.run,
            choice=choice,
            simple=simple,
        )
        writer.log_result(result, note(result))
    publish(result)
    return result


def pipeline(config: PipelineConfig | None = None, *, data: object = None, **settings: Any) -> PipelineResult:
    """Run the pipeline from Python; the result shows itself in a terminal and in a Jupyter cell.

    It is a flow run on the user's Prefect server if one is configured, and on a temporary one otherwise. Data is read
    before that: what is refused starts no server and leaves no run.

    Args:
        config: what to run; None is the notebook's job.
        data: a data frame of pandas or Polars, an Arrow table, or a dict of arrays (N,) by column name, instead of a
            file. It stays in this process; the run names its type.
        settings: fields of `PipelineConfig`, laid over `config`: `pipeline(data=df, target="label", epochs=60)`.

    Raises:
        VecmlError: bad input, or a run that FAILED.
        StoreError: the place where runs are kept cannot be read or written.
        ServerError: a server does not answer.
    """
    config = with_settings(config or PipelineConfig(), data, settings)
    with leaving_in_order(), handing_over(data), read_before(config), serving(), without_heartbeat():
        result: PipelineResult = pipeline_flow(config)
    return result
