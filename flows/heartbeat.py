"""Prefect's heartbeat, which a run from a terminal goes without.

Its thread sleeps a second at a time and is joined when the flow ends, which costs half a second on average: a tenth of
a short run. The heartbeat serves automations that look for crashed runs on workers, and there it stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@contextmanager
def without_heartbeat() -> Iterator[None]:
    """Let flow runs send no heartbeat during the `with` block."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
