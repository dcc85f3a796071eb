"""train: the classifier from the training part."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from vecml.config import PipelineConfig
from vecml.data.table import Split
from vecml.measure.clock import Timed, timed
from vecml.model.train import Training
from vecml.model.train import train as train_model


@task(name="train", cache_policy=NO_CACHE, persist_result=False)
def train(split: Split, config: PipelineConfig, device: str) -> Timed[Training]:
    """Train the network that `config` describes on `device`."""
    return timed(train_model, split, config, device)
