"""The folder that the parts are written to, on this machine or elsewhere: each file appears whole or not at all.

On this machine a file is written under a hidden name, synced and renamed. Elsewhere it is written here first and then
uploaded in one go: an object appears when its upload is complete, and nothing there is renamed.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from vecml.data.places import Place, place_errors
from vecml.errors import StoreError, VecmlError
from vecml.leftovers import hidden_name, scratch_folder, sweep_within

CHUNK = 1 << 22


@dataclass(frozen=True)
class Folder:
    """An output folder.

    Attributes:
        place: where it is.
    """

    place: Place

    def names(self) -> set[str]:
        """The names of all files in it and below it; raises DataError where it cannot be listed.

        A link to a folder is named like a file: what it leads to is no part of the output. What another process removes
        meanwhile may be among them or not.
        """
        base = self.place.path
        if self.place.is_local:
            with place_errors(self.place, "listed"):
                return set(_local_names(Path(base)))
        with place_errors(self.place, "listed"):
            selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
            listed = self.place.system.get_file_info(selector)
        return {one.path.removeprefix(base).lstrip("/") for one in listed if one.type == fs.FileType.File}

    def holds(self, name: str) -> bool:
        """Whether it has a file of this name, without listing all others; raises DataError where it cannot be asked."""
        place = self.place.below(name)
        with place_errors(place, "read"):
            (found,) = place.system.get_file_info([place.path])
        return bool(found.type == fs.FileType.File)

    def sweep(self) -> None:
        """Remove the hidden files that killed processes left in it."""
        if self.place.is_local:
            sweep_within(Path(self.place.path))

    def read(self, name: str) -> bytes:
        """The content of a file; raises DataError where it cannot be read."""
        place = self.place.below(name)
        with place_errors(place, "read"), place.system.open_input_stream(place.path, compression=None) as stream:
            content: bytes = stream.read()
        return content

    def sha256(self, name: str) -> tuple[str, int]:
        """The SHA-256 of a file in hexadecimal digits, and its bytes; raises DataError where it cannot be read."""
        place, digest, size = self.place.below(name), hashlib.sha256(), 0
        with place_errors(place, "read"), place.system.open_input_stream(place.path, compression=None) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return digest.hexdigest(), size

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole. Raises StoreError."""
        with self.published(name) as temporary:
            temporary.write_bytes(content)

    def remove(self, name: str) -> None:
        """Remove a file; one that cannot be removed stays."""
        place = self.place.below(name)
        with suppress(OSError):
            place.system.delete_file(place.path)

    def remove_empty(self, name: str) -> None:
        """Remove a folder within it that holds nothing any more; object stores have none."""
        if self.place.is_local:
            with suppress(OSError):
                Path(self.place.path, name).rmdir()

    @contextmanager
    def published(self, name: str) -> Iterator[Path]:
        """Yield the path of a temporary file to write; after the `with` block it is the file `name`.

        Raises StoreError, with the cause, if it cannot be written; then nothing of it is there.
        """
        place = self.place.below(name)
        if self.place.is_local:
            with _renamed(Path(place.path)) as temporary:
                yield temporary
            return
        with scratch_folder() as scratch:
            temporary = scratch / place.path.rsplit("/", 1)[-1]
            yield temporary
            try:
                with place_errors(place, "written"):
                    _upload(temporary, place)
            except VecmlError as error:
                raise StoreError(error.message, error.hint) from None


def _local_names(root: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        here = Path(folder)
        for path in (here / name for name in files):
            if path.is_file():
                yield str(path.relative_to(root))
        for path in (here / name for name in folders):
            if path.is_symlink():
                yield str(path.relative_to(root))


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    temporary = hidden_name(path)
    try:
        _make(temporary)
        yield temporary
        _sync(temporary, os.O_RDWR)
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}",
            "make room, or allow it, and run the same command again: what is complete stays",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _make(path: Path) -> None:
    """Make an empty file and the folders above it, which another process may remove as long as they are empty."""
    for last in (False, False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            return
        except FileNotFoundError:
            if last:
                raise


def _sync(place: Path, flags: int) -> None:
    descriptor = os.open(place, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _upload(source: Path, place: Place) -> None:
    """Write a complete file to an object store, where it appears when the stream is closed."""
    with source.open("rb") as content, place.system.open_output_stream(place.path) as target:
        shutil.copyfileobj(content, target, CHUNK)
