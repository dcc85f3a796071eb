"""Folders of labels that were damaged, or made by somebody else: refused in one line, and no host is asked."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.batch.made import contents, files_of, label, parts_of
from vecml.batch import label as label_module
from vecml.batch import plan as plan_module
from vecml.batch.folder import Folder
from vecml.batch.inputs import Input
from vecml.batch.manifest import MANIFEST, PLAN, Verified, manifest_text, verify
from vecml.batch.part import RECORDS, from_json
from vecml.data.places import place_of
from vecml.errors import DataError, SettingError, StoreError
from vecml.leftovers import hidden_name

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")

Content = dict[str, Any]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A complete folder of labels; its data lies in `data` beside it."""
    label(files_of(tmp_path / "data", [300]), tmp_path / "out")
    return tmp_path / "out"


def verified(out: Path) -> Verified:
    return verify(Folder(place_of(str(out), "--verify")))


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with pytest.raises(DataError) as caught:
        verified(tmp_path / "plain")
    assert (caught.value.message, caught.value.hint) == (f"{tmp_path}/plain is a file, and no folder", "name a folder")


def test_what_is_no_folder_of_labels_is_said_in_the_words_of_the_check(tmp_path: Path, out: Path) -> None:
    with pytest.raises(DataError, match=rf"^there is no folder {tmp_path}/nowhere$"):
        verified(tmp_path / "nowhere")
    with pytest.raises(DataError, match=rf"^{tmp_path}/data holds no labels: it has no _plan.json$"):
        verified(tmp_path / "data")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=rf"^{out} holds files that are no labels of vecml: 'notes.txt'$"):
        verified(out)


def _part(name: str, value: object) -> Callable[[Content], object]:
    return lambda content: content["parts"][0].update({name: value})


def _whole(name: str, value: object) -> Callable[[Content], object]:
    return lambda content: content.update({name: value})


def _one_row_more(content: Content) -> None:
    part = content["parts"][0]
    part["counts"][0] += 1
    part["rows"] += 1


