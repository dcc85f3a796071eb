"""`vecml trigger` names what is wrong as the command takes it, `--set field=value`; it has no flags for the fields."""

import pytest

from vecml.cli.app import app
from vecml.errors import SettingError


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("rows=x", "--set rows=x: not a whole number", None),
        ("threads=1, 0", "--set threads=0: must be at least 1", None),
        ("engines=", "--set engines=: name at least one engine", None),
        ("name=", "--set name=: must not be empty", None),
        ("fail_on_regression=maybe", "--set fail_on_regression=maybe: neither true nor false", None),
        (
            "subject.hidden=64;32",
            "--set subject.hidden=64;32: not a list of widths",
            "for example --set subject.hidden=64,32",
        ),
        ("subject.target=y", "--target needs --data: name the file that holds the column", None),
        ("rows", "--set rows: not FIELD=VALUE", "for example --set engines=numpy,halide"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_by_set(given: str, message: str, hint: str | None) -> None:
    with pytest.raises(SettingError) as caught:
        app(["trigger", "--queues", "cpu", "--set", given], standalone_mode=False)
    assert (caught.value.message, caught.value.hint) == (message, hint)
