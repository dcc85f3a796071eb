"""A cluster of Ray on this machine labels into the same bytes as one process, and what is wrong is said beforehand."""

from pathlib import Path

import pytest

from tests.batch.made import contents, files_of, label
from vecml.batch.cluster import Wish
from vecml.batch.folder import Folder
from vecml.batch.manifest import verify
from vecml.data.places import place_of

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vecml[ray]'")
pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")]


def test_a_cluster_makes_the_same_bytes(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [130, 700])
    asked = {"keep": ("id",), "rows": True, "probabilities": True}
    one = label(data, tmp_path / "one", **asked)
    told = label(data, tmp_path / "two", cluster=Wish("local:2"), **asked)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert (told.counts, told.unseen, told.filled) == (one.counts, one.unseen, one.filled)
    assert sum(node.rows for node in told.crew.nodes) == told.n_rows
    assert sum(node.parts for node in told.crew.nodes) == told.parts
    assert verify(Folder(place_of(str(tmp_path / "two"), "--verify"))).rows == told.n_rows
    again = label(data, tmp_path / "two", cluster=Wish("local:2"), **asked)
    assert again.taken_over == told.parts
