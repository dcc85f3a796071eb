"""The outcome is computed from what was measured, and from nothing that a candidate says."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.made_comparison import comparison_of
from vecml.comparison.comparison import FUNCTIONS, Comparison, Subject
from vecml.comparison.document import from_json, to_json
from vecml.errors import SettingError
from vecml.referee.outcome import CANDIDATE, EXIT_CODES, PRICE, REFERENCE, document, not_kept, outcome_of
from vecml.referee.refusals import RefusalError, SpecError
from vecml.referee.work import UNTIMED

FREE = 1e-4  # seconds, of handing over


def measured(reference: float, candidate: float, price: float = FREE, failures: Any = None) -> Comparison:
    """A match with these seconds of a call; `failures` by the arms' names."""
    made = comparison_of({REFERENCE: reference, CANDIDATE: candidate})
    arms = [arm for arm in made.measured.arms if arm.role != "limit"]
    limit = next(arm for arm in made.measured.arms if arm.name == "limit: gemm")
    seconds = tuple(calls * price for calls in limit.blocks.calls)
    arms.append(dataclasses.replace(limit, name=PRICE, blocks=dataclasses.replace(limit.blocks, seconds=seconds)))
    arms = [dataclasses.replace(arm, failure=(failures or {}).get(arm.name)) for arm in arms]
    return dataclasses.replace(
        made,
        settings={},
        subject=Subject(FUNCTIONS, 1),
        measured=dataclasses.replace(made.measured, arms=tuple(arms)),
    )


@pytest.mark.parametrize(
    ("candidate", "at_least", "word"),
    [
        (0.005, 1.0, "PROMOTE"),
        (0.005, 1.5, "PROMOTE"),
        (0.005, 3.0, "REJECT"),
        (0.010, 1.0, "REJECT"),
        (0.020, 1.0, "REJECT"),
        (0.005, 2.0, "NEEDS_MORE_DATA"),
    ],
)
def test_the_verdict_decides(candidate: float, at_least: float, word: str) -> None:
    outcome = outcome_of(measured(0.010, candidate), at_least, "spec", "candidate")
    assert outcome.word == word, outcome.reason
    assert outcome.refusal is None
    assert outcome.price_seconds == pytest.approx(FREE)


def test_what_is_saved_must_be_more_than_handing_over_takes() -> None:
    """A candidate that spins at its end of the pipe, and works as long as the reference, saves less than that."""
    outcome = outcome_of(measured(0.010, 0.0085, price=0.001), 1.0, "spec", "candidate")
    assert outcome.word == "NEEDS_MORE_DATA"
    assert "handing over takes 1 ms" in outcome.reason
    assert outcome_of(measured(0.010, 0.0085, price=0.0005), 1.0, "spec", "candidate").word == "PROMOTE"


def test_a_demanded_rate_must_be_there_beside_the_handing_over() -> None:
    """At its own end of it a candidate can gain what is missing: 1.97 of 2.00 times is shown with a price of 1 %."""
    near = measured(0.010, 0.0049, price=0.0001)
    assert outcome_of(near, 2.0, "spec", "candidate").word == "NEEDS_MORE_DATA"
    assert "but it saves" in outcome_of(near, 2.0, "spec", "candidate").reason
    assert outcome_of(near, 1.5, "spec", "candidate").word == "PROMOTE"


def test_work_that_is_left_to_calls_which_are_not_timed_counts() -> None:
    """A size tells that a call is not timed: the memory of later results could be made in it, or anything be slow."""
    found = measured(0.010, 0.005)

    def with_untimed(seconds: float) -> Comparison:
        untimed = {REFERENCE: [0.01] * 9, CANDIDATE: [seconds] * 7}
        arms = tuple(
            dataclasses.replace(
                arm,
                launches=tuple(
                    dataclasses.replace(one, facts={**one.facts, UNTIMED: untimed.get(arm.name, [])})
                    for one in arm.launches
                ),
            )
            for arm in found.measured.arms
        )
        return dataclasses.replace(found, measured=dataclasses.replace(found.measured, arms=arms))

    assert outcome_of(with_untimed(0.014), 1.0, "spec", "candidate").word == "PROMOTE"
    outcome = outcome_of(with_untimed(0.016), 1.0, "spec", "candidate")
    assert outcome.word == "NEEDS_MORE_DATA"
    assert "take 1.60 times the reference's" in outcome.reason


def test_a_candidate_that_is_refused_is_rejected_whatever_its_speed() -> None:
    said = str(RefusalError("answers-from-memory", "it gave an earlier result"))
    outcome = outcome_of(measured(0.010, 0.001, failures={CANDIDATE: said}), 1.0, "spec", "candidate")
    assert (outcome.word, outcome.refusal) == ("REJECT", "answers-from-memory")


def test_a_candidate_that_hangs_is_rejected() -> None:
    said = "it hung: no answer within 20 s, and it was ended"
    outcome = outcome_of(measured(0.010, 0.001, failures={CANDIDATE: said}), 1.0, "spec", "candidate")
    assert (outcome.word, outcome.refusal) == ("REJECT", "no-answer")


@pytest.mark.parametrize("arm", [REFERENCE, CANDIDATE])
def test_a_fault_of_the_spec_is_nobody_elses(arm: str) -> None:
    said = str(SpecError("the reference raised ValueError: no"))
    with pytest.raises(SettingError, match="the reference raised ValueError: no"):
        outcome_of(measured(0.010, 0.001, failures={arm: said}), 1.0, "spec", "candidate")


def test_a_disturbed_machine_decides_nothing() -> None:
    found = measured(0.010, 0.005)
    windows = tuple(dataclasses.replace(one, foreign_cpus=1.5) for one in found.measured.windows)
    busy = dataclasses.replace(found, measured=dataclasses.replace(found.measured, windows=windows))
    assert outcome_of(busy, 1.0, "spec", "candidate").word == "NEEDS_MORE_DATA"


def test_what_changed_meanwhile_voids_it_and_accuses_nobody() -> None:
    found = dataclasses.replace(measured(0.010, 0.005), faults={CANDIDATE: "the environment changed meanwhile"})
    assert outcome_of(found, 1.0, "spec", "candidate").word == "NEEDS_MORE_DATA"
    no_room = measured(0.010, 0.005, failures={CANDIDATE: "its process could not be started: no memory"})
    assert outcome_of(no_room, 1.0, "spec", "candidate").word == "NEEDS_MORE_DATA"


def test_what_the_candidate_was_not_kept_from_is_told() -> None:
    found = measured(0.010, 0.005)
    assert not_kept(found) == "files and signals (no Landlock) and processes and the network (no namespaces)"
    arms = tuple(
        dataclasses.replace(
            arm,
            launches=tuple(dataclasses.replace(one, facts={"confined": True, "apart": True}) for one in arm.launches),
        )
        for arm in found.measured.arms
    )
    kept = dataclasses.replace(found, measured=dataclasses.replace(found.measured, arms=arms))
    assert not_kept(kept) is None


def test_the_document_holds_the_comparison_whole(tmp_path: Path) -> None:
    outcome = outcome_of(measured(0.010, 0.005), 1.0, "spec", "candidate")
    assert outcome.comparison is not None
    written = json.loads(json.dumps(document(outcome, json.loads(to_json(outcome.comparison)))))
    assert (written["outcome"], written["exit_code"]) == ("PROMOTE", EXIT_CODES["PROMOTE"])
    again = from_json(json.dumps(written["comparison"]).encode(), "it")
    assert outcome_of(again, 1.0, "spec", "candidate") == outcome
