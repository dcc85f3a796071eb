"""The five steps in their order, and the record of what they found."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vecml import __version__
from vecml.comparison.comparison import Comparison
from vecml.comparison.document import to_json as comparison_json
from vecml.device import usable_cpus
from vecml.errors import MeasureError, SettingError, VecmlError
from vecml.leftovers import scratch_folder
from vecml.measure.records import Plan
from vecml.optimize.candidates.base import Candidate
from vecml.optimize.candidates.registry import Suggestions, suggest, variants
from vecml.optimize.dtype import DtypeChoice, choose_dtypes
from vecml.optimize.kinds import observe_kinds
from vecml.optimize.measure import SHARED, Gain, gains, make_plan, measure_calls
from vecml.optimize.observe import Observation, observe
from vecml.optimize.origin import origin_of
from vecml.optimize.profile import Profile, profile
from vecml.optimize.raising import Raised, where_it_raises
from vecml.optimize.recording import Command, Recording, record
from vecml.optimize.rewrite import LoopReading
from vecml.optimize.target import Place, find_place, parsed, together
from vecml.optimize.validate import AtErrors, How, Outcome, Validation, validate
from vecml.optimize.worker import OutOfTimeError, WorkerDiedError
from vecml.progress import stage

VERSION = 1
PROFILED = 20  # times as long as without, at most
FAILED = (OutOfTimeError, WorkerDiedError)
ALWAYS = ("numpy", "sets", "numba", "numba boundscheck")  # are measured where they are right
MOST_MEASURED = 2  # of vecml's other candidates
AGAIN = ("cannot compile", "fails", "no answer")  # outcomes after which a candidate's next form is tried


@dataclass(frozen=True)
class Request:
    """The user's request to `vecml optimize`.

    Attributes:
        target, inputs: the function and the input maker, as `path/module.py:function`; `inputs` is empty where calls
            are recorded.
        candidates: the user's own functions, in the same form.
        rtol: the largest relative difference of floating values, 0 to 1.
        budget: wall time of the measurement: `60s`, `auto`, or `quick`.
        limit_seconds: time limit of a call, and of each stage of a worker.
        at_errors: where the original warns (0/0, overflow), `numpy`: a candidate must give what it gives; `raise`: such
            inputs count as those at which it raises.
        recorded_from: the command whose calls of the target give the inputs; None where `inputs` makes them.
    """

    target: str
    inputs: str
    candidates: tuple[str, ...] = ()
    rtol: float = 1e-6
    budget: str = "60s"
    limit_seconds: float = 60.0
    at_errors: AtErrors = "numpy"
    recorded_from: Command | None = None


@dataclass(frozen=True)
class Tried:
    """A candidate and what came of it.

    Attributes:
        candidate: what was tried.
        validation: None where its worker failed before there was an answer.
        fault: why it is not right; None where it is.
        gain: None where it was not measured.
    """

    candidate: Candidate
    validation: Validation | None
    fault: str | None
    gain: Gain | None = None

    @property
    def outcome(self) -> Outcome | Literal["no answer"]:
        """Give what validating it came to; `no answer` where its process was ended or it cannot be imported."""
        return "no answer" if self.validation is None else self.validation.outcome


@dataclass(frozen=True)
class Optimization:
    """The five steps over one function.

    Attributes:
        created: when it began: ISO 8601, UTC.
        vecml: the version.
        request: what was asked.
        place: the target.
        source: the target's file, as it was when it all began.
        observation: what the target does.
        profile: step 1.
        loops: step 2: what was made of each loop.
        left_out: what was not tried, and why.
        tried: steps 2 and 3, the user's own first.
        raised: step 3: inputs at which the target raises, and what candidates do there.
        dtypes: step 4.
        dtypes_of: whose: the right candidate that took the least time, or the target where none is right.
        comparison: step 5; None where no candidate was right.
        base: the target's own figures; None without a measurement.
        winner: the name of the fastest candidate that is faster than the target; None where none is.
        recording: the calls that gave the inputs; None where a function of the user's made them.
    """

    created: str
    vecml: str
    request: Request
    place: Place
    source: str = field(repr=False)
    observation: Observation
    profile: Profile
    loops: tuple[LoopReading, ...]
    left_out: dict[str, str]
    tried: tuple[Tried, ...]
    raised: tuple[Raised, ...]
    dtypes: tuple[DtypeChoice, ...]
    dtypes_of: str
    comparison: Comparison | None = field(repr=False)
    base: Gain | None
    winner: str | None
    recording: Recording | None = None

    @property
    def best(self) -> Tried | None:
        """The winner, with everything that is known of it."""
        return next((one for one in self.tried if one.candidate.name == self.winner), None)


def optimize(request: Request, note: Callable[[str], None] = lambda _text: None) -> Optimization:
    """Take the five steps. The user's files are read, and never written to.

    Args:
        request: what is asked.
        note: hears each step as it begins, one line.

    Raises SettingError and DataError for what cannot be optimised, each naming it in one line.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    target, made_by, own = _asked(request)
    parsed(target)
    origin = origin_of(target)  # once: what is edited while all this runs must not pass for what was measured
    source = origin.source
    limit = request.limit_seconds
    with scratch_folder() as scratch:
        recording, inputs = (None, made_by) if made_by else _recorded(target, request, scratch, note)
        note("1 of 5: the bottleneck")
        with stage("looking at the function"):
            seen = observe(target, inputs, request.rtol, limit)
            seen = dataclasses.replace(seen, remarks=(*origin.remarks, *seen.remarks))
            make_plan(request.budget, seen.seconds, [0.0] * (len(own) + 2))  # refuses a budget that is too short
            profiled = profile(target, source, inputs, max(limit, PROFILED * seen.seconds))
        note("2 of 5: what could stand in its place")
        with stage("watching its expressions"):
            kinds = observe_kinds(target, inputs, max(limit, PROFILED * seen.seconds), origin.lifted)
        made = suggest(target, source, seen, profiled, scratch, kinds, origin)
        note("3 of 5: whether that is right")
        tried, left_out = _all_tried(own, made, target, inputs, request)
        right = _places([one for one in tried if one.fault is None])
        with stage("where the original raises"):
            raised = where_it_raises(target, inputs, _places(_shortlist(tried)), limit) if right else ()
        quickest = _quickest(tried)
        note("4 of 5: the dtype")
        with stage("lighter dtypes"):
            dtypes = _dtypes(right.get(quickest or "", target), inputs, request)
        note("5 of 5: before and after" if right else "5 of 5: left out, no candidate is right")
        comparison = _measured(tried, target, inputs, request, seen) if right else None
        figures = {} if comparison is None else gains(comparison)
    return Optimization(
        created=created,
        vecml=__version__,
        request=request,
        place=target,
        source=origin.stored.text,
        observation=seen,
        profile=profiled,
        loops=made.loops,
        left_out=left_out,
        tried=tuple(dataclasses.replace(one, gain=figures.get(one.candidate.name)) for one in tried),
        raised=raised,
        dtypes=dtypes,
        dtypes_of=quickest or target.name,
        comparison=comparison,
        base=figures.get(target.name),
        winner=_winner(figures, target.name, [one.candidate.name for one in tried]),
        recording=recording,
    )


