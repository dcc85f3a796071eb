"""Step 3, whether a candidate is right: over the user's inputs, and over many that hypothesis makes and shrinks.

Compared are the result's kind, shape, dtype and values, whether it shares memory with an argument or with the result of
the call before, and what is left in the arguments. Where the original raises, an input is outside its domain, and
nothing is compared.
"""

import contextlib
import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from vecml.errors import DataError, SettingError, one_line
from vecml.optimize.agreement import difference, largest
from vecml.optimize.compiling import (
    COMPILE_SECONDS,
    CannotCompileError,
    allow_recompiling,
    compile_by_calling,
    compile_for,
    is_compiled,
)
from vecml.optimize.observe import describe, shared
from vecml.optimize.profile import INSTALL
from vecml.optimize.target import Place, Say, further_inputs, load, make_inputs

Outcome = Literal["right", "wrong", "fails", "differs at warnings", "cannot compile"]
AtErrors = Literal["numpy", "raise"]
TASK = "vecml.optimize.validate:validate_task"
EXAMPLES = 400
SEARCH_SECONDS = 8.0
SOILS = b"\x5a\x4b"  # bytes that memory is filled with: as floating numbers of any size, no small ones
USERS = "over your own inputs"
OVER_CALL = "over "  # before the name of a recorded call
RAISES = "it raises "
REUSED = "aliasing: its result shares memory with its result of the call before, the original's does not"


@dataclass(frozen=True)
class Validation:
    """The result of a comparison of a candidate with the original.

    Attributes:
        fault: how the candidate differs, or what it raised; None where no difference was found. With `tried` 0, only
            the user's inputs were compared.
        smallest: the smallest input that shows the fault; `USERS` for the user's own, `over recorded call 2` for
            another call that was recorded; empty without a fault.
        tried: how many generated inputs were compared.
        outside: how many generated inputs made the original raise; they were not compared.
        seconds: the time of the second call over the user's inputs; None where it raised.
        outcome: `right`; `wrong`: its result or its effects are others; `fails`: it raises where the original does not;
            `differs at warnings`: it differs, or raises, only where the original itself warns (0/0, overflow);
            `cannot compile`: a compiler refuses it.
        compile_seconds: the time of compiling it for the user's inputs; None where nothing was compiled.
        at_warnings: how it differs where the original warns, with the warning and the smallest such input; empty: it
            does not.
    """

    fault: str | None
    smallest: str
    tried: int
    outside: int
    seconds: float | None
    outcome: Outcome = "right"
    compile_seconds: float | None = None
    at_warnings: str = ""

    @property
    def is_generated(self) -> bool:
        """Whether `smallest` is an input that was made here, and no call of the user's."""
        return bool(self.smallest) and not self.smallest.startswith(OVER_CALL)


