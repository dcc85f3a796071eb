"""Results that could not be logged and wait for their store, each in a folder `vecml-unsaved-RUN`. Imports no MLflow.

The folder has the run's files, and in `unsaved/` what else is logged of it. It lies beside `mlruns/`, or in the current
folder where the store is elsewhere; an entry in the cache says where, so that a start in any folder finds it.
"""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.tracking.location import Location
from vecml import cache
from vecml.identity import is_alive, process_identity
from vecml.leftovers import hidden_name, noted

PREFIX = "vecml-unsaved-"
UNSAVED, CONTENT, EXAMPLE = "unsaved", "content.json", "example.npy"
FORMAT = 1
KIND = "unsaved"  # of the cache's entries


@dataclass(frozen=True)
class Waiting:
    """A result that could not be logged.

    Attributes:
        folder: where it is kept.
        store: the store that it belongs to, as `Location.shown`.
        run_id, name: its run there.
        process: the process that made it (`vecml.identity.process_identity`).
        ended: when it was kept, in ms since the epoch.
        content: the fields of `tasks.tracking.content.Content`.
        unfinished: the file that keeps a comparison as well, which is removed once it is logged; empty for others.
    """

    folder: Path
    store: str
    run_id: str
    name: str
    process: str
    ended: int
    content: dict[str, Any] = dataclasses.field(repr=False)
    unfinished: str = ""


def keep(
    location: Location, run_id: str, name: str, files: Path, content: dict[str, Any],
    example: Path | None = None, unfinished: str = "",
) -> Path | None:  # fmt: skip
    """Copy a result to the user's folder, whole or not at all; None where it cannot be written there."""
    folder = _home(location) / f"{PREFIX}{run_id}"
    hidden = hidden_name(folder)
    described = {
        "format": FORMAT,
        "store": location.shown,
        "run_id": run_id,
        "name": name,
        "process": process_identity(),
        "ended": int(time.time() * 1000),
        "content": content,
        "unfinished": unfinished,
    }
    try:
        with noted(hidden):
            shutil.copytree(files, hidden)
            (hidden / UNSAVED).mkdir()
            (hidden / UNSAVED / CONTENT).write_text(json.dumps(described) + "\n", encoding="utf-8")
            if example is not None:
                shutil.copy(example, hidden / UNSAVED / EXAMPLE)
            if folder.exists():  # of an earlier attempt
                shutil.rmtree(folder)
            hidden.rename(folder)
    except OSError:
        shutil.rmtree(hidden, ignore_errors=True)
        return None
    cache.write(KIND, run_id, {"folder": str(folder)})
    return folder


def waiting(location: Location) -> list[Waiting]:
    """Find what waits for this store and can be logged: the process that made it has ended, or is this one."""
    own = process_identity()
    return [
        one
        for one in map(read, sorted(_folders(location)))
        if one is not None and one.store == location.shown and (one.process == own or is_alive(one.process) is not True)
    ]


def unreadable(location: Location) -> list[Path]:
    """Find the folders that look so and cannot be logged: of an earlier version, or changed by hand."""
    return [folder for folder in sorted(_folders(location)) if read(folder) is None]


def read(folder: Path) -> Waiting | None:
    """Read what waits in the folder; None where it is none of ours."""
    try:
        found = json.loads((folder / UNSAVED / CONTENT).read_bytes())
        if found.pop("format") != FORMAT or not isinstance(found["content"], dict):
            return None
        return Waiting(folder=folder, **found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def forget(location: Location, run_id: str) -> None:
    """Remove what was kept of a run that is logged now."""
    for folder in _folders(location):
        one = read(folder)
        if one is not None and one.run_id == run_id and one.store == location.shown:
            remove(one)


def remove(one: Waiting) -> None:
    """Remove what was kept: its name goes first, so that half of it is nothing that waits."""
    hidden = hidden_name(one.folder)
    with suppress(OSError), noted(hidden):
        one.folder.rename(hidden)
        shutil.rmtree(hidden)
    with suppress(OSError):
        if one.unfinished:
            Path(one.unfinished).unlink(missing_ok=True)
        (cache.folder() / KIND / f"{one.run_id}.json").unlink(missing_ok=True)


def _home(location: Location) -> Path:
    return location.folder.parent if location.folder else Path.cwd()


def _folders(location: Location) -> set[Path]:
    places = {_home(location), Path.cwd()}
    found = set(_named(places))
    with suppress(OSError), os.scandir(cache.folder() / KIND) as entries:
        for run_id in [Path(entry.name).stem for entry in entries if entry.name[:1] != "."]:
            kept = cache.read(KIND, run_id)
            folder = None if kept is None else Path(str(kept.get("folder")))
            if folder is not None and folder.name == f"{PREFIX}{run_id}" and folder.is_dir():
                found.add(folder)
    return found


def _named(places: set[Path]) -> Iterator[Path]:
    for place in places:
        with suppress(OSError):
            yield from (path for path in place.glob(f"{PREFIX}*") if path.is_dir() and not path.is_symlink())
