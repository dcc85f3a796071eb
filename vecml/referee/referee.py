"""A referee's run: one call of each first, then the same sitting as every comparison, then the outcome.

The spec is read once. What its files hold goes to the workers as it was then, and is looked at again at the end.
"""

import base64
import dataclasses
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecml.comparison.arms import make_group
from vecml.comparison.budget import Budget, for_slow_calls, make_budget
from vecml.comparison.comparison import FUNCTIONS, Comparison, Subject
from vecml.comparison.files import shared_folder
from vecml.comparison.session import Tracking, W, go_on, recorded
from vecml.comparison.sitting import rehearse, sit
from vecml.comparison.unfinished import Kept, unfinished_of
from vecml.device import usable_cpus
from vecml.environment import describe
from vecml.errors import SettingError
from vecml.measure.records import Arm, Measured, Plan, Role
from vecml.progress import stage
from vecml.referee.contestant import Source, spaces
from vecml.referee.outcome import CANDIDATE, PRICE, REFERENCE, Outcome, outcome_of, refused
from vecml.referee.refusals import of_the_spec
from vecml.referee.spec import Spec, read_spec, reference_source
from vecml.referee.work import OPENER

FIRST_CALL_SECONDS = 600.0
SLOW_SECONDS = 1.0  # of a call: from here on the plan depends on what calls take
CHANGED = "the spec or a file that it names was changed meanwhile"


@dataclass(frozen=True)
class Match:
    """A candidate before a referee.

    Attributes:
        spec: what it is held to.
        candidate: the function.
        name: of the tracked run; None: it gets one.
    """

    spec: Spec
    candidate: Source
    name: str | None = None

    @property
    def candidate_digest(self) -> str:
        """The sha256 of the candidate's files and the function's name."""
        content = [self.candidate.qualified, self.candidate.text, sorted(self.candidate.beside.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def referee(
    match: Match,
    tracking: Tracking[W],
    *,
    began: float | None = None,
    announce: Callable[[Budget], None] = lambda _budget: None,
    fresh: bool = False,
) -> tuple[Outcome, W | None]:
    """Hold a candidate against a spec's reference, and record the comparison.

    Args:
        match: what is held against what.
        tracking, began, announce, fresh: as in `vecml.comparison.session.compare`.

    A candidate that does not do the work in its first calls is refused then, and nothing is recorded. Raises
    SettingError on another system than Linux, for a reference or a maker of inputs that fails, or that does not agree
    with itself, and for a budget that is too short.
    """
    began = time.perf_counter() if began is None else began
    if not hasattr(os, "memfd_create"):
        raise SettingError("a referee needs Linux, whose processes can share memory without a file", "run it on Linux")
    _first_budget(match.spec)
    spec, digests = match.spec, (match.spec.digest, match.candidate_digest)
    with shared_folder(0) as folder:
        group = _group(match, folder)
        taken, said = _rehearse(group, spec)
        if said is not None:
            return refused(said, *digests), None
        budget = _budget(spec, taken, began)
        announce(budget)

        def measure(kept: Kept | None, keep: Callable[[Measured], None]) -> Comparison:
            return go_on(kept, lambda resumed: _measure(spec, group, budget, resumed, keep))

        file = unfinished_of({"kind": "referee", "spec": digests[0], "candidate": digests[1]}, spec.budget, match.name)
        comparison, writer = recorded(tracking, match.name, file, measure, fresh=fresh)
    return outcome_of(comparison, spec.at_least, *digests), writer


def _group(match: Match, folder: Path) -> list[Arm]:
    """The arms: reference, its copy, candidate, and what shows the price of handing over. All go the same way."""
    spec = match.spec
    sources: Mapping[str, Source | None] = {REFERENCE: reference_source(spec), CANDIDATE: match.candidate, PRICE: None}
    random = secrets.SystemRandom()
    sizes = [random.randint(*size) if isinstance(size, tuple) else size for size in spec.sizes]
    before, seed = spaces(), random.getrandbits(128)

    def arm(name: str, role: Role, own: str) -> Arm:
        source = sources[name]
        payload: dict[str, Any] = {
            "folder": str(folder),
            "files": {file: base64.b64encode(content).decode() for file, content in spec.files.items()},
            "reference": spec.reference,
            "maker": spec.inputs,
            "sizes": sizes,
            "ranges": spec.ranges,
            "seed": seed,
            "rtol": spec.rtol,
            "precision": spec.precision if name == CANDIDATE else "any",
            "source": None if source is None else dataclasses.asdict(source),
            "before": list(before),
            "facts": {"function": name, "spec": spec.digest, "candidate": match.candidate_digest},
        }
        return Arm(own, OPENER, payload, role, cpus=usable_cpus(), starts_processes=True)

    return [*make_group([REFERENCE, CANDIDATE], arm), arm(PRICE, "limit", PRICE)]


def _rehearse(group: list[Arm], spec: Spec) -> tuple[dict[str, float], str | None]:
    """Make the first calls of each; the seconds of a call by name, and why the candidate is refused, or None.

    Raises SettingError where the reference fails.
    """
    arms = [one for one in group if one.role in ("baseline", "arm")]
    with stage("making the first calls"):
        answers = rehearse(arms, Plan(patience_seconds=FIRST_CALL_SECONDS), again_above=SLOW_SECONDS)
    taken: dict[str, float] = {}
    for name, answer in answers.items():
        if not isinstance(answer, str):
            taken[name] = answer.whole_seconds
        elif name == CANDIDATE and of_the_spec(answer) is None:
            return taken, answer
        else:
            raise SettingError(f"{spec.path}: the reference: {answer}", "call it by itself over what the maker makes")
    return taken, None


def _first_budget(spec: Spec) -> Budget:
    """The plan for short calls. Raises SettingError for a budget that is too short whatever calls take."""
    try:
        return make_budget(spec.budget, [(3, 1)], 1, describe().machine_key, "function")
    except SettingError as error:
        enough = (error.hint or "").partition(" would do")[0].removeprefix("--budget ")
        said = error.message.removeprefix("--budget ")
        raise SettingError(f"{spec.path}: budget {said}", f'budget = "{enough}" in it would do') from None


def _budget(spec: Spec, taken: Mapping[str, float], began: float) -> Budget:
    key = describe().machine_key
    budget = dataclasses.replace(_first_budget(spec), began=began)
    if max(taken.values()) < SLOW_SECONDS:
        return budget
    budget = dataclasses.replace(budget, plan=dataclasses.replace(budget.plan, warm_calls=1))
    return for_slow_calls(budget, taken, time.perf_counter(), key)


def _measure(
    spec: Spec,
    group: list[Arm],
    budget: Budget,
    resumed: Measured | None,
    keep: Callable[[Measured], None],
) -> Comparison:
    sitting = sit([group], budget, resumed=resumed, keep=keep, over=_is_refused)
    names = [REFERENCE, CANDIDATE]
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=budget.text,
        subject=Subject(FUNCTIONS, 1),
        simplest=tuple(names),
        faults=sitting.faults(names, dict.fromkeys(names, CHANGED) if _has_changed(spec) else {}),
    )


def _is_refused(measured: Measured) -> bool:
    return any(arm.name == CANDIDATE and arm.failure is not None for arm in measured.arms)


def _has_changed(spec: Spec) -> bool:
    try:
        return read_spec(spec.path, spec.budget).digest != spec.digest
    except SettingError:
        return True
