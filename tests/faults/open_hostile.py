"""Opens hostile models and exports under an audit hook, one after the other, and prints what came of each.

    python -m tests.faults.open_hostile MODEL-FOLDER EXPORT.zip FOLDER

The hook sees whatever the interpreter does in the whole process: code that is run, modules that are imported, processes
that are started, connections, files that are written or removed outside FOLDER. The good model and the good export are
opened first, so that what is imported late is there before the hook.
"""

import copy
import hashlib
import json
import os
import pickle
import resource
import shutil
import struct
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tasks.tracking.archive import unpack
from tests.faults.read_damaged import MEMORY, say
from vecml.errors import VecmlError
from vecml.model.store import load

LONGEST = 30.0  # seconds
RUNS = (
    "exec",
    "compile",
    "import",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
)
REACHES = ("socket.connect", "socket.getaddrinfo", "ctypes.dlopen", "marshal.loads", "code.__new__")
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink", "shutil.rmtree")
VALUES: tuple[Any, ...] = (
    *("__import__('os').system('touch PWNED')", "os:system", "../../../../etc/passwd", "/dev/zero", "{{7*7}}", ""),
    *("\x1b]0;x\x07\u202e", "x" * 200_000, None, True, -1, 0, 10**30, 1e308, float("nan"), float("-inf")),
    *([], {}, [[[[[]]]]], {"__reduce__": ["os.system", "id"]}),
)
seen: list[str] = []
watching = False


