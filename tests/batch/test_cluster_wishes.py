"""What cannot be is refused before anything is read, whether Ray is here or not."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import vecml
from tests.batch.made import SETTING, classifier
from vecml import child
from vecml.batch.cluster import Wish, check_wish
from vecml.cli.predict_output import How, into_folder_or_file
from vecml.cli.predict_output import Wish as Labels
from vecml.cluster import parent
from vecml.cluster.failure import error_of, told_of
from vecml.config import Setting
from vecml.data.remedy import SettingHelpsError
from vecml.errors import DataError, ServerError, SettingError, StoreError

LABELS = Labels("data/", "a-run", None, None, None, None, (None, None, False), (), False, False)


@pytest.mark.parametrize(
    "where", ["", "local", "local:", "local:x", "ray://", "ray://host", "http://host:1", "10.0.0.1:6379"]
)
def test_what_names_no_cluster_is_refused(where: str) -> None:
    with pytest.raises(SettingError, match=rf"^--cluster {where}: no such cluster$") as refused:
        check_wish(Wish(where), SETTING)
    assert "local:2" in str(refused.value.hint)


@pytest.mark.parametrize("where", ["local:0", "local:65"])
def test_there_are_not_too_many_nodes_on_a_machine(where: str) -> None:
    with pytest.raises(SettingError, match="from 1 to 64 nodes"):
        check_wish(Wish(where), SETTING)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"^--cluster auto: Ray is not installed$") as refused:
        check_wish(Wish("auto"), SETTING)
    assert refused.value.hint == "pip install 'vecml[ray]'"


def test_a_setting_for_a_gpu_and_no_time_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "find_spec", lambda name: name)
    with pytest.raises(SettingError, match="the model's setting is for cuda"):
        check_wish(Wish("auto"), Setting("torch", device="cuda"))
    with pytest.raises(SettingError, match=r"^--node-timeout 0: must be greater than 0$"):
        check_wish(Wish("auto", 0), SETTING)


def test_flags_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    def asked(out: str, how: How, threads: int | None = None) -> None:
        into_folder_or_file(replace(LABELS, threads=threads), out, how, json=False)

    with pytest.raises(SettingError, match=r"^--cluster auto: what several nodes write is a folder of parts$"):
        asked(str(tmp_path / "labels.csv"), How(cluster="auto"))
    with pytest.raises(SettingError, match=r"^--part-size 1MB: a single file has no parts$"):
        asked(str(tmp_path / "labels.csv"), How(part_size="1MB"))
    with pytest.raises(SettingError, match=r"^--query: a folder of parts is made of files, not of a database$"):
        into_folder_or_file(replace(LABELS, query="select 1"), f"{tmp_path}/labels/", How(), json=False)
    with pytest.raises(SettingError, match=r"^--threads 2: on a cluster each node uses the cores that Ray has there$"):
        asked(f"{tmp_path}/labels/", How(cluster="auto"), threads=2)
    with pytest.raises(SettingError, match=r"^--node-timeout 5: for --cluster only$"):
        asked(f"{tmp_path}/labels/", How(node_timeout=5))


def test_from_python_a_cluster_is_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^cluster is for a folder of parts$"):
        vecml.predict(classifier(), "data", cluster="auto")
    with pytest.raises(SettingError, match=r"^--cluster nobody: no such cluster$"):
        vecml.predict(classifier(), "data", cluster="nobody", out=tmp_path / "out", engine="numpy")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError("x", "y"), DataError),
        (StoreError("x", "y"), StoreError),
        (SettingHelpsError("x", "y", {"drop": ("a",)}), DataError),
        (MemoryError("gone"), ServerError),
    ],
)
def test_an_error_of_a_node_is_raised_as_what_it_was(error: Exception, kind: type[Exception]) -> None:
    raised = error_of(told_of(error), "node a: ")
    assert type(raised) is kind
    assert raised.message.startswith("node a: ")


@pytest.mark.parametrize(
    ("where", "answers", "hint"), [("auto", False, "RAY_ADDRESS"), ("auto", True, "again"), ("local:2", False, "again")]
)
def test_a_cluster_that_does_not_answer_is_told_by_how_to_reach_it(
    monkeypatch: pytest.MonkeyPatch, where: str, answers: bool, hint: str
) -> None:
    silent = f"import sys; {'print({}, flush=True); ' if answers else ''}sys.stdin.read()"
    process = child.spawn([sys.executable, "-c", silent], child.environment())
    told = parent._told(process, where, "run it again")
    try:
        if answers:
            assert next(told) == {}
        monkeypatch.setattr(parent, "SILENT_SECONDS", 0.2)
        with pytest.raises(ServerError, match=rf"^--cluster {where}: Ray did not answer within 0 s$") as caught:
            next(told)
    finally:
        process.close(5.0)
    assert hint in str(caught.value.hint)
