"""Whether the process that a run names is still alive: here, after another boot, and on other machines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_environment import lay_out
from vecml.identity import is_alive, process_identity


def replaced(identity: str, **parts: str) -> str:
    names = ("pid", "start", "boot", "machine", "namespace")
    return " ".join(parts.get(name, part) for name, part in zip(names, identity.split(" "), strict=True))


def test_this_process_is_alive() -> None:
    identity = process_identity()
    assert identity == process_identity()
    assert identity.split(" ")[0] == str(os.getpid())
    assert is_alive(identity) is True


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    program = "from vecml.identity import process_identity; print(process_identity(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_a_child_is_alive_until_it_has_ended(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdin is not None
    identity = child.stdout.readline().strip()
    assert is_alive(identity) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(identity) is False  # ended, not yet collected
    child.wait()
    assert is_alive(identity) is False


def test_a_pid_that_was_given_again_is_another_process() -> None:
    assert is_alive(replaced(process_identity(), start="1")) is False


def test_another_users_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_ours(pid: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    identity = process_identity()
    monkeypatch.setattr("os.kill", not_ours)
    assert is_alive(identity) is True
    monkeypatch.setattr("vecml.identity._start_and_state", lambda pid, root: ("-", "-"))  # /proc with hidepid
    assert is_alive(identity) is None


def test_another_pid_namespace_or_an_unreadable_one_is_not_known() -> None:
    dead = replaced(process_identity(), start="1")
    assert is_alive(replaced(dead, namespace="pid:[1]")) is None
    assert is_alive(replaced(dead, namespace="-")) is None


CARD = "sys/class/net/eth0"


def machine(root: Path, boot: str, address: str = "3c:ec:ef:00:00:01", machine_id: str = "a1", assigned: str = "0"):
    """The files of a machine whose network card has `address`; pids count in the same namespace on all of them."""
    lay_out(
        root,
        {
            "proc/sys/kernel/random/boot_id": f"{boot}\n",
            f"proc/{os.getpid()}/stat": f"{os.getpid()} (a) b (c) S " + " ".join(map(str, range(4, 53))),
            "etc/machine-id": f"{machine_id}\n",
            f"{CARD}/address": f"{address}\n",
            f"{CARD}/addr_assign_type": f"{assigned}\n",
            f"{CARD}/device/vendor": "0x15b3",
        },
    )
    (root / "proc/self/ns").mkdir(parents=True, exist_ok=True)
    if not (root / "proc/self/ns/pid").is_symlink():
        (root / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="the machine is laid out as Linux shows it")
class TestOtherBootsAndMachines:
    def test_the_same_boot_is_asked(self, tmp_path: Path) -> None:
        root = machine(tmp_path, "boot-1")
        identity = process_identity(root)
        assert identity.startswith(f"{os.getpid()} 22 boot-1 ")
        assert is_alive(identity, root) is True
        assert is_alive(replaced(identity, start="23"), root) is False

    def test_another_boot_of_the_same_machine_has_ended_it(self, tmp_path: Path) -> None:
        identity = process_identity(machine(tmp_path, "boot-1"))
        assert is_alive(identity, machine(tmp_path, "boot-2")) is False

    @pytest.mark.parametrize("other", [{"address": "3c:ec:ef:00:00:02"}, {"machine_id": "b2"}])
    def test_another_machine_is_not_known(self, tmp_path: Path, other: dict[str, str]) -> None:
        identity = process_identity(machine(tmp_path / "one", "boot-1"))
        assert is_alive(identity, machine(tmp_path / "other", "boot-2", **other)) is None

    @pytest.mark.parametrize(
        "cloned",
        [
            {"address": "02:fc:00:00:00:01"},  # a virtual machine's: chosen, not given by a manufacturer
            {"address": "52:54:00:12:34:56"},
            {"address": "00:00:00:00:00:00"},
            {"address": "nonsense"},
            {"assigned": "3"},
        ],
    )
    def test_machines_cloned_from_one_image_prove_nothing(self, tmp_path: Path, cloned: dict[str, str]) -> None:
        identity = process_identity(machine(tmp_path / "one", "boot-1", **cloned))
        assert identity.split(" ")[3] == "-"
        assert is_alive(identity, machine(tmp_path / "other", "boot-2", **cloned)) is None

    def test_nothing_readable_is_not_known(self, tmp_path: Path) -> None:
        identity = process_identity(tmp_path)
        assert identity == f"{os.getpid()} - - - -"
        assert is_alive(identity, tmp_path) is None
        assert is_alive(replaced(identity, start="1"), tmp_path) is None


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "none",
        "1",
        "1 2 3",
        "0 1 {boot} {machine} {namespace}",
        "-1 1 {boot} {machine} {namespace}",
        "99999999999999999999 1 {boot} {machine} {namespace}",
        "１２ 1 {boot} {machine} {namespace}",
        "1_2 1 {boot} {machine} {namespace}",
        "x 1 {boot} {machine} {namespace}",
        "12 - {boot} {machine} {namespace}",
        "12 1 {boot} {machine} {namespace} more",
        "12 1 {boot} {machine} {namespace}\n",
        "12  1 {boot} {machine} {namespace}",
    ],
)
def test_what_is_no_identity_is_not_known(identity: str) -> None:
    _, _, boot, machine, namespace = process_identity().split(" ")
    assert is_alive(identity.format(boot=boot, machine=machine, namespace=namespace)) is None
