"""A table is handed over to a flow once, with its warnings."""

from pathlib import Path

import pytest

from tasks.beforehand import handed_over, read_beforehand, take_split, take_table
from vecml.config import PipelineConfig
from vecml.errors import DataError
from vecml.warnings import VecmlWarning, heard


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    path = tmp_path / "table.csv"
    rows = "".join(
        f"{row * 37 % 211},5,{'yes' if row * 37 % 211 + row % 5 * 40 > 180 else 'no'}\n" for row in range(200)
    )
    path.write_text("a,same,label\n" + rows)
    return PipelineConfig(data=str(path), target="label")


def test_what_was_read_is_taken_once(config: PipelineConfig) -> None:
    with pytest.warns(VecmlWarning, match="VML001"):
        prepared = read_beforehand(config)
    with handed_over(prepared), heard() as said:
        table, split = take_table(), take_split()
        assert table is not None
        assert split is not None
        assert table.value.n_rows == 200
        assert split.value.train.n_rows == 160
        assert table.seconds > 0
        assert [one.code for one in said] == ["VML001"]
        assert take_table() is None
        assert take_split() is None
    assert prepared.table is None  # whoever took it is the only one who keeps it
    assert prepared.split is None


def test_without_a_table_the_tasks_read_by_themselves(config: PipelineConfig) -> None:
    assert take_table() is None
    with handed_over(None):
        assert take_table() is None
        assert take_split() is None
    with pytest.warns(VecmlWarning, match="VML001"):
        prepared = read_beforehand(config)
    with handed_over(prepared):
        pass
    assert take_table() is None  # after the block nobody takes it


def test_a_split_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,label\n1,x\n2,x\n3,y\n")
    with pytest.raises(DataError, match="class 'y' has 1 row"):
        read_beforehand(PipelineConfig(data=str(path), target="label"))
