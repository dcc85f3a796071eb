"""A function under a referee as an arm: the worker is the referee, and the function runs in a process below it.

The worker holds the clock, the inputs and what is expected. Each call gets arguments that nobody has seen before, they
are handed over while the clock runs, and the result is in the worker's own memory before the clock stops. Then it is
held against the reference's. Reference, its copy and candidate go exactly this way.
"""

import base64
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.errors import one_line
from vecml.measure import tree
from vecml.measure.work import Work
from vecml.referee import judging, player
from vecml.referee.commands import FILE
from vecml.referee.confine import keep_others_out
from vecml.referee.contestant import Contestant, Source, read
from vecml.referee.drawing import Inputs, Size, Task, size_within
from vecml.referee.folder import empty, left_bytes, remove
from vecml.referee.handover import Plain, pack, without_arrays
from vecml.referee.refusals import RefusalError, SpecError

OPENER = "vecml.referee.work:open_work"
FIRST_PROBES = 6  # calls that are checked before anything is timed
PROBED = 0.3  # share of timed calls before which there is one more
AT_ANY_SIZE = 0.6  # share of those at any size; the others have a timed one, so that a size does not tell what is timed
UNTIMED = "untimed_seconds"  # the fact that holds the times of those calls
MOST_UNTIMED = 1_000  # of those in a launch, whose times are kept
COLLECTED = 32  # values of results that have few each, before their precision is looked at
RESULT_BYTES, RESULT_SHARE = 1 << 26, 4  # that a result may have: so many, or so many times the reference's largest
KEPT = 16  # results of earlier calls, to see whether one is given again
LATER_SECONDS = 0.3  # after which a wrong result is looked at once more
SECOND_ANSWER_MS = 50  # that one is waited for where the first was no result
CHANGED = "its arguments were not the same after the call"
OVERWRITTEN = (
    "the result of an earlier call is another one now: later calls write to its memory, or it is an argument's"
)
START_SECONDS, CALL_SECONDS = 120.0, 600.0
MOST_LEFT_BYTES, MOST_PRINTED_BYTES = 1 << 20, 1 << 24  # in files, before that is refused


def open_work(payload: Mapping[str, Any]) -> "RefereeWork":
    """Make this process a referee's: nobody reads its memory, and nothing that it has started outlives it."""
    tree.keep_the_tree_together()
    keep_others_out()
    return RefereeWork(payload)


