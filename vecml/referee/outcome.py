"""What a referee says in the end, from what was measured and seen: PROMOTE, REJECT or NEEDS_MORE_DATA, and why."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vecml.comparison.comparison import Comparison, call_seconds, families
from vecml.comparison.demand import Demand, answer
from vecml.errors import SettingError
from vecml.measure.coordinator import NOT_STARTED
from vecml.measure.records import ArmMeasurement
from vecml.measure.verdict import Verdict
from vecml.numbers import seconds, times
from vecml.referee.refusals import named, of_the_spec
from vecml.referee.work import UNTIMED

Word = Literal["PROMOTE", "REJECT", "NEEDS_MORE_DATA"]
EXIT_CODES: Mapping[Word, int] = {"PROMOTE": 0, "REJECT": 1, "NEEDS_MORE_DATA": 3}
REFERENCE, CANDIDATE = "reference", "candidate"
PRICE = "limit: handing over"  # the arm that shows what it costs to hand over arguments and result
PRICES = 2.0  # times that price must be saved
MOST_UNTIMED = 1.5  # times those of the reference that a candidate's may take in all
VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """Holds what the referee says of a candidate.

    Attributes:
        word: what became of it.
        reason: one clause.
        refusal: name of what it did instead of the work; None where it did the work.
        spec_digest, candidate_digest: of what was held against what.
        price_seconds: of handing over the arguments and the result of a call, which is in all figures.
        comparison: everything that was measured; None where the candidate was refused before that.
    """

    word: Word
    reason: str
    refusal: str | None
    spec_digest: str
    candidate_digest: str
    price_seconds: float | None = None
    comparison: Comparison | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.word]


def refused(said: str, spec_digest: str, candidate_digest: str, comparison: Comparison | None = None) -> Outcome:
    """Give the outcome for a candidate that does not do the work.

    Args:
        said: by its worker.
        spec_digest, candidate_digest, comparison: as in `Outcome`.
    """
    name, _ = named(said)
    return Outcome("REJECT", said, name, spec_digest, candidate_digest, comparison=comparison)


def outcome_of(comparison: Comparison, at_least: float, spec_digest: str, candidate_digest: str) -> Outcome:
    """Compute the outcome of what was measured.

    Args:
        comparison: of the reference and the candidate.
        at_least: the rate that is demanded, as a multiple of the reference's.
        spec_digest, candidate_digest: as in `Outcome`.

    Raises SettingError where the reference or the maker of inputs failed.
    """
    arms = {arm.name: arm for arm in comparison.measured.arms}
    for arm in arms.values():
        seen = None if arm.failure is None else of_the_spec(arm.failure)
        if arm.role in ("baseline", "null") and arm.failure is not None:
            seen = arm.failure
        if seen is not None:
            raise SettingError(f"the spec's own files: {seen}", "call the reference over many inputs by itself")
    failure = arms[CANDIDATE].failure
    void = comparison.faults.get(CANDIDATE)  # the environment, or the spec, changed
    if failure is not None and failure.startswith(NOT_STARTED):
        void = failure
    elif failure is not None:
        return refused(failure, spec_digest, candidate_digest, comparison)
    if void is not None:
        return Outcome("NEEDS_MORE_DATA", void, None, spec_digest, candidate_digest, comparison=comparison)
    verdict = next(one for family in families(comparison) for one in family.verdicts if one.arm == CANDIDATE)
    word, reason = _decided(comparison, arms, verdict, at_least)
    price = _median(arms.get(PRICE))
    return Outcome(word, reason, None, spec_digest, candidate_digest, price, comparison)


def _decided(
    comparison: Comparison, arms: Mapping[str, ArmMeasurement], verdict: Verdict, at_least: float
) -> tuple[Word, str]:
    """Say what the verdict shows of the rate that is demanded.

    A candidate has the other end of the handing over in its own process, and could make that faster in place of the
    work, so it must have the rate that is demanded also if its calls took longer by `PRICES` times all that the handing
    over takes. More than once, because a processor that has just worked wakes up faster than one that has rested.
    """
    met = answer(Demand(at_least), verdict, comparison.rules.gate)
    if met is None or verdict.ratio is None:
        return "NEEDS_MORE_DATA", f"{verdict.verdict or 'no verdict'}: {verdict.reason}"
    ratio = f"{times(verdict.ratio)} ({times(verdict.ratio_low)} to {times(verdict.ratio_high)})"
    if not met:
        wanted = "" if at_least == 1 else f", and {at_least:g} is demanded"
        return "REJECT", f"{ratio} times as fast as the reference: {verdict.verdict}{wanted}"
    price = _median(arms.get(PRICE))
    slow, fast = _median(arms.get(REFERENCE)), _median(arms.get(CANDIDATE))
    if price is None or slow is None or fast is None or slow <= at_least * (fast + PRICES * price):
        told = "not known" if price is None else seconds(price)
        saved = seconds((slow or 0.0) - (fast or 0.0))
        said = f"it saves {saved} a call, and handing over takes {told}: more work in a call would show it"
        if at_least != 1:
            said = f"{ratio} times as fast as the reference, but {said}"
        return "NEEDS_MORE_DATA", said
    untimed = _untimed(arms[REFERENCE], arms[CANDIDATE])
    if untimed > MOST_UNTIMED:
        said = (
            f"its calls between the timed ones, at those and other sizes, take {times(untimed)} times the reference's"
        )
        return "NEEDS_MORE_DATA", f"{ratio} times as fast as the reference, but {said}: time the sizes that count"
    return "PROMOTE", f"{ratio} times as fast as the reference"


def _untimed(reference: ArmMeasurement, candidate: ArmMeasurement) -> float:
    """The time of the candidate's calls that are not timed, as a multiple of the reference's; 0 where none are known.

    Each is held against the reference's at the same place of the launch, which has the same size.
    """
    both = zip(reference.launches, candidate.launches, strict=False)
    pairs = [pair for ours, theirs in both for pair in zip(_times(ours.facts), _times(theirs.facts), strict=False)]
    slow, fast = (sum(one) for one in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
    return fast / slow if slow else 0.0


def _times(facts: Mapping[str, Any]) -> list[float]:
    return list(facts.get(UNTIMED) or ())


def _median(arm: ArmMeasurement | None) -> float | None:
    return statistics.median(call_seconds(arm)) if arm is not None and len(arm.blocks) else None


def not_kept(comparison: Comparison) -> str | None:
    """Say from what this machine could not keep the candidate; None where it could from all."""
    arm = next(one for one in comparison.measured.arms if one.name == CANDIDATE)
    facts = [launch.facts for launch in arm.launches]
    lacking = {"confined": "files and signals (no Landlock)", "apart": "processes and the network (no namespaces)"}
    told = [words for name, words in lacking.items() if not all(one.get(name) for one in facts)]
    return " and ".join(told) or None


def document(outcome: Outcome, comparison: Any) -> dict[str, Any]:
    """The outcome as JSON; `comparison` is its comparison's own document, or None."""
    return {
        "version": VERSION,
        "kind": "referee",
        "outcome": outcome.word,
        "exit_code": outcome.exit_code,
        "reason": outcome.reason,
        "refusal": outcome.refusal,
        "spec_digest": outcome.spec_digest,
        "candidate_digest": outcome.candidate_digest,
        "price_seconds": outcome.price_seconds,
        "not_kept_from": None if outcome.comparison is None else not_kept(outcome.comparison),
        "comparison": comparison,
    }
