"""Bad input through the whole command: one clear line, exit code 2, no traceback, nothing left RUNNING or half-written.

Data is read before a server is started, so that bad data leaves no run.

The messages themselves are tested where they are made; here one of each kind goes all the way.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from flows.server import TemporaryServer
from tests.system.conftest import BIN, SMALL, runs_in
from tests.system.forked_commands import Commands

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]

AT_ONCE = [
    (("--rows", "0"), "error: --rows 0: must be at least 1\n"),
    (("--rows", "-5"), "error: --rows -5: must be at least 1\n"),
    (("--block-rows", "0"), "error: --block-rows 0: must be at least 1\n"),
    (("--block-rows", "many"), "error: --block-rows many: neither a number nor auto\n"),
    (("--epochs", "0"), "error: --epochs 0: must be at least 1\n"),
    (("--hidden", "64;32"), "error: --hidden 64;32: not a list of widths\nhint: for example --hidden 64,32\n"),
    (("--rows", "x"), "error: --rows x: not a whole number\n"),
    (("--test-fraction", "half"), "error: --test-fraction half: not a number\n"),
    (("--row", "5"), "error: No such option: --row (Possible options: --drop, --rows)\nhint: vecml run --help\n"),
    (("--data",), "error: Option '--data' requires an argument.\nhint: vecml run --help\n"),
    (("table.csv",), "error: Got unexpected extra argument(s) (table.csv)\nhint: vecml run --help\n"),
    (
        ("--data", "a.csv", "b.csv"),
        "error: Got unexpected extra argument(s) (b.csv)\n"
        "hint: several files are one value: put the pattern in quotes, --data 'parts/*.csv'\n",
    ),
    (
        ("--engine", "tensorflow"),
        "error: --engine tensorflow: there is no such engine\n"
        "hint: choose from auto, row_loop, numpy, torch, torch_compile, onnxruntime, openvino, halide\n",
    ),
    (("--engine", "numpy", "--precision", "float16"), "error: engine numpy cannot run this model here: "),
    (("--data", "sklearn:iris", "--rows", "5"), "error: --rows 5: only generated data has it to choose\n"),
    (("--json", "none/a.json"), "error: --json none/a.json: there is no folder none\n"),
    (("--ignore", "VML999"), "error: --ignore VML999: there is no such warning\n"),
    (("--data", "none.csv", "--target", "y"), "error: no such file: none.csv\n"),
    (
        ("--data", "sklearn:digit"),
        "error: there is no set sklearn:digit\nhint: sets: ",
    ),
]


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would start a Prefect server fails the test."""

    def start(server: TemporaryServer) -> None:
        pytest.fail("a Prefect server was started")

    monkeypatch.setattr(TemporaryServer, "start", start)


