"""A patch is taken by `git apply` and by `patch -p1`, whatever the file is called and however it is encoded."""

import shutil
import subprocess
from pathlib import Path

import pytest

from vecml.optimize.patch import encoded, new_file_diff, unified_diff

TAKES = {"git": ["git", "apply", "winner.patch"], "patch": ["patch", "-p1", "-i", "winner.patch"]}
OLD = "# données\n-- a/x\n++ b/y\nkeep\nlast"
NEW = "# données\n-- a/é\n++ b/y\nkeep\n++ b/é\nend"


@pytest.mark.parametrize("name", ["model.py", "Untitled 1.ipynb", "données.py", "Ω tab.py"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("program", TAKES)
def test_a_patch_is_taken(tmp_path: Path, name: str, encoding: str, program: str) -> None:
    if shutil.which(TAKES[program][0]) is None:
        pytest.skip(f"there is no {program}")
    (tmp_path / name).write_bytes(OLD.encode(encoding))
    both = unified_diff(OLD, NEW, name) + new_file_diff("made = 1\n", "made anew.py")
    (tmp_path / "winner.patch").write_bytes(encoded(both, encoding))
    subprocess.run(TAKES[program], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / name).read_bytes() == NEW.encode(encoding)
    assert (tmp_path / "made anew.py").read_text() == "made = 1\n"
