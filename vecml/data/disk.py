"""Arrays and tables that lie on the disk and are mapped: a table of more rows than memory is worked on as any other.

The files have no name, so that nothing is left of them, however the process ends. What is read of them is the system's
to keep in memory or to give up. Room is reserved when a file is made: that a disk is full is told then (ScratchError).
"""

import errno
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vecml.errors import ScratchError
from vecml.leftovers import HINT
from vecml.numbers import size

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_BYTES = 1 << 24
OTHER_FOLDER = Path("/var/tmp")  # noqa: S108 -- files in it have no name


class Disk:
    """A folder for files without names, by default the one that TMPDIR names.

    A folder that is in memory itself (tmpfs) is no help: then it is /var/tmp, if that is none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _folder()
        self._maps: weakref.WeakSet[Any] = weakref.WeakSet()

    def check_room(self, n_bytes: float, source: str) -> None:
        """Raise ScratchError where the folder has not so much room; `source` names the table."""
        free = shutil.disk_usage(self.folder).free
        if n_bytes > free:
            raise ScratchError(
                f"{source} does not fit in memory, and needs about {size(int(n_bytes))} of room in {self.folder},"
                f" which has {size(free)}",
                HINT,
            )

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Make an array of zeros of any shape and dtype that lies on the disk."""
        kind = np.dtype(dtype)
        n_bytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        if not n_bytes:
            return np.empty(shape, kind)
        with self._file() as file:
            self._reserve(file.fileno(), n_bytes)
            mapped = mmap.mmap(file.fileno(), n_bytes)
        self._maps.add(mapped)
        return np.frombuffer(mapped, kind).reshape(shape)

    def kept(self, values: NDArray[Any]) -> NDArray[Any]:
        """Put the values, of any shape and dtype, on the disk."""
        made = self.empty(values.shape, values.dtype)
        if values.ndim != 1:
            made[...] = values
            return made
        step = max(1, SLICE_BYTES // values.dtype.itemsize)
        for start in range(0, len(values), step):
            made[start : start + step] = values[start : start + step]
        self.forget()
        return made

    def table(self, table: "pa.Table") -> "pa.Table":
        """Put an Arrow table on the disk."""
        import pyarrow as pa  # noqa: PLC0415 -- heavy, and not needed for arrays

        if not table.num_rows:
            return table
        with self._file() as file:
            try:
                with pa.ipc.new_file(pa.PythonFile(file, mode="w"), table.schema) as writer:
                    writer.write_table(table)
                file.flush()
            except OSError as error:
                raise _full(self.folder, error) from None
            mapped = mmap.mmap(file.fileno(), 0)
        self._maps.add(mapped)
        return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all()

    def forget(self) -> None:
        """Give the memory back that holds what was read and written; the disk has it."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in list(self._maps):
                mapped.madvise(mmap.MADV_DONTNEED)

    def _file(self) -> Any:
        try:
            return tempfile.TemporaryFile(dir=self.folder)
        except OSError as error:
            raise _full(self.folder, error) from None

    def _reserve(self, descriptor: int, n_bytes: int) -> None:
        """Reserve the file's room: a page that finds none when it is written ends the process."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, n_bytes)
            else:
                os.ftruncate(descriptor, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise _full(self.folder, error) from None
            os.ftruncate(descriptor, n_bytes)


def placed(disk: Disk | None, values: NDArray[Any]) -> NDArray[Any]:
    """Put the values, of any shape and dtype, on the disk where there is one, and leave them as they are elsewhere."""
    return values if disk is None else disk.kept(values)


def slices(n_rows: int, rows: int = 1 << 18) -> Iterator[slice]:
    """Consecutive slices of `n_rows` rows, each of at most `rows`."""
    for start in range(0, n_rows, rows):
        yield slice(start, min(start + rows, n_rows))


def _full(folder: Path, error: OSError) -> ScratchError:
    return ScratchError(f"cannot write temporary files in {folder}: {error.strerror or error}", HINT)


def _folder() -> Path:
    folder = Path(tempfile.gettempdir())
    if _is_in_memory(folder) and OTHER_FOLDER.is_dir() and not _is_in_memory(OTHER_FOLDER):
        return OTHER_FOLDER
    return folder


def _is_in_memory(folder: Path) -> bool:
    """Whether the folder's file system is in memory, by Linux's list of what is mounted; elsewhere nothing is known."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    mounts = {parts[1]: parts[2] for line in lines if len(parts := line.split()) > 2}
    place = folder.resolve()
    nearest = next((str(one) for one in (place, *place.parents) if str(one) in mounts), "/")
    return mounts.get(nearest) in ("tmpfs", "ramfs")
