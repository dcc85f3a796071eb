"""evaluate: how good the labels are, and whether the reference engine agrees."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from vecml.data.table import Split
from vecml.engines.inference import Inference, score
from vecml.measure.clock import Timed, timed
from vecml.model.evaluate import Evaluation


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(split: Split, inference: Inference) -> Timed[Evaluation]:
    """Score the test part's labels."""
    return timed(score, split, inference)