@pytest.mark.parametrize(("flags", "message"), AT_ONCE, ids=[" ".join(flags) for flags, _ in AT_ONCE])
def test_what_is_known_at_once(vecml_here: Vecml, tmp_path: Path, flags: tuple[str, ...], message: str) -> None:
    done = vecml_here("run", *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_too_many_threads(vecml_here: Vecml) -> None:
    done = vecml_here("run", "--threads", "9999")
    assert done.returncode == 2
    cpus = len(os.sched_getaffinity(0))
    assert done.stderr.startswith(f"error: --threads 9999: this machine offers {cpus} CPU")


def test_bad_data_starts_no_server_and_leaves_no_run(vecml_here: Vecml, tmp_path: Path, no_server: None) -> None:
    (tmp_path / "bad.csv").write_text("a,b,label\n" + "1,2,x\n3,inf,y\n" * 20)
    done = vecml_here("run", "--data", "bad.csv", "--target", "label")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: column 'b' has an infinite value in row 2, line 3\n")
    assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_a_hint_pasted_into_a_shell_leads_to_a_run(vecml_here: Vecml, vecml: Vecml, tmp_path: Path) -> None:
    """Whatever the columns are called, and whatever else was asked for."""
    header = 'a,$b,"it\'s, so","two\nlines",--dash,[bold],," blank",lable'
    rows = [f"{row * 7 % 31},{row * 5 % 17},inf,inf,inf,inf,-inf,inf,{'xy'[row % 3 % 2]}" for row in range(60)]
    (tmp_path / "my data.csv").write_text("\n".join([header, *rows]) + "\n")
    done = vecml_here("run", "--data", "my data.csv", "--target", "label", "--epochs", "3", "--name", "50 % $HOME")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    shell = subprocess.run(
        ["sh", "-c", "printf '%s\\0' " + line[line.index("vecml run") :]], capture_output=True, text=True, check=True
    )
    words = shell.stdout.removesuffix("\0").split("\0")
    assert words[:4] == ["vecml", "run", "--data", "my data.csv"]
    done = vecml(*words[1:])
    assert done.returncode == 0, done.stderr
    (run,) = runs_in(tmp_path)
    assert (run.info.run_name, run.data.params["n_features"], run.data.params["epochs"]) == ("50 % $HOME", "2", "3")


def test_a_split_that_cannot_be_starts_no_server(vecml_here: Vecml, tmp_path: Path, no_server: None) -> None:
    (tmp_path / "few.csv").write_text("a,label\n" + "".join(f"{row},{row % 2}\n" for row in range(6)))
    done = vecml_here("run", "--data", "few.csv", "--target", "label", "--test-fraction", "0.1")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --test-fraction 0.1: a test part of 1 row cannot hold 2 classes\n")
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_a_refusal_imports_neither_torch_nor_prefect_nor_mlflow(tmp_path: Path, environment: dict[str, str]) -> None:
    """These take seconds; a refusal has three of them in all."""
    (tmp_path / "bad.csv").write_text("a,b,label\n" + "1,2,x\n3,inf,y\n" * 20)
    program = (
        "import sys\nfrom vecml.cli.app import main\nsys.argv = ['vecml', *sys.argv[1:]]\ntry:\n    main()\nfinally:\n"
        "    print(sorted({'torch', 'prefect', 'mlflow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, "run", "--data", "bad.csv", "--target", "label"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == "[]\n"


def test_bad_data_ends_a_flow_run_failed(tmp_path: Path, forked: Commands) -> None:
    """As on a worker, where the flow reads the data by itself: there the run says why it failed."""
    (tmp_path / "bad.csv").write_text("a,b,label\n" + "1,2,x\n3,inf,y\n" * 20)
    program = (
        "from flows.pipeline import pipeline_flow\nfrom vecml import PipelineConfig\n"
        "pipeline_flow(PipelineConfig(data='bad.csv', target='label'))"
    )
    done = forked.script(program, tmp_path)
    assert "column 'b' has an infinite value in row 2, line 3" in done.stderr
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FAILED"
    assert run.data.tags["vecml.error"] == "column 'b' has an infinite value in row 2, line 3"
    assert run.info.end_time is not None


def test_more_rows_than_there_is_memory_for(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("run", "--rows", "1000000000000")
    assert done.returncode == 2
    assert done.stderr.startswith("error: not enough memory: ")
    assert len(done.stderr.splitlines()) == 2
    assert [run.info.status for run in runs_in(tmp_path)] == ["FAILED"]


def test_debug_shows_the_traceback(vecml: Vecml, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,label\n1,x\n2,x\n")
    done = vecml("run", "--data", "bad.csv", "--target", "label", "--debug")
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert "error: target 'label' has one class only" in done.stderr


def test_cuda_without_one(vecml_here: Vecml) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = vecml_here("run", "--device", "cuda")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --device cuda: this machine offers cpu\n")


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """`mlruns/` on a disk of its own, whose size can be set."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk of our own here: {mounted.stderr.decode().strip()}")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    yield resize
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # this process still has the database open


@pytest.mark.parametrize("size", [pytest.param("4k", marks=pytest.mark.long), "300k"])
def test_a_disk_that_is_full_at_first(
    vecml: Vecml, tmp_path: Path, small_disk: Callable[[str], None], size: str
) -> None:
    """Before the first byte, and in the middle of making the database; with room it works again."""
    small_disk(size)
    done = vecml("run", *SMALL)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert str(tmp_path / "mlruns") in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert {path.name for path in (tmp_path / "mlruns").iterdir()} <= {".lock"}
    small_disk("64m")
    again = vecml("run", *SMALL)
    assert again.returncode == 0, again.stderr
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED"]


def test_a_disk_that_fills_up_during_a_run(vecml: Vecml, tmp_path: Path, small_disk: Callable[[str], None]) -> None:
    """The labels and the model have no room: the run does not say that it is finished, and the next one logs it."""
    assert vecml("run", *SMALL).returncode == 0
    used = sum(path.stat().st_blocks * 512 for path in (tmp_path / "mlruns").rglob("*") if path.is_file())
    small_disk(str(used + 60_000))
    done = vecml("run", "--rows", "50000", "--epochs", "1")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (kept,) = tmp_path.glob("vecml-unsaved-*")
    assert f"the result is kept in {kept}" in done.stderr
    assert {"labels.npz", "result.json", "config.json", "model"} <= {path.name for path in kept.iterdir()}
    small_disk("64m")
    again = vecml("run", *SMALL)
    assert again.returncode == 0, again.stderr
    assert "VML019" in again.stderr
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED"] * 3
    assert not list(tmp_path.glob("*vecml-unsaved*"))


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
    assert done.stderr.splitlines() == [
        "VML018 the tracking server http://***@127.0.0.1:9 is waited for, 12 s at most: Connection refused",
        "error: the tracking server http://***@127.0.0.1:9 does not answer: Connection refused",
        "hint: start it, or unset MLFLOW_TRACKING_URI to keep runs in mlruns/ and `vecml export` them later",
    ]
    assert "secret" not in done.stdout + done.stderr


def test_wide_numbers_are_data_not_flags(vecml: Vecml, tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.full((5, 2), 1e300))
    done = vecml("run", "--data", "table.npy", "--target", "1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
