"""Stages are heard by the one who listens, and by nobody else."""

from typing import Any

import pytest

from vecml.progress import listening, stage


class Heard:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def begin(self, name: str, total: float | None) -> object:
        self.lines.append(("begin", name, total))
        return name

    def advance(self, stage: object, amount: float) -> None:
        self.lines.append(("advance", stage, amount))

    def end(self, stage: object) -> None:
        self.lines.append(("end", stage))


def test_a_listener_hears_begin_advance_and_end() -> None:
    heard = Heard()
    with listening(heard), stage("reading", 10) as advance:
        advance(4)
    assert heard.lines == [("begin", "reading", 10), ("advance", "reading", 4), ("end", "reading")]


def test_the_end_is_heard_after_an_error_too() -> None:
    heard = Heard()
    with pytest.raises(ZeroDivisionError), listening(heard), stage("reading"):
        _ = 1 / 0
    assert heard.lines[-1] == ("end", "reading")


def test_nobody_listens_outside() -> None:
    heard = Heard()
    with listening(heard):
        pass
    with stage("reading") as advance:
        advance(1)
    assert heard.lines == []
