"""The harness of faults: `make test-faults` does it all, `VECML_FAULTS=0.1 make test-faults` a tenth of it.

Each kind of fault is a row of the table that is printed at the end; `.faults/` has what was found by then, a file for
each process of tests, if the end never comes. What is killed is a whole fresh process, on a folder laid anew; what has
an error, and what comes after a fault, is forked from one that has made its imports, so that there is time for more.
CI takes a sample of one of each kind.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.commands import RUN, THEIRS, Workplace, compiled_shim
from tests.faults.servers import Server
from tests.faults.tally import ROWS, keep, table
from tests.migrated_store import MIGRATED, _stores_are_copies, made_once, migrate_mlflow, migrated_database
from tests.system.conftest import environment, prefect_home, shared_prefect
from vecml.report.summary import PipelineResult

__all__ = ["_stores_are_copies", "environment", "migrated_database", "prefect_home", "shared_prefect"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if ROWS:
        terminalreporter.section("faults")
        for line in table():
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _rows_are_kept() -> Iterator[None]:
    before = {name: str(one) for name, one in ROWS.items()}
    yield
    for name, one in ROWS.items():
        if str(one) != before.get(name):
            keep(str(one))


def lay_template(place: Path, result: PipelineResult) -> None:
    """Two runs of which the first is the champion, rows to label, and the export of another store's comparison."""
    from tasks.tracking import write
    from tasks.tracking.comparison import tracked_comparison
    from tasks.tracking.export_import import export_run
    from tasks.tracking.promotion import promote
    from tests.made_comparison import comparison_of
    from tests.tracking.test_read import NoFiles
    from tests.tracking.test_registry import stored

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_CACHE", str(place / "cache"))
        patch.setattr(write, "file_writer", NoFiles)
        patch.setenv("VECML_HOME", str(place.with_name("elsewhere")))
        with tracked_comparison(THEIRS) as writer:
            writer.log(comparison_of({f"{THEIRS} numpy": 0.02, f"{THEIRS} torch": 0.01}), "a note")
        export_run(writer.run.run_id, place / "theirs.zip")
        patch.setenv("VECML_HOME", str(place))
        stored(result, "first", 20)
        stored(result, RUN)
        promote("first")
    shutil.rmtree(place / "cache", ignore_errors=True)
    names = [column.name for column in result.split.encoding.columns]
    values = np.random.default_rng(0).normal(size=(20_000, len(names)))
    np.savetxt(place / "new.csv", values, fmt="%.4f", delimiter=",", header=",".join(names), comments="")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, telling_result: PipelineResult) -> Path:
    """A folder with a store, to be copied."""
    place = tmp_path_factory.mktemp("template") / "work"
    place.mkdir()
    lay_template(place, telling_result)
    return place


@pytest.fixture(scope="session")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], telling_result: PipelineResult
) -> Iterator[Workplace]:
    """A folder for the commands that need no Prefect server."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler to make the shim with")
    folder = tmp_path_factory.mktemp("faults")
    made = Workplace(folder, lambda place: lay_template(place, telling_result), compiled_shim(folder), environment)
    yield made
    made.end()


@pytest.fixture(scope="session")
def served(workplace: Workplace, shared_prefect: str) -> Workplace:
    """The same for the commands that are flows."""
    if workplace.environment.get("PREFECT_API_URL") != shared_prefect:
        workplace.end()  # what is forked has read its variables by now
        workplace.environment["PREFECT_API_URL"] = shared_prefect
    return workplace


@pytest.fixture
def mlflow_in_reach(tmp_path: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A real MLflow server, not started, over a store that has no run."""
    folder = tmp_path / "server"
    folder.mkdir()
    database = made_once(tmp_path_factory, MIGRATED, migrate_mlflow) / "mlflow.db"
    (folder / "mlflow.db").write_bytes(database.read_bytes())
    return Server("mlflow", folder, environment, compiled_shim(tmp_path))


@pytest.fixture
def prefect_in_reach(tmp_path: Path, environment: dict[str, str]) -> Server:
    """A real Prefect server, not started."""
    folder = tmp_path / "prefect"
    folder.mkdir()
    (folder / "prefect.db").write_bytes((Path(environment["PREFECT_HOME"]) / "prefect.db").read_bytes())
    return Server("prefect", folder, environment, compiled_shim(tmp_path))
