"""Tests that hold one function against another: `@pytest.mark.faster_than(other)` and the fixture `versus`.

A test that asks runs in its turn like any other. Its report waits until all tests have run; then everything that was
asked for is measured in one sitting, by the process that no test runs in any more: under xdist that is the controller.
Nothing of the measuring is imported before that, and nothing at all is done where no test asks.
"""

import argparse
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol  # as pytest-rerunfailures does: a test's reports without telling them

if TYPE_CHECKING:
    from vecml.comparison.versus import Outcome, Pair

MARK = (
    "faster_than(other, at_least=1.2): the test is so many times as fast as `other`, measured when all tests have run"
)
WAITING = "vecml_waiting"  # an attribute of a report, which xdist hands on
STOPPED = "not measured: the session was stopped before"

Waiting = tuple[pytest.TestReport, dict[str, Any]]
pairs_key = pytest.StashKey[list[dict[str, Any]]]()


class Hooks:
    """Specifies what the plug-in asks other plug-ins."""

    @pytest.hookspec(firstresult=True)
    def pytest_vecml_measure(self, config: pytest.Config, pairs: "Sequence[Pair]") -> "Sequence[Outcome] | None":
        """Say what became of each pair, in place of measuring it on this machine; None: it is measured."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hook known."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("vecml", "functions held against each other (vecml)")
    group.addoption("--versus-strict", action="store_true", help="A test whose comparison is not decided fails.")
    group.addoption(
        "--versus-budget", type=_seconds, default=30.0, metavar="SECONDS", help="Time for each pair. [default: 30]"
    )
    group.addoption("--versus-json", type=Path, metavar="FILE", help="Write everything, raw blocks included, as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and wait for tests that ask."""
    config.addinivalue_line("markers", MARK)
    config.pluginmanager.register(Sitting(config), "vecml-versus")


