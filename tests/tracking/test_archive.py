"""The file that carries runs: the same content gives the same bytes, and no other file is taken."""

import hashlib
import io
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracking import archive as archive_module
from tasks.tracking.archive import Archive, DataSet, RunDocument, as_value, is_export, pack, unpack
from vecml import __version__
from vecml.errors import StoreError

ROOT, CHILD = "a" * 32, "b" * 32
RUN = RunDocument(
    run_id=ROOT,
    parent=None,
    name="zwölf Boxkämpfer 🦊",
    status="FINISHED",
    start_time=1_700_000_000_000,
    end_time=1_700_000_001_234,
    params={"data_source": "tablé.csv"},
    tags={"vecml.kind": "compare", "mlflow.note.content": "# a note\n"},
    metrics={"train/loss": ((5, 1, 0.1), (6, 2, "nan"), (7, 3, "-inf"), (8, -4, 5e-324))},
    data=(DataSet("table", "d", "local", "{}", None, "{}", {"mlflow.data.context": "train"}),),
)
SETTING = replace(RUN, run_id=CHILD, parent=ROOT, name="numpy", data=(), metrics={}, end_time=None)
HINT = "export the run again: vecml export RUN FILE"


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "artifacts"
    (folder / "model").mkdir(parents=True)
    (folder / "comparison.json").write_bytes(b"{}\r\n\x00\xff")
    (folder / "model" / "größe 1.bin").write_bytes(bytes(range(256)) * 100)
    return {ROOT: folder}


@pytest.fixture
def file(tmp_path: Path, artifacts: dict[str, Path]) -> Path:
    path = tmp_path / "runs.zip"
    path.write_bytes(pack(RUN, (SETTING,), artifacts, "digits/mlruns")[0])
    return path


