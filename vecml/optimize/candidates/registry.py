"""The candidates that vecml makes, by name. No discovery: a candidate is one file and one line here."""

from dataclasses import dataclass
from pathlib import Path

from vecml.optimize.candidates.base import Candidate, Subject, Variant, Way
from vecml.optimize.candidates.numba import Numba
from vecml.optimize.candidates.numba_boundscheck import NumbaBoundscheck
from vecml.optimize.candidates.numba_fastmath import NumbaFastmath
from vecml.optimize.candidates.numba_parallel import NumbaParallel
from vecml.optimize.candidates.numexpr_chains import NumexprChains
from vecml.optimize.candidates.numpy_rewrite import NumpyRewrite
from vecml.optimize.candidates.pythran import Pythran
from vecml.optimize.candidates.torch_compiled import TorchCompiled
from vecml.optimize.kinds import NOTHING, Kinds
from vecml.optimize.observe import Observation
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import LoopReading
from vecml.optimize.target import Place

WAYS: tuple[Way, ...] = (NumpyRewrite(), Numba(), TorchCompiled(), NumexprChains(), Pythran())
# By the name of the way whose right candidate they are made of, the simplest first.
VARIANTS: dict[str, tuple[Variant, ...]] = {"numba": (NumbaFastmath(), NumbaParallel(), NumbaBoundscheck())}


@dataclass(frozen=True)
class Suggestions:
    """The candidates that vecml makes of the target.

    Attributes:
        candidates: what is tried.
        left_out: by a candidate's name: why it is not tried.
        loops: what was recognised in every loop.
        subject: what they are made of.
    """

    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]
    loops: tuple[LoopReading, ...]
    subject: Subject | None = None


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
        tuple(one for one in made.values() if isinstance(one, Candidate)), left_out, subject.rewrite.loops, subject
    )


def variants(made: Suggestions, right: Candidate, rtol: float) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Make what can be made of a right candidate; and by name, why a variant does not apply."""
    if made.subject is None:
        return (), {}
    found = {one.name: one.make(made.subject, right, rtol) for one in VARIANTS.get(right.name, ())}
    left_out = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    return tuple(one for one in found.values() if isinstance(one, Candidate)), left_out
