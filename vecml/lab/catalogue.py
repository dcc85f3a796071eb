"""The lab's experiments by name, in the order in which they are told."""

from importlib import import_module

from vecml.errors import SettingError
from vecml.lab.experiment import Experiment

NAMES = ("simd", "ufunc", "locality", "blas_threads", "broadcasting", "gil", "dtype", "gpu")
ALL = "all"


def experiment(name: str) -> Experiment:
    """The experiment called so; raises SettingError with the names that there are."""
    if name not in NAMES:
        raise SettingError(f"lab {name}: there is no such experiment", f"choose from {', '.join((*NAMES, ALL))}")
    found: Experiment = import_module(f"vecml.lab.experiments.{name}").EXPERIMENT
    return found


def chosen(name: str) -> tuple[Experiment, ...]:
    """The experiment called so, or all of them."""
    return tuple(map(experiment, NAMES)) if name == ALL else (experiment(name),)
