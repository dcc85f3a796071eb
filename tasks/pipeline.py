"""The steps of the pipeline as Prefect tasks: generate, split, train, choose-engine, vectorized-infer, evaluate.

Each task calls one function of the library and measures its time. `flows.pipeline` runs them in order.
"""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.beforehand import take_split, take_table
from vecml.comparison.auto import Choice, choose_engine
from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import Part, Split, split_table
from vecml.data.table import Table
from vecml.inference.block_size import Complete
from vecml.inference.infer import Inference, infer, score
from vecml.inference.setting import candidates
from vecml.measure.clock import Timed, timed
from vecml.model.evaluate import Evaluation
from vecml.model.network import AnyModel, Model
from vecml.model.simple_models import SimpleModel
from vecml.model.simple_models import simple_models as fit_simple_models
from vecml.model.train import Training
from vecml.model.train import train as train_model


@task(name="generate", cache_policy=NO_CACHE, persist_result=False)
def generate(config: PipelineConfig) -> Timed[Table]:
    """Read the table that `config` names, or generate a random one; take it where it was read before the flow."""
    return take_table() or timed(load_table, config)


@task(name="split", cache_policy=NO_CACHE, persist_result=False)
def split(table: Table, config: PipelineConfig) -> Timed[Split]:
    """Split the table into a training and a test part; encode both with the statistics of the training part."""
    return take_split() or timed(split_table, table, config.test_fraction, config.seed, config.sample)


@task(name="train", cache_policy=NO_CACHE, persist_result=False)
def train(split: Split, config: PipelineConfig, device: str) -> Timed[Training]:
    """Train the network that `config` describes on `device`."""
    return timed(train_model, split, config, device, config.replicas)


@task(name="choose-engine", cache_policy=NO_CACHE, persist_result=False)
def choose(model: AnyModel, test: Part, config: PipelineConfig) -> Choice:
    """Choose the engine (`--engine auto`) by a comparison on the test part, or by an earlier comparison."""
    return choose_engine(model, test.x_FN, candidates(config), config.budget)


@task(name="vectorized-infer", cache_policy=NO_CACHE, persist_result=False)
def vectorized_infer(model: AnyModel, test: Part, complete: Complete) -> Inference:
    """Load the engine, label the test part, and time the calls in this process."""
    return infer(model, test, complete.setting, complete.first_load_seconds)


@task(name="simple-models", cache_policy=NO_CACHE, persist_result=False)
def simple_models(split: Split, inference: Inference, config: PipelineConfig) -> tuple[SimpleModel, ...]:
    """Fit the models that the network has to be better than, and compare both on the test part."""
    return fit_simple_models(split, inference.label_N, config.class_weight, config.seed)


@task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate(split: Split, inference: Inference, replicas: Sequence[Model] = ()) -> Timed[Evaluation]:
    """Score the test part's labels, and the labels of each of the `replicas`."""
    return timed(score, split, inference, replicas)
