"""vecml's packages `flows` and `tasks`, found wherever a file of the user's called `tasks.py` lies in the way.

Both names are common. The command finds its own before any folder on Python's path; a script keeps its `tasks.py` and
still calls `vecml.pipeline`.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from vecml.child import ROOT

NAMES = ("flows", "tasks")


class _OwnFinder:
    """Finds the two packages beside vecml itself, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in NAMES or path is not None:
            return None
        return PathFinder.find_spec(name, [ROOT], target)


def found_first() -> None:
    """Make `flows` and `tasks` vecml's in this process from now on, whatever else is called so."""
    if _OwnFinder not in sys.meta_path:
        sys.meta_path.insert(0, _OwnFinder)


_ours: dict[str, ModuleType] = {}


@contextmanager
def own_packages() -> Iterator[None]:
    """Make `flows` and `tasks` vecml's within the `with` block; after it they are again what they were."""
    theirs = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours_by_name(name)}
    foreign = {name: module for name, module in theirs.items() if not _lies_here(module)}
    if not foreign:
        sys.modules.update(theirs)
        theirs = {}
    elif _ours:
        sys.modules.update(_ours)
    sys.meta_path.insert(0, _OwnFinder)
    try:
        yield
    finally:
        sys.meta_path.remove(_OwnFinder)
        if foreign:
            for name in [name for name in sys.modules if _is_ours_by_name(name)]:
                _ours[name] = sys.modules.pop(name)
            sys.modules.update(theirs)


def pipeline(*given: Any, **settings: Any) -> Any:
    """Run the pipeline as `flows.pipeline.pipeline` does; a `tasks.py` or `flows.py` of the user's does not matter.

    Args:
        given: a `PipelineConfig`; without one it is the notebook's job.
        settings: `data`, for a table in memory, and fields of `PipelineConfig`, laid over it.

    Returns what the run made, a `vecml.report.summary.PipelineResult`. Raises VecmlError: bad input, or a run that
    FAILED.
    """
    with own_packages():
        return importlib.import_module("flows.pipeline").pipeline(*given, **settings)


def _is_ours_by_name(name: str) -> bool:
    return name.partition(".")[0] in NAMES


def _lies_here(module: ModuleType) -> bool:
    place = getattr(module, "__file__", None) or ""
    return place.startswith(ROOT)
