"""Ray: how vecml joins a cluster or starts one on this machine, and what it asks of it.

This is the one module that knows Ray. It is imported in a process of its own (`vecml.cluster.driver`), which Ray may
end: a driver that has lost the head of its cluster is ended by Ray, without an exception.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vecml.cluster.driver import LINK
from vecml.errors import ServerError, SettingError, one_line

HINT = "name another: --cluster local:2, auto, or ray://HOST:PORT"
LOCAL = re.compile(r"local:([0-9]{1,4})")
CLIENT = re.compile(r"ray://[^/\s:@]+:[0-9]{1,5}")
OBJECT_STORE_BYTES = 80 << 20  # the least that Ray takes; nothing but the model goes through it
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class FoundNode:
    """A node of the cluster that is alive.

    Attributes:
        node_id: Ray's.
        name: for people: the machine's name and its address.
        cpus: cores that Ray may use there.
    """

    node_id: str
    name: str
    cpus: int


class LostError(Exception):
    """The process on a node, or the node, is gone. The text says what Ray knows of it."""


def check_address(where: str) -> None:
    """Raise SettingError for what names no cluster."""
    local = LOCAL.fullmatch(where)
    if local is not None and not 1 <= int(local[1]) <= 64:
        raise SettingError(f"--cluster {where}: from 1 to 64 nodes on one machine", HINT)
    if local is None and where != "auto" and CLIENT.fullmatch(where) is None:
        raise SettingError(f"--cluster {where}: no such cluster", HINT)


def variables(where: str, scratch: str, token: str) -> dict[str, str]:
    """The environment of the process that talks to Ray: no telemetry, and for `local:N` nothing but this machine.

    Args:
        where: as for `connected`.
        scratch: folder for the sockets and logs of a cluster that is started here; a symbolic link goes at the end.
        token: what the processes of such a cluster show each other.
    """
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    if LOCAL.fullmatch(where) is None:
        return quiet
    return {
        **quiet,
        "RAY_TMPDIR": scratch,
        LINK: scratch,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_ADDRESS": "",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: this machine's address is 127.0.0.1
        "RAY_worker_niceness": "0",  # Ray's own, 15, is for clusters that others use as well
        "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
    }


@contextmanager
def connected(where: str, cpus: int) -> Iterator["Cluster"]:
    """Yield the cluster; one that was started here is ended after the `with` block, another one is left.

    Args:
        where: `auto`, `local:N` or `ray://HOST:PORT`.
        cpus: cores of this machine, which the nodes of `local:N` share.

    Raises ServerError where it cannot be reached, or has another version of Ray or Python.
    """
    import ray  # noqa: PLC0415 -- an extra

    local = LOCAL.fullmatch(where)
    made = None
    try:
        if local is not None:
            made = _made_here(int(local[1]), cpus)
        address = where if made is None else str(made.address)
        more = {} if where.startswith("ray://") else {"log_to_driver": False, "logging_level": "error"}
        try:
            ray.init(address=address, namespace=f"vecml-{os.getpid()}", **more)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise ServerError(
                f"--cluster {where}: Ray says: {_short(error)}",
                "start one: ray start --head, or take --cluster local:2",
            ) from None
        yield Cluster(ray)
    finally:
        ray.shutdown()
        if made is not None:
            made.shutdown()


def _made_here(nodes: int, cpus: int) -> Any:
    """A cluster of nodes on this machine, which nobody else can reach, without Ray's dashboard."""
    from ray.cluster_utils import Cluster as Made  # noqa: PLC0415 -- an extra

    shares = [max(1, cpus // nodes + (number < cpus % nodes)) for number in range(nodes)]
    common = {
        "node_ip_address": LOOPBACK,
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    made = Made(initialize_head=True, head_node_args={**common, "num_cpus": shares[0]})
    for share in shares[1:]:
        made.add_node(wait=False, **common, num_cpus=share)
    made.wait_for_nodes(120)
    return made


class Cluster:
    """The cluster that `connected` has joined."""

    def __init__(self, ray: Any) -> None:
        """`ray` is the package."""
        from vecml.cluster import node  # noqa: PLC0415 -- sent as it stands, to nodes without vecml too

        self._ray = ray
        ray.cloudpickle.register_pickle_by_value(node)
        self._actor = ray.remote(node.Node)

    def nodes(self) -> list[FoundNode]:
        """The nodes that are alive and have cores."""
        found = []
        for one in self._ray.nodes():
            cpus = int(one.get("Resources", {}).get("CPU", 0))
            if one["Alive"] and cpus >= 1:
                name = f"{one['NodeManagerHostname']} ({one['NodeManagerAddress']}, {one['NodeID'][:6]})"
                found.append(FoundNode(one["NodeID"], name, cpus))
        return found

    def start(self, node: FoundNode, environment: Mapping[str, str], *, whole: bool = True) -> Any:
        """Start a process on a node, with these variables; it is not waited for.

        It takes all of the node's cores, so that it begins when nothing else has any; unless it is not `whole`: then
        it takes none, and begins at once.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

        return self._actor.options(
            num_cpus=node.cpus if whole else 0,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,  # `stop` is heard while `exchange` waits
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False),
            runtime_env={"env_vars": dict(environment)},
        ).remote()

    def put(self, value: Any) -> Any:
        """Hand a value to the cluster once; what is returned stands for it in `call`."""
        return self._ray.put(value)

    def call(self, process: Any, method: str, *values: Any) -> Any:
        """Call a method of a node's process; what is returned is for `wait` and `answer`."""
        return getattr(process, method).remote(*values)

    def wait(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Those of the calls that are answered, after waiting for one for at most so long."""
        if not calls:
            return []
        first, _ = self._ray.wait(list(calls), num_returns=1, timeout=seconds)
        if not first:
            return []
        ready, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return list(ready)

    def answer(self, call: Any) -> Any:
        """The answer to a call; raises LostError where there will be none."""
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            raise LostError(_short(error)) from None

    def end(self, process: Any) -> None:
        """End a node's process, whatever it does."""
        self._ray.kill(process)


def _short(error: BaseException) -> str:
    """What Ray says, on one line and without the colours of a terminal."""
    text = one_line(error, whole=True, limit=None)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)[:300]
