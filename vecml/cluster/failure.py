"""An error in plain values, and back: vecml unpickles nothing itself. Ray does with all that passes through it."""

from collections.abc import Mapping
from typing import Any

from vecml import errors
from vecml.errors import ServerError, VecmlError, one_line


def told_of(error: BaseException) -> dict[str, Any]:
    """An error in plain values: the name of its class, its message and its hint."""
    if isinstance(error, VecmlError):
        kind = next(one for one in type(error).__mro__ if one.__module__ == VecmlError.__module__)
        return {"kind": kind.__name__, "message": error.message, "hint": error.hint}
    return {"kind": "", "message": one_line(error, named=True, whole=True), "hint": None}


def error_of(failure: Mapping[str, Any], before: str) -> VecmlError:
    """The error that `told_of` put into plain values; `before` stands before its message.

    Never a RegressionError: its exit code says that a verdict was missed, and no failure is a verdict.
    """
    kinds: dict[str, type[VecmlError]] = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, VecmlError) and kind is not errors.RegressionError
    }
    return kinds.get(failure["kind"], ServerError)(f"{before}{failure['message']}", failure["hint"])
