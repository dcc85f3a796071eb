"""The six commands that write, in a folder that is laid anew for each fault, and what has to hold afterwards."""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.system.conftest import BIN, left_over, wait_for
from tests.system.forked_commands import Commands

RUN, THEIRS = "second", "theirs"
# The comparison's settings are numpy's alone: that a worker imports torch writes nothing and is half of the time.
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "--rows", "400", "--epochs", "1", "--name", "made"),
    "compare": (
        *("compare", "--rows", "2000", "--engines", "numpy", "--layout", "columns,rows", "--baseline", "numpy"),
        *("--budget", "quick", "--name", "made"),
    ),
    "predict": ("predict", "--model", RUN, "--data", "new.csv", "--out", "labels.csv"),
    "champion": ("champion", RUN),
    "export": ("export", RUN, "out.zip"),
    "import": ("import", "theirs.zip"),
}
MAKES = {"predict": "labels.csv", "export": "out.zip"}


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit status, what it said, and how many changes of files it had made."""

    code: int
    out: str
    err: str
    changes: int


class Workplace:
    """A folder with a store, and a shim between the commands and its files.

    Args:
        folder: Where everything lies.
        template: What the folder is laid with: `mlruns/` with two runs, of which the first is the champion, a file to
            label and an export of another store.
        shim: The library that makes the faults.
        environment: What the commands are started with.
    """

    def __init__(
        self, folder: Path, template: Callable[[Path], None], shim: Path, environment: Mapping[str, str]
    ) -> None:
        self.folder, self.shim = folder, shim
        self.place, self.scratch = folder / "work", folder / "tmp"
        self._template = folder / "template"
        self.environment = {
            **environment,
            "TMPDIR": str(self.scratch),
            "VECML_CACHE": str(self.place / "cache"),
            "VECML_TEST_MARK": str(folder),
        }
        self.place.mkdir(parents=True)
        template(self.place)
        self.place.replace(self._template)
        self.whole: dict[str, bytes] = {}
        self._forked: Commands | None = None
        self.lay()

    def lay(self) -> None:
        """Lay the folder anew, as it was at first."""
        for place in (self.place, self.scratch):
            shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._template, self.place, symlinks=True)
        self.scratch.mkdir()

    def call(self, name: str, at: int = 0, action: str = "", under: str = "both", fresh: bool = False) -> Done:
        """Run a command; with `at`, the fault `action` happens at that change of a file `under` the folders.

        With `fresh` it is a whole process of its own, which imports everything itself, as a user's is; else it is
        forked from one that has, which costs a tenth.
        """
        count = self.folder / "count"
        count.write_bytes(bytes(8))
        watched = {"both": f"{self.place}:{self.scratch}", "work": self.place, "scratch": self.scratch}[under]
        faults = {
            "FAULT_COUNT": str(count),
            "FAULT_UNDER": str(watched),
            "FAULT_AT": str(at),
            "FAULT_DO": action,
        }
        done = (self._run_fresh if fresh else self._run_forked)(COMMANDS[name], faults)
        server = self._forked and self._forked.pid
        wait_for(lambda: not left_over(str(self.folder), server), 60, "the end of what it started")
        return Done(done.returncode, done.stdout, done.stderr, int.from_bytes(count.read_bytes(), "little"))

    def _run_fresh(self, arguments: tuple[str, ...], faults: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "vecml", *arguments],
            cwd=self.place,
            env={**self.environment, "LD_PRELOAD": str(self.shim), **faults},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            start_new_session=True,
        )

    def _run_forked(self, arguments: tuple[str, ...], faults: dict[str, str]) -> subprocess.CompletedProcess[str]:
        if self._forked is None:
            self._forked = Commands(BIN / "vecml", {**self.environment, "LD_PRELOAD": str(self.shim)})
        return self._forked(arguments, self.place, faults)

    def end(self) -> None:
        """End the process that commands are forked from."""
        if self._forked is not None:
            self._forked.end()
            self._forked = None

    def again(self, name: str, at: int, action: str, under: str = "both") -> str:
        """The commands that do the same by hand."""
        return f"VECML_FAULT={shlex.quote(f'{name}:{at}:{action}:{under}')} make test-faults"

    def learn(self, name: str, under: str = "both", fresh: bool = False) -> int:
        """Run a command without a fault, keep what it makes, and say how many changes of files it took."""
        self.lay()
        done = self.call(name, under=under, fresh=fresh)
        assert done.code == 0, done.out + done.err
        assert self.wrong(name) == []
        if name in MAKES:
            self.whole[name] = (self.place / MAKES[name]).read_bytes()
        return done.changes

    def half(self, name: str) -> list[str]:
        """What is neither absent nor complete right after a fault."""
        if name not in MAKES or not (made := self.place / MAKES[name]).exists():
            return []
        return [] if made.read_bytes() == self.whole.get(name, made.read_bytes()) else [f"half of {made.name} is there"]

    def wrong(self, name: str) -> list[str]:
        """What is not as it should be once the command has succeeded, whatever happened before."""
        found = self.half(name) + self.left()
        runs = self._ask("select name, status from runs where lifecycle_stage = 'active'")
        found += [f"run {run} is {status}" for run, status in runs if status not in ("FINISHED", "FAILED", "KILLED")]
        if name in ("run", "compare") and ("made", "FINISHED") not in runs:
            found.append("the run is not there")
        if name == "import":
            there = [status for run, status in runs if run.startswith(THEIRS)]
            found += [] if there == ["FINISHED"] * 3 else [f"the imported runs are {there}"]
        if name == "champion":
            found += [] if self.champions() == [RUN] else [f"the champion is {self.champions()}"]
        if self._ask("pragma integrity_check") != [("ok",)]:
            found.append("the database is damaged")
        return found

    def left(self) -> list[str]:
        """What lies about: temporary folders, hidden files beside an output, work that was not taken up again."""
        folders = [*self.scratch.glob("vecml-*"), *self.place.glob("vecml-unsaved-*")]
        names = [path.name for path in folders if not path.name.startswith("vecml-measuring")]
        names += [path.name for path in self.place.iterdir() if path.name.startswith(".")]
        names += [path.name for path in (self.place / "cache" / "unfinished").glob("*.json")]
        return [f"{name} is left" for name in sorted(names)]

    def champions(self) -> list[str]:
        """The names of the runs whose models are called champion."""
        sql = (
            "select runs.name from registered_model_aliases as a join model_versions as v"
            " on a.name = v.name and a.version = v.version join runs on v.run_id = runs.run_uuid"
            " where a.alias = 'champion'"
        )
        return [name for (name,) in self._ask(sql)]

    def _ask(self, sql: str) -> list[tuple[str, ...]]:
        with sqlite3.connect(self.place / "mlruns" / "mlflow.db") as database:
            found = database.execute(sql).fetchall()
        database.close()
        return found


def said_truly(done: Done) -> list[str]:
    """What is wrong with how a command that failed says so: one line that begins with `error: `, and hints."""
    lines = [line for line in done.err.splitlines() if not line.startswith(("VML", " ", "hint: "))]
    errors = [line for line in lines if line.startswith("error: ")]
    if done.code < 0 or done.code == 70 or "Traceback" in done.err:
        return [f"exit {done.code}: {json.dumps(done.err[-600:])}"]
    return [] if len(errors) == 1 else [f"{len(errors)} lines of error: {json.dumps(done.err[-600:])}"]


def compiled_shim(folder: Path) -> Path:
    """The library that makes the faults, compiled by the C compiler that is there; none of it is part of vecml."""
    source = Path(__file__).with_name("shim.c")
    command = [
        os.environ.get("CC", "cc"),
        "-O1",
        "-shared",
        "-fPIC",
        "-o",
        str(folder / "shim.so"),
        str(source),
        "-ldl",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "shim.so"
