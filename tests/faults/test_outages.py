"""A server that dies, halts or comes back in the middle: no result is lost, and each is there once."""

from pathlib import Path

import pytest

from tests.faults.commands import COMMANDS, said_truly
from tests.faults.commands import Done as Ended
from tests.faults.servers import Server
from tests.faults.tally import keep, row, scaled, scattered, spread
from tests.system.conftest import BIN, runs_in
from tests.system.forked_commands import Commands

pytestmark = [pytest.mark.faults, pytest.mark.timeout(36_000)]
HOLDS = "no result is lost: after the server is back each is there once, complete"
ACTIONS = ("group", "stop", "kill")
LIMIT_SECONDS = 900.0  # for a command that waits for a server that is halted


def whole(place: str | Path, name: str) -> list[str]:
    """What each run of this name is: `complete`, or what it lacks."""
    found = []
    for run in runs_in(place):
        if run.info.run_name != name:
            continue
        kind = run.data.tags.get("vecml.kind")
        measured = any("rows_per_second" in key or "accuracy" in key for key in run.data.metrics) or kind == "compare"
        found.append("complete" if run.info.status == "FINISHED" and measured else run.info.status)
    return found


def judged(place: str | Path, name: str, done: Ended, folder: Path) -> list[str]:
    """What is wrong once the server is back and another run has begun after it."""
    found = whole(place, name)
    kept = "is kept in" in done.err
    wrong = [] if done.code == 0 else said_truly(done)
    if (done.code == 0 or kept) and found.count("complete") != 1:
        wrong.append(f"exit {done.code}, kept {kept}: the runs of its name are {found}")
    if found.count("complete") > 1 or "RUNNING" in found:
        wrong.append(f"the runs of its name are {found}")
    left = [path.name for path in folder.glob("vecml-unsaved-*")]
    return wrong + [f"{name} is left" for name in left]


# A comparison from the terminal is no flow: it asks no server of Prefect's for anything.
@pytest.mark.parametrize(("kind", "command"), [("mlflow", "run"), ("mlflow", "compare"), ("prefect", "run")])
def test_outages(
    kind: str, command: str, request: pytest.FixtureRequest, tmp_path: Path, environment: dict[str, str]
) -> None:
    server: Server = request.getfixturevalue(f"{kind}_in_reach")
    one = row(f"outage of a real {kind} server: {command}", HOLDS)
    env = {"mlflow": {"MLFLOW_TRACKING_URI": server.address}, "prefect": {"PREFECT_API_URL": server.address}}[kind]
    if kind == "prefect":  # a server that is halted is given up sooner: each point takes its ten calls' waiting
        env |= {"PREFECT_API_REQUEST_TIMEOUT": "8", "PREFECT_CLIENT_MAX_RETRIES": "1"}
    if kind == "mlflow":
        env = {**env, "PREFECT_API_URL": request.getfixturevalue("shared_prefect")}
    place: str | Path = server.address if kind == "mlflow" else tmp_path / "user"
    user = tmp_path / "user"
    arguments = COMMANDS[command][:-1]
    user.mkdir()
    commands = Commands(BIN / "vecml", {**environment, **env, "VECML_CACHE": str(user / "cache")}, LIMIT_SECONDS)

    def vecml(*given: str) -> Ended:
        done = commands(given, user)
        return Ended(done.returncode, done.stdout, done.stderr, 0)

    try:
        server.start()
        server.arm()
        first = vecml(*arguments, "first")
        changes = server.changes
        assert first.code == 0, first.err
        assert whole(place, "first") == ["complete"]
        for number, at in enumerate(scattered(spread(scaled(50), changes))):
            action, name = ACTIONS[number % 3], f"made-{number}"
            if one.has_held(number):
                continue
            server.end()
            server.start(at, action)
            server.arm()
            done = vecml(*arguments, name)
            one.tried += 1
            came = server.changes >= at
            one.missed += not came
            server.end()
            server.start()
            after = vecml(*COMMANDS["run"][:-1], f"next-{number}")
            wrong = [] if after.code == 0 else [f"the next run: {after.err[-300:]}"]
            wrong += judged(place, name, done, user)
            one.broke(*(f"{text}   ({action} at change {at} of {changes})" for text in wrong))
            if came and not wrong:
                one.held(number)
            keep(str(one))
    finally:
        commands.end()
        server.end()
    assert one.broken == []
