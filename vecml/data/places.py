"""Files and folders by path or address: this machine's, and those of pyarrow's file systems (`s3://`, `gs://` ...).

Credentials come from the environment alone, in the way of each system (`AWS_ACCESS_KEY_ID`, `~/.aws`, a role of the
machine ...): an address that holds some is refused, so that no plan, manifest or message can hold them.
"""

import functools
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from vecml.data.addresses import ADDRESS, SCHEMES
from vecml.errors import DataError, SettingError, VecmlError, one_line
from vecml.leftovers import scratch_folder
from vecml.passwords import without_passwords

SECRET = re.compile(r"(?i)key|secret|token|password|credential|signature")
LOCAL = fs.LocalFileSystem()
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or a role of the machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or a role of the machine",
    "abfs": "AZURE_STORAGE_ACCOUNT and what `az login` stores, or a role of the machine",
    "hdfs": "the Hadoop client's own configuration",
}
FAMILY = {"gcs": "gs", "abfss": "abfs", "viewfs": "hdfs"}


@dataclass(frozen=True)
class Place:
    """A file or a folder somewhere.

    Attributes:
        address: as people name it; an absolute path without a scheme on this machine.
        path: within the file system.
        system: pyarrow's file system.
    """

    address: str
    path: str
    system: Any = field(repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return self.system is LOCAL

    @property
    def scheme(self) -> str:
        """The family of its address: `s3`, `gs`, `abfs`, `hdfs`, or `file`."""
        return _family(self.address)

    def below(self, name: str) -> "Place":
        """The place `name` in this folder."""
        return Place(f"{self.address.rstrip('/')}/{name}", f"{self.path.rstrip('/')}/{name}", self.system)


def place_of(text: str, flag: str) -> Place:
    """The place that a path or an address names; nothing is opened.

    Args:
        text: `folder/file`, `file:///folder/file`, `s3://bucket/key` ...
        flag: what the user gave it to, for the message.

    Raises SettingError for an address that holds credentials, or that pyarrow cannot use here.
    """
    found = ADDRESS.match(text)
    if found is None:
        path = os.path.abspath(Path(text).expanduser())  # noqa: PTH100 -- links stay what they are called
        return Place(path, path, LOCAL)
    scheme = found[1].lower()
    if scheme == "file":
        return place_of("/" + text[found.end() :].split("/", 1)[-1], flag)
    if scheme not in SCHEMES:
        raise SettingError(
            f"{flag} {without_passwords(text)}: there is no reader for such an address",
            f"known: {', '.join(f'{one}://' for one in SCHEMES)}",
        )
    _check_no_secret(text, found.end(), flag)
    bare, _, options = text.partition("?")
    base, rest = _split(bare)
    system, prefix = _system(base, options, flag)
    return Place(bare.rstrip("/") if rest else base, f"{prefix}{rest}".rstrip("/"), system)


def of_address(address: str, options: str = "") -> Place:
    """The place of an address that `place_of` made; `options` are those of the address that the user gave."""
    if ADDRESS.match(address) is None:
        return Place(address, address, LOCAL)
    return place_of(f"{address}?{options}" if options else address, "--data")


@contextmanager
def place_errors(place: Place, doing: str) -> Iterator[None]:
    """Raise what pyarrow's file system raises in the `with` block as a DataError of one line.

    Args:
        place: what is read or written.
        doing: the verb for the message: `listed`, `read`, `written`.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise _in_words(place, doing, error) from None


@contextmanager
def local_file(place: Place) -> Iterator[Path]:
    """Yield the path of the file, or of a copy for the `with` block where it lies elsewhere.

    Raises DataError where it cannot be read, ScratchError where there is no room for a copy.
    """
    if place.is_local:
        yield Path(place.path)
        return
    with scratch_folder() as folder:
        copy = folder / place.path.rsplit("/", 1)[-1]
        with copy.open("wb") as target, place_errors(place, "read"):
            with place.system.open_input_stream(place.path, compression=None) as source:
                shutil.copyfileobj(source, target, 1 << 22)
        yield copy


def naming(error: DataError, address: str) -> DataError:
    """The error with the file's address, where it does not name it yet: one name is in many folders."""
    if address in error.message:
        return error
    name = address.rsplit("/", 1)[-1]
    rest = error.message.removeprefix(f"{name} ")
    before = address if rest != error.message else f"{address}:"
    return DataError(f"{before} {rest}", error.hint)


def _in_words(place: Place, doing: str, error: BaseException) -> VecmlError:
    reason = without_passwords(one_line(error, whole=True, limit=400))
    bucket = place.path.split("/", 1)[0]
    if place.is_local and isinstance(error, FileNotFoundError):
        return DataError(
            f"{place.address} is not there any more", "put it back, or label what is there in a new folder"
        )
    if re.search(r"NO_SUCH_BUCKET|[Bb]ucket.*does not exist|NoSuchBucket|ContainerNotFound", reason):
        return DataError(f"there is no bucket {bucket!r}: {place.address}", "mend its name, or its region: AWS_REGION")
    if re.search(
        r"ACCESS_DENIED|Forbidden|PERMISSION_DENIED|INVALID_|UNRECOGNIZED_CLIENT|SIGNATURE|HTTP 40[13]", reason
    ):
        return DataError(
            f"{place.address} may not be {doing} with the credentials of the environment",
            f"what is looked for: {CREDENTIALS.get(place.scheme, 'the system user')}",
        )
    if place.is_local and isinstance(error, NotADirectoryError):
        return DataError(f"{place.address} is a file, and no folder", "name a folder")
    if isinstance(error, FileNotFoundError) or "NoSuchKey" in reason or "Path does not exist" in reason:
        return DataError(f"{place.address} is not there", "mend the address")
    if isinstance(error, PermissionError):
        return DataError(f"{place.address} may not be {doing} by this user", "allow it, or name another")
    hint = "see what is wrong with its disk: dmesg" if place.is_local else "is the network there? Then run it again"
    return DataError(f"{place.address} cannot be {doing}: {reason}", hint)


def _family(address: str) -> str:
    found = ADDRESS.match(address)
    return "file" if found is None else FAMILY.get(found[1].lower(), found[1].lower())


def _check_no_secret(text: str, start: int, flag: str) -> None:
    place, _, options = text.partition("?")
    user, at, _ = place[start:].split("/", 1)[0].rpartition("@")
    scheme = _family(text)
    named = any(SECRET.search(option.partition("=")[0]) for option in options.split("&"))
    if named or (at and (":" in user or scheme in ("s3", "gs"))):
        raise SettingError(
            f"{flag} {ADDRESS.match(text)[0]}...: an address must not hold credentials",  # type: ignore[index]
            f"take them out; they are taken from {CREDENTIALS.get(scheme, 'the environment')}",
        )


def _split(bare: str) -> tuple[str, str]:
    """`s3://bucket/a/b` as `s3://bucket` and `/a/b`."""
    scheme, _, rest = bare.partition("://")
    name, slash, path = rest.partition("/")
    return f"{scheme}://{name}", slash + path if path else ""


@functools.lru_cache(maxsize=64)
def _system(base: str, options: str, flag: str) -> tuple[Any, str]:
    """The file system of an address without a path, and what stands before a path in it."""
    try:
        if _family(base) == "s3" and not options and (made := _s3_of_environment()) is not None:
            return made, base.partition("://")[2]
        system, prefix = fs.FileSystem.from_uri(f"{base}/?{options}" if options else f"{base}/")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SettingError(
            f"{flag} {base}: {without_passwords(one_line(error, whole=True))}",
            "is the bucket's name right, and its region: AWS_REGION",
        ) from None
    return system, prefix.rstrip("/")


def _s3_of_environment() -> Any:
    """S3 as the usual variables say, which Arrow does not read all; None where they say nothing."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, mark, host = endpoint.rpartition("://")
        return fs.S3FileSystem(
            endpoint_override=host.rstrip("/"),
            scheme=scheme if mark else "https",
            region=region or "us-east-1",
            allow_delayed_open=True,  # a small file is one request
        )
    return fs.S3FileSystem(region=region, allow_delayed_open=True) if region else None
