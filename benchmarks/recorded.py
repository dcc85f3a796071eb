"""`vecml leaderboard` and `vecml history` over a thousand recorded settings, in fresh processes, after their imports.

One real comparison is recorded, then its runs are copied with their params, metrics and tags, a day apart.
"""

import importlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from benchmarks.commands import BIN, UNSET
from benchmarks.rounds import Figure, Floor, interleave

SETTINGS = 1_000
DAY_MS = 86_400_000
NOISE = 0.03  # of a sitting, so that there is something to look for
COMMANDS = ("leaderboard", "history")
FLOOR_SECONDS = 3.0
IMPORTED = (
    "mlflow.store.tracking.sqlalchemy_store",
    "rich.padding",
    "rich.table",
    "tasks.tracking.sittings",
    "vecml.history.leaderboard",
    "vecml.history.changes",
    "vecml.history.series",
    "vecml.report.history",
    "vecml.report.leaderboard",
)


def thousand_runs(rounds: int) -> Iterator[Figure]:
    """Seconds of each command, the opening of the store included."""
    with tempfile.TemporaryDirectory(prefix="vecml-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        environment["VECML_HOME"] = folder
        compare = [BIN / "vecml", "compare", "--engines", "torch,numpy,onnxruntime,openvino,halide", "--quick"]
        subprocess.run([*compare, "--rows", "100000"], env=environment, capture_output=True, check=False)
        _this_module("copy", environment)
        seconds = interleave(
            {name: lambda name=name: float(_this_module(name, environment)) for name in COMMANDS}, rounds
        )
    for name in COMMANDS:
        floor = Floor(FLOOR_SECONDS, at_least=False, strict=True)
        yield Figure(f"vecml {name}, {SETTINGS:,} recorded settings", seconds[name], floor, "s")


def _this_module(what: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "benchmarks.recorded", what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def copy_runs() -> str:
    """Copy the comparison that is in the store until there are as many settings as wanted; says how many runs."""
    from mlflow.entities import Metric, Param, Run, RunTag

    from tasks.tracking.store import PARENT, open_store
    from vecml.keys import COMPARE, KIND

    store = open_store()
    client, experiment = store.client, store.experiment.experiment_id
    recorded = client.search_runs([experiment])
    (parent,) = [run for run in recorded if run.data.tags[KIND] == COMPARE]
    settings = [run for run in recorded if run.data.tags.get(PARENT) == parent.info.run_id]
    noise = random.Random(0)

    def copy(run: Run, days: int, above: str | None, factor: float) -> str:
        began = run.info.start_time - days * DAY_MS
        tags = dict(run.data.tags) | ({} if above is None else {PARENT: above})
        made = client.create_run(experiment, began, tags, run.info.run_name)
        values = [
            Metric(name, value * (factor if "rows_per_s" in name else 1.0), began, 0)
            for name, value in run.data.metrics.items()
        ]
        params = [Param(name, value) for name, value in run.data.params.items()]
        client.log_batch(made.info.run_id, values[:900], params, [RunTag("vecml.copied", "yes")])
        client.set_terminated(made.info.run_id, "FINISHED", began + 60_000)
        return str(made.info.run_id)

    for days in range(1, SETTINGS // len(settings)):
        above = copy(parent, days, None, 1.0)
        factor = 1 + noise.gauss(0, NOISE)
        for run in settings:
            copy(run, days, above, factor)
    return str(len(settings) * (SETTINGS // len(settings)))


def timed(name: str) -> float:
    """Seconds of a command, with everything imported that it will import."""
    for module in IMPORTED:
        importlib.import_module(module)
    from vecml.cli.history import history
    from vecml.cli.leaderboard import leaderboard

    begun = time.perf_counter()
    with redirect_stdout(StringIO()) as told:
        {"history": history, "leaderboard": leaderboard}[name]()
    taken = time.perf_counter() - begun
    if not told.getvalue().strip():
        raise SystemExit(f"vecml {name} printed nothing")
    return taken


if __name__ == "__main__":
    Path(os.environ["VECML_HOME"]).mkdir(exist_ok=True)
    print(copy_runs() if sys.argv[1] == "copy" else timed(sys.argv[1]))
