"""The files that an address names, `s3://bucket/folder` or a pattern in it, and a table that is read of them."""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pyarrow import fs

from vecml.data.addresses import is_address, parts_of_list
from vecml.data.files import KNOWN, check_file, is_known
from vecml.data.places import Place, local_file, naming, of_address, place_errors, place_of
from vecml.data.several import PATTERN, Source, local_source, partition_of, several
from vecml.errors import DataError


@dataclass(frozen=True)
class RemoteFile:
    """A file elsewhere: its address, and its size in bytes."""

    address: str
    size: int


@dataclass(frozen=True)
class RemoteFiles:
    """The files that an address names.

    Attributes:
        files: in the order of their names.
        partitions: the names of the Hive folders below the one that was named.
    """

    files: tuple[RemoteFile, ...]
    partitions: tuple[str, ...]


def remote_files(text: str) -> RemoteFiles:
    """List the files of an address: a file, a folder, or a pattern with `*`; none is opened.

    Raises DataError where there is no file, or a name or a bucket does not exist.
    """
    place = place_of(text, "--data")
    pattern = PATTERN.search(place.path)
    base = place.path
    if pattern:
        base = place.path[: pattern.start()].rsplit("/", 1)[0]
    start = Place(place.address[: len(place.address) - len(place.path) + len(base)], base, place.system)
    with place_errors(start, "listed"):
        (there,) = place.system.get_file_info([base])
        if there.type == fs.FileType.File:
            listed = [there]
        elif there.type == fs.FileType.NotFound:
            listed = []
        else:
            listed = place.system.get_file_info(fs.FileSelector(base, recursive=True))
    if not listed and there.type == fs.FileType.NotFound:
        raise _not_there(start)
    wanted = matching(place.path) if pattern else None
    files = []
    for one in sorted(listed, key=lambda found: PurePosixPath(found.path).parts):
        name = one.path.removeprefix(base).lstrip("/")
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if one.type != fs.FileType.File or (hidden and one.path != base) or not is_known(Path(one.path)):
            continue
        if "?" in one.path and (wanted is None or wanted.fullmatch(one.path)):
            raise DataError(f"{start.address}: {name!r} has a '?', which begins the options of an address", "rename it")
        if wanted is None or wanted.fullmatch(one.path):
            address = start.address if one.path == base else start.below(name).address
            files.append(RemoteFile(address, one.size))
    if not files:
        raise DataError(f"{place.address} holds no data file", KNOWN)
    below = [] if pattern else [name for file in files for name in partition_of(_relative(file.address, start.address))]
    return RemoteFiles(tuple(files), tuple(dict.fromkeys(below)))


def check_remote(data: str) -> None:
    """Raise DataError where a list with an address names something that is not there; no file elsewhere is opened."""
    sources_of(data)


def sources_of(data: str) -> list[Source]:
    """The files of an address, or of a list in which there is one, in order; raises DataError as `remote_files`."""
    found: list[Source] = []
    for part in parts_of_list(data):
        if is_address(part):
            options = part.partition("?")[2]
            found += [_source(file.address, options) for file in remote_files(part).files]
        else:
            files = several(part)
            if files is None:
                check_file(Path(part).expanduser())
            found += [local_source(path) for path in files or [Path(part).expanduser()]]
    return found


def sizes_of(data: str) -> list[int]:
    """The sizes in bytes of the files elsewhere that a list names; raises DataError as `remote_files` does."""
    return [file.size for part in parts_of_list(data) if is_address(part) for file in remote_files(part).files]


def _source(address: str, options: str) -> Source:
    return Source(address, PurePosixPath(address), functools.partial(_copied, address, options))


def is_named(error: DataError) -> bool:
    """Whether the error names an address already: it may be another file's, whose part was read meanwhile."""
    return "://" in error.message


@contextmanager
def _copied(address: str, options: str) -> Iterator[Path]:
    """Yield the path of a copy; an error of the `with` block names the address."""
    with local_file(of_address(address, options)) as path:
        try:
            yield path
        except DataError as error:
            raise error if is_named(error) else naming(error, address) from None


def _not_there(place: Place) -> DataError:
    bucket = place.path.split("/", 1)[0]
    with place_errors(place, "listed"):
        (there,) = place.system.get_file_info([bucket])
    if there.type == fs.FileType.NotFound and place.scheme in ("s3", "gs"):
        return DataError(f"there is no bucket {bucket!r}: {place.address}", "mend its name, or its region: AWS_REGION")
    return DataError(f"{place.address} is not there", "mend the address")


def _relative(address: str, base: str) -> PurePosixPath:
    return PurePosixPath(address.removeprefix(base).lstrip("/"))


def matching(path: str) -> "re.Pattern[str]":
    """A pattern of names with `*`, `?`, `[...]` and `**` for any folders, as a regular expression."""
    kinds = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", path)
    return re.compile(
        "".join(
            kinds.get(one) or (one.replace("[!", "[^", 1) if one.startswith("[") else re.escape(one)) for one in pieces
        )
    )
