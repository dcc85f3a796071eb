"""What a candidate's process gives up before the candidate is there: most of the file system, the network, signals.

Linux's Landlock does it without privileges, where the kernel has it: reading below the interpreter's folders and the
system's, writing below one folder, no TCP, no signal and no ptrace to processes outside. Elsewhere nothing is given up,
and that is told. This file is read by the candidate's process without the rest of vecml.
"""

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446  # numbers of the system calls, the same on all of Linux's architectures
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
READING = EXECUTE | READ_FILE | READ_DIR
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # truncate, ioctl
# The kinds of access that each version of Landlock knows.
ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
NO_NEW_PRIVILEGES, SET_DUMPABLE, DROP_FROM_BOUNDS = 38, 4, 24
CAPABILITIES = 64
SETTINGS = "/etc"  # of which only what every user may read: root owns the rest, and a candidate may run as root
READ = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/proc", "/sys", "/nix")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SET_SECCOMP, FILTER = 22, 2
ALLOW, REFUSE, UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026  # as it is; EPERM; ENOSYS
NEW_USERS = (
    0x10000000  # of clone's flags: a space in which a process has all capabilities, over the kernel's network too
)
# Per architecture: its number, clone, clone3 (whose flags a filter cannot see: libraries use clone then), socket, and
# what is refused. Work for the kernel: bpf, perf_event_open, userfaultfd, io_uring's three, io_setup. Timers, which
# interrupt whoever runs while their owner is stopped: timer_create, timerfd_create. Other processes: ptrace,
# process_vm_readv and process_vm_writev, pidfd_getfd, unshare, setns. What outlives a process: keyctl, add_key,
# request_key, shmget, semget, msgget, mq_open.
CALLS = {
    "x86_64": (
        *(0xC000003E, 56, 435, 41),
        (321, 298, 323, 425, 426, 427, 206, 222, 283, 101, 310, 311, 438, 272, 308, 250, 248, 249, 29, 64, 68, 240),
    ),
    "aarch64": (
        *(0xC00000B7, 220, 435, 198),
        (280, 241, 282, 425, 426, 427, 0, 107, 85, 117, 270, 271, 438, 97, 268, 219, 217, 218, 194, 190, 186, 180),
    ),
}
# Kinds of sockets that lead nowhere in a network of its own. One of the Unix family leads to any program that listens
# in a file (Landlock does not keep from that), one of the virtual machine's family to its host.
FAMILIES = (2, 10, 16)  # AF_INET, AF_INET6, AF_NETLINK
AF_UNIX = 1
NO_FAMILY = 0x00050061  # EAFNOSUPPORT
OTHER_ABI = 0x40000000  # numbers from here on are x86_64's calls under other names
ACCELERATORS = ("nvidia*", "dri", "kfd")  # below /dev


def landlock_version() -> int:
    """The version of Landlock that the kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    with contextlib.suppress(OSError, AttributeError):
        return max(0, _call(CREATE, None, 0, 1))
    return 0


def confine(folder: str, readable: Iterable[str], file_bytes: int) -> bool:
    """Give up what is outside of `folder`, for good; return whether the kernel took it.

    Args:
        folder: below which everything is allowed.
        readable: folders and files that may be read, besides the system's.
        file_bytes: the largest file that may be written.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # of the memory: the others' calls need some
    resource.setrlimit(resource.RLIMIT_DATA, (half, half))
    version = landlock_version()
    _without_privileges()
    _without_calls()
    if not version:
        return False
    everything = ALL[min(version, max(ALL))]
    attributes = struct.pack("=QQQ", everything, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    length = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call(CREATE, attributes[:length], length, 0)
    if rules < 0:
        return False
    try:
        _allow(rules, folder, everything)
        for path in (*READ, *readable):
            _allow(rules, path, READING)
        _allow(rules, SETTINGS, READ_DIR)
        for path in _open_to_all(SETTINGS):
            _allow(rules, path, READING)
        for path in DEVICES:
            _allow(rules, path, READ_FILE | WRITE_FILE)
        for pattern in ACCELERATORS:
            for device in Path("/dev").glob(pattern):
                _allow(rules, str(device), everything & (READING | ON_FILES))
        return _call(RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)


def keep_others_out() -> None:
    """Let no other process of this user read this one's memory, unless it may trace any process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(SET_DUMPABLE, 0, 0, 0, 0)


def _without_privileges() -> None:
    """Give up all capabilities that root has, so that root's candidate can do no more than any user's."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    for number in range(CAPABILITIES):
        library.prctl(DROP_FROM_BOUNDS, number, 0, 0, 0)
    library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    header, none = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    library.capset(header, none)


def _without_calls() -> None:
    """Give up system calls that reach the kernel's own work: it goes on while a stopped process rests."""
    if os.uname().machine not in CALLS or sys.maxsize < 1 << 32:
        return
    architecture, clone, clone3, socket, refused = CALLS[os.uname().machine]
    families = (*FAMILIES, AF_UNIX) if Path("/dev/nvidiactl").exists() else FAMILIES  # CUDA opens some of its own
    rules = [
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 1, 0, architecture),  # go on if it is this
        (0x06, 0, 0, REFUSE),
        (0x20, 0, 0, 0),  # load the call's number
        (0x35, 0, 1, OTHER_ABI),
        (0x06, 0, 0, REFUSE),
        (0x15, 0, 1, clone3),
        (0x06, 0, 0, UNKNOWN),
    ]
    for number in refused:
        rules += [(0x15, 0, 1, number), (0x06, 0, 0, REFUSE)]
    rules += [
        (0x15, 0, 3 + len(families), socket),
        (0x20, 0, 0, 16),  # load the lower half of its first argument
        *((0x15, len(families) - place, 0, family) for place, family in enumerate(families)),
        (0x06, 0, 0, NO_FAMILY),
        (0x06, 0, 0, ALLOW),
        (0x15, 0, 3, clone),
        (0x20, 0, 0, 16),  # load the lower half of its first argument
        (0x45, 0, 1, NEW_USERS),
        (0x06, 0, 0, REFUSE),
        (0x06, 0, 0, ALLOW),
    ]
    program = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
    held = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(held)))
    ctypes.CDLL(None, use_errno=True).prctl(SET_SECCOMP, FILTER, ctypes.byref(described), 0, 0)


def _open_to_all(folder: str) -> list[str]:
    """The files and folders below a folder that every user may read; a folder stands for all that lies in it."""
    found, closed = [], False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                mode = entry.stat(follow_symlinks=False).st_mode
                if entry.is_symlink():  # what it leads to has its own rule, or none
                    continue
                if entry.is_dir():
                    below = _open_to_all(entry.path) if mode & 0o005 == 0o005 else []
                    closed = closed or below != [entry.path]
                    found += below
                elif mode & 0o004:
                    found.append(entry.path)
                else:
                    closed = True
    return found if closed else [folder]


def _allow(rules: int, path: str, access: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = access if Path(path).is_dir() else access & ON_FILES
        _call(ADD, rules, PATH_BENEATH, struct.pack("=Qi", allowed, opened), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
