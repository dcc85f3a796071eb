"""The process that a user has started: it starts another that talks to Ray, and hears of it.

Ray ends a process that has lost the head of its cluster, so that it is never this one.
"""

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecml import child
from vecml.cluster.failure import error_of
from vecml.cluster.ray_cluster import LOCAL, check_address, variables
from vecml.errors import ServerError, SettingError

SILENT_SECONDS = 180.0  # of the process that talks to Ray, while a cluster starts or answers
PATIENCE_SECONDS = 20.0  # that it has to end in order
REACH = "is it the cluster that is meant (RAY_ADDRESS), and is its token here (RAY_AUTH_TOKEN)? To see: ray status"
LONGEST = 34  # bytes of the name of Ray's folder: its sockets have names of up to 107 bytes


def check_cluster(where: str, silent_seconds: float) -> None:
    """Raise SettingError for a cluster that cannot be, before anything is read.

    Args:
        where: `auto`, `local:N` or `ray://HOST:PORT`.
        silent_seconds: of a node, before it is given up.
    """
    check_address(where)
    if find_spec("ray") is None:
        raise SettingError(f"--cluster {where}: Ray is not installed", "pip install 'vecml[ray]'")
    if silent_seconds <= 0:
        raise SettingError(f"--node-timeout {silent_seconds:g}: must be greater than 0", "--node-timeout 900")


@contextmanager
def driving(module: str, where: str, folder: Path, again: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Start the process that talks to Ray, and yield what it tells; it is ended in order after the `with` block.

    Args:
        module: is run with the folder as its argument, and calls `vecml.cluster.driver.drive`.
        where: the cluster.
        folder: a scratch folder, in which what is wanted lies already.
        again: the hint where Ray fails, which says how to go on.

    What is yielded raises the error that the process tells as `failure`; ServerError where it says nothing, or ends.
    """
    with _short_name(folder) as short:
        environment = child.environment(**variables(where, str(short), secrets.token_hex(32)))
        process = child.spawn(child.python(module, str(folder)), environment)
        try:
            yield _told(process, where, again)
        finally:
            process.close(PATIENCE_SECONDS)


def _told(process: child.Child, where: str, again: str) -> Iterator[dict[str, Any]]:
    is_joined = False
    while True:
        try:
            told = json.loads(process.receive(SILENT_SECONDS))
        except child.SilentError:
            hint = again if is_joined or LOCAL.fullmatch(where) else REACH
            raise ServerError(f"--cluster {where}: Ray did not answer within {SILENT_SECONDS:.0f} s", hint) from None
        except child.EndedError as error:
            is_gone = "Failed to connect to GCS" in str(error)
            what = "it does not answer any more" if is_gone else str(error)
            raise ServerError(f"the cluster's head is gone, or Ray has failed: {what}", again) from None
        if "failure" in told:
            raise error_of(told["failure"], "")
        is_joined = True
        yield told


@contextmanager
def _short_name(folder: Path) -> Iterator[Path]:
    """Yield a short name of the folder for the `with` block, and remove those that a kill has left."""
    places = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 -- random, and of this user alone
    parent = next((one for one in places if len(os.fsencode(one)) + 12 <= LONGEST), places[-1])
    with suppress(OSError):
        for one in parent.glob("v-????????"):
            if one.is_symlink() and not one.exists():
                one.unlink(missing_ok=True)
    link = parent / f"v-{secrets.token_hex(4)}"
    link.symlink_to(folder, target_is_directory=True)
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)
