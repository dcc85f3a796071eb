"""vecml reaches for nothing but this machine, and leaves nothing in a home but its own folder.

The commands run in a network that has a loopback only, where the kernel counts each packet for which it has no way, and
each datagram: a connection and the question for a name alike, whichever library and language they come from.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import BIN, SMALL, free_port

pytestmark = pytest.mark.system

INSIDE = """
import fcntl, json, socket, struct, subprocess, sys
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    found = fcntl.ioctl(asked, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
    flags = struct.unpack("16sh", found[:18])[1] | IFF_UP
    fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))
def counted():
    lines = [line.split() for line in open("/proc/net/snmp")]
    found = {names[0] + name: value for names, values in zip(lines[::2], lines[1::2])
             for name, value in zip(names[1:], values[1:])}
    found |= dict(line.split() for line in open("/proc/net/snmp6"))
    names = "Ip:OutNoRoutes", "Udp:OutDatagrams", "Ip6OutNoRoutes", "Udp6OutDatagrams"
    return sum(int(found[name]) for name in names)
answers = []
for command, seconds in json.loads(sys.argv[1]):
    before = counted()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = process.communicate(timeout=seconds or 300)[0]
    except subprocess.TimeoutExpired:
        process.terminate()
        said = process.communicate()[0]
    answers.append((0 if seconds else process.returncode, counted() - before, said[-2000:]))
print(json.dumps(answers))
"""
# Sessions of all engines at once, open for as long as onnxruntime's client of telemetry took to ask for its address.
ENGINES = """
import time, numpy as np, torch
from vecml.config import Setting
from vecml.engines.registry import ENGINES, load_engine
from vecml.inference.predict import bare_model
model = bare_model(torch.nn.Sequential(torch.nn.Linear(10, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)), 10)
x_FN = np.random.default_rng(0).standard_normal((10, 500), dtype=np.float32)
own = {name: "float64" if name == "row_loop" else "float32" for name in ENGINES}
loaded = [load_engine(model, Setting(name, precision=own[name], threads=1)) for name in ENGINES]
for engine in loaded:
    engine.logits(x_FN)
time.sleep(5)
for engine in loaded:
    engine.close()
"""
# What says "this is a test" or "do not track" switches telemetry off by itself: a user's shell has none of it.
BLIND = ("DO_NOT_TRACK", "CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY")
OWN = ("vecml", "matplotlib", "fontconfig")


def offline(*commands: list[str], folder: Path, environment: dict[str, str], seconds: float = 0) -> list[list[object]]:
    """Run commands one after the other; of each its exit code, how often it reached out, and what it said.

    A command that is a server is ended after `seconds`, and counts as one that succeeded.
    """
    (folder / "home").mkdir(exist_ok=True)
    kept = {name: value for name, value in environment.items() if name not in BLIND and not name.startswith("PYTEST_")}
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", INSIDE, json.dumps([[command, seconds] for command in commands])],
        cwd=folder,
        env={**kept, "HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no network of one's own can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    answers: list[list[object]] = json.loads(done.stdout)
    return answers


def vecml(*arguments: str) -> list[str]:
    return [str(BIN / "vecml"), *arguments]


def check(answers: list[list[object]], folder: Path) -> None:
    for code, reached, said in answers:
        assert code == 0, said
        assert reached == 0, said
    home = folder / "home"
    left = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    assert [str(path) for path in left if not (path.parts[0] in (".cache", ".config") and path.parts[1] in OWN)] == []


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.create_connection(('2001:db8::1', 80), 1)",
        "import socket; socket.getaddrinfo('vecml.example', 443)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
    ],
)
def test_whoever_reaches_out_is_counted(tmp_path: Path, environment: dict[str, str], code: str) -> None:
    ((_, reached, _),) = offline([sys.executable, "-c", code], folder=tmp_path, environment=environment)
    assert int(str(reached)) > 0


@pytest.mark.timeout(600)
def test_every_engine_stays_on_this_machine(tmp_path: Path, environment: dict[str, str]) -> None:
    answers = offline(
        vecml("doctor"),
        [sys.executable, "-P", "-c", ENGINES],
        vecml("run", *SMALL, "--engine", "onnxruntime", "--name", "here"),
        folder=tmp_path,
        environment=environment,
    )
    check(answers, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_command_stays_on_this_machine(tmp_path: Path, environment: dict[str, str]) -> None:
    rows = "\n".join(f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(400))
    (tmp_path / "table.csv").write_text(f"x,y,label\n{rows}\n")
    (tmp_path / "new.csv").write_text("x,y\n1,2\n6,3\n")
    ports = [str(free_port()) for _ in range(3)]
    table = ("--data", "table.csv", "--target", "label")
    check(
        offline(
            vecml("run", *table, "--engine", "numpy", "--name", "one"),
            vecml("predict", "--model", "one", "--data", "new.csv", "--out", "out.csv"),
            vecml("compare", "--quick", "--rows", "20000", "--engines", "all", "--threads", "1", "--name", "two"),
            vecml("leaderboard"),
            vecml("report", "two", "--out", "two.html"),
            vecml("export", "one", "one.zip"),
            vecml("import", "one.zip"),
            vecml("ladder", "--quick", "--rows", "20000"),
            vecml("lab", "broadcasting", "--quick"),
            vecml("run", *table, "--name", "other"),
            vecml("diff", "one", "other"),
            vecml("champion", "one"),
            vecml("history"),
            folder=tmp_path,
            environment=environment,
        ),
        tmp_path,
    )
    servers = (
        vecml("ui", "--port", ports[0]),
        vecml("up", "--no-deploy", "--prefect-port", ports[1], "--mlflow-port", ports[2]),
    )
    check(offline(*servers, folder=tmp_path, environment=environment, seconds=60), tmp_path)
