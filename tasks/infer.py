"""vectorized-infer: the test part through the chosen engine, and a sample of it through the reference."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from vecml.config import Setting
from vecml.data.table import Part
from vecml.engines.inference import Inference, infer
from vecml.model.network import AnyModel


@task(name="vectorized-infer", cache_policy=NO_CACHE, persist_result=False)
def vectorized_infer(model: AnyModel, test: Part, setting: Setting) -> Inference:
    """Load the engine, label the test part, and time the calls in this process."""
    return infer(model, test, setting)
