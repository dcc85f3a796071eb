"""Every warning that vecml gives, each with a stable code and its advice.

They go through Python's own `warnings`, so that a library user filters them as usual; the command line prints them as
`VML012 ...` and silences one with `--ignore VML012`. Each code is explained under its name in docs/warnings.md.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CODES: dict[str, str] = {
    "VML001": "a constant column was dropped",
    "VML002": "rows without a label were dropped",
    "VML003": "the test part, or the data to predict, has categories that the training part has not",
    "VML004": "a column has no value, or none in the training part",
    "VML005": "the test part is too small to say much",
    "VML006": "the accuracy is no better than always guessing the majority",
    "VML007": "labels differ from the reference engine's",
    "VML008": "libraries with a known conflict are installed",
    "VML009": "runs that had died were closed",
    "VML010": "the result is stored, but something beside it was not",
    "VML011": "other processes keep the machine busy",
    "VML012": "another measurement is waited for",
    "VML013": "a setting cannot be compared here and was left out",
    "VML014": "a GPU's memory ran out and smaller blocks were taken",
    "VML015": "the store was moved, and its addresses were mended",
    "VML016": "a comparison that was stopped goes on, or is logged",
    "VML017": "the machine itself became slower",
    "VML018": "the tracking server does not answer yet",
    "VML019": "a result that waited for its store is logged, or waits on",
    "VML020": "the training was ended by the clock, so that it cannot be repeated",
    "VML021": "the training was ended by its bound of steps",
    "VML022": "a simple model is better than the network",
    "VML023": "nearly all rows have the same class",
    "VML024": "a simple model could not be fitted to the end",
    "VML025": "a module gives probabilities where logits are expected",
    "VML030": "text that is nearly unique was left out",
    "VML031": "text has many values, and the rarest are one category",
    "VML032": "words among numbers or dates count as missing",
    "VML033": "dates fit two formats, or have years of two digits",
    "VML034": "integers that float64 cannot hold are text",
    "VML035": "text is read as numbers with a unit or separators, or without its leading zeros",
    "VML036": "NA is a word of a column and not a missing value",
    "VML037": "a column that is mostly numbers or dates is read as text",
    "VML038": "a class is called as a missing value often is",
    "VML039": "values differ in capital letters only",
    "VML040": "a column without a name, or with the name of another, got one",
    "VML041": "a column that counts the rows or copies the label was dropped",
    "VML042": "a column may give the label away",
    "VML043": "rows of the test part have the same features as rows of the training part",
    "VML044": "rare classes were dropped or merged",
    "VML045": "a target was cut into fewer classes than asked for",
    "VML046": "a number may stand for a missing value",
    "VML050": "how a file writes its table was found by looking at it",
    "VML051": "what was to be run after a comparison of commands failed",
    "VML052": "revisions that are compared are not what one may expect",
    "VML053": "a node of a cluster was lost or left out, and the work goes on",
}


class VecmlWarning(UserWarning):
    """A warning with a code.

    Attributes:
        code: one of `CODES`.
        message: one line: what was found, and the advice.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


_listening: ContextVar[tuple[list[VecmlWarning], ...]] = ContextVar("vecml_heard", default=())


def warn(code: str, message: str) -> None:
    """Give the warning `code` (a key of `CODES`; another raises KeyError) with its one-line message."""
    if code not in CODES:
        raise KeyError(code)
    given = VecmlWarning(code, message)
    hear_again((given,))
    warnings.warn(given, stacklevel=3)


@contextmanager
def heard() -> Iterator[list[VecmlWarning]]:
    """Collect the warnings that are given in the `with` block, also those that nobody is shown."""
    said: list[VecmlWarning] = []
    token = _listening.set((*_listening.get(), said))
    try:
        yield said
    finally:
        _listening.reset(token)


def hear_again(given: Iterable[VecmlWarning]) -> None:
    """Add warnings to what `heard` collects without showing them: they were shown when they were given."""
    for one in given:
        for said in _listening.get():
            said.append(one)