def rewritten(file: Path, change: Callable[[dict[str, bytes]], None], truthful: bool = True) -> Path:
    """The file with other members; its manifest is made to fit them, if it is to be `truthful`."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    if truthful:
        manifest = json.loads(members.pop("manifest.json"))
        manifest["members"] = {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in members.items()
        }
        members["manifest.json"] = json.dumps(manifest).encode()
    path = file.with_name("changed.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_manifest(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()

    return change


def with_member(name: str, content: bytes = b"x") -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: content})


def with_run(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    content = json.dumps(asdict(RUN) | changes).encode()
    return with_member(f"runs/{ROOT}/run.json", content)


def refused(path: Path, folder: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        unpack(path, folder)
    return caught.value


def test_what_was_packed_comes_out(file: Path, artifacts: dict[str, Path], tmp_path: Path) -> None:
    found = unpack(file, tmp_path / "out")
    assert (found.run, found.children, found.store) == (RUN, (SETTING,), "digits/mlruns")
    assert found.digest == pack(RUN, (SETTING,), artifacts, "elsewhere")[1]
    folder = found.artifacts(RUN)
    assert folder is not None
    packed = {path.relative_to(artifacts[ROOT]): path for path in artifacts[ROOT].rglob("*") if path.is_file()}
    unpacked = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert len(unpacked) == 2
    assert {place: path.read_bytes() for place, path in unpacked.items()} == {
        place: path.read_bytes() for place, path in packed.items()
    }
    assert found.artifacts(SETTING) is None


def test_the_same_content_gives_the_same_bytes(file: Path, artifacts: dict[str, Path]) -> None:
    for path in artifacts[ROOT].rglob("*"):
        path.touch()
        path.chmod(0o700)
    again = replace(RUN, tags=dict(reversed(RUN.tags.items())))
    assert pack(again, (SETTING,), artifacts, "digits/mlruns")[0] == file.read_bytes()
    other = replace(RUN, name="another")
    assert pack(other, (SETTING,), artifacts, "digits/mlruns")[1] != pack(RUN, (SETTING,), artifacts, "")[1]


def test_its_manifest_says_what_it_is(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        contents = {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}
    members = manifest.pop("members")
    assert manifest == {
        "format": "vecml run",
        "version": 1,
        "vecml": __version__,
        "run_id": ROOT,
        "store": "digits/mlruns",
    }
    assert list(members) == sorted(contents)
    for name, content in contents.items():
        assert members[name] == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert is_export(file)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_value_survives_to_the_bit(number: float) -> None:
    document = replace(RUN, metrics={"m": ((0, 0, as_value(number)),)})
    kept = archive_module._RUN.validate_python(json.loads(archive_module._json(asdict(document))))
    back = float(kept.metrics["m"][0][2])
    assert struct.pack("d", back) == struct.pack("d", number) or (math.isnan(back) and math.isnan(number))


@pytest.mark.parametrize(
    ("change", "truthful", "message"),
    [
        (with_member("runs/../evil"), True, "'runs/../evil' is a name that cannot be in it"),
        (with_member("/etc/passwd"), True, "'/etc/passwd' is a name that cannot be in it"),
        (with_member(f"runs/{ROOT}/artifacts/../../x"), True, "is a name that cannot be in it"),
        (with_member(f"runs/{ROOT}/artifacts//x"), True, "is a name that cannot be in it"),
        (with_member(f"runs/{ROOT}/artifacts/a\\..\\x"), True, "is a name that cannot be in it"),
        (with_member(f"runs/{ROOT}/artifacts/a\nb"), True, "a\\nb' is a name that cannot be in it"),
        (with_member(f"runs/{ROOT}/other.json"), True, "is a name that cannot be in it"),
        (with_member(f"runs/{ROOT}/artifacts/comparison.json/x"), True, "comparison.json' is a file and a folder"),
        (with_member(f"runs/{'c' * 32}/artifacts/x"), True, "belongs to no run in it"),
        (with_member(f"runs/{ROOT}/artifacts/more"), False, "more' is not in its manifest"),
        (with_member(f"runs/{ROOT}/artifacts/comparison.json", b"[]\r\n\x00\xff"), False, "its SHA-256 is not the "),
        (with_member(f"runs/{ROOT}/artifacts/comparison.json"), False, "has 1 bytes, and its manifest says 6"),
        (lambda members: members.pop(f"runs/{CHILD}/run.json"), False, f"'runs/{CHILD}/run.json' is missing"),
        (lambda members: members.pop(f"runs/{ROOT}/run.json"), True, "belongs to no run in it"),
        (with_manifest(run_id="c" * 32), False, f"it does not hold the run {'c' * 32} that it names"),
        (with_manifest(run_id=CHILD), False, f"it does not hold the run {CHILD} that it names"),
        (with_manifest(run_id="../x"), False, "manifest.json: run_id: String should match pattern"),
        (with_manifest(members={"x": {"size": -1, "sha256": "0" * 64}}), False, "manifest.json: members.x.size: "),
        (with_manifest(store="x" * 501), False, "manifest.json: store: String should have at most 500 characters"),
        (with_manifest(more=1), False, "manifest.json: more: "),
        (with_member("manifest.json", b"{"), False, "manifest.json cannot be read (Expecting property name"),
        (with_member("manifest.json", b"[" * 100_000), False, "manifest.json cannot be read (maximum recursion"),
        (with_run(status="RUNNING"), True, f"runs/{ROOT}/run.json: status: Input should be 'FINISHED', 'FAILED' or"),
        (with_run(name=1), True, f"runs/{ROOT}/run.json: name: Input should be a valid string"),
        (with_run(name="\ud800"), True, f"runs/{ROOT}/run.json cannot be read ('utf-8' codec can't encode"),
        (with_run(start_time=2**63), True, f"runs/{ROOT}/run.json: start_time: Input should be less than"),
        (with_run(run_id=CHILD), True, f"runs/{ROOT}/run.json is of the run {CHILD}"),
        (with_run(metrics={"m": [[0, 0, math.nan]]}), True, "run.json cannot be read (NaN is no JSON)"),
        (with_run(metrics={"m": [[0, True, 1.0]]}), True, "run.json: metrics.m.0.1: Input should be a valid integer"),
        (with_run(command="rm"), True, "run.json: command: "),
        (
            with_member(f"runs/{CHILD}/run.json", json.dumps(asdict(SETTING) | {"parent": "c" * 32}).encode()),
            True,
            f"run {CHILD} is not below {ROOT}",
        ),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(
    file: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], truthful: bool, message: str
) -> None:
    path = rewritten(file, change, truthful)
    error = refused(path, tmp_path / "out")
    assert error.message.startswith(f"{path} cannot be taken: ")
    assert message in error.message
    assert len(error.message.splitlines()) == 1
    assert error.hint == HINT
    assert {one.name for one in tmp_path.iterdir()} <= {"artifacts", "runs.zip", "changed.zip", "out"}


@pytest.mark.parametrize(("version", "shown"), [(2, "2"), ("1", "1"), (None, "None"), ("x" * 100, "x" * 40)])
def test_another_schema_version_says_which_vecml_reads_it(
    file: Path, tmp_path: Path, version: object, shown: str
) -> None:
    path = rewritten(file, with_manifest(version=version, vecml="9.2.0"), truthful=False)
    error = refused(path, tmp_path / "out")
    assert error.message == f"{path} has schema version {shown}; vecml {__version__} reads version 1"
    assert error.hint == "import it with the vecml that wrote it, 9.2.0, or a later one"


def test_other_files_are_none(tmp_path: Path) -> None:
    zipped = tmp_path / "other.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("readme", "x")
    error = refused(zipped, tmp_path / "out")
    assert error.message == f"{zipped} is no export of a run: it has no manifest.json"
    assert not is_export(zipped)
    named = tmp_path / "named.zip"
    with zipfile.ZipFile(named, "w") as archive:
        archive.writestr("manifest.json", '{"version": 1}')
    assert refused(named, tmp_path / "out").message == f"{named} is no export of a run"
    text = tmp_path / "text"
    text.write_text("hello")
    assert refused(text, tmp_path / "out").message.startswith(f"{text} cannot be taken: it is no whole zip file (")
    assert not is_export(text)
    gone = refused(tmp_path / "gone.zip", tmp_path / "out")
    assert gone.message == f"{tmp_path / 'gone.zip'}: there is no such file"
    assert gone.hint == "vecml export RUN FILE writes one"
    assert refused(tmp_path, tmp_path / "out").message == f"{tmp_path} cannot be unpacked: it is no regular file"


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(file: Path, tmp_path: Path, at: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(at * len(content))])
    assert refused(file, tmp_path / "out").message.startswith(f"{file} cannot be taken: it is no whole zip file (")


def test_a_flipped_bit_anywhere_changes_nothing_or_is_refused(file: Path, tmp_path: Path) -> None:
    content, whole = file.read_bytes(), unpack(file, tmp_path / "whole")
    for number, place in enumerate(range(0, len(content), 7)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            found = unpack(file, tmp_path / str(number))
        except StoreError:
            continue
        assert (found.digest, found.run, found.children) == (whole.digest, whole.run, whole.children)


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system = 3
    made.external_attr = mode << 16
    return made


def test_links_folders_and_doubles_are_refused(file: Path, tmp_path: Path) -> None:
    original = file.read_bytes()
    name = f"runs/{ROOT}/artifacts/link"
    for made, fault in (
        (entry(name, stat.S_IFLNK | 0o777), f"'{name}' is no plain file"),
        (entry(f"{name}/", stat.S_IFDIR | 0o755), f"'{name}/' is no plain file"),
        (entry(name, stat.S_IFIFO | 0o644), f"'{name}' is no plain file"),
    ):
        file.write_bytes(original)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(made, "/etc/passwd")
        assert refused(file, tmp_path / "out").message == f"{file} cannot be taken: {fault}"
    file.write_bytes(original)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("manifest.json", "{}")
    assert refused(file, tmp_path / "out").message == f"{file} cannot be taken: 'manifest.json' is in it twice"


def test_a_member_without_a_name_is_refused(file: Path, tmp_path: Path) -> None:
    """Python's zipfile looks at the last character of each name."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo("x"), b"")
        archive.filelist[-1].filename = ""
        archive._didModify = True  # type: ignore[attr-defined]
    assert "'' is no plain file" in refused(file, tmp_path / "out").message


