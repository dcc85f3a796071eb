"""What is kept of a comparison until it is logged: whole or not at all, and only for the same comparison."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_comparison import comparison_of as made
from vecml import cache
from vecml.comparison import unfinished as module
from vecml.comparison.compare import Job
from vecml.comparison.document import to_json
from vecml.comparison.settings import Chosen
from vecml.comparison.unfinished import NEW_SITTING_SECONDS, Unfinished, comparison_of, unfinished, unlogged
from vecml.config import Setting
from vecml.errors import StoreError
from vecml.model.network import Architecture, Layer, Model

STORE = "somewhere"
MEASURED = made({"numpy": 0.01, "torch": 0.02}).measured


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VECML_CACHE", str(tmp_path))
    return tmp_path


def job(value: float = 1.0, **more: Any) -> Job:
    layer = Layer(np.full((2, 1), value, np.float32), np.zeros(2, np.float32))
    model = Model(Architecture(1, (), 2, "relu"), (layer,), ("0", "1"))
    return dataclasses.replace(Job(model, np.zeros((1, 5), np.float32), data_digest="d"), **more)


CHOSEN = Chosen({name: Setting(name) for name in ("numpy", "torch")}, {})


def file(**more: Any) -> Unfinished:
    return unfinished(**{"job": job(), "chosen": CHOSEN, "budget": "60s", "name": None, **more})


def died(kept: Unfinished) -> Unfinished:
    """As if its process had ended."""
    ended = subprocess.run(
        [sys.executable, "-c", "from vecml.identity import process_identity; print(process_identity())"],
        capture_output=True,
        text=True,
        check=True,
    )
    content = kept.read()
    assert content is not None
    kept._write(dataclasses.replace(content, process=ended.stdout.strip()))
    return kept


def test_launches_are_read_back_as_they_were_kept() -> None:
    kept = file()
    kept.begin(STORE, "run", None)
    kept.keep_launches(MEASURED)
    found = died(kept).resumable(STORE)
    assert found is not None
    assert (found.measured, found.run_id, found.launches) == (MEASURED, "run", 5)


def test_what_a_living_process_measures_is_its_own_until_it_lets_go() -> None:
    kept = file()
    kept.begin(STORE, "run", None)
    kept.keep_launches(MEASURED)
    assert file().resumable(STORE) is None
    kept.release()
    assert file().resumable(STORE) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"job": job(2.0)},
        {"job": job(data_digest="e")},
        {"job": job(run_id="r")},
        {"job": job(x_FN=np.zeros((1, 6), np.float32))},
        {"job": job(x_FN=np.zeros((1, 5)))},
        {"chosen": Chosen({"numpy": Setting("numpy"), "torch": Setting("torch", threads=2)}, {})},
        {"chosen": Chosen(CHOSEN.settings, {"halide": "is not installed"})},
        {"budget": "61s"},
        {"name": "another"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_comparison_has_another_file(other: dict[str, Any]) -> None:
    assert file(**other).path != file().path
    assert file(**other).path == file(**other).path


def test_another_machine_has_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    path = file().path
    changed = dataclasses.replace(module.describe(), numpy="0.1")
    monkeypatch.setattr(module, "describe", lambda: changed)
    assert file().path != path


def test_of_another_store_or_another_sitting_nothing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = file()
    kept.begin(STORE, "run", None)
    kept.keep_launches(MEASURED)
    died(kept)
    assert kept.resumable("elsewhere") is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + NEW_SITTING_SECONDS + 60)
    assert kept.resumable(STORE) is None
    assert list(unlogged(STORE)) == []
    assert not kept.path.exists()


def test_a_whole_comparison_waits_for_its_store_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made({"numpy": 0.01, "torch": 0.02})
    kept = file()
    kept.begin(STORE, "run", None)
    kept.keep_whole(whole, "a note")
    died(kept)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100 * NEW_SITTING_SECONDS)
    ((found, content),) = unlogged(STORE)
    assert list(unlogged("elsewhere")) == []
    assert (found.path, content.note) == (kept.path, "a note")
    again = comparison_of(content)
    assert again is not None
    assert to_json(again) == to_json(whole)


def test_two_at_once_do_not_share_a_file() -> None:
    first = file()
    first.begin(STORE, "run", None)
    first.keep_launches(MEASURED)
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        content = first.read()
        assert content is not None
        _, _, *rest = content.process.split()
        start = Path(f"/proc/{living.pid}/stat").read_text().rpartition(")")[2].split()[19]
        first._write(dataclasses.replace(content, process=" ".join((str(living.pid), start, *rest))))
        second = file()
        second.begin(STORE, "other", None)
        assert second.path != first.path
        kept = first.read()
        assert kept is not None
        assert kept.run_id == "run"
    finally:
        living.kill()
        living.wait()


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b"[]", b'{"process": 1}'])
def test_what_cannot_be_read_is_nothing(content: bytes) -> None:
    kept = file()
    kept.path.parent.mkdir(parents=True)
    kept.path.write_bytes(content)
    assert kept.read() is None
    assert list(unlogged(STORE)) == []
    kept.begin(STORE, "run", None)
    assert kept.read() is not None


def test_a_cache_folder_that_cannot_be_made_ends_no_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home may be read-only, and a cache folder made with an odd umask; a result is not worth less for it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "file" / "cache"))
    kept = file()
    kept.begin(STORE, "run", None)
    kept.keep_launches(MEASURED)
    assert kept.read() is None
    assert list(unlogged(STORE)) == []
    kept.release()
    with pytest.raises(StoreError, match=r"the cache folder .* cannot be made: Not a directory"):
        cache.make(module._folder())
