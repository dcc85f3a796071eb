"""What coverage-guided fuzzing opens, by group: each function gets bytes, and opens them by the door of a command.

The first byte says which of a group's kinds it is; the rest is the file, or where a digest would refuse every change,
the part of it under a digest that fits.
"""

import contextlib
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from tasks.tracking.archive import pack, unpack
from tests.faults.read_damaged import asked, table, write
from tests.tracking.test_archive import ROOT, RUN, SETTING
from vecml.comparison.document import from_json
from vecml.config import make_config, read_config_file
from vecml.data.sources import check_source, load_table
from vecml.model.store import DESCRIPTION, PREPROCESSING, WEIGHTS, load
from vecml.report.page import About, page

Target = Callable[[bytes, Path], None]
TEXTS = (".csv", ".json", ".jsonl", ".arff", ".tsv")
BINARIES = (".parquet", ".npz", ".xlsx", ".npy", ".feather")
FEW = 20  # of this many Feather files one is read: a process is started for each


def _read(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    config = make_config({**asked(path), "target": "label"})
    check_source(config.data)
    load_table(config)


def read_text(content: bytes, folder: Path) -> None:
    """A text file, as `vecml run --data` reads it."""
    _read(content[1:], folder / f"a{TEXTS[content[0] % len(TEXTS)]}")


def read_binary(content: bytes, folder: Path) -> None:
    """A binary file, likewise."""
    ending = BINARIES[content[0] % len(BINARIES)]
    if ending == ".feather" and hashlib.sha256(content).digest()[0] % FEW:
        return
    _read(content[1:], folder / f"a{ending}")


def read_document(content: bytes, folder: Path) -> None:
    """A comparison's document, and the page of one that is taken."""
    page(from_json(content[1:], "file.json"), About("run", "0" * 32))


def read_archive(content: bytes, folder: Path) -> None:
    """An export: as it is, or its run's document or a file under a digest that fits, or its manifest."""
    path, out = folder / "a.zip", folder / "out"
    members = {f"runs/{ROOT}/run.json": content[1:]}
    kind = content[0] % 3
    if kind == 0:
        path.write_bytes(content[1:])
    else:
        listed = {name: {"size": len(one), "sha256": hashlib.sha256(one).hexdigest()} for name, one in members.items()}
        manifest = json.dumps(
            {"format": "vecml run", "version": 1, "vecml": "0", "run_id": ROOT, "store": "s", "members": listed}
        )
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("manifest.json", manifest if kind == 1 else content[1:])
            for name, one in members.items():
                file.writestr(name, one)
    try:
        unpack(path, out)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def read_settings(content: bytes, folder: Path) -> None:
    """A configuration in TOML, or a model's description, or its encoding under a digest that fits."""
    kind = content[0] % 3
    if kind == 0:
        (folder / "a.toml").write_bytes(content[1:])
        make_config({}, read_config_file(folder / "a.toml"))
        return
    model = folder / "model"
    files = dict(MODEL)
    if kind == 1:
        files[DESCRIPTION] = content[1:]
    else:
        files[PREPROCESSING] = content[1:]
        described = json.loads(files[DESCRIPTION])
        described["sha256"][PREPROCESSING] = hashlib.sha256(content[1:]).hexdigest()
        files[DESCRIPTION] = json.dumps(described).encode()
    model.mkdir(exist_ok=True)
    for name, one in files.items():
        (model / name).write_bytes(one)
    load(model)


GROUPS: Mapping[str, Target] = {
    "text": read_text, "binary": read_binary, "document": read_document, "archive": read_archive,
    "settings": read_settings,
}  # fmt: skip
MODEL: dict[str, bytes] = {}  # files of a model that is right


def _tables(folder: Path, endings: tuple[str, ...]) -> Iterator[bytes]:
    made = table(0).slice(0, 12)
    for number, ending in enumerate(endings):
        path = folder / f"seed{ending}"
        for seed in range(3):
            if ending in (".json", ".jsonl"):
                rows = [json.dumps(row) for row in made.to_pylist()]
                path.write_text("\n".join(rows) if ending == ".jsonl" else f"[{','.join(rows)}]", encoding="utf-8")
            elif ending == ".npy":
                fields = [("a", "f8"), ("b", "i4"), ("label", "U3")]
                np.save(path, np.array([(0.5, i, "ab"[i % 2]) for i in range(12)], dtype=fields))
            else:
                write(made, path, seed)
            yield bytes([number]) + path.read_bytes()


def seeds(group: str, folder: Path) -> Iterator[bytes]:
    """Inputs of a group that are right, from which fuzzing begins; a model is made for `settings`."""
    from tests.made_comparison import comparison_of
    from vecml.comparison.document import to_json

    if group == "text":
        yield from _tables(folder, TEXTS)
        odd = '"a ""b""",label\n"1\n2",x\n'
        for text in ("a;b;label\n1,5;?;x\n2,5;3;y\n" * 6, "a\tlabel\n007\tx\n", odd, "\ufeffa\n1"):
            yield b"\0" + text.encode()
            yield b"\0" + text.encode("utf-16")
    elif group == "binary":
        yield from _tables(folder, BINARIES)
    elif group == "document":
        yield b"\0" + to_json(comparison_of({"numpy": 0.02})).encode()
        yield b"\0" + b'{"kind":"comparison","version":1,"arms":[]}'
    elif group == "archive":
        content, _ = pack(RUN, (SETTING,), {}, "store")
        yield b"\0" + content
        with contextlib.closing(zipfile.ZipFile(_as_file(content, folder))) as file:
            yield b"\1" + file.read(f"runs/{ROOT}/run.json")
            yield b"\2" + file.read("manifest.json")
    else:
        for text in ("epochs = 60\nhidden = [64, 32]\n", 'data = "a.csv"\ntarget = "x"\nengine = "auto"\n'):
            yield b"\0" + text.encode()
        yield b"\1" + MODEL[DESCRIPTION]
        yield b"\2" + MODEL[PREPROCESSING]


def _as_file(content: bytes, folder: Path) -> Path:
    path = folder / "seed.zip"
    path.write_bytes(content)
    return path


def make_model(folder: Path) -> None:
    """Fill MODEL with a small model of a table with numbers, a category and a label."""
    from vecml.data.split import split_table
    from vecml.model.store import Classifier, serialise
    from vecml.model.train import train

    path = folder / "train.csv"
    rows = "\n".join(f"{i % 7},{'red' if i % 3 else 'blue'},{'xy'[i % 2]}" for i in range(60))
    path.write_text(f"a,word,label\n{rows}\n")
    config = make_config({"data": str(path), "target": "label", "epochs": 1, "hidden": [2]})
    split = split_table(load_table(config), config.test_fraction, config.seed)
    MODEL.update(serialise(Classifier(train(split, config).model, split.encoding)))
    assert {WEIGHTS, DESCRIPTION, PREPROCESSING} <= MODEL.keys()