@pytest.mark.parametrize(
    "change",
    [
        _part("counts", ["a", "b"]),
        _part("counts", [None, 1]),
        _part("counts", "ab"),
        _part("counts", [1, 2, 3]),
        lambda content: content["parts"][0]["counts"].reverse(),
        _one_row_more,
        _part("rows", "1"),
        _part("rows", True),
        _part("unit", "0"),
        _part("unit", None),
        _part("unit", 7),
        _part("name", ["x"]),
        _part("name", "../data/000.parquet"),
        _part("unseen", "x"),
        _part("filled", 10_000),
        lambda content: content.pop("classes"),
        _whole("classes", 5),
        _whole("classes", ["no", "no"]),
        _whole("classes", [[1], [2]]),
        _whole("classes", ["\x1b[31m", "yes"]),
        _whole("parts", {"a": 1}),
        _whole("parts", [[1]]),
        _whole("parts", None),
        _whole("format", True),
        _whole("plan", "x"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(out: Path, change: Callable[[Content], object]) -> None:
    content = json.loads((out / MANIFEST).read_text())
    change(content)
    (out / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"_manifest\.json (is damaged|does not fit)"):
        verified(out)


@pytest.mark.parametrize(
    "text", ["", "[1]", "[" * 100_000, '{"format": ' * 100_000, '{"format": ' + "9" * 5_000 + "}", "\xff"]
)
@pytest.mark.parametrize("name", [MANIFEST, PLAN])
def test_what_is_no_manifest_or_plan_is_refused(out: Path, name: str, text: str) -> None:
    (out / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        verified(out)


def _plan_of(out: Path, change: Callable[[plan_module.Plan], plan_module.Plan]) -> None:
    """Put another plan into the folder, with the digest that fits it, as who made the folder could."""
    plan = plan_module.from_json((out / PLAN).read_text(), PLAN)
    changed = change(plan)
    (out / PLAN).write_text(plan_module.to_json(changed))
    content = json.loads((out / MANIFEST).read_text())
    for part in content["parts"]:
        new = part["name"].replace(plan.digest[:12], changed.digest[:12])
        (out / part["name"]).rename(out / new)
        part["name"] = new
    parts = [from_json(part, MANIFEST) for part in content["parts"]]
    (out / MANIFEST).write_text(manifest_text(changed, content["classes"], parts))


def _with_file(address: Any) -> Callable[[plan_module.Plan], plan_module.Plan]:
    return lambda plan: replace(plan, files=(Input(address, 1, "1"), *plan.files[1:]))


@pytest.mark.parametrize(
    "change",
    [
        _with_file(5),
        _with_file("/a\0b"),
        lambda plan: replace(plan, options=5),
        lambda plan: replace(plan, units=(replace(plan.units[0], folder="../../x=1"), *plan.units[1:])),
        lambda plan: replace(plan, units=(replace(plan.units[0], folder="/x=1"), *plan.units[1:])),
        lambda plan: replace(plan, units=(replace(plan.units[0], first_row="0"), *plan.units[1:])),
        lambda plan: replace(plan, units=(replace(plan.units[0], pieces=()), *plan.units[1:])),
        lambda plan: replace(
            plan, units=(replace(plan.units[0], pieces=(replace(plan.units[0].pieces[0], file=9),)), *plan.units[1:])
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(out: Path, change: Callable[[plan_module.Plan], plan_module.Plan]) -> None:
    _plan_of(out, change)
    with pytest.raises(StoreError, match=r"_plan\.json is damaged"):
        verified(out)


def test_a_foreign_plan_makes_no_request(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]

        def change(plan: plan_module.Plan) -> plan_module.Plan:
            options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=x&connect_timeout=1&request_timeout=1"
            return replace(_with_file("s3://bucket/a.parquet")(plan), options=options)

        _plan_of(out, change)
        found = verified(out)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert found.notes == (
        "1 of the 2 files that were labelled is kept elsewhere: whether it has changed is not looked at",
    )


def test_a_record_of_another_part_does_not_count(tmp_path: Path) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    told = label(data, out)
    before = contents(out)
    parts = json.loads((out / MANIFEST).read_text())["parts"]
    (out / MANIFEST).unlink()
    (out / RECORDS).mkdir()
    for part in parts:
        record = {**part, "unit": 0}
        (out / RECORDS / part["name"].replace(".parquet", ".json")).write_text(json.dumps(record))
    assert label(data, out).taken_over == 1
    assert contents(out) == before
    assert told.parts > 1


@pytest.mark.parametrize("name", [RECORDS, "y=1"])
def test_a_link_to_a_folder_elsewhere_is_not_written_through(tmp_path: Path, name: str) -> None:
    data, out, elsewhere = files_of(tmp_path / "data", [300]), tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(SettingError, match=f"holds files that are no labels of vecml: '{name}'"):
        label(data, out)
    assert not list(elsewhere.iterdir())


def test_a_part_that_leads_nowhere_is_made_again(tmp_path: Path) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    told = label(data, out)
    before = contents(out)
    part = next(iter(sorted(out.glob("part-*"))))
    part.unlink()
    part.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is missing"):
        verified(out)
    assert label(data, out).taken_over == told.parts - 1
    assert contents(out) == before


def test_a_file_that_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    (out / RECORDS).mkdir(parents=True)
    written = hidden_name(out / RECORDS / "part-0000000-0123456789ab.json")
    written.touch()
    label(data, out)
    assert written.exists()


def test_a_folder_that_comes_and_goes_ends_no_listing(tmp_path: Path) -> None:
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            (tmp_path / RECORDS).mkdir()
            (tmp_path / RECORDS).rmdir()

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(500):
            assert Folder(place_of(str(tmp_path), "--out")).names() == set()
    finally:
        ended.set()
        other.join()


def _foreign_part(out: Path) -> Path:
    """A part as another plan would have written it into this folder."""
    part = min(out.glob("part-*"))
    return Path(shutil.copy(part, out / "part-0000000-0123456789ab.parquet"))


def test_a_part_of_another_plan_is_refused_before_work_and_by_the_check(tmp_path: Path, out: Path) -> None:
    strange = _foreign_part(out)
    message = rf"^{out} holds a part that is not of its plan: {strange.name}$"
    with pytest.raises(DataError, match=message) as caught:
        label(tmp_path / "data", out)
    with pytest.raises(DataError, match=message):
        verified(out)
    subprocess.run(["sh", "-c", str(caught.value.hint).partition(": ")[2]], check=True)
    assert verified(out).rows == label(tmp_path / "data", out).n_rows


def test_two_plans_at_once_leave_no_folder_with_rows_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out, complete = files_of(tmp_path / "data", [300]), tmp_path / "out", label_module.complete

    def overtaken(*work: Any) -> None:
        """Another process found the folder empty too: its plan replaces this one, and this one's parts are there."""
        monkeypatch.setattr(label_module, "complete", complete)
        label(data, tmp_path / "other", keep=("id",))
        shutil.copytree(tmp_path / "other", out, dirs_exist_ok=True)
        (out / "_SUCCESS").unlink()
        complete(*work)

    monkeypatch.setattr(label_module, "complete", overtaken)
    with pytest.raises(StoreError, match="another process labels something else into it"):
        label(data, out)
    assert label(data, out, keep=("id",)).n_rows == verified(out).rows == parts_of(out).num_rows


def test_success_is_not_said_over_a_part_of_another_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out, complete = files_of(tmp_path / "data", [300]), tmp_path / "out", label_module.complete

    def beside(*work: Any) -> None:
        _foreign_part(out)
        complete(*work)

    monkeypatch.setattr(label_module, "complete", beside)
    with pytest.raises(DataError, match="holds a part that is not of its plan"):
        label(data, out)
    assert not (out / "_SUCCESS").exists()
