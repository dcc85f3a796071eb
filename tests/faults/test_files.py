"""A kill, a full disk or a bad one at any change of a file: outputs whole or absent, and all is well afterwards."""

import os
from pathlib import Path

import pytest

from tests.faults import tally
from tests.faults.commands import COMMANDS, MAKES, Done, Workplace, said_truly
from tests.faults.tally import Row, keep, row, scaled, scattered, spread

FLOWS = ("run", "compare")
KILL = "SIGKILL at a write, rename, fsync or commit"
KILL_HOLDS = "output absent or equal; the same again succeeds: none RUNNING, no half import, nothing left, integrity ok"
ERROR_HOLDS = "one true line, no half file, no false success; the same again succeeds"
ERRORS = {"full": "full disk", "error": "EIO", "scratch": "full TMPDIR"}
KILLS = ("kill", "group")
ALIKE = 0.02
# VECML_FAULT=command:number:action:folders does one again, and says what came of it.
ONE = os.environ.get("VECML_FAULT")

full = [pytest.mark.faults, pytest.mark.timeout(36_000)]
sample = [pytest.mark.system, pytest.mark.timeout(300)]


def place_for(name: str, request: pytest.FixtureRequest) -> Workplace:
    found: Workplace = request.getfixturevalue("served" if name in FLOWS else "workplace")
    return found


def after_a_fault(place: Workplace, name: str) -> list[str]:
    """What is wrong after the same command was given again, as a user would."""
    done = place.call(name)
    known = name == "champion" and "is champion already" in done.err
    wrong = [] if done.code == 0 or known else [f"again: exit {done.code}: {done.err[-400:]!r}"]
    return wrong + place.wrong(name)


def tried(place: Workplace, one: Row, name: str, at: int, action: str, under: str = "both") -> Done | None:
    """Have the fault happen and write down what is wrong; None where the command made fewer changes than that."""
    place.lay()
    done = place.call(name, at, action, under, fresh=action in KILLS)
    one.tried += 1
    if one.tried % 5 == 0:
        keep(str(one))
    if done.changes < at:
        one.missed += 1
        return None
    wrong = place.half(name)
    if action in ("full", "error"):
        if done.code == 0:
            # A file that is optional may be left out, with a warning: what was asked for must be there.
            wrong += [f"false success: {text}" for text in place.wrong(name) if not text.endswith(" is left")]
            if name in MAKES and not (place.place / MAKES[name]).exists():
                wrong.append(f"false success: no {MAKES[name]}")
        else:
            wrong += said_truly(done)
        wrong += [
            f"at once: {text}" for text in place.left() if text.startswith((".", "vecml-")) and "unsaved" not in text
        ]
    wrong += after_a_fault(place, name)
    if wrong:
        one.broke(f"{'; '.join(wrong)}   ({place.again(name, at, action, under)})")
    return done


def point_tried(number: int, place: Workplace, one: Row, name: str, at: int, action: str, under: str = "both") -> None:
    """Have one of a row's faults happen, unless it held before. By its number: how many changes there are varies."""
    if one.has_held(number):
        return
    broken = len(one.broken)
    if tried(place, one, name, at, action, under) is not None and len(one.broken) == broken:
        one.held(number)


@pytest.mark.parametrize(
    ("name", "part"),
    [*(pytest.param(name, False, marks=full) for name in COMMANDS), pytest.param("import", True, marks=sample)],
)
def test_a_kill_at_any_change(name: str, part: bool, request: pytest.FixtureRequest) -> None:
    if ONE:
        pytest.skip("one other fault was asked for")
    place = place_for(name, request)
    one = row(f"{KILL}: {name}", KILL_HOLDS)
    begun = len(one.broken)
    changes = place.learn(name, fresh=True) if not part else 40
    for number, at in enumerate(scattered(spread(scaled(60, part), changes))):
        point_tried(number, place, one, name, at, "group" if number % 2 else "kill")
    assert one.broken[begun:] == []


# In CI tests/system/test_bad_input.py fills a disk.
@pytest.mark.faults
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("fault", ERRORS)
@pytest.mark.parametrize("name", COMMANDS)
def test_an_error_at_each_of_the_first_changes(name: str, fault: str, request: pytest.FixtureRequest) -> None:
    if ONE:
        pytest.skip("one other fault was asked for")
    place = place_for(name, request)
    one = row(f"{ERRORS[fault]}: {name}", ERROR_HOLDS)
    action, under = ("full", "scratch") if fault == "scratch" else (fault, "work")
    for number, at in enumerate(scattered(spread(scaled(200), min(200, place.learn(name, under))))):
        point_tried(number, place, one, name, at, action, under)
    assert one.broken == []


@pytest.mark.faults
@pytest.mark.timeout(36_000)
@pytest.mark.skipif(not ONE, reason="VECML_FAULT names none to do again")
def test_one_again(request: pytest.FixtureRequest) -> None:
    assert ONE is not None
    name, at, action, under = ONE.split(":")
    place = place_for(name, request)
    place.learn(name, under, fresh=action in KILLS)
    one = row(ONE, "")
    assert tried(place, one, name, int(at), action, under) is not None, "it makes fewer changes than that"
    assert one.broken == []


@pytest.mark.faults
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_forked_command_makes_the_changes_of_a_fresh_one(name: str, request: pytest.FixtureRequest) -> None:
    """Or the points that the errors are spread over would not be those of a user's command."""
    place = place_for(name, request)
    place.learn(name, fresh=True)  # the first of all may make what stays, Python's bytecode and the like
    fresh, forked = place.learn(name, fresh=True), place.learn(name)
    assert fresh > 0
    assert abs(fresh - forked) <= fresh * ALIKE, (fresh, forked)


def test_what_held_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "HELD", tmp_path / "held")
    first = Row("a kill", "whole")
    assert not first.has_held(1)
    first.held(1)
    first.held(range(100, 200))
    after = Row("a kill", "whole")
    assert [after.has_held(1), after.has_held(2), after.has_held(range(100, 200), 100)] == [True, False, True]
    assert str(after) == "| a kill | whole | 101 (101 earlier) | 0 | 0 |"
    assert not Row("another", "whole").has_held(1)


def test_what_is_asked_of_the_harness_itself(tmp_path: Path) -> None:
    """Its points reach the last change, and an error that is no line of ours is seen."""
    assert spread(4, 10) == [2, 5, 8, 10]
    assert spread(60, 3) == [1, 2, 3]
    assert sorted(scattered(range(200))) == list(range(200))
    assert sorted(scattered(range(19 * 23))) == list(range(19 * 23))
    assert said_truly(Done(2, "", "error: cannot write x: No space left on device\nhint: make room\n", 1)) == []
    assert said_truly(Done(1, "", "Traceback (most recent call last):\n", 1)) != []
    assert said_truly(Done(70, "", "error: vecml failed\n", 1)) != []
    assert said_truly(Done(2, "", "", 1)) != []