@pytest.fixture
def versus(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Ask that one function be faster than another: `versus(fast, slow, at_least=1.2, inputs=make_inputs)`.

    All three are functions at the top level of a module: they are called in processes of their own. `inputs` makes the
    arguments, a tuple by position, a dict by name; without it, the functions take none. Both must give the same result.
    """
    config, node = request.config, request.node

    def ask(
        fast: Callable[..., Any],
        slow: Callable[..., Any],
        *,
        at_least: float = 1.0,
        inputs: Callable[[], Any] | None = None,
    ) -> None:
        _ask(config, node, fast, slow, at_least=at_least, inputs=inputs)

    return ask


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Refuse `faster_than(other)` without `at_least`: pytest takes a function alone for the one that is marked."""
    marks = vars(obj).get("pytestmark", ()) if inspect.isfunction(obj) else ()
    if any(mark.name == "faster_than" and not mark.args and not mark.kwargs for mark in marks):
        raise collector.CollectError(
            f"faster_than({name}) without at_least marks {name} itself: write faster_than({name}, at_least=1)"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Ask for what a test's marks say, once its own statements hold."""
    result = yield
    for mark in item.iter_markers("faster_than"):
        _ask_for_mark(item, mark)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that may ask, and keep its report back if it did."""
    if item.get_closest_marker("faster_than") is None and "versus" not in getattr(item, "fixturenames", ()):
        return None
    item.stash[pairs_key] = []
    hook, config = item.ihook, item.config
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    pairs = item.stash[pairs_key]
    expected = _expected_failure(item, reports) if pairs else None
    if pairs and len(reports) == 3 and all(report.passed for report in reports):
        first, *rest = reports
        kept = [config.hook.pytest_report_to_serializable(config=config, report=report) for report in rest]
        setattr(first, WAITING, {"pairs": pairs, "reports": kept, "expected": expected})
        reports = [first]
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


class Sitting:
    """Keeps the reports that wait, measures when all tests have run, and tells."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._waiting: list[Waiting] = []
        self._lines: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a report that waits; a worker of xdist leaves that to the controller."""
        waiting = getattr(report, WAITING, None)
        if waiting is not None and not hasattr(self._config, "workerinput"):
            self._waiting.append((report, waiting))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        """Measure after the last test; where the session is stopped, say so of the tests that wait."""
        try:
            result = yield
        except BaseException:
            self._tell([[] for _ in self._waiting])
            raise
        if self._waiting:
            from vecml.comparison.versus import Pair  # noqa: PLC0415 -- numpy, which no other session needs

            asked = [[Pair(**pair) for pair in waiting["pairs"]] for _, waiting in self._waiting]
            pairs = [pair for own in asked for pair in own]
            outcomes = iter(self._measured(pairs))
            self._tell([[(pair, next(outcomes)) for pair in own] for own in asked])
        return result

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what was measured, and what was warned of meanwhile."""
        if self._lines:
            terminalreporter.section("functions held against each other")
            for line in self._lines:
                terminalreporter.write_line(line)

    def _measured(self, pairs: "Sequence[Pair]") -> "Sequence[Outcome]":
        given = self._config.hook.pytest_vecml_measure(config=self._config, pairs=pairs)
        if given is not None:
            return given  # type: ignore[no-any-return]
        from vecml.comparison.document import to_json  # noqa: PLC0415 -- as above
        from vecml.comparison.versus import measure_pairs  # noqa: PLC0415 -- as above

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            outcomes, comparison = measure_pairs(pairs, self._config.getoption("versus_budget"))
        self._lines += dict.fromkeys(str(one.message) for one in told)
        file = self._config.getoption("versus_json")
        if file is not None and comparison is not None:
            from vecml.atomic import write_bytes  # noqa: PLC0415 -- as above

            write_bytes(file, to_json(comparison).encode())
        return outcomes

    def _tell(self, found: "list[list[tuple[Pair, Outcome]]]") -> None:
        """Hand out the reports that waited, each with what was measured; of an empty list nothing was."""
        hook, strict = self._config.hook, self._config.getoption("versus_strict")
        told, self._waiting = self._waiting, []
        for (first, waiting), own in zip(told, found, strict=True):
            call, teardown = (
                hook.pytest_report_from_serializable(config=self._config, data=data) for data in waiting["reports"]
            )
            outcomes = [outcome for _, outcome in own]
            undecided = "; ".join(one.reason for one in outcomes if one.passed is None) or ("" if own else STOPPED)
            missed = [one.reason for one in outcomes if one.passed is False]
            if missed or (undecided and strict):
                call.outcome, call.longrepr = "failed", "\n".join(missed or [undecided])
            elif undecided:
                file, line, _ = first.location
                call.outcome, call.longrepr = "skipped", (file, (line or 0) + 1, f"Skipped: {undecided}")
            if (expected := waiting["expected"]) is not None and not undecided:
                _apply_expected(call, **expected)
            for number, (pair, outcome) in enumerate(own, 1):
                teardown.user_properties += _properties(number, pair, outcome)
                self._lines.append(f"{pair.title}: {outcome.reason}")
            for report in (call, teardown):
                if hasattr(first, "node"):  # of xdist, by which JUnit's file tells the tests apart
                    report.node = first.node
                hook.pytest_runtest_logreport(report=report)


def _expected_failure(item: pytest.Item, reports: list[pytest.TestReport]) -> dict[str, Any] | None:
    """Take back what pytest made of a test marked `xfail`, which has neither failed nor passed until it is measured.

    Returns the mark's reason and strictness for `_apply_expected`; None for a test without the mark, one that failed by
    itself, and one that is expected to raise another error than a demand that is missed.
    """
    from _pytest.skipping import xfailed_key  # noqa: PLC0415 -- where the mark's meaning for this test is kept

    found = item.stash.get(xfailed_key, None)
    if found is None or item.config.option.runxfail or len(reports) != 3:
        return None
    call = reports[1]
    if call.outcome == "skipped" or (call.failed and not (found.strict and isinstance(call.longrepr, str))):
        return None
    call.outcome, call.longrepr = "passed", None
    if hasattr(call, "wasxfail"):
        del call.wasxfail
    raises = found.raises
    counts = raises is None or (isinstance(raises, type | tuple) and issubclass(pytest.fail.Exception, raises))
    return {"reason": found.reason, "strict": found.strict, "counts": counts}


def _apply_expected(call: pytest.TestReport, *, reason: str, strict: bool, counts: bool) -> None:
    """Make of a measured test what pytest makes of one that is expected to fail."""
    if call.passed and strict:
        call.outcome, call.longrepr = "failed", f"[XPASS(strict)] {reason}"
    elif call.passed:
        call.wasxfail = reason
    elif counts:
        call.outcome, call.wasxfail = "skipped", reason


def _properties(number: int, pair: "Pair", outcome: "Outcome") -> list[tuple[str, object]]:
    """Name what JUnit's file says of a test's first pair, or of a later one by its number."""
    start = "vecml." if number == 1 else f"vecml.{number}."
    decided = {True: "met", False: "missed", None: "undecided"}[outcome.passed]
    found: dict[str, object] = {"wanted": pair.wanted, "outcome": decided, "reason": outcome.reason}
    if outcome.verdict is not None:
        names = ("verdict", "ratio", "ratio_low", "ratio_high")
        found |= {name: value for name in names if (value := getattr(outcome.verdict, name)) is not None}
    return [(f"{start}{name}", value) for name, value in found.items()]


def _ask_for_mark(item: pytest.Item, mark: pytest.Mark) -> None:
    function, why, given = getattr(item, "function", None), "", {}
    try:
        given = inspect.signature(_mark_arguments).bind(*mark.args, **mark.kwargs).arguments
    except TypeError as error:
        why = str(error)
    if why:
        pytest.fail(f"faster_than: {why}; it is used as {MARK.partition(':')[0]}", pytrace=False)
    takes = list(inspect.signature(function).parameters) if function is not None else []
    if function is None or takes:
        why = f"takes {', '.join(takes)}" if takes else "is no function"
        pytest.fail(
            f"faster_than: {item.name} {why}, and is called without arguments; use the fixture versus", pytrace=False
        )
    _ask(item.config, item, function, given.pop("other"), same_results=False, **given)


def _mark_arguments(other: Callable[..., Any], at_least: float) -> None: ...


def _ask(config: pytest.Config, node: pytest.Item, fast: Any, slow: Any, **how: Any) -> None:
    """Keep a pair for the sitting; the test fails at once for what could not be measured there."""
    from vecml.comparison.versus import make_pair  # noqa: PLC0415 -- numpy, which no other session needs
    from vecml.errors import SettingError  # noqa: PLC0415 -- as above

    kept = node.stash[pairs_key]
    title = node.nodeid if not kept else f"{node.nodeid} #{len(kept) + 1}"
    why = ""
    try:
        pair = make_pair(title, fast, slow, root=config.rootpath, **how)
    except SettingError as error:
        why = f"{error}; {error.hint}" if error.hint else str(error)
    if why:  # outside of the handler, so that the error is told once
        pytest.fail(why, pytrace=False)
    kept.append({**dataclasses.asdict(pair), "path": list(pair.path)})


def _seconds(text: str) -> float:
    """Read a time for each pair; argparse tells what is wrong with it before any test runs."""
    from vecml.comparison.budget import seconds_of  # noqa: PLC0415 -- numpy, which no other session needs
    from vecml.comparison.versus import LEAST_SECONDS  # noqa: PLC0415 -- as above
    from vecml.errors import SettingError  # noqa: PLC0415 -- as above

    try:
        found = seconds_of(text)
    except SettingError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is not a time, such as 30s")
    if found < LEAST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text}: too short for a verdict; {LEAST_SECONDS:g}s would do")
    return found
