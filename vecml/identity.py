"""Say which process this is among all processes of all machines, and whether such a process still runs."""

import hashlib
import os
import platform
import re
import uuid
from pathlib import Path

import psutil

from vecml import hardware
from vecml.hardware import read_text, sysctl


def process_identity(root: Path = hardware.ROOT) -> str:
    """Identify this process among all processes of all machines, as text with spaces between the parts.

    The parts are pid, start time (ticks since boot, proc_pid_stat(5)), boot id, machine and pid namespace; an unknown
    part is `-`.
    """
    pid = os.getpid()
    start, _ = _start_and_state(pid, root)
    return " ".join([str(pid), start, _boot_id(root), _machine_id(root), _pid_namespace(root)])


def is_alive(identity: str, root: Path = hardware.ROOT) -> bool | None:
    """Whether the process that `process_identity` described still runs; None where neither can be proven.

    A pid has a meaning only within its boot and its pid namespace (pid_namespaces(7)): for a pid of another container
    or of another machine the answer is None. Another boot of the same machine has ended the process.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8}) ([0-9]+) ([!-~]+) ([!-~]+) ([!-~]+)", identity)
    if match is None:
        return None
    pid, start, boot, machine, namespace = int(match[1]), *match.groups()[1:]
    own_boot, own_machine = _boot_id(root), _machine_id(root)
    if "-" in (boot, own_boot):
        return None
    if boot != own_boot:
        return False if machine == own_machine != "-" else None
    if namespace == "-" or namespace != _pid_namespace(root):
        return None
    exists = _exists(pid)
    if not exists:
        return exists
    found, state = _start_and_state(pid, root)
    if found == "-":
        return False if _exists(pid) is False else None  # it may have ended meanwhile
    return found == start and state not in {"Z", "X", "x"}  # a zombie has ended; its parent has not collected it yet


def _boot_id(root: Path) -> str:
    text = read_text(root / "proc/sys/kernel/random/boot_id") or sysctl("kern.bootsessionuuid") or ""
    return text.strip() or "-"


def _machine_id(root: Path) -> str:
    """Hash the installation (machine-id(5)) and the network cards' permanent addresses; `-` without such an address.

    A machine-id is copied with a disk image; an address from a manufacturer (IEEE 802: the bit 0x02 of its first byte
    is clear) is not. Many containers and virtual machines have no such address, and then nothing can be proven: a
    running process must never be declared dead because two machines were cloned from one image.
    """
    addresses = []
    for card in sorted((root / "sys/class/net").glob("*")):
        permanent = (card / "device").exists() and (read_text(card / "addr_assign_type") or "").strip() == "0"
        address = (read_text(card / "address") or "").strip()
        universal = re.fullmatch(r"[0-9a-f][048c](:[0-9a-f]{2}){5}", address) and address.strip("0:")
        if permanent and universal and "/usb" not in str(card.resolve()):  # a docking station comes and goes
            addresses.append(address)
    if platform.system() == "Darwin" and not (uuid.getnode() >> 40) & 0b11:  # 0b01: Python invented it
        addresses.append(f"{uuid.getnode():012x}")
    if not addresses:
        return "-"
    installation = read_text(root / "etc/machine-id") or ""
    return hashlib.blake2b("\n".join([installation.strip(), *addresses]).encode(), digest_size=8).hexdigest()


def _pid_namespace(root: Path) -> str:
    """Give the pid namespace of this process; `0` on a system without pid namespaces."""
    if platform.system() != "Linux":
        return "0"
    try:
        return (root / "proc/self/ns/pid").readlink().name
    except OSError:
        return "-"


def _exists(pid: int) -> bool | None:
    """Whether a process of any user has this pid; None on a system that cannot be asked."""
    if os.name != "posix":
        return None  # on Windows, os.kill would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True


def _start_and_state(pid: int, root: Path) -> tuple[str, str]:
    """Give start time (digits) and state (a letter) of a process, fields 22 and 3 of proc_pid_stat(5), or `-`."""
    if platform.system() == "Linux":
        # The second field is the program's name in brackets, and may itself hold brackets and spaces.
        fields = (read_text(root / f"proc/{pid}/stat") or "").rpartition(")")[2].split()
        return (fields[19], fields[0]) if len(fields) > 19 else ("-", "-")
    try:
        process = psutil.Process(pid)
        return str(round(process.create_time() * 1e6)), "Z" if process.status() == psutil.STATUS_ZOMBIE else "-"
    except (psutil.Error, OSError):
        return "-", "-"