def _recorded(
    target: Place, request: Request, scratch: Path, note: Callable[[str], None]
) -> tuple[Recording | None, Place]:
    """Run the user's command, and give what was recorded with the place of the longest call's arguments."""
    command = request.recorded_from
    if command is None:
        raise RuntimeError("there is no command to record from")
    note(f"before them: recording the calls of {target.text} by {command.text}")
    with stage("running it"):
        return record(target, command, scratch / "recording", request.limit_seconds)


def check(found: Optimization) -> tuple[int, str]:
    """The exit code for CI, with the reason in a line.

    Returns:
        0 where every candidate of the user's own is right and faster, 1 where one is not, 3 where it is undecided.
        Without such candidates, one that vecml made must be right and faster.
    """
    own = [one for one in found.tried if one.candidate.kind == "own"]
    states = {one.candidate.name: _state(one) for one in (own or found.tried)}
    if not own and found.winner is not None:
        return 0, f"{found.winner} is right and faster"
    for code in (1, 3):
        for name, (state, why) in states.items():
            if state == code:
                return code, f"{name}: {why}"
    return (0, "every candidate is right and faster") if states else (1, "there is no candidate")


def to_json_dict(found: Optimization) -> dict[str, Any]:
    """The record as JSON, for programs, with `version` 1; infinite numbers are written as text."""
    content = {"version": VERSION, **dataclasses.asdict(dataclasses.replace(found, comparison=None))}
    content["profile"]["bound"] = found.profile.bound
    content["comparison"] = None if found.comparison is None else json.loads(comparison_json(found.comparison))
    plain: dict[str, Any] = _plain(content)
    return plain


