"""The five steps of `vecml optimize` as text of 80 columns, for the terminal and for a run's description."""

import math
import textwrap
from collections.abc import Sequence

from vecml.comparison.comparison import families
from vecml.measure.claim import claim_of
from vecml.numbers import count, megabytes, percent, seconds, size, times
from vecml.optimize.measure import Gain
from vecml.optimize.raising import UNCHECKED
from vecml.optimize.steps import Optimization, Tried
from vecml.optimize.validate import Validation

WIDTH = 80
ALIKE = 2.0  # single calls that differ by less say nothing: the plainest is named
FORMS = {
    "map": "a map: every turn for itself",
    "reduce": "a reduction",
    "masked update": "a masked update",
    "outer": "outer, all pairs of turns",
}
LONGEST = 160  # of a line of the user's own


def sentence(found: Optimization) -> str:
    """Say what to do: take the winner, leave the function as it is and why, or measure again and how."""
    name, best = found.place.name, found.best
    if best is not None and best.gain is not None and best.gain.ratio is not None:
        gain = f"it is {times(best.gain.ratio)} times faster than {name}{_interval(best.gain)}"
        does = "it is yours" if best.candidate.kind == "own" else "--apply writes it, --patch FILE shows it"
        return f"Take {best.candidate.name}: {gain}, and right over all that was tried; {does}."
    right = [one for one in found.tried if one.fault is None]
    if not right:
        return f"Leave {name} as it is: {_in_the_way(found)}."
    said = None if found.comparison is None else claim_of(families(found.comparison)[0])
    figures = _figures(found, right)
    if found.request.budget == "quick":
        return f"Measure again with --budget 60s: {figures}; one launch gives figures, and no verdict."
    if said is not None and said.kind in ("nothing", "busy"):
        advice = f"; {said.advice}" if said.advice else ""
        return f"Measure again, there is no answer: {said.reason}{advice}. {figures[:1].upper()}{figures[1:]}."
    return f"Leave {name} as it is: no candidate is shown to be faster; {figures}."


def _in_the_way(found: Optimization) -> str:
    """Why there is nothing to take, with the first thing that would have to change."""
    wrong = [one.candidate.name for one in found.tried if one.outcome == "wrong"]
    if wrong:
        return f"{', '.join(wrong)} {'gives' if len(wrong) == 1 else 'give'} other results, and nothing else is right"
    loop = next((f"line {loop.line}: {loop.reason}" for loop in found.loops if loop.reason), "")
    refused = next((f"{one.candidate.name} {one.outcome}: {one.fault}" for one in found.tried), "")
    why = "; ".join(one for one in (loop, refused) if one) or "no loop of it can be written in NumPy"
    return f"nothing can take its place ({why})"


def _figures(found: Optimization, right: Sequence[Tried]) -> str:
    """The quickest right candidate beside the function, as far as both have a figure."""
    seconds_of = {one.candidate.name: _seconds_of(one) for one in right}
    known = {name: taken for name, taken in seconds_of.items() if taken is not None}
    if not known:
        return f"{count(len(right), 'candidate')} of {found.place.name} {'is' if len(right) == 1 else 'are'} right"
    quickest = min(known, key=lambda name: known[name])
    if quickest.startswith("numba ") and known.get("numba", math.inf) < ALIKE * known[quickest]:
        quickest = "numba"
    base = found.observation.seconds if found.base is None or found.base.seconds is None else found.base.seconds
    return f"{quickest} is right and took {seconds(known[quickest])} where {found.place.name} took {seconds(base)}"


def _seconds_of(one: Tried) -> float | None:
    if one.gain is not None and one.gain.seconds is not None:
        return one.gain.seconds
    return None if one.validation is None else one.validation.seconds


def as_text(found: Optimization) -> str:
    """The answer and all five steps."""
    parts = [
        *textwrap.wrap(sentence(found), WIDTH, break_long_words=False),
        *_recorded(found),
        *_bottleneck(found),
        *_replaced(found),
        *_valid(found),
        *_dtype(found),
        *_measured(found),
    ]
    return "\n".join(parts) + "\n"


