"""The comparison as a Prefect flow: prepare → choose-settings → measure, recorded in MLflow, then confirm if asked for.

>>> from flows.compare import compare
>>> from vecml.comparison.config import ComparisonConfig
>>> compare(ComparisonConfig(engines=("numpy", "halide")))      # shows itself in a terminal or a Jupyter cell
"""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.artifacts import publish_comparison
from flows.cancellation import as_cancelled, close_run, stop_when_cancelled
from flows.server import serving, without_heartbeat
from flows.signals import leaving_in_order
from tasks.compare import as_task
from tasks.history import confirm
from tasks.tracking.comparison import ComparisonTracking
from vecml.comparison import session
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.data.handed import handing_over, with_settings
from vecml.report.comparison import ComparisonResult, shown


@flow(
    name="compare",
    persist_result=False,
    validate_parameters=True,
    on_cancellation=[close_run],
    on_crashed=[as_cancelled, close_run],
)
def compare_flow(config: ComparisonConfig = ComparisonConfig()) -> Comparison:  # noqa: B008 -- the form shows it
    """Compare ways to run a model's inference on this machine, and say which differences are real.

    A comparison that was stopped continues after its last complete launch. With `fail_on_regression`, a setting
    that became slower than its history is measured again; if that confirms it, the flow fails with RegressionError.
    """
    with stop_when_cancelled():
        done = session.compare(config, ComparisonTracking(flow_run.get_id()), step=as_task)
        publish_comparison(done.comparison, done.writer.run)
        if config.fail_on_regression:
            confirm(config, done.job, done.chosen, done.writer.run.run_id)
    return done.comparison


def compare(config: ComparisonConfig | None = None, *, data: object = None, **settings: Any) -> ComparisonResult:
    """Run the comparison as a flow from Python, on the user's Prefect server or, without one, a temporary one.

    Args:
        config: what to compare; None is what `vecml compare` does.
        data: a data frame, an Arrow table or a dict of arrays by column name to train on, instead of a file.
        settings: fields of the config's subject, laid over it: `compare(data=df, target="label")`.

    Raises VecmlError for bad input, RegressionError with `fail_on_regression`, StoreError or ServerError when a store
    or server fails.
    """
    config = config or ComparisonConfig()
    config = config.model_copy(update={"subject": with_settings(config.subject, data, settings)})
    with leaving_in_order(), handing_over(data), serving(), without_heartbeat():
        return shown(compare_flow(config))