class RefereeWork(Work):
    """A function under a referee; see `vecml.measure.work.Work`.

    The payload's keys:

        folder: of the whole measurement; each launch of an arm has an empty one in it.
        files: by name, what the spec's files hold, as base64.
        reference, maker: `FILE.py:FUNCTION` among them.
        sizes: those of the timed calls, all of them in each call of the arm; None: the maker takes no size.
        ranges: the smallest and the largest size of calls that are not timed, once or several times.
        seed: of the sizes of those, the same for all arms, so that their times can be held against each other.
        rtol, precision: as in `Spec`.
        source: `Source`'s fields; None: the arm that shows the price of handing over.
        before: words that give the process a space of its own.
        facts: what is recorded of it.
    """

    prepares = True

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._asked = payload
        self._folder = Path(tempfile.mkdtemp(dir=payload["folder"]))
        private = self._folder / "referee"
        private.mkdir()
        files = {name: base64.b64decode(text) for name, text in payload["files"].items()}
        self._inputs = Inputs(files, payload["reference"], payload["maker"], private, has_sizes=bool(payload["sizes"]))
        self._sizes: Sequence[Size] = payload["sizes"] or [None]
        self._tasks: list[Task] = []
        self._answers: list[tuple[bytes, bytearray]] = []
        self._earlier: deque[Plain] = deque(maxlen=KEPT)
        self._given_back: deque[tuple[Task, Plain] | None] = deque(maxlen=player.KEPT + 1)
        self._keeps_results = True
        self._sizes_between = np.random.default_rng(payload["seed"])
        self._untimed: list[float] = []  # seconds of those calls, the first ones left out
        self._is_command = payload["source"] is not None and payload["source"]["file"] == FILE
        self._few: defaultdict[str, list[list[NDArray[Any]]]] = defaultdict(list)
        self._contestant: Contestant | None = None
        self._checked = self._probed = 0

    @property
    def contestant(self) -> Contestant:
        """The process with the function; raises RuntimeError before it is opened."""
        if self._contestant is None:
            raise RuntimeError("the arm was not opened")
        return self._contestant

    def open(self) -> None:
        """Start the process, let it read its file, and make the first calls."""
        source = self._asked["source"]
        folder = self._folder / "candidate"
        folder.mkdir()
        self._contestant = Contestant(
            None if source is None else Source(**source), folder, self._asked["before"], START_SECONDS
        )
        most = max((high for _, high in self._asked["ranges"]), default=None)
        largest = pack(self._expected(self._inputs.task(most))).size
        self._contestant.most_bytes = max(RESULT_BYTES, RESULT_SHARE * largest)
        if source is not None:
            self._contestant.begin()
        for _ in range(FIRST_PROBES):
            self._probe()

    def facts(self) -> dict[str, Any]:
        return {**self._asked["facts"], "confined": self.contestant.confined, "apart": bool(self._asked["before"])}

    def begin(self) -> None:
        self.contestant.go()
        self._probe()

    def prepare(self) -> None:
        """Check the results of the call before, and draw what the next one is given."""
        self._check()
        if self._inputs.random.random() < PROBED:
            self._probe()
        order = self._inputs.random.permutation(len(self._sizes))
        self._tasks = [self._inputs.task(self._sizes[index]) for index in order]
        self.contestant.resume()
        if self._asked["source"] is None:
            self._hold(self._tasks)
        self.contestant.check_silent()

    def call(self) -> None:
        self._answers = [self._called(task) for task in self._tasks]

    def rest(self) -> None:
        self._check()
        self.contestant.stop()
        self._look_at_files()

    def cpu_seconds(self) -> float:
        return self.contestant.cpu_seconds()

    def peak_bytes(self) -> int | None:
        return self.contestant.peak_bytes()

    def answer(self) -> int:
        """No two calls have the same arguments, so there is no checksum."""
        return 0

    def finish(self) -> dict[str, Any]:
        self.close()
        counted = {"calls_checked": self._checked, "calls_at_other_sizes": self._probed}
        return {**counted, UNTIMED: self._untimed}

    def close(self) -> None:
        if self._contestant is not None:
            self._contestant.close()
            self._contestant = None
        remove(self._folder)

    def _check(self) -> None:
        """Hold the results of the last call against the reference's, once."""
        tasks, answers, self._tasks, self._answers = self._tasks, self._answers, [], []
        if not answers:
            return
        self.contestant.pause()
        if self.contestant.changed_arguments(tasks[-1].packed):
            raise RefusalError("changed-its-input", CHANGED)
        for number, (task, answer) in enumerate(zip(tasks, answers, strict=True)):
            self._judge(task, self._read(answer), is_last=number == len(tasks) - 1)

    def _probe(self) -> None:
        """Make a call that is not timed, at any size or a timed one, and look at what earlier calls left."""
        ranges, random = self._asked["ranges"], self._sizes_between
        if ranges and random.random() < AT_ANY_SIZE:
            size: Size = size_within(ranges, random)
        else:
            size = self._sizes[int(random.integers(len(self._sizes)))]
        task = self._inputs.task(size, announced=size is None or size in self._sizes)
        self._call_once(task)
        if self._asked["source"] is not None:
            self.contestant.resume()
            self._look_at_given(task)
            self._look_at_an_earlier_result()
            self.contestant.pause()

    def _call_once(self, task: Task) -> None:
        self.contestant.resume()
        if self._asked["source"] is None:
            self._hold([task])
        self.contestant.check_silent()
        begun = time.perf_counter()
        self._tasks, self._answers = [task], [self._called(task)]
        self._probed += 1
        if FIRST_PROBES < self._probed <= FIRST_PROBES + MOST_UNTIMED:
            self._untimed.append(round(time.perf_counter() - begun, 9))
        self._check()

    def _look_at_given(self, task: Task) -> None:
        """Arrays are compared in the memory that both see; lists and dicts are in the candidate's process alone."""
        if judging.wrong(without_arrays(task.arguments()), read(self.contestant.given_now()), 0.0) is not None:
            raise RefusalError("changed-its-input", CHANGED)

    def _look_at_an_earlier_result(self) -> None:
        """Ask for a result that was right before, once more: whoever calls a function keeps what it gave."""
        if not self._keeps_results or len(self._given_back) < 2:
            return
        back = int(self._inputs.random.integers(1, len(self._given_back)))
        then = self._given_back[-1 - back]
        if then is None or judging.wrong(then[1], read(self.contestant.earlier(back)), 0.0) is None:
            return
        later = [one[0] for one in list(self._given_back)[-back:] if one is not None]
        try:
            self._keeps_results = self._inputs.keeps_results(then[0], later)
        except Exception as error:
            raise SpecError(f"the reference raised {one_line(error, named=True, whole=True)}") from error
        if self._keeps_results:
            raise RefusalError("overwrites-earlier-results", OVERWRITTEN)

    def _called(self, task: Task) -> tuple[bytes, bytearray]:
        answer = self.contestant.call(task.packed, CALL_SECONDS)
        if self._is_command:
            empty(
                self._folder / "candidate" / "home"
            )  # in the clock of all arms, since several calls may be timed at once
        return answer

    def _hold(self, tasks: Sequence[Task]) -> None:
        self.contestant.hold(pack([self._expected(task) for task in tasks]))

    def _judge(self, task: Task, found: Plain, *, is_last: bool) -> None:
        rtol, precision = self._asked["rtol"], self._asked["precision"]
        expected = self._expected(task)
        try:
            said = judging.wrong(expected, found, rtol)
            lower = judging.is_lower_dtype(expected, found)
        except Exception as error:
            raise RefusalError("unfit-result", f"comparing it raised {type(error).__name__}") from error
        if said is None:
            lower = lower or judging.lower_precision(expected, found, precision) or self._lower_of_few(expected, found)
            if lower is not None:
                raise RefusalError("lower-precision", lower)
            self._earlier.append(expected)
            self._given_back.append((task, found) if pack(found).size <= player.KEPT_BYTES else None)
            self._checked += 1
            return
        raise self._refusal(task, expected, found, said, is_last=is_last)

    def _expected(self, task: Task) -> Plain:
        try:
            return self._inputs.expected(task)
        except Exception as error:
            raise SpecError(f"the reference raised {one_line(error, named=True, whole=True)}") from error

    def _lower_of_few(self, expected: Plain, found: Plain) -> str | None:
        """Collect the results of few values over the calls, and tell a lower precision from all of them together."""
        for part, *values in judging.few_values(expected, found):
            collected = self._few[part]
            collected.append(values)
            if sum(len(one) for one, _ in collected) < COLLECTED:
                continue
            ours, theirs = (np.concatenate(both) for both in zip(*self._few.pop(part), strict=True))
            if (lower := judging.lower_precision(ours, theirs, self._asked["precision"])) is not None:
                return lower
        return None

    def _read(self, answer: tuple[bytes, bytearray]) -> Plain:
        try:
            return read(answer)
        except RefusalError:
            self.contestant.resume()
            self.contestant.check_silent(SECOND_ANSWER_MS)
            raise

    def _refusal(self, task: Task, expected: Plain, found: Plain, said: str, *, is_last: bool) -> RefusalError:
        """Find a wrong result's name: it may be lower, later, of an earlier call, or of no work at this size."""
        self.contestant.resume()
        self.contestant.check_silent(SECOND_ANSWER_MS)
        if (lower := judging.is_lower_dtype(expected, found)) is not None:
            return RefusalError("lower-precision", lower)
        if judging.wrong(expected, found, judging.ROUGHLY) is None:
            lower = judging.lower_precision(expected, found, self._asked["precision"])
            return RefusalError(*(("wrong-result", said) if lower is None else ("lower-precision", lower)))
        if judging.is_earlier(found, self._earlier, self._asked["rtol"]):
            return RefusalError("answers-from-memory", "it gave the result of an earlier call over other arguments")
        if is_last:
            time.sleep(LATER_SECONDS)
            if judging.wrong(expected, read(self.contestant.again()), self._asked["rtol"]) is None:
                seen = "its result was not there when it was handed back, and was a moment later"
                return RefusalError("work-after-the-clock", seen)
        if not task.announced and self._is_right_at_an_announced_size():
            return RefusalError("wrong-at-an-unannounced-size", f"at size {task.size}: {said}")
        return RefusalError("wrong-result", said)

    def _is_right_at_an_announced_size(self) -> bool:
        task = self._inputs.task(self._sizes[0])
        found = read(self.contestant.call(task.packed, CALL_SECONDS))
        return judging.wrong(self._inputs.expected(task), found, self._asked["rtol"]) is None

    def _look_at_files(self) -> None:
        left = left_bytes(self._folder / "candidate" / "home")
        if left > MOST_LEFT_BYTES:
            raise RefusalError("left-files", f"{left:,} bytes lie in its folder after its calls")
        if (printed := self.contestant.printed_bytes()) > MOST_PRINTED_BYTES:
            raise RefusalError("left-files", f"it has printed {printed:,} bytes")