class Evil:
    """What a pickle of it does where somebody loads it."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """Call a program."""
        return os.system, ("touch PWNED",)


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what a stranger's file must not bring about."""
    if not watching:
        return
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    changes = event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & writes)
    if event in RUNS + REACHES or (changes and not str(arguments[0]).startswith(str(PLACE))):
        seen.append(f"{event} {str(arguments)[:120]}")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield path
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at this place."""
    if not path:
        return value
    made = copy.deepcopy(document)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def sealed(folder: Path) -> None:
    """Give the description the digests that its files have now."""
    description = json.loads((folder / "model.json").read_text())
    if isinstance(description, dict) and isinstance(description.get("sha256"), dict):
        for name in description["sha256"]:
            if isinstance(name, str) and (folder / Path(name).name).is_file():
                description["sha256"][name] = hashlib.sha256((folder / Path(name).name).read_bytes()).hexdigest()
        (folder / "model.json").write_text(json.dumps(description))


def weights() -> Iterator[tuple[str, bytes]]:
    """Files in the place of the weights: pickles, and headers that lie."""
    yield "a pickle", pickle.dumps(Evil())
    yield "nothing", b""
    yield "a header without end", struct.pack("<Q", 2**63) + b"{}"
    yield "a header of 90 MB that is not there", struct.pack("<Q", 90_000_000) + b"{"
    entries: list[Any] = [
        {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**62]},
        {"dtype": "O", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "more": "x"},
        {"__metadata__": {"x": "os:system"}},
        [], None, "os:system",
    ]  # fmt: skip
    for entry in entries:
        header = json.dumps({"layers.0.weight": entry}).encode()
        yield f"a header with {str(entry)[:40]}", struct.pack("<Q", len(header)) + header + bytes(4)
    deep = b'{"a":' * 50_000
    yield "a deep header", struct.pack("<Q", len(deep)) + deep


def strangers() -> Iterator[tuple[str, bytes]]:
    """Files beside a good model that other programs run."""
    code = b"import os; os.system('touch PWNED')\n"
    for name in ("torch.py", "sitecustomize.py", "__init__.py", "conftest.py", "vecml.py", "tasks.py"):
        yield name, code
    for name in ("python_model.pkl", "model.pt", "pytorch_model.bin", "data.pkl", "model.pt2"):
        yield name, pickle.dumps(Evil())
    yield "MLmodel", b"flavors:\n  python_function:\n    loader_module: os\n    code: .\n"


def models(good: Path, place: Path) -> Iterator[tuple[str, Path]]:
    """Hostile folders of a model, each made when it is asked for."""

    def fresh() -> Path:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(good, place)
        return place

    for name in ("model.json", "preprocessing.json"):
        document = json.loads((good / name).read_text())
        for number, path in enumerate(leaves(document)):
            value = VALUES[number % len(VALUES)]
            (fresh() / name).write_text(json.dumps(changed(document, path, value)))
            if name != "model.json" or "sha256" not in path:
                sealed(place)
            yield f"{name} {'.'.join(map(str, path))} = {str(value)[:30]!r}", place
    for said, content in weights():
        (fresh() / "model.safetensors").write_bytes(content)
        sealed(place)
        yield f"weights: {said}", place
    for name, content in strangers():
        (fresh() / name).write_bytes(content)
        yield f"beside it: {name}", place
    for name in ("model.json", "model.safetensors", "preprocessing.json"):
        for target in ("/dev/zero", "/etc/passwd", "/proc/self/mem", name):
            (fresh() / name).unlink()
            (place / name).symlink_to(target)
            yield f"{name} -> {target}", place


def exports(good: Path, place: Path) -> Iterator[tuple[str, Path]]:
    """Hostile exports whose manifest says the truth about them."""
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in members if name.endswith(".json")]

    def packed(content: dict[str, bytes], truthful: bool = True) -> Path:
        manifest = json.loads(content["manifest.json"])
        if truthful:
            told = {
                name: {"size": len(one), "sha256": hashlib.sha256(one).hexdigest()} for name, one in content.items()
            }
            manifest["members"] = {name: one for name, one in told.items() if name != "manifest.json"}
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("manifest.json", json.dumps(manifest))
            for name, one in content.items():
                if name != "manifest.json":
                    made.writestr(name, one)
        return place

    for name in names:
        document = json.loads(members[name])
        for number, path in enumerate(list(leaves(document))[:60]):
            value = VALUES[number % len(VALUES)]
            made = {**members, name: json.dumps(changed(document, path, value)).encode()}
            if name == "manifest.json" and not isinstance(json.loads(made[name]), dict):
                continue
            yield (
                f"{name[-24:]} {'.'.join(map(str, path))} = {str(value)[:30]!r}",
                packed(made, name != "manifest.json"),
            )
    folder = next(name for name in members if "/artifacts/" in name).rpartition("/")[0]
    for name in (
        "../x",
        "/tmp/x",
        f"{folder}/../../x",
        f"{folder}/a\\b",
        f"{folder}/\x1b[2J",
        f"{folder}/{'n' * 300}",
        f"{folder}/.",
    ):
        yield f"a member {name[-30:]!r}", packed({**members, name: b"x"})
    yield "a bomb that its manifest admits", packed({**members, f"{folder}/zeros": bytes(300_000_000)})


def outcome(opened: Callable[[Path], object], path: Path) -> str:
    """What came of one: `opened`, `refused`, or what is wrong."""
    global watching  # noqa: PLW0603 -- the hook can be told nothing otherwise
    seen.clear()
    begun = time.monotonic()
    watching = True
    try:
        opened(path)
        said = "opened"
    except VecmlError as error:
        said = "refused" if "\n" not in error.message and "\x1b" not in error.message else f"says {error.message!r}"
    except Exception as error:  # noqa: BLE001 -- whatever is no error of vecml's is what is looked for
        said = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        watching = False
    took = time.monotonic() - begun
    return f"brought about {sorted(set(seen))[:3]}" if seen else said if took < LONGEST else f"took {took:.0f} s"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    model, export, PLACE = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    load(model)
    unpack(export, PLACE / "good")
    os.chdir(PLACE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.addaudithook(hook)
    told = outcome(lambda path: pickle.loads(pickle.dumps(Evil())), model)  # noqa: S301 -- to see that the hook sees it
    assert told.startswith("brought about"), told
    (PLACE / "PWNED").unlink()
    for what, folder in models(model, PLACE / "model"):
        say(f"model\t{what}\t{outcome(load, folder)}")
    for what, file in exports(export, PLACE / "hostile.zip"):
        out = PLACE / "out"
        said_of_it = outcome(lambda path, out=out: unpack(path, out), file)  # type: ignore[misc]
        shutil.rmtree(out, ignore_errors=True)
        say(f"export\t{what}\t{said_of_it}")
    say("end\t\t" + ("PWNED is there" if (PLACE / "PWNED").exists() else "no code was run"))
