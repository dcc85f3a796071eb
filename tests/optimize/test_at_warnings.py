"""What differs only where the original itself warns (0/0, overflow) is told apart from what is wrong."""

from pathlib import Path

import pytest

from tests.optimize.made_modules import places
from vecml.optimize.validate import Validation, validate_task

TEXT = """import numpy as np


def ratio(x, y):
    out = np.zeros(len(x))
    for i in range(len(x)):
        out[i] = x[i] / y[i]
    return out


def zero_for_nan(x, y):
    y = y[: len(x)]
    return np.where((y == 0) & ~np.isnan(x), 0.0, x / np.where(y == 0, 1.0, y))


def raises(x, y):
    y = y[: len(x)]
    if ((y == 0) & ~np.isnan(x)).any():
        raise ZeroDivisionError("division by zero")
    return x / y


def wrong(x, y):
    y = y[: len(x)]
    return np.where(y == 0, 0.0, np.abs(x) / np.where(y == 0, 1.0, y))


def make_inputs():
    return np.arange(1.0, 5.0), np.arange(2.0, 6.0)


def make_inputs_of_both_signs():
    return np.arange(-2.0, 2.0), np.arange(2.0, 6.0)


def with_zeros():
    return np.arange(4.0), np.arange(4.0)
"""


def judged(folder: Path, candidate: str, at_errors: str, inputs: str = "make_inputs") -> Validation:
    target, _ = places(folder, TEXT, "ratio")
    parts = {"target": "ratio", "candidate": candidate, "inputs": inputs}
    payload = {key: {**vars(target), "name": name} for key, name in parts.items()}
    asked = {**payload, "rtol": 1e-6, "compiled": True, "at_errors": at_errors, "search_seconds": 3.0}
    return Validation(**validate_task(asked, lambda *_: None))


@pytest.mark.parametrize("candidate", ["zero_for_nan", "raises"])
def test_what_differs_at_warnings_alone(tmp_path: Path, candidate: str) -> None:
    found = judged(tmp_path, candidate, "numpy")
    assert found.outcome == "differs at warnings"
    assert "; there the original warns of " in found.at_warnings
    assert found.fault is not None
    assert found.smallest.startswith("x = array([")
    passed = judged(tmp_path, candidate, "raise")
    assert (passed.outcome, passed.fault) == ("right", None)
    assert passed.at_warnings == found.at_warnings


@pytest.mark.parametrize("at_errors", ["numpy", "raise"])
def test_what_is_wrong_elsewhere_is_wrong(tmp_path: Path, at_errors: str) -> None:
    assert judged(tmp_path, "wrong", at_errors, "make_inputs_of_both_signs").outcome == "wrong"


def test_on_the_users_own_inputs_it_is_never_right(tmp_path: Path) -> None:
    assert judged(tmp_path, "zero_for_nan", "raise", "with_zeros").outcome == "differs at warnings"
