"""Whether a table fits in memory, by what its files say of their size; where it does not, it is put on the disk."""

from contextlib import suppress
from pathlib import Path

from vecml.config import DATABASES, TrainingConfig
from vecml.data import handed
from vecml.data.addresses import here, is_elsewhere
from vecml.data.dialect import text_suffix
from vecml.data.disk import Disk
from vecml.data.files import PARQUET
from vecml.data.memory_limit import MemoryLimit, used_bytes
from vecml.data.several import several
from vecml.data.standard_input import STANDARD_INPUT
from vecml.errors import DataError, VecmlError
from vecml.progress import stage

TIMES = 3.0  # a table is in memory as it was read, as columns and as features, though not all of it at a time
SMALL_BYTES = 1 << 26  # files that are smaller together are not looked at
MOST_UNPACKED = 200  # of what says that it has more for its size, no disk is filled: memory refuses it


def disk_for(config: TrainingConfig) -> Disk | None:
    """A disk for the table, where the configuration asks for one or its files would not fit in memory; else None.

    Raises ScratchError where the disk has too little room for it.
    """
    data = here(config.data or "")
    if data.startswith((handed.PREFIX, *DATABASES)) or data == STANDARD_INPUT:
        return Disk() if config.on_disk else None
    needed = TIMES * table_bytes(data)
    if not config.on_disk and needed <= MemoryLimit(data).allowed - used_bytes():
        return None
    disk = Disk()
    disk.check_room(needed, data)
    return disk


def table_bytes(data: str) -> float:
    """About the least that the table of these files takes in memory; 0 where that is not known, or small."""
    if is_elsewhere(data):
        from vecml.data.remote import sizes_of  # noqa: PLC0415 -- imports pyarrow

        return float(sum(sizes_of(data)))
    files: list[Path] = []
    with suppress(DataError):  # it is told when the files are read
        files = several(data) or [Path(data).expanduser()]
    sizes = {path: path.stat().st_size for path in files if path.is_file()}
    if sum(sizes.values()) * MOST_UNPACKED < SMALL_BYTES:
        return 0.0
    with stage("looking at sizes", len(sizes)) as advance:
        total = 0.0
        for path, size in sizes.items():
            total += _file_bytes(path, size)
            advance(1)
    return total


def _file_bytes(path: Path, size: int) -> float:
    if path.suffix.lower() in PARQUET:
        from vecml.data.parquet import parquet_bytes  # noqa: PLC0415 -- imports pyarrow

        try:
            told = parquet_bytes(path)
        except (OSError, ValueError, VecmlError):  # it is told when the file is read
            return 0.0
        return told if told <= MOST_UNPACKED * size else 0.0
    return float(size) if text_suffix(path) is not None else 0.0
