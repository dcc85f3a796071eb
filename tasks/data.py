"""generate and split: from what the user names to encoded parts."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.data.table import Split, Table
from vecml.measure.clock import Timed, timed


@task(name="generate", cache_policy=NO_CACHE, persist_result=False)
def generate(config: PipelineConfig) -> Timed[Table]:
    """Read the table that `config` names, or draw one."""
    return timed(load_table, config)


@task(name="split", cache_policy=NO_CACHE, persist_result=False)
def split(table: Table, config: PipelineConfig) -> Timed[Split]:
    """Take the test rows apart and encode both parts with figures of the training part."""
    return timed(split_table, table, config.test_fraction, config.seed)
