"""What may be said of a comparison, over all combinations of verdicts of up to four settings beside a baseline."""

import itertools
from collections.abc import Callable

import pytest

from tests.measure.made_claims import BASELINE, KINDS, PLAIN, family_of, may_be_called_fastest
from vecml.measure import claim
from vecml.measure.claim import Claim, claim_of, claim_on_record

# One comparison has launches enough for verdicts, or for none.
COMBINATIONS = [
    kinds
    for n in range(5)
    for kinds in itertools.product(KINDS, repeat=n)
    if "quick" not in kinds or not {*PLAIN} & {*kinds}
]


def check_all(decide: Callable[..., Claim]) -> None:
    """Hold what `decide` says of every combination against the verdicts themselves."""
    for kinds in COMBINATIONS:
        family = family_of(kinds)
        said = decide(family)
        words = dict(zip([one.arm for one in family.verdicts], kinds, strict=True))
        allowed = may_be_called_fastest(words)
        assert said.fastest is None or {said.fastest} == allowed, (kinds, said)
        assert said.kind != "several" or set(said.among) == allowed, (kinds, said)
        assert (said.kind in ("fastest", "several")) == bool(allowed), (kinds, said)
        assert said.kind == "unsurpassed" or BASELINE not in said.leading or allowed == {BASELINE}, (kinds, said)
        assert not {name for name in said.leading if words.get(name) in ("invalid", "busy", "quick", "slower")}
        if not {*PLAIN} & {*kinds}:
            assert not said.shown, (kinds, said)
            assert said.leading == ()
        if said.kind == "nothing":
            assert said.reason, (kinds, said)


def test_of_all_combinations_the_fastest_is_what_verdicts_show() -> None:
    check_all(claim_of)


@pytest.mark.parametrize("counted", ["invalid", "busy", None])
def test_a_claim_that_counts_what_does_not_count_is_found(monkeypatch: pytest.MonkeyPatch, counted: str | None) -> None:
    """A mutation: verdicts that are invalid, conditional or none at all count like the others."""
    whole = claim.counts
    monkeypatch.setattr(claim, "counts", lambda one: one.verdict == counted or whole(one))
    with pytest.raises(AssertionError):
        check_all(claim.claim_of)


def test_why_there_is_no_answer_and_what_to_do() -> None:
    said = claim_of(family_of(("invalid", "invalid")))
    assert said.reason == "other programs kept the machine busy: too many of their rounds were disturbed (one, two)"
    assert said.advice == "measure again when they have ended, or with a longer budget"
    wrong = claim_of(family_of(("invalid",), reason="3 of 1,000 labels are wrong"))
    assert (wrong.reason, wrong.advice) == ("one is invalid: 3 of 1,000 labels are wrong", "")
    short = claim_of(family_of(("invalid",), reason="2 of 5 launches gave pairs, and a verdict needs 3"))
    assert short.advice == "measure again when the machine is quiet, or with a longer budget"
    alone = claim_of(family_of(()))
    assert (alone.reason, alone.fastest) == ("nothing was measured beside base", None)


def test_what_settings_of_several_sittings_show() -> None:
    assert claim_on_record("a", {"b": "slower", "c": "invalid"}).fastest == "a"
    assert claim_on_record("a", {"b": "slower", "c": "tied"}).leading == ("a", "c")
    assert not claim_on_record("a", {"b": "slower", "c": "unknown"}).shown
    assert not claim_on_record("a", {"b": "invalid"}).shown
    assert not claim_on_record("a", {}).shown
    assert not claim_on_record(None, {"a": "invalid"}).shown
