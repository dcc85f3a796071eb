"""What may be said of a comparison: which setting is the fastest, and whether anything is.

Sentences, titles, pictures, tags, places on the leaderboard, champions and `--engine auto` all ask here, so that none
of them calls a setting fastest that no verdict shows to be. A verdict with a condition ("while others used 0.9 of 2
CPUs") is told with its condition; it never makes a setting the fastest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vecml.measure.pairs import CROWDED
from vecml.measure.verdict import DISTURBED, NO_COPY, TOO_FEW_LAUNCHES, UNTRUSTED, Family, Verdict, Word
from vecml.numbers import count

Kind = Literal["fastest", "several", "unsurpassed", "quick", "busy", "nothing"]
SHOWN: tuple[Kind, ...] = ("fastest", "several", "unsurpassed")  # the kinds that rest on verdicts without a condition
BUSY: Word = "busy"  # the word for a verdict with a condition
Relation = Literal["slower", "tied", "unknown", "invalid"]  # of another setting to the one with the highest rate
AGAIN = "measure again when they have ended, or with a longer budget"
NOT_AGAIN = "measured afresh"
LONGER = "measure again when the machine is quiet, or with a longer budget"


@dataclass(frozen=True)
class Claim:
    """Holds what the verdicts of one family allow to be said.

    Attributes:
        kind: `fastest`: verdicts show that `best` is faster than all others that count. `several`: the fastest is one
            of `among`, which cannot be told apart; the baseline is not among them. `unsurpassed`: nothing is shown to
            be faster than the baseline, which is among `among`. `quick`: there were too few launches for verdicts; the
            rate of `best` was the highest. `busy`: every verdict has a condition. `nothing`: nothing counts beside the
            baseline, or the baseline itself does not count.
        baseline: its name.
        best: the setting whose figures are told; None where nothing counts.
        among: the settings of which one may be the fastest, in the order of measuring, the baseline first.
        counted: number of settings that the claim is about, the baseline among them.
        left_out: names of the settings of which the claim says nothing, because they are invalid or their verdicts have
            a condition.
        reason: of `nothing`: why, in a clause; of `busy`: a condition, to be read after "while"; else empty.
        advice: of `nothing`: what to do about it, in a clause; empty where there is none.
    """

    kind: Kind
    baseline: str
    best: str | None = None
    among: tuple[str, ...] = ()
    counted: int = 0
    left_out: tuple[str, ...] = ()
    reason: str = ""
    advice: str = ""

    @property
    def shown(self) -> bool:
        """Whether it rests on verdicts without a condition."""
        return self.kind in SHOWN

    @property
    def fastest(self) -> str | None:
        """Return the one setting that may be called the fastest; None where none may."""
        return self.best if self.kind == "fastest" else None

    @property
    def leading(self) -> tuple[str, ...]:
        """The settings that verdicts put before all others, or leave beside the baseline; none without verdicts."""
        return self.among if self.shown else ()


def claim_of(family: Family) -> Claim:
    """Decide what the verdicts of a family allow to be said."""
    plain = {one.arm: one for one in family.verdicts if counts(one)}
    left_out = tuple(one.arm for one in family.verdicts if not one.is_valid)
    if plain:
        if not_again := _not_again(family, plain):
            told = " and ".join(not_again)
            reason = f"{NOT_AGAIN}, {told} was not faster than {family.baseline}, as it had been at first"
            return Claim("nothing", family.baseline, left_out=left_out, reason=reason, advice=LONGER)
        kind, best, among = _shown(family, plain)
        return Claim(kind, family.baseline, best, among, 1 + len(plain), left_out)
    quick = [one for one in family.verdicts if one.verdict is None and one.ratio is not None]
    if quick:
        first = max(quick, key=lambda one: one.ratio or 0.0)
        leads = family.baseline if (first.ratio or 0.0) < 1 else first.arm
        names = tuple(one.arm for one in quick)
        return Claim("quick", family.baseline, leads, (family.baseline, *names), 1 + len(quick), left_out)
    busy = next((one.condition for one in family.verdicts if one.verdict == BUSY), None)
    if busy is not None:
        return Claim("busy", family.baseline, left_out=left_out, reason=busy)
    reason, advice = _nothing(family)
    return Claim("nothing", family.baseline, left_out=left_out, reason=reason, advice=advice)


def counts(verdict: Verdict) -> bool:
    """Whether it is a verdict that holds without a condition."""
    return verdict.is_valid and verdict.verdict is not None


def claim_on_record(best: str | None, others: Mapping[str, Relation]) -> Claim:
    """Decide what may be said of settings that were recorded in different sittings.

    Args:
        best: the setting with the highest rate that counts; None where none counts.
        others: how each of the others stands to it. `unknown`: nothing shows whether it is slower.

    The claim is `fastest` or `several` only where verdicts, or intervals over sittings, put all others that count
    behind; `quick` where the rate of `best` is the highest and no more than that; `nothing` where nothing is beside it.
    """
    left_out = tuple(name for name, relation in others.items() if relation == "invalid")
    beside = {name: relation for name, relation in others.items() if relation != "invalid"}
    if best is None:
        return Claim("nothing", "", left_out=left_out, reason="every setting is invalid")
    if not beside:
        reason = f"nothing else that counts is beside {best}"
        return Claim("nothing", best, best, (best,), 1, left_out, reason, "compare it with others: vecml compare")
    tied = tuple(name for name, relation in beside.items() if relation == "tied")
    unknown = tuple(name for name, relation in beside.items() if relation == "unknown")
    kind: Kind = "quick" if unknown else "several" if tied else "fastest"
    return Claim(kind, best, best, (best, *tied, *unknown), 1 + len(beside), left_out)


def _shown(family: Family, plain: Mapping[str, Verdict]) -> tuple[Kind, str, tuple[str, ...]]:
    """Of a family with verdicts: the kind, the setting whose figures are told, and those that may be the fastest."""
    words = {name: one.verdict for name, one in plain.items()}
    leading = {*family.tied, family.best}
    faster = [name for name, word in words.items() if word == "faster"]
    if faster:
        quoted = family.best if family.best in faster else max(faster, key=lambda name: plain[name].ratio or 0.0)
        among = tuple(name for name in words if name == quoted or (name in leading and words[name] != "slower"))
        return "fastest" if len(among) == 1 else "several", str(quoted), among
    beside = tuple(name for name, word in words.items() if name in leading and word != "slower")
    if beside or any(word != "slower" for word in words.values()):
        return "unsurpassed", family.baseline, (family.baseline, *beside)
    return "fastest", family.baseline, (family.baseline,)


def _not_again(family: Family, plain: Mapping[str, Verdict]) -> tuple[str, ...]:
    """The finalists that were faster at first, where fresh launches show it of none, and of others nobody asked again.

    To call one of these others the fastest would contradict the first measurement, which put the finalists before them.
    """
    afresh = {one.arm for one in family.first}
    faster = {name for name, one in plain.items() if one.verdict == "faster"}
    if faster & afresh or not faster:
        return ()
    return tuple(one.arm for one in family.first if one.verdict == "faster")


def _nothing(family: Family) -> tuple[str, str]:
    """Why nothing counts beside the baseline, and what to do about it."""
    reasons = {one.arm: one.reason for one in family.verdicts}
    if not reasons:
        return f"nothing was measured beside {family.baseline}", "compare it with another setting"
    own = next((reason for reason in reasons.values() if reason.startswith(f"the baseline {family.baseline} ")), None)
    if own is not None:
        return own, advice_for(own)
    first = next(iter(reasons.values()))
    if all(DISTURBED in reason or NO_COPY in reason for reason in reasons.values()):
        names = ", ".join(reasons)
        rounds = "its rounds were" if len(reasons) == 1 else "their rounds were"
        return f"{what_disturbed(first)}: too many of {rounds} disturbed ({names})", advice_for(first)
    if len(reasons) == 1:
        return f"{next(iter(reasons))} is invalid: {first}", advice_for(first)
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return f"{count(len(reasons), 'setting')} beside {family.baseline}, all invalid ({told})", advice_for(first)


def what_disturbed(reason: str) -> str:
    """Say what kept a measurement from counting, in a clause, by the reason of an invalid verdict."""
    if NO_COPY in reason:
        return "other programs kept the machine busy"
    cause = reason.partition(f"{DISTURBED}: ")[2]
    return "other programs kept the machine busy" if cause == CROWDED else cause or reason


def advice_for(reason: str) -> str:
    """Say what to do about the reason of an invalid verdict, in a clause; empty where nothing general helps."""
    if reason.endswith(CROWDED) or NO_COPY in reason:
        return AGAIN
    if any(part in reason for part in (DISTURBED, UNTRUSTED, TOO_FEW_LAUNCHES, "not steady")):
        return LONGER
    return ""
