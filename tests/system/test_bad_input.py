"""Bad input through the whole command: one clear line, exit code 2, no traceback, nothing left RUNNING or half-written.

The messages themselves are tested where they are made; here one of each kind goes all the way.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.system.conftest import BIN, SMALL, runs_in

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]

AT_ONCE = [
    (("--rows", "0"), "error: --rows 0: must be at least 1\n"),
    (("--rows", "-5"), "error: --rows -5: must be at least 1\n"),
    (("--block-rows", "0"), "error: --block-rows 0: must be at least 1\n"),
    (("--block-rows", "many"), "error: --block-rows many: neither a number nor auto\n"),
    (("--epochs", "0"), "error: --epochs 0: must be at least 1\n"),
    (("--hidden", "64;32"), "error: --hidden 64;32: not a list of widths\nhint: for example --hidden 64,32\n"),
    (("--rows", "x"), "error: Invalid value for '--rows': 'x' is not a valid int.\nhint: vecml run --help\n"),
    (("--row", "5"), "error: No such option: --row Did you mean --rows?\nhint: vecml run --help\n"),
    (
        ("--engine", "tensorflow"),
        "error: --engine tensorflow: there is no such engine\nhint: choose from row_loop, numpy, torch\n",
    ),
    (("--ignore", "VML999"), "error: --ignore VML999: there is no such warning\n"),
    (("--data", "none.csv", "--target", "y"), "error: no such file: none.csv\n"),
    (
        ("--data", "sklearn:digit"),
        "error: there is no data set sklearn:digit\n",
    ),
]


@pytest.mark.parametrize(("flags", "message"), AT_ONCE, ids=[" ".join(flags) for flags, _ in AT_ONCE])
def test_what_is_known_at_once(vecml: Vecml, tmp_path: Path, flags: tuple[str, ...], message: str) -> None:
    done = vecml("run", *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_too_many_threads(vecml: Vecml) -> None:
    done = vecml("run", "--threads", "9999")
    assert done.returncode == 2
    cpus = len(os.sched_getaffinity(0))
    assert done.stderr.startswith(f"error: --threads 9999: this machine offers {cpus} CPU")


def test_bad_data_ends_the_run_failed(vecml: Vecml, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b,label\n1,2,x\n3,inf,y\n" * 20)
    done = vecml("run", "--data", "bad.csv", "--target", "label")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: column 'b' has an infinite value in row 2\n")
    assert len(done.stderr.splitlines()) == 2
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FAILED"
    assert run.data.tags["vecml.error"] == "column 'b' has an infinite value in row 2"
    assert run.info.end_time is not None


def test_debug_shows_the_traceback(vecml: Vecml, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,label\n1,x\n2,x\n")
    done = vecml("run", "--data", "bad.csv", "--target", "label", "--debug")
    assert done.returncode != 0
    assert "Traceback (most recent call last)" in done.stderr


def test_cuda_without_one(vecml: Vecml) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = vecml("run", "--device", "cuda")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --device cuda: this machine has none\n")


def test_a_read_only_mlruns(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "mlruns"
    folder.mkdir()
    folder.chmod(0o555)
    command = [str(BIN / "vecml"), "run", *SMALL]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]  # root without its powers
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: cannot write to {folder}: Permission denied\nhint: ")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("limit", [2_000, 600_000])
def test_a_full_disk(vecml: Vecml, tmp_path: Path, environment: dict[str, str], limit: int) -> None:
    """No file may grow past a limit: before the first byte, and in the middle of a run."""
    done = subprocess.run(
        ["prlimit", f"--fsize={limit}", str(BIN / "vecml"), "run", *SMALL],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "mlruns") in done.stderr
    again = vecml("run", *SMALL)
    assert again.returncode == 0, again.stderr
    assert "RUNNING" not in [run.info.status for run in runs_in(tmp_path)]


def test_a_prefect_server_that_is_down(vecml: Vecml) -> None:
    done = vecml("run", *SMALL, env={"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    assert done.returncode == 2
    assert done.stderr == (
        "error: the Prefect server at http://127.0.0.1:9/api does not answer: [Errno 111] Connection refused\n"
        "hint: start it (prefect server start), or unset PREFECT_API_URL to use a temporary one\n"
    )


def test_a_tracking_server_that_is_down(vecml: Vecml) -> None:
    done = vecml("run", *SMALL, env={"MLFLOW_TRACKING_URI": "http://user:secret@127.0.0.1:9"})
    assert done.returncode == 2
    assert done.stderr.startswith("error: the tracking store http://user:***@127.0.0.1:9 failed: ")
    assert "secret" not in done.stdout + done.stderr


def test_wide_numbers_are_data_not_flags(vecml: Vecml, tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.full((5, 2), 1e300))
    done = vecml("run", "--data", "table.npy", "--target", "1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
