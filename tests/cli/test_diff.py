"""`vecml diff` over a real store: what it takes of a sitting that others disturbed, today's and recorded before."""

import dataclasses
import json
from pathlib import Path

import pytest

from tasks.tracking.store import open_store
from tests.cli.conftest import Command
from tests.tracking.made_logged import BASELINE, FASTER, LAUNCHES, ROUNDS, WRONG, logged, made
from vecml.comparison.comparison import Comparison
from vecml.measure.records import Window


def disturbed(steal: float) -> Comparison:
    """The made comparison, each of whose rounds has lost so large a share of the CPUs' time to another machine's."""
    comparison = made(faults={})
    windows = tuple(Window(launch, 0, 0, ROUNDS - 1, 5.0, steal, 0.0, 0.0, 2) for launch in range(LAUNCHES))
    return dataclasses.replace(comparison, measured=dataclasses.replace(comparison.measured, windows=windows))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


DISTURBED = "90 % of its rounds were disturbed: the hypervisor gave the CPUs to others"
AS_OF = {  # the verdicts that a vecml of that time recorded, by setting; None: today's own
    "today": None,
    "when a verdict had no condition": {BASELINE: "baseline", FASTER: "invalid", WRONG: "invalid"},
    "when a baseline had none": {BASELINE: "baseline"},
}


@pytest.mark.parametrize(("recorded", "is_first"), [*((one, True) for one in AS_OF), ("today", False)])
def test_a_baseline_whose_rounds_were_all_disturbed_is_not_taken(vecml: Command, recorded: str, is_first: bool) -> None:
    run, settings = logged(disturbed(0.9))
    for name, word in (AS_OF[recorded] or {}).items():
        client, run_id = open_store().client, settings[name].info.run_id
        client.set_tag(run_id, "vecml.verdict", word)
        client.set_tag(run_id, "vecml.reason", "none" if word == "baseline" else DISTURBED)
    quiet, _ = logged(made(faults={}))
    ids = [run.info.run_id, quiet.info.run_id]
    code, out, _ = vecml("diff", *(ids if is_first else ids[::-1]), "--json")
    (comparison,) = json.loads(out)["against"]
    assert code == 0
    assert comparison["differences"] == []
    (said,) = [one for one in comparison["left_out"] if one.startswith(f"{BASELINE}: invalid in run ")]
    assert "the hypervisor gave" in said
    assert not said.partition("invalid in run")[2].partition(": ")[2].startswith(("faster", "slower"))


def test_the_same_settings_of_two_quiet_sittings_are_compared(vecml: Command) -> None:
    runs = [logged(one)[0].info.run_id for one in (made(faults={}), disturbed(0.0))]
    (comparison,) = json.loads(vecml("diff", *runs, "--json")[1])["against"]
    assert BASELINE in {one["first"] for one in comparison["differences"]}
