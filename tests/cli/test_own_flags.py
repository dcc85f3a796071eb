"""Flags that say nothing beside --architecture or --weights are refused, and names with colons stay as they are."""

import io

import pytest

from vecml.cli.run import refuse_idle_flags
from vecml.cli.terminal import console, show_error
from vecml.config import make_config
from vecml.errors import SettingError


@pytest.mark.parametrize(
    ("values", "said", "hint"),
    [
        (
            {"architecture": "a:B", "hidden": (32,)},
            "--hidden 32: --architecture a:B has its own layers",
            "leave out --hidden or --architecture",
        ),
        (
            {"architecture": "a:B", "activation": "relu"},
            "--activation relu: --architecture a:B has its own layers",
            "leave out --activation or --architecture",
        ),
        (
            {"weights": "w", "epochs": 5},
            "--epochs 5: --weights w is trained already",
            "leave out --epochs or --weights",
        ),
        (
            {"weights": "w", "batch_size": 128},
            "--batch-size 128: --weights w is trained already",
            "leave out --batch-size or --weights",
        ),
        (
            {"weights": "w", "learning_rate": 0.001},
            "--learning-rate 0.001: --weights w is trained already",
            "leave out --learning-rate or --weights",
        ),
    ],
)
def test_an_idle_flag_is_refused_even_with_its_default_value(values: dict[str, object], said: str, hint: str) -> None:
    with pytest.raises(SettingError) as caught:
        refuse_idle_flags(make_config(values), values)
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_flags_that_go_together() -> None:
    for values in (
        {"architecture": "a:B", "epochs": 5},
        {"weights": "w", "hidden": (64,), "activation": "tanh"},
        {"architecture": "a:B", "weights": "w"},
    ):
        refuse_idle_flags(make_config(values), values)


def test_a_name_between_colons_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(SettingError("--architecture a:A: no", "a:B: yes"))
    assert capsys.readouterr().err == "error: --architecture a:A: no\nhint: a:B: yes\n"
    target = io.StringIO()
    console(target).print("a:A: b")
    assert target.getvalue() == "a:A: b\n"
