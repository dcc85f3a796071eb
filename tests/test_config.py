"""The configuration: what cannot be is refused in one line of the command line's words."""

import os
from pathlib import Path
from typing import Any

import pytest

from vecml.config import PipelineConfig, make_config, read_config_file
from vecml.errors import SettingError
from vecml.model.recipe import make_recipe

IMPOSSIBLE: list[tuple[dict[str, Any], str, str | None]] = [
    ({"block_rows": 0}, "--block-rows 0: must be at least 1", None),
    ({"rows": 0}, "--rows 0: must be at least 1", None),
    ({"rows": -5}, "--rows -5: must be at least 1", None),
    ({"epochs": 0}, "--epochs 0: must be at least 1", None),
    ({"threads": 0}, "--threads 0: must be at least 1", None),
    ({"features": 0}, "--features 0: must be at least 1", None),
    ({"batch_size": 0}, "--batch-size 0: must be at least 1", None),
    ({"test_fraction": 0}, "--test-fraction 0: must be more than 0", None),
    ({"test_fraction": 1.0}, "--test-fraction 1.0: must be less than 1", None),
    ({"learning_rate": -1.0}, "--learning-rate -1.0: must be more than 0", None),
    ({"hidden": (32, 0)}, "--hidden 0: must be at least 1", None),
    ({"hidden": ()}, "--hidden: name at least one width", None),
    ({"seed": -1}, "--seed -1: must be at least 0", None),
    ({"seed": 2**32}, "--seed 4294967296: must be at most 4,294,967,295", None),
    ({"rows": True}, "--rows true: not a number", None),
    ({"name": "a\nb"}, "--name 'a\\nb': must be one line of printable text", None),
    ({"name": "  "}, "--name '  ': must be one line of printable text", None),
    ({"hidden": "64;32"}, "--hidden 64;32: not a list of widths", "for example --hidden 64,32"),
    ({"block_rows": "many"}, "--block-rows many: neither a number nor auto", None),
    (
        {"engine": "tensorflow"},
        "--engine tensorflow: there is no such engine",
        "choose from auto, row_loop, numpy, torch, torch_compile, onnxruntime, openvino, halide",
    ),
    ({"device": "tpu"}, "--device tpu: there is no such device", "choose from auto, cpu, cuda, mps"),
    (
        {"activation": "swish"},
        "--activation swish: there is no such activation",
        "choose from relu, gelu, tanh, sigmoid",
    ),
    ({"epoch": 3}, "unknown setting 'epoch'", "did you mean epochs?"),
    ({"rows": "many"}, "--rows many: not a whole number", None),
    ({"target": "y"}, "--target needs --data: name the file that holds the column", None),
    ({"on_disk": True}, "--on-disk needs --data: name the file that holds the table", None),
    ({"separator": ";"}, "--separator needs --data: name the file that holds the table", None),
    ({"bins": 4}, "--bins needs --data: name the file that holds the column", None),
    ({"data": "a.csv", "target": "y", "drop": ("y",)}, "column 'y' is the target and cannot be dropped", None),
    (
        {"data": "a.csv", "target": "y", "drop": ("a",), "keep": ("a",)},
        "column 'a' is both dropped and kept",
        None,
    ),
]


@pytest.mark.parametrize(("values", "message", "hint"), IMPOSSIBLE, ids=[case[1] for case in IMPOSSIBLE])
def test_what_cannot_be_is_refused_in_one_line(values: dict[str, Any], message: str, hint: str | None) -> None:
    with pytest.raises(SettingError) as caught:
        make_config(values)
    assert caught.value.message == message
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_the_default_is_the_notebooks_job() -> None:
    config = make_config({})
    assert (config.rows, config.features, config.test_fraction) == (5_000, 10, 0.2)
    recipe = make_recipe(config, 4_000)
    assert (recipe.hidden, config.activation, recipe.learning_rate, recipe.weight_decay) == ((32,), "relu", 1e-3, 0)
    assert (recipe.epochs, recipe.batch_size, recipe.class_weight) == (5, 128, "none")


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_text('epochs = 60\nbatch-size = 32\nhidden = [64, 32]\nengine = "numpy"\n')
    config = make_config({"epochs": 7, "engine": None}, read_config_file(file))
    assert (config.epochs, config.batch_size, config.hidden, config.engine) == (7, 32, (64, 32), "numpy")


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("hidden", 64, (64,)),
        ("hidden", "64, 32", (64, 32)),
        ("hidden", [64, 32], (64, 32)),
        ("drop", "a b", ("a b",)),
        ("block_rows", "auto", None),
        ("epochs", "auto", None),
        ("hidden", "auto", None),
        ("hidden", ["auto"], None),
        ("learning_rate", "auto", None),
        ("learning_rate", 0.5, 0.5),
    ],
)
def test_a_file_may_say_it_as_people_write_it(field: str, written: Any, meant: Any) -> None:
    values = {"data": "sklearn:iris"} if field == "drop" else {}
    assert getattr(make_config({**values, field: written}), field) == meant


def test_a_file_from_windows_may_begin_with_a_mark_and_end_its_lines_so(tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_bytes(b"\xef\xbb\xbfepochs = 60\r\nbatch-size = 32\r\n")
    assert read_config_file(file) == {"epochs": 60, "batch_size": 32}


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_config_that_never_ends_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.toml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SettingError, match="it is no regular file"):
        read_config_file(path)


def test_a_config_survives_json() -> None:
    config = make_config({"hidden": (64, 32), "data": "sklearn:digits", "drop": ("a b", "c")})
    assert PipelineConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--config {file}: No such file or directory"),
        (b"epochs: 3\n", "--config {file}: not TOML: "),
        (b"\xff\xfe", "--config {file}: not TOML: "),
        (b"a = " + b"[" * 50_000, "--config {file}: not TOML: "),
        (b"rows = " + b"9" * 5_000, "--config {file}: not TOML: "),
    ],
)
def test_a_config_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "job.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        read_config_file(file)
    assert caught.value.message.startswith(message.format(file=file))
