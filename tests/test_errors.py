"""How an error is written as one line."""

import pytest

from vecml.errors import one_line


@pytest.mark.parametrize(
    ("error", "text", "named", "whole"),
    [
        (ValueError("no disk\nand more"), "no disk", "ValueError: no disk", "no disk and more"),
        (ValueError("\n a  tab\tand\n\n more "), "a  tab\tand", "ValueError: a  tab\tand", "a tab and more"),
        (KeyError("z"), "'z'", "KeyError: 'z'", "'z'"),
        (RuntimeError(), "RuntimeError", "RuntimeError", "RuntimeError"),
    ],
)
def test_an_error_in_one_line(error: Exception, text: str, named: str, whole: str) -> None:
    assert one_line(error) == text
    assert one_line(error, named=True) == named
    assert one_line(error, whole=True) == whole


def test_a_long_error_is_cut() -> None:
    error = ValueError("x" * 1_000)
    assert len(one_line(error)) == 200
    assert len(one_line(error, named=True, limit=50)) == 50
    assert one_line(error, limit=None) == "x" * 1_000
