"""The comparisons of several kinds of machine as one JSON document, and back: `version` 1 of the kind `comparisons`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vecml.cluster.failure import error_of, told_of
from vecml.comparison.cluster import KindOfMachine, KindResult
from vecml.comparison.document import from_json, to_json
from vecml.errors import MeasureError

VERSION: Literal[1] = 1
KIND: Literal["comparisons"] = "comparisons"


@dataclass(frozen=True)
class Kinds:
    """Holds what was measured on a cluster.

    Attributes:
        cluster: which: `auto`, `local:N` or `ray://HOST:PORT`.
        results: one for each kind of machine.
    """

    cluster: str
    results: tuple[KindResult, ...]


@dataclass(frozen=True)
class Machine:
    """One kind of machine in the document.

    Attributes:
        machine_key, host, nodes: as in `KindOfMachine`.
        node: which of the nodes measured.
        comparison: what `vecml compare --json` writes; null where it failed.
        failure: `kind`, `message` and `hint` of the error, or null.
    """

    machine_key: str
    host: str
    nodes: tuple[str, ...]
    node: str
    comparison: dict[str, Any] | None
    failure: dict[str, str | None] | None

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class KindsDocument:
    """The document's keys, in order.

    Attributes:
        version, kind: 1, `comparisons`.
        cluster: as in `Kinds`.
        machines: the kinds of machine.
    """

    version: Literal[1]
    kind: Literal["comparisons"]
    cluster: str
    machines: tuple[Machine, ...]

    __pydantic_config__ = ConfigDict(extra="forbid")


def is_of_kinds(content: bytes) -> bool:
    """Whether it is such a document, of whatever version."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(payload, Mapping) and payload.get("kind") == KIND


def kinds_to_json(kinds: Kinds) -> str:
    """The comparisons as JSON text that ends with a line break."""
    machines = tuple(
        Machine(
            **asdict(one.kind),
            node=one.node,
            comparison=None if one.comparison is None else json.loads(to_json(one.comparison)),
            failure=None if one.failure is None else told_of(one.failure),
        )
        for one in kinds.results
    )
    content = asdict(KindsDocument(VERSION, KIND, kinds.cluster, machines))
    return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n"


def kinds_from_json(content: bytes, name: str) -> Kinds:
    """The comparisons that a document holds; `name` is the file's, for messages.

    Raises MeasureError for another schema version and anything damaged, saying what.
    """
    _check_version(content, name)
    try:
        found: KindsDocument = _ADAPTER.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(name, f"{where}: {first['msg']}") from None
    if not found.machines:  # an empty list would pass every check of `--fail-if`
        raise _damaged(name, "machines: there is none")
    results: list[KindResult] = []
    for number, one in enumerate(found.machines):
        if any(one.machine_key == other.kind.machine_key for other in results):
            raise _damaged(name, f"machines.{number}: machine_key {one.machine_key!r} is there twice")
        kind = KindOfMachine(one.machine_key, one.host, one.nodes)
        failure = one.failure
        if (one.comparison is None) == (failure is None) or not {"kind", "message", "hint"} >= set(failure or ()):
            raise _damaged(name, f"machines.{number}: it has neither a comparison nor a failure, or both")
        if one.comparison is None:
            told = {"kind": "", "message": "", "hint": None, **(failure or {})}
            results.append(KindResult(kind, one.node, None, error_of(told, "")))
        else:
            comparison = from_json(json.dumps(one.comparison).encode(), f"{name}: machines.{number}")
            if (key := comparison.environment.get("machine_key")) != one.machine_key:
                raise _damaged(name, f"machines.{number}: machine_key {one.machine_key!r}, of its comparison {key!r}")
            results.append(KindResult(kind, one.node, comparison))
    return Kinds(found.cluster, tuple(results))


def _check_version(content: bytes, name: str) -> None:
    """Raise MeasureError where a JSON object says that it is of another schema version."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        return  # what is wrong with it is said where it is read
    found = payload.get("version") if isinstance(payload, Mapping) else VERSION
    if found != VERSION or isinstance(found, bool):
        raise MeasureError(
            f"{name} has schema version {found!r}; this vecml reads {VERSION}", "read it with the vecml that wrote it"
        )


def _damaged(name: str, reason: str) -> MeasureError:
    return MeasureError(f"{name} is damaged: {reason}", "take the file as vecml compare --json wrote it")


_ADAPTER: TypeAdapter[KindsDocument] = TypeAdapter(KindsDocument)