def _asked(request: Request) -> tuple[Place, Place | None, list[Candidate]]:
    """The target, its input maker (None where calls are recorded), and the user's own candidates."""
    target, own = find_place(request.target, "TARGET"), _own(request)
    if request.recorded_from:
        if target.cell:
            raise SettingError(
                f"TARGET {request.target}: no command calls what a notebook defines",
                "give --inputs: a cell's function that returns the tuple of arguments",
            )
        return target, None, own
    made_by = find_place(request.inputs, "--inputs")
    target, made_by, *places = together(target, made_by, *(one.place for one in own))
    return target, made_by, [dataclasses.replace(one, place=place) for one, place in zip(own, places, strict=True)]


def _own(request: Request) -> list[Candidate]:
    """The user's own candidates; raises SettingError for what of the request cannot be."""
    places = [find_place(text, "--candidate") for text in request.candidates]
    names = [place.text for place in places]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise SettingError(f"--candidate {doubled.pop()}: given twice", "each candidate has a name of its own")
    if not 0 <= request.rtol < 1:
        raise SettingError(f"--rtol {request.rtol:g}: not from 0 to below 1", "for example --rtol 1e-6")
    return [Candidate(place.text, "own", place) for place in places]


def _all_tried(
    own: Sequence[Candidate], made: Suggestions, target: Place, inputs: Place, request: Request
) -> tuple[list[Tried], dict[str, str]]:
    """Validate the user's own candidates, vecml's, and variants of those that are right."""
    tried: list[Tried] = []
    left_out = dict(made.left_out)
    for one in (*own, *made.candidates):
        found = _first_right(one, target, inputs, request)
        tried.append(found)
        if found.fault is None and one.kind != "own":
            others, reasons = variants(made, found.candidate, request.rtol)
            left_out |= reasons
            tried += [_validated(other, target, inputs, request) for other in others]
    return tried, left_out


def _first_right(candidate: Candidate, target: Place, inputs: Place, request: Request) -> Tried:
    """The candidate's first form that is right; the first of all where none is, which says most of the user's code."""
    first = tried = _validated(candidate, target, inputs, request)
    for form in candidate.otherwise:
        if tried.outcome not in AGAIN:
            break
        tried = _validated(form, target, inputs, request)
    return first if tried.outcome in AGAIN else tried


def _validated(candidate: Candidate, target: Place, inputs: Place, request: Request) -> Tried:
    with stage(f"validating {candidate.name}"):
        try:
            how = How(request.rtol, candidate.compiled, request.at_errors, candidate.search_seconds)
            found = validate(target, candidate.place, inputs, how, request.limit_seconds)
        except SettingError:
            raise
        except VecmlError as error:
            return Tried(candidate, None, error.message)
    return Tried(candidate, found, found.fault)


