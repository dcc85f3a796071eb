"""The process that talks to Ray takes its own short name of a folder with it, and no symbolic link of the user's."""

import sys
from pathlib import Path

import pytest

from vecml import child
from vecml.cluster.ray_cluster import variables

WORK = "import sys, pathlib; from vecml.cluster.driver import drive; drive(lambda *_: None, pathlib.Path(sys.argv[1]))"


@pytest.mark.parametrize(("where", "stays"), [("auto", True), ("ray://head:10001", True), ("local:2", False)])
def test_only_a_link_that_vecml_has_made_goes_with_it(tmp_path: Path, where: str, stays: bool) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder, target_is_directory=True)
    environment = child.environment(RAY_TMPDIR=str(link)) | variables(where, str(link), "token")
    started = child.spawn([sys.executable, "-P", "-c", WORK, str(tmp_path)], environment)
    try:
        with pytest.raises(child.EndedError):
            started.receive(60)
    finally:
        started.close(20)
    assert started.code == 0
    assert link.is_symlink() is stays
    assert folder.is_dir()
