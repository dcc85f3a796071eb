"""What a comparison is made of: the same settings from the command line and from a form."""

from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from vecml.comparison.config import ComparedEngine, ComparisonConfig
from vecml.comparison.settings import settings_of
from vecml.comparison.work import rows_of_a_call
from vecml.config import PipelineConfig, Setting, TrainingConfig
from vecml.device import usable_cpus
from vecml.engines.registry import ENGINES
from vecml.errors import SettingError
from vecml.model.network import Architecture, Layer, Model


def test_every_engine_can_be_chosen_in_the_form() -> None:
    assert get_args(ComparedEngine) == ("all", *ENGINES)
    schema = ComparisonConfig.model_json_schema()
    assert schema["properties"]["engines"]["items"]["enum"] == ["all", *ENGINES]


def test_as_it_stands_it_is_numpy_against_torch_on_every_cpu() -> None:
    assert settings_of(ComparisonConfig()) == [Setting(name, threads=usable_cpus()) for name in ("numpy", "torch")]


def test_all_takes_every_engine_and_the_row_loop_its_only_precision() -> None:
    settings = settings_of(ComparisonConfig(engines=("all",)))
    assert [setting.engine for setting in settings] == ["torch", *(name for name in ENGINES if name != "torch")]
    assert settings[1] == Setting("row_loop", precision="float64", threads=usable_cpus())


def test_a_call_of_the_row_loop_labels_what_takes_a_moment() -> None:
    layers = tuple(
        Layer(np.ones((fan_out, fan_in), np.float32), np.zeros(fan_out, np.float32))
        for fan_in, fan_out in ((10, 32), (32, 2))
    )
    model = Model(Architecture(10, (32,), 2, "relu"), layers, ("0", "1"))
    loop = Setting("row_loop", precision="float64")
    assert 1_000 < rows_of_a_call(model, loop, 1_000_000) < 10_000
    assert rows_of_a_call(model, loop, 100) == 100
    assert rows_of_a_call(model, Setting("row_loop", precision="float64", request_rows=50), 1_000_000) == 1_000_000
    assert rows_of_a_call(model, Setting("numpy"), 1_000_000) == 1_000_000


def test_every_combination_once() -> None:
    config = ComparisonConfig(engines=("numpy", "numpy"), threads=(1,), block_rows=(0, 512), layout=("columns", "rows"))
    assert [(setting.layout, setting.block_rows) for setting in settings_of(config)] == [
        ("columns", None),
        ("columns", 512),
        ("rows", None),
        ("rows", 512),
    ]