def _measured(tried: Sequence[Tried], target: Place, inputs: Place, request: Request, seen: Observation) -> Comparison:
    """Measure the target beside what is right: the user's own candidates, and the quickest of vecml's."""
    shortlist, plan = _fitting(_shortlist(tried), seen, request)
    places = _places(shortlist)
    uses_all = {one.candidate.name: seen.cpus > SHARED or one.candidate.parallel for one in shortlist}
    uses_all[target.name] = seen.cpus > SHARED
    cpus = {name: usable_cpus() if many else 1 for name, many in uses_all.items()}
    return measure_calls(target, places, inputs, plan, request.budget, cpus, copies=bool(seen.mutated))


def _fitting(shortlist: list[Tried], seen: Observation, request: Request) -> tuple[list[Tried], Plan]:
    """As many of the shortlist as the budget has time for, with the plan; the slowest of vecml's extras go first."""
    extras = [one for one in shortlist if one.candidate.kind != "own" and one.candidate.name not in ("numpy", "numba")]
    extras.sort(key=lambda one: 0.0 if one.validation is None else one.validation.seconds or 0.0)
    while True:
        try:
            return shortlist, make_plan(request.budget, seen.seconds, _seconds(shortlist))
        except SettingError:
            if not extras:
                raise
            left_out = extras.pop()
            shortlist = [one for one in shortlist if one is not left_out]


def _places(tried: Sequence[Tried]) -> dict[str, Place]:
    return {one.candidate.name: one.candidate.place for one in tried}


def _shortlist(tried: Sequence[Tried]) -> list[Tried]:
    """The right candidates that are worth measuring: more arms would take the time from each other."""
    right = [one for one in tried if one.fault is None]
    made = [one for one in right if one.candidate.kind != "own"]
    others = [one for one in made if one.candidate.name not in ALWAYS]
    quickest = sorted(
        others, key=lambda one: math.inf if one.validation is None else one.validation.seconds or math.inf
    )
    kept = {*ALWAYS, *(one.candidate.name for one in quickest[:MOST_MEASURED])}
    return [one for one in right if one.candidate.kind == "own" or one.candidate.name in kept]


def _dtypes(place: Place, inputs: Place, request: Request) -> tuple[DtypeChoice, ...]:
    try:
        return choose_dtypes(place, inputs, request.rtol, max(request.limit_seconds, 10.0))
    except MeasureError:  # a lighter dtype that makes it hang or crash is none to choose
        return ()


def _seconds(tried: Sequence[Tried]) -> list[float]:
    """A call's, of the candidates that are right."""
    right = [one.validation for one in tried if one.fault is None and one.validation is not None]
    return [one.seconds or 0.0 for one in right]


def _quickest(tried: Sequence[Tried]) -> str | None:
    seconds = {
        one.candidate.name: one.validation.seconds
        for one in tried
        if one.fault is None and one.validation is not None and one.validation.seconds is not None
    }
    return min(seconds, key=lambda name: seconds[name], default=None)


def _winner(figures: dict[str, Gain], base: str, order: Sequence[str]) -> str | None:
    """The fastest of those that are faster; of Numba's, the plainest unless another is surely faster than it."""
    faster = {name: figures[name] for name in order if name in figures and figures[name].verdict == "faster"}
    best = max(faster, key=lambda name: faster[name].ratio or 0.0, default=None)
    plain = faster.get("numba")
    if best is not None and best.startswith("numba ") and plain is not None and base != "numba":
        return best if (faster[best].low or 0.0) > (plain.ratio or 0.0) else "numba"
    return best


def _state(one: Tried) -> tuple[int, str]:
    if one.fault is not None:
        return 1, one.fault if one.outcome in ("wrong", "fails") else f"{one.outcome}: {one.fault}"
    if one.gain is None or one.gain.verdict in (None, "undetected", "invalid", "busy"):
        return 3, "not measured" if one.gain is None else one.gain.reason
    if one.gain.verdict == "faster":
        return 0, one.gain.reason
    return 1, f"{one.gain.verdict}: {one.gain.reason}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