class _DiffersError(Exception):
    """A candidate's difference, and the input that shows it."""

    def __init__(self, fault: str, smallest: str, outcome: Outcome = "wrong", warned: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.smallest = smallest
        self.outcome: Outcome = "differs at warnings" if warned else outcome
        self.warned = warned

    @property
    def at_warnings(self) -> str:
        """The difference with the original's warning and the input."""
        return f"{self.fault}; there the original warns of {self.warned} ({self.smallest})"


class Earlier:
    """The results of the call before, held on to: a candidate may not hand out the same memory in the next one."""

    def __init__(self) -> None:
        self.expected: Any = None
        self.found: Any = None

    def reused(self, expected: Any, found: Any) -> bool:
        """Whether `found` has memory in common with the candidate's result before, and the original's two have not."""
        again = _overlap(self.found, found) and not _overlap(self.expected, expected)
        self.expected, self.found = expected, found
        return again


class _TimeIsUp(BaseException):
    """The search has had its time; no error, so that hypothesis lets it pass."""


@dataclass(frozen=True)
class How:
    """How a candidate is held to the original.

    Attributes:
        rtol: the largest relative difference of floating values; never less than their own rounding.
        compiled: whether it has to be compiled for each dtype and layout; these then do not vary.
        at_errors: where the original warns of 0/0 or an overflow, `numpy`: a candidate gives what it gives, as
            everywhere; `raise`: such generated inputs are outside its domain, as where it raises.
        search_seconds: the most time for generated inputs.
    """

    rtol: float
    compiled: bool = False
    at_errors: AtErrors = "numpy"
    search_seconds: float = SEARCH_SECONDS


def validate(target: Place, candidate: Place, inputs: Place, how: How, limit_seconds: float) -> Validation:
    """Hold a candidate to the target, in a worker.

    Args:
        target, candidate, inputs: where they stand.
        how: what counts.
        limit_seconds: of each stage, the calls over the user's inputs being one.

    Raises SettingError without hypothesis, DataError for a candidate that cannot be imported, OutOfTimeError and
    WorkerDiedError for one that hangs or crashes.
    """
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    if find_spec("hypothesis") is None:
        raise SettingError("vecml optimize needs hypothesis, which is not installed", INSTALL)
    places = {"target": vars(target), "candidate": vars(candidate), "inputs": vars(inputs)}
    return Validation(**ask(TASK, {**places, **vars(how)}, limit_seconds))


def validate_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Do the work of `validate`; a worker process calls it.

    Raises DataError where the function gives what it finds in memory.
    """
    target, candidate = Place(**payload["target"]), Place(**payload["candidate"])
    inputs, rtol = Place(**payload["inputs"]), payload["rtol"]
    original, args = load(target), make_inputs(inputs)
    names = [argument.name for argument in describe(original, args, target)]
    found = load(candidate)
    allow_recompiling()
    compile_seconds = None
    if is_compiled(found) or payload["compiled"]:
        say(f"compiling {candidate.text}", COMPILE_SECONDS)
        try:
            compile_seconds = _compiled(found, args, candidate)
        except CannotCompileError as error:
            return vars(Validation(str(error), "", 0, 0, None, "cannot compile"))
    say(f"{candidate.text} {USERS}")
    seconds, over = None, USERS
    try:
        earlier = Earlier()
        if not check(original, found, args, names, rtol, earlier=earlier):
            raise DataError(
                f"{target.text} is not deterministic: over your inputs it gives what it finds in memory",
                "make the array with numpy.zeros in place of numpy.empty, or set all of its elements",
            )
        again = copy.deepcopy(args)
        start = time.perf_counter()
        result = found(*again)
        seconds = time.perf_counter() - start
        if compile_seconds is not None and not is_compiled(found):
            compile_seconds = max(0.0, compile_seconds - seconds)
        # The original is called again only where that decides it: it may be slow.
        if _overlap(earlier.found, result) and earlier.reused(original(*copy.deepcopy(args)), result):
            raise _DiffersError(REUSED, USERS)
        for name, other in further_inputs(inputs):
            over = f"{OVER_CALL}{name}"
            say(f"{candidate.text} {over}", COMPILE_SECONDS if is_compiled(found) or payload["compiled"] else None)
            check(original, found, other, [one.name for one in describe(original, other, target)], rtol)
    except _DiffersError as error:
        said = error.at_warnings if error.warned else ""
        return vars(Validation(error.fault, over, 0, 0, seconds, error.outcome, compile_seconds, said))
    # Each new shape may have to be compiled for, and a compilation begun is waited for.
    say(f"{candidate.text} over generated inputs", COMPILE_SECONDS if payload["compiled"] else None)
    warned: list[_DiffersError] = []
    layouts = not payload["compiled"] and not is_compiled(found)  # the user's own may be compiled too
    lasts = payload.get("search_seconds", SEARCH_SECONDS)
    fault, smallest, tried, outside = search(
        original, found, args, names, rtol, layouts=layouts, seconds=lasts, warned=warned
    )
    outcome: Outcome = "right" if fault is None else "fails" if fault.startswith(RAISES) else "wrong"
    least = min(warned, key=lambda one: len(one.smallest), default=None)
    said = "" if least is None else least.at_warnings
    if least is not None and fault is None and payload.get("at_errors", "numpy") == "numpy":
        fault, smallest, outcome = least.fault, least.smallest, least.outcome
    return vars(Validation(fault, smallest, tried, outside, seconds, outcome, compile_seconds, said))


def _compiled(function: Callable[..., Any], args: Sequence[Any], place: Place) -> float | None:
    """The seconds that compiling a function takes; None where its first call raises, which is a difference or none."""
    if is_compiled(function):
        return compile_for(function, args, place)
    try:
        return compile_by_calling(function, copy.deepcopy(args), place)
    except CannotCompileError:
        raise
    except Exception:  # noqa: BLE001 -- `check` says what it raises
        return None


def search(  # noqa: PLR0913 -- tests name what they need
    original: Callable[..., Any],
    candidate: Callable[..., Any],
    args: Sequence[Any],
    names: Sequence[str],
    rtol: float,
    *,
    layouts: bool = True,
    examples: int = EXAMPLES,
    seconds: float = SEARCH_SECONDS,
    warned: list[_DiffersError] | None = None,
) -> tuple[str | None, str, int, int]:
    """Look for an input at which the two functions differ; Hypothesis tries the same inputs each time.

    Args:
        original, candidate, args, names, rtol: as in `check`; the arguments are the user's.
        layouts: whether dtypes and memory layouts vary too.
        examples, seconds: the most inputs to try, and the most time to take.
        warned: gathers differences where the original warns, which then are none; None: they are as any other.

    Returns:
        The fault (None: no difference), the smallest input that shows it, and how many inputs were compared, and how
        many made the original raise.
    """
    import hypothesis  # noqa: PLC0415 -- an extra

    from vecml.optimize.inputs import Variant, cuts, variants  # noqa: PLC0415

    fault: str | None = None
    smallest, tried, outside = "", 0, 0
    begun = time.monotonic()
    earlier = Earlier()

    def compare(variant: Variant) -> None:
        nonlocal fault, smallest, tried, outside
        if time.monotonic() > begun + seconds:
            raise _TimeIsUp
        try:
            compared = check(original, candidate, variant.args, names, rtol, variant.remarks, earlier)
        except _DiffersError as error:
            if error.warned and warned is not None:
                warned.append(error)
                outside += 1
                return
            if fault is None or len(error.smallest) <= len(smallest):
                fault, smallest = error.fault, error.smallest
            raise
        tried, outside = tried + compared, outside + (not compared)

    # The user's own values, in other lengths; what differs there is looked for in small inputs, too.
    with contextlib.suppress(_DiffersError):
        for variant in cuts(args):
            if time.monotonic() < begun + seconds / 2:
                compare(variant)
    # What was found is kept: a difference that is not there in every call is one too.
    with contextlib.suppress(_DiffersError, _TimeIsUp, hypothesis.errors.Flaky):
        _settings(examples)(hypothesis.given(variants(args, names, layouts=layouts))(compare))()
    return fault, smallest, tried, outside


def _settings(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make Hypothesis try the same inputs each time, and say nothing."""
    import hypothesis  # noqa: PLC0415 -- an extra

    made: Callable[[Callable[..., None]], Callable[..., None]] = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    return made


def check(
    original: Callable[..., Any],
    candidate: Callable[..., Any],
    args: Sequence[Any],
    names: Sequence[str],
    rtol: float,
    remarks: Sequence[str] = (),
    earlier: Earlier | None = None,
) -> bool:
    """Compare two functions over these arguments.

    Args:
        original, candidate: the functions.
        args, names: the arguments, and the names of the parameters.
        rtol: the largest relative difference of floating values.
        remarks: on the arguments, for the message.
        earlier: the results of the call before; neither may share memory with this call's.

    Returns:
        False where the original raises, or gives what it finds in memory (`np.empty`): the input is outside its domain.

    Raises:
        _DiffersError: the candidate raises, gives another result, or has another effect on its arguments.
    """
    from vecml.optimize.inputs import fresh, shown  # noqa: PLC0415 -- hypothesis, an extra

    ours, theirs = fresh(args), fresh(args)
    try:
        with _warnings() as warned:
            expected = original(*ours)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 -- whatever it raises, the input is outside its domain
        return False

    def differs(fault: str, outcome: Outcome = "wrong") -> _DiffersError:
        said = f" ({'; '.join(remarks)})" if remarks else ""
        first = next((str(one.message) for one in warned if issubclass(one.category, RuntimeWarning)), "")
        return _DiffersError(fault, shown(args, names) + said, outcome, first)

    shares = [shared(expected, value) for value in ours]
    try:
        with _warnings():
            found = candidate(*theirs)
    except Exception as error:  # noqa: BLE001 -- whatever it raises is a difference
        raise differs(f"{RAISES}{one_line(error, named=True)}", "fails") from None
    if reason := difference(expected, found, rtol, largest(args)) or _effects(args, names, ours, theirs, rtol):
        if not _settled(original, args, (expected, *ours), rtol):
            return False
        raise differs(reason)
    for name, share, value in zip(names, shares, theirs, strict=True):
        if shared(found, value) != share:
            does, other = ("", "does not") if not share else ("does not ", "does")
            verb = "shares" if not share else "share"
            raise differs(f"its result {does}{verb} memory with {name}, the original's {other}")
    if earlier is not None and earlier.reused(expected, found):
        raise differs(REUSED)
    return True


def _effects(
    args: Sequence[Any], names: Sequence[str], ours: Sequence[Any], theirs: Sequence[Any], rtol: float
) -> str | None:
    """Say how what a candidate leaves in its arguments (`theirs`) differs from what the original leaves (`ours`)."""
    for name, before, old, new in zip(names, args, ours, theirs, strict=True):
        if reason := difference(old, new, rtol):
            if not difference(before, old, 0.0):
                return f"it changes its input {name}, which the original leaves as it is"
            return f"what it leaves in {name}: {reason.replace('its result', 'it')}"
    return None


def _settled(original: Callable[..., Any], args: Sequence[Any], gave: Sequence[Any], rtol: float) -> bool:
    """Whether the original gives again what it gave, its result and arguments, when memory holds something else."""
    from vecml.optimize.inputs import fresh  # noqa: PLC0415 -- hypothesis, an extra

    sizes = {part.nbytes for value in gave for part in _parts(value) if isinstance(part, np.ndarray)}
    for soil in SOILS:  # what it gave may hold one of them, from an earlier call
        given = fresh(args)
        for size in sizes:  # what is freed is what the next array of that size gets
            held = [np.full(size, soil, np.uint8) for _ in range(4)]
            del held
        try:
            with _warnings():
                again = original(*given)
        except Exception:  # noqa: BLE001 -- it raised nothing before
            return False
        if any(difference(old, new, rtol) for old, new in zip(gave, (again, *given), strict=True)):
            return False
    return True


@contextlib.contextmanager
def _warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Record the warnings meanwhile, one from each line; they are not shown."""
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("default")
        yield recorded


def _overlap(one: Any, other: Any) -> bool:
    """Whether an array's memory, a list or a dict is in both results, as a whole or as part of them."""
    parts = _parts(one), _parts(other)
    ours, theirs = ([part for part in side if isinstance(part, np.ndarray)] for side in parts)
    # What is no array is a list or a dict. The first result is still there, so no id stands for two of them.
    lists = [{id(part) for part in side if not isinstance(part, np.ndarray)} for side in parts]
    return not lists[0].isdisjoint(lists[1]) or any(shared(first, second) for first in ours for second in theirs)


def _parts(value: Any) -> list[Any]:
    """List the arrays, lists and dicts in a value, with the value itself if it is one."""
    if isinstance(value, list | tuple | dict):
        inside = value.values() if isinstance(value, dict) else value
        many = [part for one in inside if isinstance(one, np.ndarray | list | tuple | dict) for part in _parts(one)]
        return many if isinstance(value, tuple) else [value, *many]
    return [value] if isinstance(value, np.ndarray) else []
