"""An entry comes back as it was written, is never half there, and no change of two processes at once is lost."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecml import cache, child

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAME = st.from_regex(r"[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*", fullmatch=True).filter(
    lambda name: len(name) < 100
)

# Adds one to the entry's count so many times, once the others are there as well.
COUNTER = """
import sys
from vecml import cache
def more(entry):
    return {**entry, "count": entry.get("count", 0) + 1, sys.argv[1]: True}
print("ready", flush=True)
sys.stdin.readline()
assert all(cache.update("kind", "counter", more) for _ in range(int(sys.argv[2])))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder, which does not exist yet."""
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_is_the_named_one_else_the_systems(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.folder() == here
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name, **_: Path("/caches") / name)
    for set_to_nothing in (True, False):
        if set_to_nothing:
            monkeypatch.setenv("VECML_CACHE", "")
        else:
            monkeypatch.delenv("VECML_CACHE")
        assert cache.folder() == Path("/caches/vecml")


@given(kind=NAME, key=NAME, value=st.dictionaries(st.text(), JSON, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_what_was_written_comes_back(kind: str, key: str, value: dict[str, object]) -> None:
    assert cache.write(kind, key, {"another": 1})
    assert cache.write(kind, key, value)
    assert cache.read(kind, key) == value


def test_entries_keep_to_themselves(here: Path) -> None:
    for kind, key in (("limits", "a"), ("limits", "b"), ("blocks", "a")):
        assert cache.write(kind, key, {"it is": f"{kind} {key}"})
    assert cache.read("limits", "a") == {"it is": "limits a"}
    assert cache.read("limits", "b") == {"it is": "limits b"}
    assert cache.read("blocks", "a") == {"it is": "blocks a"}
    assert cache.read("blocks", "b") is None
    assert cache.read("schedules", "a") is None
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*.json")) == [
        "blocks/a.json",
        "limits/a.json",
        "limits/b.json",
    ]


@pytest.mark.parametrize("name", ["", ".", "..", "...", "a/b", "../a", "a\\b", "a b", "a\n", "ä", "a\0"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str, here: Path) -> None:
    for kind, key in ((name, "key"), ("kind", name)):
        with pytest.raises(ValueError, match="cannot name a cache entry"):
            cache.read(kind, key)
        with pytest.raises(ValueError, match="cannot name a cache entry"):
            cache.write(kind, key, {})
        with pytest.raises(ValueError, match="cannot name a cache entry"):
            cache.update(kind, key, dict)
    assert not here.exists()


WHOLE = json.dumps({"format": cache.FORMAT, "value": {"a": 1}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(WHOLE[:length] for length in range(len(WHOLE))),
        b"\xff\xfe" + WHOLE,
        b"\x80",
        b"[" * 100_000,
        b"null",
        b"[1]",
        json.dumps({"format": cache.FORMAT + 1, "value": {"a": 1}}).encode(),
        json.dumps({"format": cache.FORMAT, "value": [1]}).encode(),
        json.dumps({"format": cache.FORMAT}).encode(),
        json.dumps({"value": {"a": 1}}).encode(),
    ],
    ids=lambda content: f"{len(content)} {content[:12]!r}",
)
def test_damage_and_another_format_are_as_good_as_absent(content: bytes, here: Path) -> None:
    (here / "kind").mkdir(parents=True)
    path = here / "kind" / "key.json"
    path.write_bytes(WHOLE)
    assert cache.read("kind", "key") == {"a": 1}
    path.write_bytes(content)
    assert cache.read("kind", "key") is None
    assert cache.update("kind", "key", lambda entry: {**entry, "b": 2})
    assert cache.read("kind", "key") == {"b": 2}


def test_an_entry_that_is_a_folder_reads_as_none_and_is_not_written(here: Path) -> None:
    (here / "kind" / "key.json").mkdir(parents=True)
    assert cache.read("kind", "key") is None
    assert cache.write("kind", "key", {"a": 1}) is False


@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_that_cannot_be_written_fails_nothing(depth: int, here: Path) -> None:
    """A file stands where the folder, or the kind's folder, would be."""
    blocked = [here, here / "kind"][depth]
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("a file")
    assert cache.write("kind", "key", {"a": 1}) is False
    assert cache.update("kind", "key", lambda entry: {**entry, "a": 1}) is False
    assert cache.read("kind", "key") is None
    assert blocked.read_text() == "a file"


def test_update_takes_what_is_there() -> None:
    seen = []

    def change(entry: dict[str, object]) -> dict[str, object]:
        seen.append(dict(entry))
        return {**entry, str(len(seen)): len(seen)}

    assert cache.update("kind", "key", change)
    assert cache.update("kind", "key", change)
    assert seen == [{}, {"1": 1}]
    assert cache.read("kind", "key") == {"1": 1, "2": 2}


def test_a_change_that_raises_changes_nothing_and_lets_go() -> None:
    cache.write("kind", "key", {"a": 1})

    def change(entry: dict[str, object]) -> dict[str, object]:
        entry["a"] = 2
        raise OSError("the caller's own")

    with pytest.raises(OSError, match="the caller's own"):
        cache.update("kind", "key", change)
    assert cache.read("kind", "key") == {"a": 1}
    assert cache.write("kind", "key", {"a": 3})


def test_what_json_has_not_is_refused_and_the_old_content_stays() -> None:
    cache.write("kind", "key", {"a": 1})
    for value in (float("nan"), {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            cache.write("kind", "key", {"a": value})
    assert cache.read("kind", "key") == {"a": 1}


def test_whoever_hangs_with_the_lock_holds_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.05)
    cache.write("kind", "key", {"a": 1})
    held, done = threading.Event(), threading.Event()

    def hang(entry: dict[str, object]) -> dict[str, object]:
        held.set()
        done.wait(60)
        return {"a": 2}

    thread = threading.Thread(target=cache.update, args=("kind", "key", hang))
    thread.start()
    try:
        assert held.wait(60)
        assert cache.write("kind", "key", {"a": 3}) is False
        assert cache.write("kind", "other", {"a": 3}) is True
        assert cache.read("kind", "key") == {"a": 1}
    finally:
        done.set()
        thread.join()
    assert cache.read("kind", "key") == {"a": 2}


def test_no_change_of_several_processes_is_lost() -> None:
    times, names = 40, ("a", "b", "c")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTER, name, str(times)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child.environment(),
        )
        for name in names
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:  # they start together, not one when the other is done
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert cache.read("kind", "counter") == {"count": times * len(names), "a": True, "b": True, "c": True}
