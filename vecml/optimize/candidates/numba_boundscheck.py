"""The candidate `numba boundscheck`: an index out of range raises IndexError, as in Python; it costs time."""

from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import NUMBA


class NumbaBoundscheck:
    """Numba that looks at each index."""

    name = "numba boundscheck"

    def make(self, subject: Subject, right: Candidate, rtol: float) -> Candidate | str:  # noqa: ARG002 -- as the others
        """Make it of a right candidate of Numba's, where the function has an index at all."""
        if "[" not in right.source:
            return "it has no index"
        text = right.source.replace(NUMBA, f"{NUMBA[:-1]}, boundscheck=True)")
        said = "an index out of range raises IndexError, as in Python"
        return subject.candidate(self.name, "numba", text, said, "numba_boundscheck")
