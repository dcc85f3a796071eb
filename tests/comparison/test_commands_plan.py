"""How much is measured of commands is planned by what their first starts took, with what prepares them."""

from dataclasses import replace
from pathlib import Path

import pytest

from vecml.comparison import commands, functions
from vecml.comparison.budget import FEW_ROUNDS, make_budget
from vecml.comparison.command_lines import Commands
from vecml.comparison.commands import Rehearsed, StartError, plan_commands
from vecml.comparison.functions import Rehearsed as Calls
from vecml.comparison.session import Untracked
from vecml.comparison.sitting import Tried
from vecml.errors import SettingError
from vecml.measure.records import Arm, Opened, Plan, Reading


def asked(budget: str, **more: object) -> Commands:
    return Commands(texts={"one": "true", "two": "false", "three": "sleep 0"}, budget=budget, **more)  # type: ignore[arg-type]


def started(*seconds: float) -> dict[str, Rehearsed]:
    return {name: Rehearsed(taken, 1) for name, taken in zip(("one", "two", "three"), seconds, strict=False)}


def calls(**seconds: float) -> Calls:
    return Calls([], seconds, seconds)


def test_a_share_for_finalists_is_kept_for_short_starts_and_not_where_three_launches_need_all_of_it() -> None:
    short = plan_commands(asked("60s"), started(0.01, 0.01, 0.01), 0.0, 2.0)
    assert short.reserved > 0
    assert short.plan_from(2.0).budget_seconds == pytest.approx(56.5 * (1 - short.reserved))
    slow = plan_commands(asked("5m"), started(4.0, 4.0, 4.0), 0.0, 20.0)
    assert slow.plan_from(20.0).budget_seconds == slow.seconds_from(20.0)


def test_a_budget_that_is_too_short_is_refused_for_so_many_commands() -> None:
    with pytest.raises(SettingError, match=r"^--budget 3s: too short for a verdict on 2 commands$"):
        plan_commands(asked("3s"), started(0.01, 0.01), 0.0, 0.0)


def test_what_slow_starts_can_show_is_not_promised_as_of_short_ones() -> None:
    short = plan_commands(asked("5m"), started(0.01, 0.01), 0.0, 0.0)
    slow = plan_commands(asked("5m"), started(4.0, 4.0), 0.0, 0.0)
    assert short.resolves is not None
    assert slow.resolves is not None
    assert slow.resolves > 1.2 * short.resolves


def test_the_time_that_first_starts_took_is_gone() -> None:
    """Three launches of three starts of 5 s fit into 240 s, and no more into what is left of them."""
    assert plan_commands(asked("240s"), started(5.0, 5.0), 0.0, 0.0).plan.fewest_rounds == FEW_ROUNDS
    with pytest.raises(
        SettingError, match=r"^--budget 240s: too short for a verdict: a start of 'one' takes 5.0 s$"
    ) as caught:
        plan_commands(asked("240s"), started(5.0, 5.0), 0.0, 60.0)
    would_do = (caught.value.hint or "").split()[1]
    assert plan_commands(asked(would_do), started(5.0, 5.0), 0.0, 60.0).plan.fewest_rounds >= FEW_ROUNDS


def test_what_prepares_a_start_is_part_of_its_time(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """A start of 1 ms that 6 s of preparation come before cannot be measured in a minute."""

    def rehearse(arms: list[Arm], _plan: Plan, **_more: float) -> dict[str, Tried]:
        return {arm.name: Tried(Opened(0.0), Reading(0.001, 1, 0.001), 6.0, 0.001) for arm in arms}

    monkeypatch.setattr(commands, "rehearse", rehearse)
    with_it = commands._rehearse(asked("60s", prepare=("true",)), tmp_path)  # type: ignore[arg-type]
    assert {one.seconds for one in with_it.values()} == {6.0}
    assert plan_commands(asked("quick"), with_it, 0.0, 0.0).plan.patience_seconds >= 5 * 6.0
    with pytest.raises(SettingError, match="too short for a verdict"):
        plan_commands(asked("60s"), with_it, 0.0, 0.0)
    without = commands._rehearse(asked("60s"), tmp_path)  # type: ignore[arg-type]
    assert {one.seconds for one in without.values()} == {0.001}


def test_a_slow_first_start_is_not_taken_for_what_each_of_them_takes(tmp_path: Path) -> None:
    """Three launches of starts of 2 s do not fit into 30 s; of those that come after the first one they do."""
    text = "test -e made || { sleep 2; touch made; }"
    here = Commands(texts={"one": text, "two": ":"}, budget="30s", shell="sh", folders={"one": tmp_path})  # noqa: S604
    found = commands._rehearse(here, tmp_path)
    assert found["one"].seconds < found["one"].first_seconds / 2
    plan = plan_commands(here, found, 0.0, 5.0).plan
    assert plan.fewest_rounds == Plan.fewest_rounds
    assert plan.first_call_seconds is not None
    assert plan.first_call_seconds >= 5 * 2.0


def test_slow_functions_are_warmed_up_by_one_call_or_refused_at_once() -> None:
    """Five calls of 7 s did not fit into a worker's patience, and half a minute was measured for nothing."""
    assert functions._budget("60s", 2, 0.0, calls=calls(a=0.1, b=0.2)).plan.warm_calls == Plan.warm_calls
    slow = functions._budget("10m", 2, calls=calls(a=7.0, b=7.0))
    assert slow.plan.warm_calls == 1
    assert slow.plan.patience_seconds >= 5 * 5 * 7.0
    with pytest.raises(SettingError, match=r"^--budget 60s: too short for a verdict: a call of 'a' takes 7.0 s$"):
        functions._budget("60s", 2, calls=calls(a=7.0, b=7.0))


def test_first_calls_have_their_share_of_the_budget_and_of_the_patience() -> None:
    """Three launches of three first calls of 25 s do not fit into two minutes; with enough, none hangs."""
    first = Calls([], {"a": 25.0, "b": 0.001}, {"a": 0.001, "b": 0.001})
    with pytest.raises(
        SettingError, match=r"^--budget 2m: too short for a verdict: a first call in a process of 'a' takes 25.0 s$"
    ) as caught:
        functions._budget("2m", 2, calls=first)
    plan = functions._budget((caught.value.hint or "").split()[1], 2, calls=first).plan
    assert plan.warm_calls == Plan.warm_calls
    assert plan.first_call_seconds is not None
    assert plan.first_call_seconds >= 3 * 25.0
    assert functions._budget("quick", 2, calls=first).plan.first_call_seconds == plan.first_call_seconds


def test_a_first_call_of_less_than_a_second_changes_no_plan() -> None:
    plan = functions._budget("60s", 2, calls=Calls([], {"a": 0.9, "b": 0.9}, {"a": 0.001, "b": 0.001})).plan
    assert replace(plan, first_call_seconds=None) == make_budget("60s", [(3, 0)], 1, "machine").plan


def test_a_script_that_names_no_program_to_read_it_is_told_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "script"
    script.write_text("echo 1\n")
    script.chmod(0o755)
    with pytest.raises(StartError) as caught:
        commands.compare_commands(Commands(texts={"a": "./script", "b": "true"}, budget="60s"), Untracked())
    assert caught.value.message == "a: it cannot be started: Exec format error"
    assert str(caught.value.hint).startswith("--shell sh reads it")
