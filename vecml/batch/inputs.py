"""The files to label, in their order, from folders, patterns, lists or addresses, and what tells that one changed."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vecml.data.addresses import is_address
from vecml.data.files import check_file
from vecml.data.places import LOCAL, Place, of_address, place_errors, place_of
from vecml.data.remote import remote_files
from vecml.data.several import PATTERN, partition_of, partitions, parts_of_list, several
from vecml.errors import DataError, SettingError


@dataclass(frozen=True, slots=True)
class Input:
    """A file to label.

    Attributes:
        address: its absolute path, or its address.
        size: in bytes.
        stamp: what changes with its content: the time of its last change in nanoseconds, or an object's ETag; empty
            until the file is opened, where listing does not say it.
        folder: the Hive folders of the output that its rows go to, `year=2024/month=1`, or nothing.
    """

    address: str
    size: int
    stamp: str
    folder: str = ""

    @property
    def constants(self) -> dict[str, str | None]:
        """The values of the Hive folders, by name."""
        return partition_of(PurePosixPath(self.folder) / "file") if self.folder else {}


@dataclass(frozen=True)
class Inputs:
    """All files to label.

    Attributes:
        files: in the order in which they are labelled.
        roots: the folders and files that were named, for which no output may lie within.
        patterns: those that were named, each with the folder above which it has no `*`; none may find the output.
        options: of the address, such as `region=eu-west-1`.
    """

    files: tuple[Input, ...]
    roots: tuple[str, ...]
    patterns: tuple[tuple[str, str], ...] = ()
    options: str = ""


def find_inputs(data: str | Path | Sequence[str | Path], needed: Collection[str]) -> Inputs:
    """List the files that `data` names; none is opened.

    Args:
        data: a folder, a pattern, names with commas between them, or a sequence of any of these; paths or addresses.
        needed: columns that a model has; a folder `name=value` above the files may hold one.

    Raises DataError where there is no file, or a name or a bucket does not exist.
    """
    named = [str(data)] if isinstance(data, str | Path) else [str(one) for one in data]
    if len(named) == 1:
        has_address = any(map(is_address, named[0].split(",")))
        named = [one.strip() for one in named[0].split(",")] if has_address else parts_of_list(named[0])
    if not named:
        raise DataError("the list of files is empty", "name at least one file")
    files: list[Input] = []
    options: set[str] = set()
    hive: list[str] = []
    for one in named:
        found, below = _remote(one) if is_address(one) and not one.lower().startswith("file:") else _local(one)
        files += found
        hive += below
        options.add(one.partition("?")[2] if is_address(one) else "")
    if len(options) > 1:
        raise SettingError("--data: addresses with different options after `?`", "label them one after the other")
    twice = len(files) - len({file.address for file in files})
    if twice:
        raise DataError(f"{twice} of {len(files)} files are named more than once", "name each once")
    places = [place_of(one, "--data") for one in named]
    patterns = [one.address for one in places if _is_pattern(one)]
    return Inputs(
        files=_with_folders(files, {*needed, *hive}),
        roots=tuple(one.address for one in places if not _is_pattern(one)),
        patterns=tuple((_base(one), one) for one in patterns),
        options=options.pop(),
    )


def check_unchanged(file: Input, options: str, place: Place | None = None) -> None:
    """Raise DataError where the file has another size or stamp than in the plan, or is gone."""
    size, stamp = stamp_of(place or of_address(file.address, options))
    if (size, stamp) != (file.size, file.stamp):
        what = f"it had {file.size:,} bytes and has {size:,}" if size != file.size else "it was written again"
        raise DataError(
            f"{file.address} has changed since the plan was made: {what}", "label what is there now in a new folder"
        )


def stamp_of(place: Place, opened: Any = None) -> tuple[int, str]:
    """The size in bytes, and the stamp of a file as it is now; `opened` is the file where it is open already.

    Raises DataError where it is gone.
    """
    with place_errors(place, "read"):
        if place.is_local:
            there = os.stat(place.path)  # noqa: PTH116 -- a path of pathlib takes five times as long
            return there.st_size, str(there.st_mtime_ns)
        if opened is not None:
            return opened.size(), _tag(opened.metadata(), place)
        with place.system.open_input_file(place.path) as file:
            return file.size(), _tag(file.metadata(), place)


def _tag(metadata: dict[bytes, bytes], place: Place) -> str:
    """The ETag of an object, or the time of its last change where the system has none."""
    for name, value in (metadata or {}).items():
        if name.lower() == b"etag":
            return value.decode("latin-1").strip('"')
    (information,) = place.system.get_file_info([place.path])
    return str(information.mtime_ns)


def _is_pattern(place: Place) -> bool:
    return PATTERN.search(place.address) is not None and not (place.is_local and Path(place.path).exists())


def _base(pattern: str) -> str:
    parts = pattern.split("/")
    return "/".join(parts[: next(index for index, part in enumerate(parts) if PATTERN.search(part))]) or "/"


def _local(text: str) -> tuple[list[Input], list[str]]:
    place = place_of(text, "--data")
    found = several(place.path if text.lower().startswith("file:") else text)
    paths = [Path(place.path)] if found is None else found
    if found is None:
        check_file(paths[0])
    files = []
    for path in paths:
        address = os.path.abspath(path)  # noqa: PTH100 -- links stay what they are called
        size, stamp = stamp_of(Place(address, address, LOCAL))
        files.append(Input(address, size, stamp))
    base = Path(place.path)
    below: list[str] = []
    if base.is_dir():
        nested = [Path(file.address).relative_to(base) for file in files if "=" in file.address]
        below = [name for path in nested for name in partition_of(path)]
    return files, list(dict.fromkeys(below))


def _remote(text: str) -> tuple[list[Input], list[str]]:
    """The files of an address; their stamps are read with their footers."""
    found = remote_files(text)
    return [Input(one.address, one.size, "") for one in found.files], list(found.partitions)


def _with_folders(files: Sequence[Input], needed: Collection[str]) -> tuple[Input, ...]:
    """The files, each with the Hive folders that the output keeps."""
    if not any("=" in file.address for file in files):
        return tuple(files)
    paths = [PurePosixPath(file.address) for file in files]
    made = partitions(paths, needed)
    if not any(made):
        return tuple(files)
    return tuple(
        Input(file.address, file.size, file.stamp, _folder(path, kept))
        for file, path, kept in zip(files, paths, made, strict=True)
    )


def _folder(path: PurePosixPath, kept: Collection[str]) -> str:
    """The folders `name=value` of a path whose names are kept, as they are written."""
    return "/".join(
        part for part in path.parts[:-1] if "=" in part and set(partition_of(PurePosixPath(part) / "file")) & {*kept}
    )