def note(found: Optimization) -> str:
    """The run's description in MLflow, as Markdown: the same text, as code."""
    text = as_text(found).replace("```", "'''")
    return f"```\n{text}```\n"


def _recorded(found: Optimization) -> list[str]:
    """Where the inputs were recorded, and which calls they are."""
    if found.recording is None:
        return []
    first, *others = found.recording.kept
    chosen = f"{first.text} of {found.recording.calls:,}: {seconds(first.seconds)}, {size(first.bytes)}"
    said = f"Inputs: {chosen}, the longest of {found.recording.looked_at:,}, from {found.recording.source}."
    lines = ["", *_wrapped(said, "")]
    if others:
        numbers = ", ".join(one.text.removeprefix("recorded call ") for one in others)
        lines += _wrapped(f"Candidates are also held to {'calls' if others[1:] else 'call'} {numbers}.")
    return [*lines, *(line for one in found.recording.remarks for line in _wrapped(f"Note: {one}."))]


def _bottleneck(found: Optimization) -> list[str]:
    seen, profile = found.observation, found.profile
    lines = ["", f"1. The bottleneck: {found.place.text}, {seconds(seen.seconds)} a call, gives {_a(seen.result)}"]
    for line in profile.lines:
        lines.append(_cut(f"   line {line.number:>4}  {percent(line.share):>7}  {line.hits:>11,}x  {line.text}"))
    if not profile.loops:
        return [*lines, *_wrapped("It has no loop: the functions that it calls take the time."), *_remarks(found)]
    for loop in profile.loops:
        lines.append(_cut(f"   loop at lines {loop.first}-{loop.last}: {percent(loop.share)} of the time: {loop.text}"))
    bound = profile.bound
    most = "all of it" if math.isinf(bound) else f"at most {times(bound)} times"
    said = f"Vectorising the loops can save {percent(profile.loop_share, 2)} of the time: {most} (Amdahl)."
    return [*lines, *_wrapped(said), *_remarks(found)]


def _remarks(found: Optimization) -> list[str]:
    return [line for remark in found.observation.remarks for line in _wrapped(f"Note: {remark}.")]


def _replaced(found: Optimization) -> list[str]:
    lines = ["", "2. In its place"]
    for loop in found.loops:
        said = FORMS[loop.form] if loop.form else f"not rewritten: {loop.reason}"
        lines += _wrapped(f"line {loop.line}: {said}")
    for name, reason in found.left_out.items():
        lines += _wrapped(f"{name}: not tried: {reason}")
    shown = [one for one in found.tried if one.candidate.kind == "rewrite" and one.fault is None]
    for one in shown:
        lines += ["", *one.candidate.diff.rstrip("\n").split("\n")]
    if not found.tried:
        lines += _wrapped("Nothing could be tried.")
    return lines


def _valid(found: Optimization) -> list[str]:
    lines = ["", f"3. Whether that is right (rtol {found.request.rtol:g})"]
    for one in found.tried:
        lines += _verdict(one)
    return [*lines, *_raised(found)]


def _raised(found: Optimization) -> list[str]:
    """What the candidates do where the original raises."""
    lines: list[str] = []
    changes: dict[tuple[str, str], list[str]] = {}
    for one in found.raised:
        answers = "; ".join(f"{name} {said}" for name, said in one.answers.items())
        changes.setdefault((one.error.partition(":")[0], answers), []).append(one.change)
    for (error, answers), inputs in changes.items():
        lines += _wrapped(f"where {' or '.join(inputs)}, {found.place.name} raises {error}: {answers}")
    if unchecked := dict.fromkeys(name for one in found.raised for name in one.unchecked):
        lines += _wrapped(f"{', '.join(unchecked)}: {UNCHECKED}")
    return lines


def _verdict(one: Tried) -> list[str]:
    name, checked = one.candidate.name, one.validation
    how = _wrapped(f"{name}: {one.candidate.how}") if one.candidate.how and one.fault is None else []
    said = checked.at_warnings if checked is not None and one.fault is None else ""
    notes = _wrapped(f"{name}: where the original warns, it differs: {said}") if said else []
    return [*how, *_judged(one, name, checked), *notes]


