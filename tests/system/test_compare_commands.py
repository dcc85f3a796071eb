"""`vecml compare -- 'A' 'B'` as a user runs it: tracked, computed again, interrupted, and refused in one line."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import BIN, left_over, runs_in, wait_for
from vecml import keys

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]


def test_commands_are_tracked_computed_again_and_shown(vecml: Vecml, vecml_here: Vecml, tmp_path: Path) -> None:
    mark = {"VECML_TEST_MARK": str(tmp_path)}
    commands = ("--command", "one=echo 1", "--command", "other=echo 2", "--command", "same=printf 1\\n")
    done = vecml("compare", "--quick", "--same-output", "--json", "result.json", *commands, env=mark)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("No verdict from a quick look", "same was ", "No answer: ", "No difference"))
    assert "command   time ratio" in done.stdout.replace("  ", " ").replace("command  ", "command   ")
    assert "other: invalid: its output is not the baseline's: line 1 is '2', there '1'" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80

    again = vecml_here("compare", "--from", "result.json", "--json", "again.json")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "result.json").read_bytes()
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0]
    content = json.loads((tmp_path / "result.json").read_text())
    assert [arm["name"] for arm in content["limit_arms"]] == ["limit: starting a process (true)"]
    assert {arm["launches"][0]["facts"]["command"] for arm in content["arms"]} == {"echo 1", "echo 2", "printf 1\\n"}

    runs = {run.info.run_name: run for run in runs_in(tmp_path)}
    (parent,) = (run for run in runs.values() if run.data.tags["vecml.kind"] == "compare")
    assert parent.data.params["data_source"] == "commands"
    children = {name: run for name, run in runs.items() if run.data.tags["vecml.kind"] == "command"}
    assert set(children) == {"one", "other", "same"}
    assert children["one"].data.params == {"command": "echo 1"}
    assert set(children["same"].data.metrics) <= set(keys.CALL_METRICS)
    assert children["same"].data.metrics["call/seconds"] > 0
    assert children["other"].data.tags["vecml.verdict"] == "invalid"

    for command in ("leaderboard", "history"):
        nothing = vecml_here(command)
        assert "Traceback" not in nothing.stderr
        assert "echo" not in nothing.stdout
    report = vecml_here("report", "same", "--no-open")
    assert report.returncode == 0, report.stderr
    page = next(tmp_path.glob("vecml-report-*.html")).read_text()
    assert "starts a second" in page
    assert "rows/s" not in page.partition('id="record"')[0]
    refused = vecml_here("diff", parent.info.run_id, "one")
    assert refused.returncode == 2
    assert f"run {parent.info.run_name} compared commands: vecml diff compares inference" in refused.stderr
    markdown = vecml_here("compare", "--from", "result.json", "--markdown")
    assert "| one | " in markdown.stdout
    assert not left_over(str(tmp_path))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--", "true", "no-such-program x"),
            "error: 'no-such-program x': there is no program no-such-program\nhint: ",
        ),
        (("--", "true"), "error: 1 command: a comparison needs two or more\nhint: put each in quotes: "),
        (("--", "true", "true"), "error: two commands are called 'true'\nhint: give each a name of its own: "),
        (("--same-output",), "error: --same-output goes with commands\nhint: vecml compare -- 'COMMAND' 'COMMAND'\n"),
        (
            ("--epochs", "3", "--", "true", "false"),
            "error: --epochs goes with a model, and 'true' is a command\nhint: leave out --epochs, or the commands\n",
        ),
        (
            ("--data", "a.csv", "b.csv"),
            "error: --data goes with a model, and 'b.csv' is a command\nhint: several files are one value: ",
        ),
        (("--budget", "soon", "--", "true", "false"), "error: --budget soon: not a time\n"),
        (("--functions", "a.py:f,a.py:g"), "error: --functions without --inputs\nhint: --inputs FILE.py:FUNCTION "),
        (("--inputs", "a.py:f"), "error: --inputs goes with functions\nhint: --functions FILE.py:NAME,FILE.py:NAME\n"),
        (
            ("--functions", "a:f", "--", "true"),
            "error: --functions beside a command\nhint: compare functions, or comma",
        ),
        (
            ("--functions", "a:f", "--rows", "9"),
            "error: --rows goes with a model, not with functions\nhint: leave out --rows\n",
        ),
        (
            ("--from", "a.json", "--", "true", "false"),
            "error: a command with --from: nothing is measured\nhint: leave out the command\n",
        ),
    ],
)
def test_what_cannot_be_is_one_line(vecml_here: Vecml, flags: tuple[str, ...], message: str) -> None:
    done = vecml_here("compare", *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_fails_at_its_first_start_is_one_line_and_tracked_nowhere(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml(
        "compare", "--setup", "touch made", "--cleanup", "rm made", "--", "true", "sh -c 'echo no >&2; exit 3'"
    )
    assert done.returncode == 2
    assert (
        "error: sh -c 'echo no >&2; exit 3': it ended with exit code 3: no\n"
        "hint: --ignore-failure measures it all the same\n"
    ) in done.stderr
    assert not (tmp_path / "made").exists()
    assert not runs_in(tmp_path)


BENCH = """
def inputs(): return list(range(2_000)), 3
def loop(x, k):
    total = 0
    for value in x: total += value * k
    return total, k
def fast(x, k): return sum(x) * k, k
"""


def test_functions_are_tracked_and_computed_again(vecml: Vecml, vecml_here: Vecml, tmp_path: Path) -> None:
    (tmp_path / "bench.py").write_text(BENCH)
    asked = ("--functions", "bench.py:loop,bench:fast", "--inputs", "bench.py:inputs", "--baseline", "fast")
    done = vecml("compare", "--quick", "--json", "result.json", *asked)
    assert done.returncode == 0, done.stderr
    assert "function    time ratio" in done.stdout
    again = vecml_here("compare", "--from", "result.json")
    assert again.stdout.splitlines()[:4] == done.stdout.splitlines()[:4]
    runs = {run.info.run_name: run for run in runs_in(tmp_path)}
    children = {name: run for name, run in runs.items() if run.data.tags["vecml.kind"] == "function"}
    assert set(children) == {"loop", "fast"}
    assert {run.data.tags["vecml.baseline"] for run in children.values()} == {"fast"}
    assert set(children["loop"].data.metrics) <= set(keys.CALL_METRICS)
    assert children["loop"].data.params == {}


def test_an_interrupt_ends_the_commands_too(started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    code = "import pathlib, time; pathlib.Path('begun').touch(); time.sleep(600)"
    env = {"VECML_TEST_MARK": str(tmp_path)}
    process = started(BIN / "vecml", "compare", "--", f'{sys.executable} -S -c "{code}"', "true", env=env)
    wait_for((tmp_path / "begun").exists, 60, "a command")
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == 130
    wait_for(lambda: not left_over(str(tmp_path)), 20, "the end of all of them")
