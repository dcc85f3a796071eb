"""The import contracts of pyproject.toml hold, and each of them can fail: a forbidden import is planted and found."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vecml", "tasks", "flows")
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
}

# (contract, package that the module is planted in, forbidden line, what the report must name)
PLANTED = [
    ("one-way", "vecml/data", "from vecml.engines import base", "vecml.data.planted -> vecml.engines"),
    ("one-way", "vecml/model", "import tasks", "vecml.model.planted -> tasks"),
    ("one-way", "tasks", "import flows", "tasks.planted -> flows"),
    ("one-way", "vecml/report", "import vecml.cli", "vecml.report.planted -> vecml.cli"),
    ("one-way", "vecml/measure", "from vecml.engines import registry", "vecml.measure.planted -> vecml.engines"),
    ("one-way", "vecml/comparison", "import vecml.record", "vecml.comparison.planted -> vecml.record"),
    ("library-below", "vecml", "import tasks.tracking.write", "vecml.planted -> tasks.tracking.write"),
    ("library-below", "vecml", "def late():\n    from flows.server import serving", "vecml.planted -> flows.server"),
    ("library-below", "vecml/data", "import tasks", "vecml.data.planted -> tasks"),
    ("library-below", "vecml/report", "import flows.pipeline", "vecml.report.planted -> flows.pipeline"),
    ("one-sitting", "vecml/lab", "from vecml.measure import lock", "vecml.lab.planted -> vecml.measure.lock"),
    ("one-sitting", "tasks", "import vecml.measure.processes", "tasks.planted -> vecml.measure.processes"),
    ("prefect-at-the-edge", "vecml", "import prefect", "vecml.planted -> prefect"),
    ("prefect-at-the-edge", "vecml/model", "import prefect", "vecml.model.planted -> prefect"),
    (
        "prefect-at-the-edge",
        "tasks/tracking",
        "from prefect import get_run_logger",
        "tasks.tracking.planted -> prefect",
    ),
    ("mlflow-in-tracking", "vecml", "import mlflow", "vecml.planted -> mlflow"),
    ("mlflow-in-tracking", "vecml/data", "import mlflow", "vecml.data.planted -> mlflow"),
    ("mlflow-in-tracking", "tasks", "import mlflow", "tasks.planted -> mlflow"),
    ("mlflow-in-tracking", "flows", "def late():\n    import mlflow.tracking", "flows.planted -> mlflow"),
    ("no-pickle", "vecml/model", "from pickle import loads", "vecml.model.planted -> pickle"),
    ("no-pickle", "tasks/tracking", "import joblib", "tasks.tracking.planted -> joblib"),
]


def lint_imports(folder: Path, contract: str | None = None) -> tuple[int, str]:
    """Exit status and report (spaces and line ends as one space) over the packages that lie in `folder`."""
    program = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--config", "pyproject.toml", "--no-cache", "--no-logo"]
    command += [] if contract is None else ["--contract", contract]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The three packages and their contracts, to be broken."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    status, report = lint_imports(ROOT)
    assert status == 0, report
    for name in CONTRACTS.values():
        assert f"{name} KEPT" in report


def test_every_contract_is_shown_to_fail() -> None:
    assert {contract for contract, *_ in PLANTED} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "package", "line", "named"), PLANTED)
def test_a_forbidden_import_breaks_its_contract(copy: Path, contract: str, package: str, line: str, named: str) -> None:
    (copy / package / "planted.py").write_text(f"{line}\n", encoding="utf-8")
    status, report = lint_imports(copy, contract)
    assert status == 1, report
    assert f"{CONTRACTS[contract]} BROKEN" in report
    assert named in report
