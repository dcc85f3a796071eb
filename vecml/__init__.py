"""vecml: every way to run a classifier on this machine, measured, proven to agree, and tracked.

    >>> import vecml
    >>> classifier = vecml.load("folder of a saved model")      # runs no code of the folder's
    >>> labels = vecml.predict(classifier, "new.csv")           # a file, a DataFrame, an Arrow table or arrays by name
    >>> vecml.compare(classifier, "new.csv")                    # which engine is faster here, and is it really?

A whole run from Python: `vecml.pipeline(vecml.PipelineConfig(data=..., target=...))`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecml.config import PipelineConfig as PipelineConfig
    from vecml.estimator import TabularClassifier as TabularClassifier
    from vecml.interactive import compare as compare
    from vecml.interactive import compare_functions as compare_functions
    from vecml.interactive import predict as predict
    from vecml.model.store import load as load
    from vecml.own_packages import pipeline as pipeline

__version__ = "0.2.0"
__all__ = [
    "PipelineConfig",
    "TabularClassifier",
    "__version__",
    "compare",
    "compare_functions",
    "load",
    "pipeline",
    "predict",
]

_HOMES = {
    "PipelineConfig": "vecml.config",
    "TabularClassifier": "vecml.estimator",
    "compare": "vecml.interactive",
    "compare_functions": "vecml.interactive",
    "load": "vecml.model.store",
    "pipeline": "vecml.own_packages",
    "predict": "vecml.interactive",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: `vecml --help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vecml' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