def test_an_unusual_compression_is_refused(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"runs/{ROOT}/artifacts/x", b"x", zipfile.ZIP_LZMA)
    assert "x' is encrypted, or packed in an unusual way" in refused(file, tmp_path / "out").message


@pytest.mark.parametrize(
    ("name", "limit", "message"),
    [
        ("LIMIT_BYTES", 25_000, " bytes unpacked, and 25,000 are the limit of an export"),
        ("LIMIT_MEMBERS", 3, "4 members, and 3 are the limit of an export"),
        ("LIMIT_DOCUMENT", 100, " bytes for a run's run.json, and 100 are the limit of an export"),
    ],
)
def test_more_than_the_limits_is_neither_written_nor_taken(
    file: Path,
    artifacts: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limit: int,
    message: str,
) -> None:
    monkeypatch.setattr(archive_module, name, limit)
    error = refused(file, tmp_path / "out")
    assert error.message.startswith(f"{file}: ")
    assert message in error.message
    assert error.hint == "bring the machines together by a tracking server instead: MLFLOW_TRACKING_URI"
    assert not (tmp_path / "out").exists()
    with pytest.raises(StoreError) as caught:
        pack(RUN, (SETTING,), artifacts, "")
    assert caught.value.message == error.message.replace(str(file), f"run {RUN.name}")