def _judged(one: Tried, name: str, checked: Validation | None) -> list[str]:
    if one.fault is None and checked is not None:
        if not checked.tried:
            why = f": the original raises at all {checked.outside:,}" if checked.outside else ""
            return _wrapped(f"{name}: right over your inputs; none of the generated inputs could be tried{why}")
        outside = f"; at {checked.outside:,} more the original raises" if checked.outside else ""
        compiled = f"; compiling takes {seconds(checked.compile_seconds)}" if checked.compile_seconds else ""
        tried = count(checked.tried, "generated input")
        return _wrapped(f"{name}: right over your inputs and {tried}{outside}{compiled}")
    if one.outcome == "differs at warnings" and checked is not None:
        said = f"{name}: differs only where the original warns: {checked.at_warnings}"
        return _wrapped(f"{said}; --at-errors raise lets that pass" if checked.is_generated else said)
    lines = _wrapped(f"{name}: {'WRONG' if one.outcome == 'wrong' else one.outcome}: {one.fault}")
    if checked is not None and checked.smallest:
        where = f"smallest input: {checked.smallest}" if checked.is_generated else checked.smallest
        lines += _wrapped(where, "     ")
    return lines


def _dtype(found: Optimization) -> list[str]:
    lines = ["", f"4. The dtype, of {found.dtypes_of}"]
    if not found.dtypes:
        return [*lines, "   no floating array is an argument of its own"]
    lines.append(f"   {'dtype':<10} {'error':>9} {'within rtol':>12} {'bytes in':>14} {'saved':>14} {'a call':>10}")
    for one in found.dtypes:
        error = "-" if one.error is None else f"{one.error:.1e}"
        taken = seconds(one.seconds)
        nothing = one.error is None and not one.reason
        within = "-" if nothing else "yes" if one.within else "no"
        lines.append(f"   {one.dtype:<10} {error:>9} {within:>12} {one.bytes:>14,} {one.saved:>14,} {taken:>10}")
        if one.reason:
            lines += _wrapped(f"{one.dtype}: it raises {one.reason}")
    return lines


def _measured(found: Optimization) -> list[str]:
    lines = ["", "5. Before and after"]
    if found.comparison is None or found.base is None:
        return [*lines, "   nothing to measure: no candidate is right"]
    lines.append(f"   {'':<24} {'a call':>9} {'gain':>8} {'verdict':>10} {'pays from':>10} {'memory':>9}")
    rows = [(found.place.name, found.base)]
    rows += [(one.candidate.name, one.gain) for one in found.tried if one.gain is not None]
    for name, gain in rows:
        taken = seconds(gain.seconds)
        ratio = "-" if gain.ratio is None else f"{times(gain.ratio)}x"
        pays = "-" if gain.break_even_calls is None else f"{gain.break_even_calls:,}"
        memory = megabytes(gain.peak_bytes)
        word = "baseline" if name == found.place.name else gain.verdict or "none"
        lines.append(f"   {name[:24]:<24} {taken:>9} {ratio:>8} {word:>10} {pays:>10} {memory:>9}")
    for one in found.tried:
        if one.fault is None and one.gain is None and one.validation is not None:
            said = f"{one.candidate.name}: {seconds(one.validation.seconds)} in one call"
            lines += _wrapped(f"{said}, not measured: others are quicker")
    for name, gain in rows[1:]:
        lines += _wrapped(f"{name}: {gain.reason}")
    lines += _wrapped(
        "pays from: calls that save the time of importing and compiling it; memory: the peak of its worker"
    )
    return lines


def _a(thing: str) -> str:
    return f"{'an' if thing[:1] in 'aeiou' and not thing.startswith('uint') else 'a'} {thing}"


def _interval(gain: Gain) -> str:
    if gain.low is None or gain.high is None:
        return ""
    return f" ({times(gain.low)} to {times(gain.high)})"


def _wrapped(text: str, indent: str = "   ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
