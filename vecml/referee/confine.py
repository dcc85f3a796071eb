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
READ = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys", "/nix")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
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