def test_more_params_than_a_store_takes_in_time_are_neither_written_nor_taken(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's time for the params of a run grows with their square."""
    params = {f"p{number}": "" for number in range(archive_module.LIMIT_PARAMS + 1)}
    error = refused(rewritten(file, with_run(params=params)), tmp_path / "out")
    assert "10,001 params, and 10,000 are the limit of an export" in error.message
    with pytest.raises(StoreError, match=f"run {RUN.name}: 10,001 params, and 10,000 are the limit"):
        pack(replace(RUN, params=params), (), {}, "")


@pytest.mark.parametrize("key", ["params", "tags", "metrics", "data"])
def test_a_million_bad_entries_are_one_fault(file: Path, tmp_path: Path, key: str) -> None:
    """Pydantic alone makes an error of each, which took gigabytes."""
    bad = [1] * 100_000 if key == "data" else dict.fromkeys(map(str, range(100_000)), 1)
    message = refused(rewritten(file, with_run(**{key: bad})), tmp_path / "out").message
    assert re.search(rf"run.json: {key}.0: [^\n]{{10,80}}$", message)


@pytest.mark.timeout(30)
def test_a_pipe_or_a_device_in_the_files_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "device.zip").symlink_to("/dev/zero")
    for name in ("pipe.zip", "device.zip"):
        error = refused(tmp_path / name, tmp_path / "out")
        assert error.message == f"{tmp_path / name} cannot be unpacked: it is no regular file"
        with pytest.raises(OSError, match="it is no regular file"):
            is_export(tmp_path / name)


def test_a_bomb_is_stopped_by_what_the_manifest_says(file: Path, tmp_path: Path) -> None:
    """A member that is larger than its own header and the manifest say."""
    name = f"runs/{ROOT}/artifacts/bomb"
    content = bytes(1000)

    def change(members: dict[str, bytes]) -> None:
        members[name] = content

    path = rewritten(file, change)
    bomb = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        for one in archive.namelist():
            made.writestr(one, bytes(50_000_000) if one == name else archive.read(one))
    told = bomb.getvalue().replace(struct.pack("<L", 50_000_000), struct.pack("<L", 1000))
    path.write_bytes(told)
    assert refused(path, tmp_path / "out").message.startswith(f"{path} cannot be taken: ")
    left = sum(one.stat().st_size for one in (tmp_path / "out").rglob("*") if one.is_file())
    assert left < 100_000


def test_a_name_that_no_file_may_have_is_not_packed(artifacts: dict[str, Path]) -> None:
    (artifacts[ROOT] / "a\\b").write_text("x")
    with pytest.raises(StoreError) as caught:
        pack(RUN, (), artifacts, "")
    assert caught.value.message == f"run {RUN.name} cannot be exported: it has an artifact 'a\\\\b'"


def test_children_come_in_the_order_of_their_beginning(tmp_path: Path) -> None:
    later = replace(SETTING, run_id="0" * 32, start_time=SETTING.start_time + 1)
    path = tmp_path / "runs.zip"
    path.write_bytes(pack(RUN, (later, SETTING), {}, "")[0])
    found: Archive = unpack(path, tmp_path / "out")
    assert found.children == (SETTING, later)
