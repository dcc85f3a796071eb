"""The comparison's tasks: prepare (model and rows), choose-settings, measure."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.tracking.read import read_run
from vecml.comparison.compare import Job, compare_settings, plan_comparison
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.settings import Chosen, chosen_of
from vecml.comparison.subject import job_of
from vecml.comparison.unfinished import Kept, Unfinished, comparison_of, measured_before
from vecml.warnings import warn


@task(name="prepare", cache_policy=NO_CACHE, persist_result=False)
def prepare(config: ComparisonConfig) -> Job:
    """The named run's model over its test part, or a model trained for the purpose."""
    return job_of(config, None if config.run is None else read_run(config.run, config.subject.architecture))


@task(name="choose-settings", cache_policy=NO_CACHE, persist_result=False)
def choose_settings(config: ComparisonConfig, job: Job) -> Chosen:
    """The settings that can run the job here, with the block sizes that suit it."""
    return chosen_of(config, job.model, job.x_FN)


@task(name="measure", cache_policy=NO_CACHE, persist_result=False)
def measure(config: ComparisonConfig, job: Job, chosen: Chosen, file: Unfinished, kept: Kept | None) -> Comparison:
    """Measure what is not kept of it yet; each complete launch goes to `file`."""
    if (whole := comparison_of(kept)) is not None:
        warn("VML016", measured_before(whole))
        return whole
    resumed = None if kept is None else kept.measured
    plan = plan_comparison(chosen, config.budget)
    return compare_settings(job, chosen, plan, resumed=resumed, keep=file.keep_launches)