@pytest.mark.parametrize(
    "given",
    [{"engines": []}, {"engines": ["tensorflow"]}, {"threads": [0]}, {"rows": 0}, {"device": ["auto"]}, {"row": 1}],
)
def test_a_form_refuses_what_cannot_be(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ComparisonConfig.model_validate(given)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"layout": "columns,diagonal"}, "--layout diagonal: there is no such layout", "choose from columns, rows"),
        ({"engines": ["jax"]}, "--engines jax: there is no such engine", f"choose from {', '.join(ENGINES)}"),
        ({"engines": ""}, "--engines: name at least one engine", None),
        ({"threads": "1,0"}, "--threads 0: must be at least 1", None),
        ({"threads": [True]}, "--threads true: not a number", None),
        ({"name": ""}, "--name: must not be empty", None),
        ({"name": "a" * 201}, "--name: must have at most 200 characters", None),
        ({"budget": 60}, "--budget 60: not a text", 'write it in quotes: budget = "60"'),
        ({"fail_on_regression": "maybe"}, "--fail-on-regression maybe: neither true nor false", None),
        ({"subject": {"hidden": [8] * 9}}, "--hidden: must have at most 8 widths", None),
        ({"threads": "two"}, "--threads two: not a whole number", None),
        ({"block_rows": "512,many"}, "--block-rows many: neither a number nor auto", None),
        ({"rows": 10**11}, "--rows 100000000000: must be at most 10,000,000,000", None),
        ({"epoch": 3}, "unknown setting 'epoch'", "did you mean epochs?"),
        ({"subject": {"epochs": 0}}, "--epochs 0: must be at least 1", None),
        ({"subject": {"epoch": 3}}, "unknown setting 'epoch'", "did you mean epochs?"),
        ({"subject": {"target": "y"}}, "--target needs --data: name the file that holds the column", None),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given: dict[str, object], message: str, hint: str | None) -> None:
    with pytest.raises(SettingError) as caught:
        ComparisonConfig.checked(given)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("subject", "message", "hint"),
    [
        (
            {"epochs": 3, "engine": "numpy"},
            "subject has engine, which does nothing in a comparison",
            "leave it out of the subject, and set engines of the comparison itself",
        ),
        (
            {"replicas": 1},
            "subject has replicas, which does nothing in a comparison",
            "leave it out of the subject",
        ),
        (
            {"device": "cpu", "engine": "numpy"},
            "subject has engine, device, which do nothing in a comparison",
            "leave them out of the subject, and set engines, device of the comparison itself",
        ),
        (
            PipelineConfig(name="a", epochs=2),
            "subject has name, which does nothing in a comparison",
            "leave it out of the subject, and set name of the comparison itself",
        ),
    ],
)
def test_a_subject_of_before_gets_one_line(subject: object, message: str, hint: str) -> None:
    """Deployments of vecml 0.1 may hold such fields; their flow fails with this line."""
    with pytest.raises(SettingError) as caught:
        ComparisonConfig.checked({"subject": subject})
    assert (caught.value.message, caught.value.hint) == (message, hint)
    with pytest.raises(ValidationError) as refused:
        ComparisonConfig.model_validate({"subject": subject})
    assert [error["msg"] for error in refused.value.errors()] == [f"Value error, {message}: {hint}"]


def test_a_subject_that_is_a_pipelines_keeps_what_is_trained() -> None:
    subject = ComparisonConfig(subject=PipelineConfig(epochs=2, hidden=(8,))).subject
    assert subject == TrainingConfig(epochs=2, hidden=(8,))
    assert type(subject) is TrainingConfig


NEED_DATA = {
    "bins",
    "target",
    "day_first",
    "drop",
    "keep",
    "tune",
    "categorical",
    "encoding",
    "missing",
    "no_header",
    "on_disk",
    "query",
    "separator",
}


@pytest.mark.parametrize("field", sorted(set(TrainingConfig.model_fields) - NEED_DATA))
def test_beside_a_run_nothing_is_trained(field: str) -> None:
    values = {
        "data": "sklearn:iris",
        "hidden": (8,),
        "activation": "tanh",
        "architecture": "a.b:C",
        "weights": "w.safetensors",
        "test_fraction": 0.5,
        "learning_rate": 0.1,
        "class_weight": "balanced",
        "rare_classes": "merge",
        "strict": True,
    }
    given = {"run": "a1", "subject": {field: values.get(field, 7)}}
    if field == "architecture":  # which loads a model that is a module of one's own
        assert ComparisonConfig.checked(given).subject.architecture == "a.b:C"
        return
    with pytest.raises(SettingError) as caught:
        ComparisonConfig.checked(given)
    flag = "--" + field.replace("_", "-")
    assert caught.value.message == f"{flag} goes with training; --run a1 is trained already"


def test_a_name_is_one_line() -> None:
    with pytest.raises(SettingError, match="must be one line of printable text"):
        ComparisonConfig.checked({"name": "two\nlines"})


def test_lists_as_people_write_them() -> None:
    config = ComparisonConfig.checked(
        {"engines": "all", "threads": 1, "layout": "columns, rows", "block_rows": "auto,512"}
    )
    assert (config.engines, config.threads) == (("all",), (1,))
    assert (config.layout, config.block_rows) == (("columns", "rows"), (0, 512))


def test_more_threads_than_cpus_are_refused() -> None:
    with pytest.raises(SettingError, match="threads"):
        settings_of(ComparisonConfig(threads=(usable_cpus() + 1,)))
