"""Export files: a run and the runs below it in one zip file, whose manifest lists all its members.

    manifest.json               format, schema version, vecml's version; size and SHA-256 of each other member
    runs/ID/run.json            a run: name, status, times, params, tags, metrics with their whole history, data sets
    runs/ID/artifacts/...       the run's artifacts, byte for byte

The same content gives the same bytes: members are sorted and carry no time. `unpack` trusts nothing in a file: names,
sizes and digests are checked before anything else is done, and nothing in the file is executed.
"""

import hashlib
import io
import json
import math
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError

from vecml import __version__
from vecml.errors import StoreError, one_line
from vecml.first_fault import reader
from vecml.regular_file import open_regular

FORMAT: Final = "vecml run"
VERSION: Final = 1
MANIFEST = "manifest.json"
DOCUMENT = "run.json"
ARTIFACTS = "artifacts"
LIMIT_BYTES = 2 * 1024**3  # of all members, unpacked
LIMIT_MEMBERS = 20_000
LIMIT_MANIFEST = 16 * 1024**2
LIMIT_PARAMS = 10_000  # of a run; MLflow's time for them grows with their square
LIMIT_DOCUMENT = 256 * 1024**2
LONGEST_STORE = 500  # characters
CHUNK = 1024**2
BEGINNING = f'{{"format":"{FORMAT}"'.encode()
EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip knows no time before it
HINT = "export the run again: vecml export RUN FILE"

Id = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{32}$")]
Milliseconds = Annotated[StrictInt, Field(ge=0, lt=2**63)]
Step = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Value = StrictFloat | Literal["nan", "inf", "-inf"]  # JSON has no words for these
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class DataSet:
    """A data set of a run: MLflow's fields, and the tags that say what the run used it for."""

    __pydantic_config__ = _STRICT

    name: StrictStr
    digest: StrictStr
    source_type: StrictStr
    source: StrictStr
    schema: StrictStr | None
    profile: StrictStr | None
    tags: dict[StrictStr, StrictStr]


@dataclass(frozen=True)
class RunDocument:
    """A run without its artifacts.

    Attributes:
        run_id: id of the run in the store that it was recorded in.
        parent: id of the run above it, or None.
        name, status: MLflow's; the run has ended.
        start_time, end_time: milliseconds since 1970; the end may be unknown.
        params, tags: as they were logged, without tags that name the user, the process or a folder.
        metrics: all logged values of each metric: (time in milliseconds, step, value).
        data: data sets.
    """

    __pydantic_config__ = _STRICT

    run_id: Id
    parent: Id | None
    name: StrictStr
    status: Literal["FINISHED", "FAILED", "KILLED"]
    start_time: Milliseconds
    end_time: Milliseconds | None
    params: dict[StrictStr, StrictStr]
    tags: dict[StrictStr, StrictStr]
    metrics: dict[StrictStr, tuple[tuple[Milliseconds, Step, Value], ...]]
    data: tuple[DataSet, ...]


