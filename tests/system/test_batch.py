"""Killed in the middle and run again, a batch has each row once, and the bytes of one that was never killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.made import contents, files_of, label, single
from vecml.batch.folder import Folder
from vecml.batch.manifest import verify
from vecml.data.places import place_of

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")]

# Kills itself at the given renaming, just before or just after it: of the plan, a part, its record, the manifest ...
CHILD = """
import os, pathlib, signal, sys, warnings
from tests.batch.made import label
warnings.simplefilter("ignore")
data, root, *points = sys.argv[1:]
for point in points:
    pid = os.fork()
    if not pid:
        left, after = int(point[1:]), point[0] == "a"
        replace = pathlib.Path.replace
        def counted(path, target):
            global left
            left -= 1
            if left < 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(path, target)
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        pathlib.Path.replace = counted
        label(data, f"{root}/{point}", keep=("id",), rows=True)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    print(point, os.WIFSIGNALED(status) and os.WTERMSIG(status))
"""


def test_killed_at_any_point_and_run_again_each_row_is_there_once(tmp_path: Path) -> None:
    data, never = files_of(tmp_path / "data", [300, 650]), tmp_path / "never"
    told = label(data, never, keep=("id",), rows=True)
    writes = 1 + 2 * told.parts + 2
    points = ["b0", "a0", "b1", "a1", "b2", "a2", "b5", "a6", f"b{writes - 2}", f"a{writes - 2}", f"b{writes - 1}"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, data, tmp_path, *points],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.stdout.split() == [word for point in points for word in (point, "9")], done.stderr
    for point in points:
        out = tmp_path / point
        assert not (out / "_SUCCESS").exists()
        again = label(data, out, keep=("id",), rows=True)
        assert again.taken_over == min(max(int(point[1:]) + (point[0] == "a") - 1, 0) // 2, told.parts), point
        assert contents(out) == contents(never), point
        assert verify(Folder(place_of(str(out), "--verify"))).rows == single(tmp_path).num_rows
