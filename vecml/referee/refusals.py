"""Why a candidate is refused whatever its speed: a name for each way of not doing the work, and a sentence."""

from vecml.foreign_text import clean
from vecml.measure.work import ArmError

NAMES = {
    "wrong-result": "a result is not the reference's",
    "wrong-at-an-unannounced-size": "a result is wrong at a size that the spec does not name",
    "answers-from-memory": "a result is that of an earlier call over other arguments",
    "work-after-the-clock": "a result was filled after it was handed back: by a thread, a stream, or later",
    "work-left-to-a-process": "a process that it started still ran when its call had ended",
    "changed-its-input": "an argument was changed in place",
    "overwrites-earlier-results": "the result of an earlier call was another one after a later call",
    "lower-precision": "a result was computed in a lower precision than asked for",
    "answers-early": "an answer came before the call's arguments were given",
    "left-files": "files were left for a later call",
    "raised": "a call raised",
    "no-answer": "a call did not end",
    "its-process-ended": "the process ended",
    "unfit-result": "a result is none that can be handed over",
}
SPLIT = ": "
OF_THE_SPEC = "the spec"
HUNG = "it hung"  # the coordinator's words for a worker without an answer


class RefusalError(ArmError):
    """A candidate does not do the work. The message is one of `NAMES`, a colon, and what was seen."""

    def __init__(self, name: str, seen: str) -> None:
        self.name, self.seen = name, clean(seen)  # it may hold what a candidate printed or gave
        super().__init__(f"{name}{SPLIT}{self.seen}")


class SpecError(ArmError):
    """The reference or the maker of inputs fails, which is no fault of a candidate's."""

    def __init__(self, seen: str) -> None:
        super().__init__(f"{OF_THE_SPEC}{SPLIT}{clean(seen)}")


def of_the_spec(said: str) -> str | None:
    """Give what a worker said of the spec's own files; None where it said something else."""
    name, colon, seen = said.partition(SPLIT)
    return seen if colon and name == OF_THE_SPEC else None


def named(said: str) -> tuple[str | None, str]:
    """The name of a refusal in what a worker said of an arm's end, and the rest; None for another end."""
    name, colon, seen = said.partition(SPLIT)
    if said.startswith(HUNG):
        return "no-answer", said
    return (name, seen) if colon and name in NAMES else (None, said)
