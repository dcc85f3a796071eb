"""The candidates that vecml makes, by name. No discovery: a candidate is one file and one line here."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from vecml.optimize.candidates.base import Candidate, Subject, Variant, Way
from vecml.optimize.candidates.numba import Numba
from vecml.optimize.candidates.numba_boundscheck import NumbaBoundscheck
from vecml.optimize.candidates.numba_fastmath import NumbaFastmath
from vecml.optimize.candidates.numba_parallel import NumbaParallel
from vecml.optimize.candidates.numexpr_chains import NumexprChains
from vecml.optimize.candidates.numpy_rewrite import NumpyRewrite
from vecml.optimize.candidates.python_sets import PythonSets
from vecml.optimize.candidates.pythran import Pythran
from vecml.optimize.candidates.torch_compiled import TorchCompiled
from vecml.optimize.kinds import NOTHING, Kinds
from vecml.optimize.lifted import NotPlacedError
from vecml.optimize.observe import Observation
from vecml.optimize.origin import Origin
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import LoopReading
from vecml.optimize.target import Place

WAYS: tuple[Way, ...] = (NumpyRewrite(), PythonSets(), Numba(), TorchCompiled(), NumexprChains(), Pythran())
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
    origin: Origin | None = None,
) -> Suggestions:
    """Make every candidate that applies to the target and can be had here.

    Args:
        target: the function.
        source: the text of its file.
        observation: what the target does with the user's inputs.
        profile: the share of the time that each loop takes.
        folder: where the candidates' modules are written.
        kinds: what its expressions are over the user's inputs.
        origin: the way from the text that candidates are made of into the user's file; None: that text is the file.
    """
    if origin is not None:
        target, source = dataclasses.replace(target, name=origin.lifted.name), origin.lifted.text
    subject = Subject(target, source, observation, profile, folder, kinds, origin)
    made = {way.name: way.missing() or _made(way, subject) for way in WAYS}
    left_out = {name: reason for name, reason in made.items() if isinstance(reason, str)}
    return Suggestions(
        tuple(one for one in made.values() if isinstance(one, Candidate)), left_out, subject.rewrite.loops, subject
    )


def variants(made: Suggestions, right: Candidate, rtol: float) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Make what can be made of a right candidate; and by name, why a variant does not apply."""
    if made.subject is None:
        return (), {}
    found = {one.name: _variant(one, made.subject, right, rtol) for one in VARIANTS.get(right.name, ())}
    left_out = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    return tuple(one for one in found.values() if isinstance(one, Candidate)), left_out


def _made(way: Way, subject: Subject) -> Candidate | str:
    try:
        return way.make(subject)
    except NotPlacedError as error:
        return str(error)


def _variant(variant: Variant, subject: Subject, right: Candidate, rtol: float) -> Candidate | str:
    try:
        return variant.make(subject, right, rtol)
    except NotPlacedError as error:
        return str(error)
