"""evaluate: how good the labels are, and whether the reference engine agrees."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from vecml.data.table import Split
from vecml.engines.inference import Inference, score
from vecml.measure.clock import Timed, timed
from vecml.model.evaluate import Evaluation
from vecml.model.network import Model


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(split: Split, inference: Inference, replicas: Sequence[Model] = ()) -> Timed[Evaluation]:
    """Score the test part's labels, and every one of the `replicas`."""
    return timed(score, split, inference, replicas)