@dataclass(frozen=True)
class Member:
    """The manifest's entry for a member: its size in bytes, and its SHA-256 as 64 hex digits."""

    __pydantic_config__ = _STRICT

    size: Annotated[StrictInt, Field(ge=0)]
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`, in this order.

    Attributes:
        format, version: format and schema version of the file.
        vecml: version of the vecml that packed it.
        run_id: id of the run, or of the comparison's parent run.
        store: as in `Archive`.
        members: the members by name, sorted.
    """

    __pydantic_config__ = _STRICT

    format: Literal["vecml run"]
    version: Literal[1]
    vecml: StrictStr
    run_id: Id
    store: Annotated[StrictStr, Field(max_length=LONGEST_STORE)]
    members: dict[StrictStr, Member]


_MANIFEST = reader(Manifest)
_RUN = reader(RunDocument)


@dataclass(frozen=True)
class Archive:
    """An export file that was checked and unpacked.

    Attributes:
        file: path of the export file.
        digest: hash of the content; it does not depend on the vecml that packed it.
        store: name of the store that the run comes from, for people.
        run: the run, or the comparison's parent run.
        children: the runs below it, in the order in which they began.
        folder: folder with the unpacked members.
    """

    file: Path
    digest: str
    store: str
    run: RunDocument
    children: tuple[RunDocument, ...]
    folder: Path = field(repr=False)

    def artifacts(self, run: RunDocument) -> Path | None:
        """Give the folder of the run's artifacts; None where it has none."""
        folder = self.folder / "runs" / run.run_id / ARTIFACTS
        return folder if folder.is_dir() else None


def pack(
    run: RunDocument, children: Sequence[RunDocument], artifacts: Mapping[str, Path], store: str
) -> tuple[bytes, str]:
    """Make an export file; give its bytes and the digest of its content.

    Args:
        run, children: the run, and the runs below it.
        artifacts: folder of the artifacts of each run id; every file below it goes in.
        store: name of the store that the runs come from, for people, without passwords.

    Raises StoreError for more bytes or members than `unpack` accepts.
    """
    members: dict[str, bytes | Path] = {}
    for document in (run, *children):
        _check_limit(f"run {document.name}", len(document.params), LIMIT_PARAMS, "params")
        members[f"runs/{document.run_id}/{DOCUMENT}"] = _json(asdict(document))
    for run_id, folder in artifacts.items():
        for path in folder.rglob("*"):
            if path.is_file():
                members[f"runs/{run_id}/{ARTIFACTS}/{path.relative_to(folder).as_posix()}"] = path
    listed = {name: _described(members[name]) for name in sorted(members)}
    _check_limits(f"run {run.name}", listed)
    for name in listed:
        if not _is_ours(name):
            fault = f"run {run.name} cannot be exported: it has an artifact {name.partition(f'/{ARTIFACTS}/')[2]!r}"
            raise StoreError(fault, "give it a name without backslashes and control characters")
    manifest = Manifest(FORMAT, VERSION, __version__, run.run_id, store, listed)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(_entry(MANIFEST), _json(asdict(manifest), sort=False))
        for name in listed:
            member = members[name]
            archive.writestr(_entry(name), member if isinstance(member, bytes) else member.read_bytes())
    return content.getvalue(), _digest(run.run_id, listed)


def as_value(number: float) -> Value:
    """Give a metric's value as a document holds it: JSON has no number for nan and infinity."""
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return float(number)


def is_export(path: Path) -> bool:
    """Whether the file begins like an export, so that it may be overwritten by one. Raises OSError."""
    with open_regular(path) as file:
        if file.read(4) != b"PK\x03\x04":
            return False
        try:
            with zipfile.ZipFile(file) as archive, archive.open(MANIFEST) as manifest:
                return manifest.read(len(BEGINNING)) == BEGINNING
        except (zipfile.BadZipFile, KeyError, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError):
            return False


def unpack(file: Path, folder: Path) -> Archive:
    """Check the whole content of the file, and unpack it into the new `folder`.

    Raises StoreError for a file of another format or schema version, a name that leads out of the folder, a member that
    is missing or not in the manifest, a wrong size or digest, or more than the limits.
    """
    shown = str(file)
    with _reading(shown), open_regular(file) as opened, zipfile.ZipFile(opened) as archive:
        entries = _entries(shown, archive)
        manifest = _manifest(shown, archive, entries)
        listed = manifest.members
        _check_limits(shown, listed)
        for name in listed:
            if not _is_ours(name):
                raise _wrong(shown, f"{name!r} is a name that cannot be in it")
        for name in sorted(entries.keys() ^ (listed.keys() | {MANIFEST})):
            raise _wrong(shown, f"{name!r} is {'not in its manifest' if name in entries else 'missing'}")
        _check_tree(shown, listed)
        folder.mkdir(parents=True)
        for name, member in listed.items():
            _unpack_member(shown, archive, entries[name], member, folder / name)
    documents = _documents(shown, folder, listed)
    root = documents.pop(manifest.run_id, None)
    if root is None or root.parent is not None:
        raise _wrong(shown, f"it does not hold the run {manifest.run_id} that it names")
    for child in documents.values():
        if child.parent != root.run_id:
            raise _wrong(shown, f"run {child.run_id} is not below {root.run_id}")
    children = sorted(documents.values(), key=lambda child: (child.start_time, child.run_id))
    return Archive(file, _digest(root.run_id, listed), manifest.store, root, tuple(children), folder)


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    """Turn the errors of a missing, damaged or unreadable zip file into StoreErrors during the `with` block."""
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{shown}: there is no such file", "vecml export RUN FILE writes one") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise _wrong(shown, f"it is no whole zip file ({one_line(error, whole=True, limit=100)})") from None
    except OSError as error:
        raise StoreError(
            f"{shown} cannot be unpacked: {error.strerror or error}", "see that it can be read and /tmp has room"
        ) from None


def _entries(shown: str, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Give the zip's directory by name; refuse folders, links, encrypted members and names that occur twice."""
    entries: dict[str, zipfile.ZipInfo] = {}
    _check_limit(shown, len(archive.filelist) - 1, LIMIT_MEMBERS, "members")
    for entry in archive.infolist():
        name, mode = entry.orig_filename, entry.external_attr >> 16
        if name != entry.filename or name in entries:
            raise _wrong(shown, f"{name!r} is in it {'twice' if name in entries else 'under a name that ends early'}")
        if not name or entry.is_dir() or (stat.S_IFMT(mode) not in (0, stat.S_IFREG)):
            raise _wrong(shown, f"{name!r} is no plain file")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _wrong(shown, f"{name!r} is encrypted, or packed in an unusual way")
        entries[name] = entry
    return entries


def _manifest(shown: str, archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> Manifest:
    entry = entries.get(MANIFEST)
    if entry is None:
        raise StoreError(f"{shown} is no export of a run: it has no {MANIFEST}", "vecml export RUN FILE writes one")
    _check_limit(shown, entry.file_size, LIMIT_MANIFEST, f"bytes for its {MANIFEST}")
    with archive.open(entry) as stream:
        content = _parsed(shown, MANIFEST, stream.read(LIMIT_MANIFEST))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StoreError(f"{shown} is no export of a run", "vecml export RUN FILE writes one")
    version, writer = content.get("version"), str(content.get("vecml"))[:40]
    if type(version) is not int or version != VERSION:
        raise StoreError(
            f"{shown} has schema version {str(version)[:40]}; vecml {__version__} reads version {VERSION}",
            f"import it with the vecml that wrote it, {writer}, or a later one",
        )
    try:
        manifest: Manifest = _MANIFEST.validate_python(content)
    except ValidationError as error:
        raise _wrong(shown, f"{MANIFEST}: {_first(error)}") from None
    return manifest


def _unpack_member(shown: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, member: Member, target: Path) -> None:
    """Write the member, at most as many bytes as the manifest says, and compare its digest."""
    name, size = entry.filename, member.size
    if entry.file_size != size:
        raise _wrong(shown, f"{name!r} has {entry.file_size:,} bytes, and its manifest says {size:,}")
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), size
    with archive.open(entry) as source, target.open("xb") as file:
        for chunk in _chunks(source, size + 1):
            left -= len(chunk)
            digest.update(chunk)
            file.write(chunk)
    if left != 0 or digest.hexdigest() != member.sha256:
        raise _wrong(shown, f"{name!r} is not what was exported: its SHA-256 is not the manifest's")


def _chunks(source: IO[bytes], limit: int) -> Iterator[bytes]:
    """Yield the stream in pieces, `limit` bytes of it at most."""
    while limit > 0 and (chunk := source.read(min(CHUNK, limit))):
        limit -= len(chunk)
        yield chunk


def _documents(shown: str, folder: Path, listed: Mapping[str, Member]) -> dict[str, RunDocument]:
    """Read the runs by their ids; refuse an artifact that belongs to no run."""
    documents = {}
    for name in listed:
        _, run_id, kind, *_ = PurePosixPath(name).parts
        if kind == ARTIFACTS:
            if f"runs/{run_id}/{DOCUMENT}" not in listed:
                raise _wrong(shown, f"{name!r} belongs to no run in it")
            continue
        try:
            document = _RUN.validate_python(_parsed(shown, name, (folder / name).read_bytes()))
        except ValidationError as error:
            raise _wrong(shown, f"{name}: {_first(error)}") from None
        if document.run_id != run_id:
            raise _wrong(shown, f"{name} is of the run {document.run_id}")
        _check_limit(shown, len(document.params), LIMIT_PARAMS, "params")
        documents[run_id] = document
    return documents


def _parsed(shown: str, name: str, content: bytes) -> Any:
    def refused(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        parsed = json.loads(content, parse_constant=refused)
        json.dumps(parsed, ensure_ascii=False).encode()  # half a character (a surrogate) cannot be stored
    except (ValueError, RecursionError) as error:
        raise _wrong(shown, f"{name} cannot be read ({one_line(error, whole=True, limit=100)})") from None
    return parsed


def _check_limits(shown: str, listed: Mapping[str, Member]) -> None:
    """Raise StoreError for more than a file may hold; `shown`: what holds it."""
    _check_limit(shown, len(listed), LIMIT_MEMBERS, "members")
    _check_limit(shown, sum(member.size for member in listed.values()), LIMIT_BYTES, "bytes unpacked")
    for name, member in listed.items():
        if _is_document(name):
            _check_limit(shown, member.size, LIMIT_DOCUMENT, f"bytes for a run's {DOCUMENT}")


def _check_limit(shown: str, number: int, limit: int, words: str) -> None:
    if number > limit:
        raise StoreError(
            f"{shown}: {number:,} {words}, and {limit:,} are the limit of an export",
            "bring the machines together by a tracking server instead: MLFLOW_TRACKING_URI",
        )


def _is_document(name: str) -> bool:
    return PurePosixPath(name).parts[2:] == (DOCUMENT,)


def _is_ours(name: str) -> bool:
    """Whether a member's name is one that `pack` gives, and leads nowhere but below the folder it is unpacked in."""
    ours = re.fullmatch(rf"runs/[0-9a-f]{{32}}/(?:{DOCUMENT}|{ARTIFACTS}/(.+))", name, flags=re.DOTALL)
    parts = (ours[1] or "-").split("/") if ours else [""]
    return not any(part in ("", ".", "..") or re.search(r"[\\\x00-\x1f\x7f-\x9f]", part) for part in parts)


def _check_tree(shown: str, names: Mapping[str, Any]) -> None:
    """Refuse a name that is both a file and a folder of other members."""
    for name in names:
        for above in PurePosixPath(name).parents:
            if str(above) in names:
                raise _wrong(shown, f"{str(above)!r} is a file and a folder")


def _described(member: bytes | Path) -> Member:
    if isinstance(member, bytes):
        return Member(len(member), hashlib.sha256(member).hexdigest())
    with member.open("rb") as file:
        return Member(member.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix, wherever it is written
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _digest(run_id: str, listed: Mapping[str, Member]) -> str:
    members = {name: asdict(member) for name, member in listed.items()}
    return hashlib.sha256(_json({"run_id": run_id, "members": members})).hexdigest()


def _json(content: Any, sort: bool = True) -> bytes:
    text = json.dumps(content, sort_keys=sort, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _first(error: ValidationError) -> str:
    """Give the place and the message of the first fault, without the file's own text."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part)[:40] for part in fault["loc"])
    return f"{place}: {fault['msg']}"


def _wrong(shown: str, fault: str) -> StoreError:
    return StoreError(f"{shown} cannot be taken: {fault}", HINT)
