"""The candidates that vecml makes, by name. No discovery: a candidate is one file and one line here."""

from dataclasses import dataclass
from pathlib import Path

from vecml.optimize.candidates.base import Candidate, Subject, Way
from vecml.optimize.candidates.numba import Numba
from vecml.optimize.candidates.numpy_rewrite import NumpyRewrite
from vecml.optimize.kinds import NOTHING, Kinds
from vecml.optimize.observe import Observation
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import LoopReading
from vecml.optimize.target import Place

WAYS: tuple[Way, ...] = (NumpyRewrite(), Numba())


@dataclass(frozen=True)
class Suggestions:
    """The candidates that vecml makes of the target.

    Attributes:
        candidates: what is tried.
        left_out: by a candidate's name: why it is not tried.
        loops: what was recognised in every loop.
    """

    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]
    loops: tuple[LoopReading, ...]


def suggest(
    target: Place,
    source: str,
    observation: Observation,
    profile: Profile,
    folder: Path,
    kinds: Kinds = NOTHING,
) -> Suggestions:
    """Make every candidate that applies to the target and can be had here.

    Args:
        target: the function.
        source: the text of its file.
        observation: what the target does with the user's inputs.
        profile: the share of the time that each loop takes.
        folder: where the candidates' modules are written.
        kinds: what its expressions are over the user's inputs.
    """
    subject = Subject(target, source, observation, profile, folder, kinds)
    made = {way.name: way.missing() or way.make(subject) for way in WAYS}
    left_out = {name: reason for name, reason in made.items() if isinstance(reason, str)}
    return Suggestions(
        tuple(one for one in made.values() if isinstance(one, Candidate)), left_out, subject.rewrite.loops
    )
