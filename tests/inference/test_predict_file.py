"""A file that is labelled in blocks: the labels of memory, columns as promised, and nothing at all on failure."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.test_stream import ENCODING, N, table, written
from vecml.config import Setting
from vecml.data.raw import raw_columns
from vecml.data.stream import open_file
from vecml.engines.registry import load_engine
from vecml.errors import DataError, SettingError, StoreError
from vecml.inference import output_columns
from vecml.inference.infer import in_layout
from vecml.inference.predict import predict
from vecml.inference.predict_file import block_rows_of, check_output, predict_file, runnable
from vecml.model.network import Architecture, Layer, Model
from vecml.model.store import Classifier
from vecml.warnings import VecmlWarning


def classifier(classes: tuple[str, ...] = ("no", "yes")) -> Classifier:
    rng = np.random.default_rng(0)

    def layer(fan_in: int, fan_out: int) -> Layer:
        return Layer(rng.normal(size=(fan_out, fan_in)).astype(np.float32), rng.normal(size=fan_out).astype(np.float32))

    encoding = type(ENCODING)(ENCODING.columns, "label", classes)
    shape = Architecture(encoding.n_features, (8,), len(classes), "relu")
    return Classifier(Model(shape, (layer(encoding.n_features, 8), layer(8, len(classes))), classes), encoding)


UNSEEN = "^VML003 in the data, [0-9]+ values of a category that the training part has not: encoded as zeros$"


@pytest.mark.parametrize("block_rows", [1, 64, 333, None])
@pytest.mark.parametrize("setting", [Setting("numpy", threads=2), Setting("torch", layout="rows", block_rows=64)])
@pytest.mark.parametrize(("name", "out"), [("a.parquet", "b.csv"), ("a.csv", "b.parquet")])
def test_the_labels_are_those_of_memory(
    tmp_path: Path, name: str, out: str, setting: Setting, block_rows: int | None
) -> None:
    model, path = classifier(), written(tmp_path / name, table())
    file = open_file(path, model.encoding, ["id"])
    with pytest.warns(VecmlWarning, match=UNSEEN):
        told = predict_file(model, file, setting, tmp_path / out, probabilities=True, rows=True, block_rows=block_rows)
    x_FN = model.encoding.transform(raw_columns(path, model.encoding))[0]
    label_N, loaded = np.empty(N, np.int64), load_engine(model.model, setting)
    loaded.labels(in_layout(x_FN, setting.layout), label_N)
    loaded.close()
    wanted = np.array(model.model.classes)[label_N]
    if setting.layout == "columns":
        with pytest.warns(VecmlWarning, match=UNSEEN):
            assert predict(model, path, choose=lambda *_: setting).tolist() == wanted.tolist()
    if out.endswith(".csv"):
        with (tmp_path / out).open(newline="") as content:
            rows = list(csv.DictReader(content))
    else:
        rows = pq.read_table(tmp_path / out).to_pylist()
    assert list(rows[0]) == ["row", "id", "prediction", "probability_no", "probability_yes"]
    assert [row["prediction"] for row in rows] == wanted.tolist()
    assert [int(row["row"]) for row in rows] == list(range(N))
    assert [row["id"] for row in rows] == [f"{i:05}" for i in range(N)]
    assert told.n_rows == N
    assert told.count_C.tolist() == [int((wanted == name).sum()) for name in ("no", "yes")]
    loaded = load_engine(model.model, Setting("numpy", precision="float64"))
    power_NC = np.exp(loaded.logits(x_FN).astype(np.float64))
    loaded.close()
    share_NC = power_NC / power_NC.sum(axis=1, keepdims=True)
    given_NC = np.array([[float(row["probability_no"]), float(row["probability_yes"])] for row in rows])
    np.testing.assert_allclose(given_NC, share_NC, atol=1e-6)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_a_bad_value_late_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    content = table().to_pylist()
    content[900]["size"] = float("inf")
    path = written(tmp_path / "a.parquet", pa.Table.from_pylist(content, table().schema))
    model, out = classifier(), tmp_path / "out.csv"
    out.write_text("before")
    with pytest.raises(DataError, match=r"^column 'size' has an infinite value in row 901$"):
        predict_file(model, open_file(path, model.encoding), Setting("numpy"), out, block_rows=64)
    assert out.read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.parquet", "out.csv"]


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_a_value_of_a_text_file_that_cannot_be_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", table())
    lines = path.read_text().splitlines()
    sizes = lines[0].replace('"', "").split(",").index("size")
    values = lines[901].split(",")
    values[sizes] = "wide"
    path.write_text("\n".join([*lines[:901], "", ",".join(values), *lines[902:]]) + "\n")
    model = classifier()
    with pytest.raises(DataError, match=r": 'wide' in row 901, line 903 is not one$"):
        predict_file(model, open_file(path, model.encoding), Setting("numpy"), tmp_path / "o.csv", block_rows=64)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_a_disk_that_is_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output_columns.OutputColumns, "table", full)
    model = classifier()
    file = open_file(written(tmp_path / "a.parquet", table()), model.encoding)
    with pytest.raises(StoreError, match=rf"^cannot write {tmp_path}/o\.parquet: No space left on device$"):
        predict_file(model, file, Setting("numpy"), tmp_path / "o.parquet", block_rows=10)
    assert [one.name for one in tmp_path.iterdir()] == ["a.parquet"]


def test_classes_that_need_quotes_survive_a_csv(tmp_path: Path) -> None:
    model, out = classifier(('a,"b"', "c\nd")), tmp_path / "o.csv"
    path = written(tmp_path / "a.parquet", table().slice(0, 0))
    predict_file(model, open_file(path, model.encoding), Setting("numpy"), out, probabilities=True)
    with out.open(newline="") as content:
        assert list(csv.reader(content)) == [["prediction", 'probability_a,"b"', "probability_c\nd"]]


def test_a_column_of_the_same_name_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", table().append_column("prediction", pa.array([1] * N)))
    model = classifier()
    with pytest.raises(SettingError, match=r"^--keep prediction: the new file has a column of its own of that name$"):
        predict_file(model, open_file(path, model.encoding, ["prediction"]), Setting("numpy"), tmp_path / "o.csv")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("o.txt", "its suffix does not say what to write"),
        ("no/o.csv", "there is no folder "),
        ("a.csv", "it is the data"),
        ("folder.csv", "it is a folder"),
    ],
)
def test_a_target_that_cannot_be_is_refused_first(tmp_path: Path, out: str, message: str) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SettingError, match=f"^--out {tmp_path / out}: {message}"):
        check_output(tmp_path / out, tmp_path / "a.csv")


def test_a_setting_that_cannot_run_here_is_replaced_and_said() -> None:
    from vecml.device import usable_cpus

    model = classifier().model
    setting, note = runnable(model, Setting("numpy", precision="bfloat16"))
    assert setting == Setting("numpy", threads=usable_cpus())
    assert note is not None
    assert note.startswith("the setting that is stored with the model cannot run here, numpy runs it: engine numpy")
    setting, note = runnable(model, Setting("numpy", threads=4_096, request_rows=1))
    assert (setting.threads, setting.request_rows) == (usable_cpus(), None)
    assert note == f"the setting that is stored with the model has 4096 threads; here are {usable_cpus()} CPUs"
    assert runnable(model, Setting("numpy")) == (Setting("numpy"), None)


def test_blocks_are_whole_blocks_of_the_engines() -> None:
    model = classifier().model
    assert block_rows_of(model, Setting("numpy", block_rows=1_000)) % 1_000 == 0
    assert block_rows_of(model, Setting("numpy", block_rows=10**7, threads=2)) == 2 * 10**7
