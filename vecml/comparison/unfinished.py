"""What is kept of a comparison until it is logged: its complete launches while it is measured, then all of it.

A comparison that was stopped goes on from there when the same is asked for again: the same model, rows, settings and
budget, on the same machine with the same libraries. One that could not be logged is logged when its store is back.
One file each, in `unfinished/` of the cache folder.
"""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vecml import __version__, cache
from vecml.atomic import write_bytes
from vecml.comparison.compare import Job
from vecml.comparison.comparison import Comparison
from vecml.comparison.document import from_json, to_json
from vecml.comparison.settings import Chosen
from vecml.environment import describe
from vecml.errors import MeasureError, StoreError
from vecml.identity import is_alive, process_identity
from vecml.measure.records import Measured

FORMAT = 1
NEW_SITTING_SECONDS = 12 * 3_600  # launches that lie further apart are no longer one sitting
KIND = "unfinished"


@dataclass(frozen=True)
class Kept:
    """The file's content.

    Attributes:
        process: who measures or logs it (`vecml.environment.process_identity`).
        store: address of the tracking store, without a password.
        run_id: the comparison's parent run there; empty where none was opened yet.
        began: seconds since the epoch.
        measured: complete launches; None before the first and once there is the whole comparison.
        comparison: the whole of it as a JSON document (`vecml.comparison.document`), once it is measured; with `note`,
            the run's description.
        name: of a run that is still to be opened; None lets MLflow make one.
    """

    process: str
    store: str
    run_id: str
    began: float
    measured: Measured | None = None
    comparison: str | None = None
    note: str = ""
    format: int = FORMAT
    name: str | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def launches(self) -> int:
        return 0 if self.measured is None else self.measured.launches


class Unfinished:
    """One comparison's file; it is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Kept | None:
        """Read the kept launches; None where there are none, or this version cannot read them."""
        try:
            return _ADAPTER.validate_json(self.path.read_bytes(), strict=True)
        except (OSError, ValidationError):
            return None

    def resumable(self, store: str) -> Kept | None:
        """Read the kept launches if the comparison can go on: its process has ended, and nothing has changed since."""
        kept = self.read()
        if kept is None or kept.store != store:
            return None
        if time.time() - kept.began > NEW_SITTING_SECONDS:
            return None  # figures of another day are that day's
        return None if self._taken(kept) else kept

    def begin(self, store: str, run_id: str, before: Kept | None) -> None:
        """This process measures it now; what was kept stays. Beside another that still does: in a file of its own.

        Where the cache folder cannot be written, nothing is kept: an interrupted comparison begins anew.
        """
        kept = self.read()
        if kept is not None and self._taken(kept):
            self.path = self.path.with_stem(f"{self.path.stem}-{os.getpid()}")
        _begun.add(self.path)
        with suppress(StoreError):
            if before is not None:
                self._write(dataclasses.replace(before, process=process_identity(), run_id=run_id))
            else:
                self._write(Kept(process_identity(), store, run_id, time.time()))

    def keep_measured(self, store: str, comparison: Comparison, note: str, name: str | None) -> bool:
        """Keep a whole comparison before any run is opened for it; False as for `keep_launches`.

        `store` is where it is to be logged, with `note` as the description of its run, and `name` as its name.
        """
        now, whole = time.time(), to_json(comparison)
        with suppress(StoreError):
            self._write(Kept(process_identity(), store, "", now, comparison=whole, note=note, name=name))
            return True
        return False

    def keep_launches(self, measured: Measured) -> bool:
        """Keep the complete launches; False, and the file is as it was, where the cache folder cannot be written."""
        return self._replace(measured=measured)

    def keep_whole(self, comparison: Comparison, note: str) -> bool:
        """Keep the whole comparison, which is measured and not yet logged; False as for `keep_launches`."""
        return self._replace(measured=None, comparison=to_json(comparison), note=note)

    def _replace(self, **fields: Any) -> bool:
        kept = self.read()
        if kept is None:
            return False
        with suppress(StoreError):  # the comparison itself has not failed
            self._write(dataclasses.replace(kept, **fields))
            return True
        return False

    def discard(self) -> None:
        """Remove the file, because the comparison is logged or given up."""
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """This process is through with it, and whoever wants to goes on."""
        _begun.discard(self.path)

    def _taken(self, kept: Kept) -> bool:
        """Whether somebody is at it: another process that lives, or this one."""
        if kept.process == process_identity():
            return self.path in _begun
        return bool(is_alive(kept.process))

    def _write(self, kept: Kept) -> None:
        cache.make(self.path.parent)
        write_bytes(self.path, _ADAPTER.dump_json(kept))


def unfinished(job: Job, chosen: Chosen, budget: str, name: str | None, *, repeats: bool = False) -> Unfinished:
    """The file in which this comparison is stored until it ends, whether it exists or not.

    `job`, `chosen`, `budget` and `name` together identify the comparison, and whether it `repeats` one like it.
    """
    what = {
        "model": job.model.digest,
        "data": job.data_digest,
        "rows": job.x_FN.shape[1],
        "dtype": str(job.x_FN.dtype),
        "run": job.run_id,
        "settings": {key: dataclasses.asdict(setting) for key, setting in chosen.settings.items()},
        "skipped": dict(chosen.skipped),
        "repeats": repeats,
    }
    return unfinished_of(what, budget, name)


def unfinished_of(what: Mapping[str, Any], budget: str, name: str | None) -> Unfinished:
    """The file of the comparison of `what`, which is JSON; budget, name, machine and libraries identify it as well."""
    known = {
        **what,
        "budget": budget,
        "name": name,
        "environment": describe().environment_key,
        "vecml": __version__,
        "format": FORMAT,
    }
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return Unfinished(_folder() / f"{digest[:32]}.json")


def unlogged(store: str) -> Iterator[tuple[Unfinished, Kept]]:
    """Comparisons that were measured to their end and could not be logged in this store, their processes being gone.

    Launches that nobody went on with in time are removed on the way.
    """
    for path in sorted(_folder().glob("*.json")):
        file = Unfinished(path)
        kept = file.read()
        if kept is None or file._taken(kept):
            continue
        if kept.comparison is None and time.time() - kept.began > NEW_SITTING_SECONDS:
            file.discard()
        elif kept.comparison is not None and kept.store == store:
            yield file, kept


def comparison_of(kept: Kept | None) -> Comparison | None:
    """The whole comparison, where there is one and it is sound."""
    if kept is None or kept.comparison is None:
        return None
    try:
        return from_json(kept.comparison.encode(), "an unfinished comparison")
    except MeasureError:
        return None


def measured_before(comparison: Comparison) -> str:
    """The warning's text where a whole comparison that was kept is logged instead of measuring it again."""
    return f"not measured again: it was measured at {comparison.created} and not logged; --fresh measures it anew"


def _folder() -> Path:
    return cache.folder() / KIND


_begun: set[Path] = set()  # files that this process is at
_ADAPTER: TypeAdapter[Kept] = TypeAdapter(Kept)
