"""The candidate `numba fastmath`: sums and products in any order, so that they run in vectors of the processor."""

from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import NUMBA

# Not `nnan` and `ninf`, under which a NaN may become any number without a word.
FLAGS = '{"reassoc", "contract", "arcp", "nsz", "afn"}'


class NumbaFastmath:
    """Numba with the flags of fast math that leave NaN and infinity as they are."""

    name = "numba fastmath"

    def make(self, subject: Subject, right: Candidate, rtol: float) -> Candidate | str:
        """Make it of a right candidate of Numba's, unless every bit counts or no floating number is seen."""
        if rtol == 0:
            return "--rtol 0 asks for every bit, and it adds in another order"
        kinds = subject.kinds.seen.values()
        if not any(kind.type in ("float", "complex") or kind.dtype.startswith(("float", "complex")) for kind in kinds):
            return "no floating number is seen in it"
        text = right.source.replace(NUMBA, f"{NUMBA[:-1]}, fastmath={FLAGS})")
        said = (
            f"adds and multiplies in any order: right within --rtol {rtol:g} only; NaN and infinity stay what they are"
        )
        return subject.candidate(self.name, "numba", text, said, "numba_fastmath")
