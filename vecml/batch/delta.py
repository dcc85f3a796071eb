"""A folder of parts as a Delta table, `--out delta:FOLDER`: its log gets one commit, when every part is complete.

Until then there is no table, and after it a whole one: a run that is killed in between is taken up again as others are,
and commits. The plan, the manifest and `_SUCCESS` stay beside the table; their names begin with `_`, which Delta leaves
alone.
"""

import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from vecml.batch.folder import Folder
from vecml.batch.part import Part
from vecml.batch.plan import Plan
from vecml.data.several import partition_of
from vecml.errors import DataError, SettingError, StoreError, one_line

PREFIX = "delta:"


def is_delta(out: str) -> bool:
    """Whether the output is to be a Delta table."""
    return out.startswith(PREFIX)


def folder_of(out: str) -> str:
    """The folder of an output, without what says that it is to be a Delta table."""
    return out.removeprefix(PREFIX)


def check_delta(folder: Folder, schema: "pa.Schema", folders: Collection[str]) -> None:
    """Raise before work starts where no Delta table can be made of parts with this schema in this folder.

    `folders` are the names of the Hive folders, which become columns.

    Raises SettingError where the folder is not on this machine or deltalake is not installed, DataError for a column
    of a type that Delta does not have, and for two whose names differ in case only.
    """
    if not folder.place.is_local:
        raise SettingError(
            f"--out {PREFIX}{folder.place.address}: a Delta table is written to a folder of this machine",
            f"without {PREFIX} the parts are plain Parquet files",
        )
    try:
        import deltalake  # noqa: PLC0415 -- an extra, and slow to import
    except ImportError:
        raise SettingError(
            f"--out {PREFIX}{folder.place.address}: writing a Delta table needs deltalake",
            "pip install 'vecml[delta]'",
        ) from None
    names = [*schema.names, *folders]
    first = {name.casefold(): name for name in reversed(names)}
    twice = [name for name in names if first[name.casefold()] != name]
    if twice:
        raise DataError(
            f"a Delta table cannot hold columns whose names differ in case only: {first[twice[0].casefold()]!r} and"
            f" {twice[0]!r}",
            f"rename one of them, or without {PREFIX} the parts are plain Parquet files",
        )
    try:
        deltalake.Schema.from_arrow(_plain(schema, ()))
    except (deltalake.exceptions.DeltaError, pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"a Delta table cannot hold a column: {one_line(error)}", "leave it out of --keep") from None


def commit(folder: Folder, plan: Plan, parts: Sequence[Part], schema: "pa.Schema") -> None:
    """Make the parts, which are complete, a Delta table in one commit; nothing is done where they are one already.

    Args:
        folder: of the parts.
        plan: that they are of.
        parts: of all units, in their order.
        schema: of a part, without the Hive folders, by which the table is partitioned.

    Raises StoreError where the log cannot be written, or holds another table.
    """
    import deltalake  # noqa: PLC0415 -- as above
    from deltalake.transaction import AddAction, create_table_with_add_actions  # noqa: PLC0415

    place, names = folder.place.path, [part.name for part in parts]
    try:
        if deltalake.DeltaTable.is_deltatable(place):
            if _files_of(deltalake.DeltaTable(place)) != sorted(names):
                raise StoreError(f"{place} holds a Delta table of other files", "name a new folder")
            return
        folders = list(dict.fromkeys(name for unit in plan.units for name in _values(unit.folder)))
        actions = [
            AddAction(
                part.name,
                part.bytes,
                _values(unit.folder),
                int(time.time() * 1000),
                True,
                json.dumps({"numRecords": part.rows}),
            )
            for part, unit in zip(parts, plan.units, strict=True)
        ]
        made = deltalake.Schema.from_arrow(_plain(schema, folders))
        create_table_with_add_actions(place, made, actions, "error", folders, description=f"vecml plan {plan.digest}")
    except (deltalake.exceptions.DeltaError, OSError) as error:
        raise StoreError(
            f"{place}: the commit of the Delta table failed: {one_line(error)}",
            "the parts are complete: run the same command again",
        ) from None


def _values(folder: str) -> dict[str, str | None]:
    return partition_of(PurePosixPath(folder) / "file") if folder else {}


def _files_of(table: Any) -> list[str]:
    root = Path(table.table_uri.removeprefix("file://"))
    return sorted(str(Path(uri.removeprefix("file://")).relative_to(root)) for uri in table.file_uris())


def _plain(schema: "pa.Schema", folders: Sequence[str]) -> "pa.Schema":
    """The schema as Delta knows it: a label is text, and so is the name of a folder."""
    kinds = [one.type.value_type if pa.types.is_dictionary(one.type) else one.type for one in schema]
    return pa.schema([*zip(schema.names, kinds, strict=True), *((name, pa.string()) for name in folders)])
