"""The steps of a comparison as Prefect tasks, so that Prefect's page shows them: prepare, choose-settings, measure."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

P = ParamSpec("P")
T = TypeVar("T")


def as_task(name: str, function: Callable[P, T]) -> Callable[P, T]:
    """Make `function` a Prefect task called `name`; see `vecml.comparison.session.Step`."""
    return task(name=name, cache_policy=NO_CACHE, persist_result=False)(function)
