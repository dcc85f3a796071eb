"""Whether a node has what this machine has."""

from collections.abc import Iterable, Mapping

from vecml import __version__
from vecml.cluster.node import Node
from vecml.errors import SettingError

ALL = ("vecml", "python", "pyarrow", "numpy", "machine")
WITHOUT_MACHINE = ALL[:-1]


def check_versions(name: str, told: Mapping[str, str | None], wanted: Iterable[str]) -> None:
    """Raise SettingError, which names the node, where it has another version than this machine, or lacks something.

    Args:
        name: of the node.
        told: by the node, as `vecml.cluster.node.Node.facts` says it.
        wanted: which of them must be the same.
    """
    own = Node().facts()
    for one in wanted:
        here, there = own[one], told.get(one)
        if there == here:
            continue
        said = f"has no {one}" if there is None else f"has {one} {there}, and this machine {here}"
        hint = f"install the same on all nodes: vecml {__version__}, Python {own['python']}"
        raise SettingError(f"node {name} {said}", hint)
