"""choose-engine: with `--engine auto`, the fastest engine for the trained model on this machine."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from vecml.comparison.auto import Choice, choose_engine
from vecml.config import PipelineConfig
from vecml.data.table import Part
from vecml.engines.resolve import candidates
from vecml.model.network import AnyModel


@task(name="choose-engine", cache_policy=NO_CACHE, persist_result=False)
def choose(model: AnyModel, test: Part, config: PipelineConfig) -> Choice:
    """Compare the engines on the test part's features, or take what an earlier comparison found."""
    return choose_engine(model, test.x_FN, candidates(config), config.budget)
