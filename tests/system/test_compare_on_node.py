"""A node's part in a comparison on a cluster, by real processes and without Ray."""

import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from vecml.comparison.config import ComparisonConfig
from vecml.comparison.document import from_json
from vecml.comparison.node_order import order_files
from vecml.comparison.node_work import NodeWork, begin, look
from vecml.environment import describe

pytestmark = pytest.mark.system
ENGINES = {"engines": "numpy,row_loop", "threads": "1", "budget": "quick"}


def begun(folder: Path, **fields: Any) -> NodeWork:
    work, told = begin(order_files(ComparisonConfig.checked({**ENGINES, **fields}), None), str(folder), {})
    assert told == "{}"
    return work


def told_by(work: NodeWork) -> list[dict[str, Any]]:
    """All that the process tells until it is over."""
    lines: list[dict[str, Any]] = []
    is_over = False
    while not is_over:
        told = json.loads(work.exchange(10.0))
        lines += [json.loads(line) for line in told["lines"]]
        is_over = told["over"]
    return lines


def processes() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "vecml.comparison.node_process" in " ".join(one.cmdline())]


def test_a_node_says_what_it_is_and_what_it_lacks() -> None:
    work, told = look(["numpy"])
    assert work is None
    found = json.loads(told)
    assert found["machine_key"] == describe().machine_key
    assert found["software"] == describe().software
    assert found["lacking"] == {}


@pytest.mark.long
def test_the_comparison_is_the_one_of_this_machine_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Ray sets it
    lines = told_by(begun(tmp_path, rows=2_000, subject={"rows": 400, "epochs": 1}))
    comparison = from_json(lines[-1]["comparison"].encode(), "the document")
    assert list(comparison.settings) == ["numpy", "row_loop"]
    assert comparison.environment["machine_key"] == describe().machine_key
    assert {"announce": "quick", "resolves": None, "source": "default"} in lines
    begins = {line["begin"]: line["name"] for line in lines if "begin" in line}
    assert {"training", "measuring"} <= set(begins.values())
    assert sorted(begins) == sorted(line["end"] for line in lines if "end" in line)
    assert processes() == []


@pytest.mark.long
def test_data_is_looked_for_from_the_users_folder_and_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    (failed,) = told_by(begun(tmp_path, subject={"data": "data.csv", "target": "label"}))[-1:]
    assert failed["failure"]["kind"] == "DataError"
    assert "data.csv" in failed["failure"]["message"]
    (failed,) = told_by(begun(tmp_path / "not-there", subject={"data": "data.csv", "target": "label"}))[-1:]
    assert "there is no" in failed["failure"]["message"] or "no such" in failed["failure"]["message"].lower()


def test_it_ends_with_all_that_it_has_started_when_it_is_stopped(tmp_path: Path) -> None:
    work = begun(tmp_path, budget="5m", rows=2_000, subject={"rows": 400, "epochs": 1})
    names: list[str] = []
    while "measuring" not in names:
        names += [json.loads(line).get("name", "") for line in json.loads(work.exchange(10.0))["lines"]]
    (process,) = processes()
    limit = time.monotonic() + 60
    while not (workers := process.children(recursive=True)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert workers
    assert work.stop(30.0)
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in (process, *workers))
    assert json.loads(work.exchange(0.0))["over"]
