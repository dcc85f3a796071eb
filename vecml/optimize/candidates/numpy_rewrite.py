"""The candidate `numpy`: the target's loops as array expressions, shown as a diff."""

from vecml.numbers import percent
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import Rewrite

WORTH = 0.05  # of the time: loops with less are not worth a rewrite


class NumpyRewrite:
    """The suggested rewrite in NumPy."""

    name = "numpy"

    def missing(self) -> str | None:
        """Nothing: vecml itself needs NumPy."""
        return None

    def make(self, subject: Subject) -> Candidate | str:
        """Make it of the loops that are recognised, where these take time."""
        made = subject.rewrite
        if made.source is None:
            return "no loop that it knows how to rewrite" if made.loops else "it has no loop"
        if (share := _recognised_share(made, subject.profile)) < WORTH:
            return f"the loops that can be rewritten take {percent(share)} of the time: nothing to gain"
        return subject.candidate(self.name, "rewrite", made.source)


def _recognised_share(made: Rewrite, profile: Profile) -> float:
    """Sum the shares of the time (0 to 1) of the outer loops that are recognised or contain a recognised loop."""
    lines = {loop.line for loop in made.loops if loop.form is not None}
    whole = sum(loop.share for loop in profile.loops if loop.first in lines)
    inner = {line for line in lines if not any(loop.first == line for loop in profile.loops)}
    return whole + sum(loop.share for loop in profile.loops if any(loop.first < line <= loop.last for line in inner))
