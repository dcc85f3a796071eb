"""A comparison in one sentence, one table and a line of reasons for each setting: the same everywhere it is shown.

Figures and verdicts of many settings take seconds to compute, so a caller that needs several of these functions
computes the `Content` once and passes it to each.
"""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from vecml.comparison.comparison import ArmFigures, Comparison, limits_under_load, median_call_seconds, recommended
from vecml.foreign_text import clean
from vecml.measure.claim import BUSY, Claim, claim_of
from vecml.measure.verdict import Family, Verdict
from vecml.numbers import count, megabytes, percent, rate, seconds, times
from vecml.report import calls
from vecml.report.content import Content, content_of
from vecml.report.summary import markdown

DECIDED = ("faster", "slower", "equivalent")  # what a verdict with a condition may show, the strongest first
NOT_RECORDED = (
    "A comparison records how many labels differ from those of the float64 reference (flips), how many of the flips are"
    " not near ties within the rounding of the precision, and the largest error among the logits of up to 4,096 rows,"
    " as a share of what the precision allows. Which rows flipped, and the margin of each, is not recorded; the file"
    " labels.npz of a pipeline run has both."
)
OF_FUNCTIONS = (
    "Functions have no labels. Their results must equal those of the baseline (floating-point results to within 1e-5)"
    " for the first input and for a changed one. How large each error was is not recorded."
)
OF_COMMANDS = (
    "The exit code of every timed start was looked at. With --same-output what the timed starts printed, and with"
    " --same-file what they wrote, was the same as the baseline's, byte for byte."
)

NOT_EXCLUDED = (
    "no verdict here excludes a bias of code layout and of this one host: where a library's code lies is the same in"
    " every launch, so that another build or another machine may give another ratio"
)

SLOW_FIRST_CALL, SLOW_FIRST_CALL_SECONDS = 10.0, 0.1  # times as long as a later one, and that long: then it is told


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the setting."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sentence(comparison: Comparison, content: Content | None = None) -> str:
    """The answer in words: one sentence for each family of settings (one for each size of request)."""
    content = content or content_of(comparison)
    return " ".join(_answer(comparison, family) for family in content.families)


def table(comparison: Comparison, content: Content | None = None) -> Table:
    """The table of all settings, a row each; an unknown figure is `-`."""
    found = tuple((content or content_of(comparison)).arms.values())
    if comparison.noun != "setting":
        rows = (calls.row(arm, comparison, _ratio_cells(arm), _verdict_cell(arm)) for arm in found)
        return Table(calls.headings(comparison), tuple(rows))
    if any(arm.percentile_seconds for arm in found):
        return _latency_table(found)
    headings = ("setting", "rows/s", "ratio", "interval", "verdict", "load", "memory", "flips", "limit", "pays from")
    return Table(headings, tuple(_row(arm) for arm in found))


def answers(content: Content) -> Table | None:
    """The table of flips and errors, a row for each setting; None for functions, or if no worker gave answers."""
    rows = [_answers_row(arm) for arm in content.arms.values() if arm.setting is not None and arm.facts]
    if not rows:
        return None
    headings = ("setting", "labels", "flips", "no near ties", "largest logit error", "right", "computed in")
    return Table(headings, tuple(rows))


def error_share(arm: ArmFigures) -> float | None:
    """The largest logit error of the last launch as a share of what the precision allows; above 1 it is a fault."""
    value = arm.facts.get("logit_error")
    return float(value) if isinstance(value, int | float) else None


def _answers_row(arm: ArmFigures) -> tuple[str, ...]:
    wrong, error = arm.facts.get("wrong"), error_share(arm)
    allowed = (
        "-" if error is None else f"{percent(error)} of the allowed" if error < 10 else f"{error:.3g} times the allowed"
    )
    return (
        arm.name,
        f"{arm.rows_scored:,}" if arm.rows_scored else "-",
        f"{arm.flips:,}" if arm.rows_scored else "-",
        f"{wrong:,}" if isinstance(wrong, int) else "-",
        allowed,
        percent(arm.accuracy),
        arm.precision_used or "-",
    )


def reasons(comparison: Comparison, content: Content | None = None) -> list[str]:
    """The reason of each verdict, a line each; then the settings that did not run, and remarks on the measurement."""
    content = content or content_of(comparison)
    lines = []
    for family in content.families:
        for verdict in family.verdicts:
            lines.append(f"{verdict.arm}: {verdict.verdict or 'no verdict'}: {verdict.reason}")
    for family in content.families:
        lines += [
            f"{null.arm}: {null.verdict}: {null.reason}" for null in family.null_verdicts if null.verdict == "invalid"
        ]
    lines += [
        f"{arm.name}: invalid: {arm.failure}" for arm in content.arms.values() if arm.verdict is None and arm.failure
    ]
    lines += [
        f"{arm.name}: rare slow calls: its mean call takes {percent(arm.slow_call_excess)} more than its median one"
        for arm in content.arms.values()
        if arm.slow_call_excess > 0 and arm.failure is None
    ]
    lines += [
        f"{arm.name}: a call labels {arm.rows_scored:,} of the {comparison.subject.n_rows:,} rows; its times are scaled"
        for arm in content.arms.values()
        if arm.setting is not None
        and arm.setting.request_rows is None
        and 0 < (arm.rows_scored or 0) < comparison.subject.n_rows
    ]
    if comparison.noun == "command":
        lines += calls.remarks(comparison, content.arms)
    else:
        lines += [line for arm in content.arms.values() if (line := _slow_first_call(arm, comparison))]
    if comparison.noun == "function":
        lines += calls.by_size(content.families, content.arms)
    lines += [line for family in content.families for line in _picked(family, content)]
    lines += [f"{name}: left out: {reason}" for name, reason in comparison.skipped.items()]
    if (load := limits_under_load(comparison.measured)) is not None:
        lines.append(f"limit: not told where it was measured while {load}: it is too low then")
    parts = (comparison.measured, comparison.finals, comparison.alone)
    if (waited := sum(part.waited_seconds for part in parts if part is not None)) > 0:
        lines.append(f"waited {seconds(waited)} in all for other programs to leave the CPUs, by counters alone")
    if any(one.verdict not in (None, "invalid") for family in content.families for one in family.verdicts):
        lines.append(NOT_EXCLUDED)
    return [*lines, how(comparison)]


def _picked(family: Family, content: Content) -> list[str]:
    """Tell which figures are of fresh launches; or that the best setting was picked by the figures that praise it."""
    claim, finals, lines = claim_of(family), content.comparison.finals, []
    if (
        len(family.verdicts) > 1
        and claim.kind in ("fastest", "several")
        and claim.best not in (family.baseline, *(one.arm for one in family.first))
    ):
        why = "nothing was measured afresh"
        if finals is not None:
            had = any(arm.name == claim.best for arm in finals.arms)
            why = "its fresh launches do not count" if had else "it was not measured afresh"
        lines.append(f"{claim.best}: picked by the same figures, so that its ratio may be a little too high: {why}")
    if finals is None:
        return lines
    for one in family.first:
        arm = content.arms[one.arm]
        lines.append(
            f"{one.arm}: measured afresh in {count(finals.launches, 'launch')}, at"
            f" {rate(arm.fresh_rows_per_s, content.unit)}: its"
            f" verdict and ratio are of these alone; the figures that picked it gave {times(_of(one.ratio))}"
        )
        if arm.alone_ratio is not None:
            lines.append(
                f"{one.arm}: alone it reaches {times(arm.alone_ratio)} times that: no neighbour takes the caches or"
                " changes the clock between its blocks"
            )
    return lines


def _slow_first_call(arm: ArmFigures, comparison: Comparison) -> str:
    """Tell of a first call that takes far longer than the others, which is in no rate; else empty."""
    measured = next(one for one in comparison.measured.arms if one.name == arm.name)
    first = [launch.facts.get("first_call_seconds") for launch in measured.launches]
    taken = [float(value) for value in first if isinstance(value, int | float)]
    usual = median_call_seconds(measured)
    if not taken or usual is None or arm.failure is not None:
        return ""
    middle = statistics.median(taken)
    if middle < SLOW_FIRST_CALL_SECONDS or middle < SLOW_FIRST_CALL * usual:
        return ""
    return f"{arm.name}: its first call takes {seconds(middle)}, a later one {seconds(usual)}; it is in no rate"


def how(comparison: Comparison) -> str:
    """One sentence on how many launches and blocks were measured, how long it took, and the A/A gate."""
    measured, rules = comparison.measured, comparison.rules
    replaced = len(measured.replaced)
    blocks = sum(len(arm.blocks) for arm in measured.arms)
    finals = comparison.finals
    afresh = "" if finals is None else f", then the best for {seconds(finals.seconds)}"
    gate = f"A/A gate {percent(rules.gate)}" + (
        "" if rules.gate_source == "qualified" else " (default; vecml qualify measures it)"
    )
    return (
        f"measured in {count(measured.launches, 'launch')}, {count(blocks, 'block')},"
        f" {seconds(measured.seconds)}{afresh}; {count(replaced, 'slow launch')} replaced; {gate}"
    )


def expectation(resolves: float | None, budget: str, source: str) -> str:
    """The line before the measurement: how small a difference the budget should be able to find."""
    if resolves is None:
        return "quick: one launch gives figures and no verdict"
    noise = (
        "as qualified" if source == "qualified" else "by a default noise figure: vecml qualify measures this machine's"
    )
    return f"budget {budget}: differences of {percent(resolves)} and more should be found nine times in ten ({noise})"


def as_text(comparison: Comparison) -> str:
    """Sentence, table and reasons as plain text."""
    content = content_of(comparison)
    cells = table(comparison, content)
    lines = [cells.headings, *cells.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(cells.headings))]
    drawn = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([sentence(comparison, content), "", *drawn, "", *reasons(comparison, content)])


def as_html(comparison: Comparison) -> str:
    """Sentence, table and reasons for a Jupyter cell; names are escaped."""
    content = content_of(comparison)
    cells = table(comparison, content)
    head = "".join(f"<th style='text-align:left'>{escape(clean(cell))}</th>" for cell in cells.headings)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(clean(cell))}</td>" for cell in row) + "</tr>"
        for row in cells.rows
    )
    notes = "".join(f"<li>{escape(clean(line))}</li>" for line in reasons(comparison, content))
    return f"<p>{escape(clean(sentence(comparison, content)))}</p><table><tr>{head}</tr>{body}</table><ul>{notes}</ul>"


@dataclass(frozen=True, repr=False)
class ComparisonResult(Comparison):
    """The record that `vecml.compare` returns; it shows itself in a terminal and in a Jupyter cell."""

    __str__ = __repr__ = as_text
    _repr_html_ = as_html


def shown(comparison: Comparison) -> ComparisonResult:
    """Turn a comparison into a result that prints itself as text and, in Jupyter, as HTML."""
    return ComparisonResult(**vars(comparison))


def note(comparison: Comparison) -> str:
    """The parent run's description in MLflow, as Markdown."""
    content = content_of(comparison)
    cells = table(comparison, content)
    head = "| " + " | ".join(map(markdown, cells.headings)) + " |"
    rule = "|" + "---|" * len(cells.headings)
    body = "\n".join("| " + " | ".join(map(markdown, row)) + " |" for row in cells.rows)
    notes = "\n".join(f"- {markdown(line)}" for line in reasons(comparison, content))
    return f"{markdown(sentence(comparison, content))}\n\n{head}\n{rule}\n{body}\n\n{notes}\n"


def _answer(comparison: Comparison, family: Family) -> str:
    """The answer of one family, in the words that its claim allows."""
    claim = claim_of(family)
    verdicts = {verdict.arm: verdict for verdict in family.verdicts}
    if claim.kind == "nothing":
        return _of_noun(f"No answer: {claim.reason}.{_sentence(claim.advice)}", comparison.noun)
    if claim.kind == "quick":
        return f"No verdict from a quick look{_quick(claim, verdicts)}.{_tail(claim, verdicts)}"
    if claim.kind == "busy":
        return f"{while_busy([one for one in verdicts.values() if one.verdict == BUSY])}{_invalid(claim, verdicts)}"
    if len(verdicts) == 1:
        return _pair(*verdicts.values())
    here = "here" if not claim.left_out else f"of the {claim.counted} that count here"
    if claim.kind == "unsurpassed":
        may = f"{', '.join(claim.among)} may be equally fast"
        return f"No {comparison.noun} is certainly faster than {family.baseline}; {may}.{_tail(claim, verdicts)}"
    if claim.best is None or claim.best == family.baseline:
        answer = f"{family.baseline}, the baseline, is the fastest {here}"
    elif claim.kind == "fastest":
        answer = f"{claim.best} is the fastest {here}, {_times(verdicts[claim.best])} {family.baseline}"
    else:
        chosen = recommended(comparison, family)
        answer = (
            f"The fastest {here} is {' or '.join(claim.among)}, which cannot be told apart; {claim.best} is"
            f" {_times(verdicts[claim.best])} {family.baseline}, and the simplest of these is {chosen}"
        )
    return f"{answer}.{_tail(claim, verdicts)}"


def _of_noun(answer: str, noun: str) -> str:
    """The words of a claim, which speaks of settings, for a comparison of functions or commands."""
    return re.sub(r"\bsetting(?=s? beside|$|\.$)", noun, answer)


def _tail(claim: Claim, verdicts: Mapping[str, Verdict]) -> str:
    """What is said after the answer of the settings that it is not about."""
    busy = [verdicts[name] for name in claim.left_out if verdicts[name].verdict == BUSY]
    return (f" {while_busy(busy)}" if busy else "") + _invalid(claim, verdicts)


def _invalid(claim: Claim, verdicts: Mapping[str, Verdict]) -> str:
    invalid = [name for name in claim.left_out if verdicts[name].verdict == "invalid"]
    return f" Invalid: {', '.join(invalid)}." if invalid else ""


def _quick(claim: Claim, verdicts: Mapping[str, Verdict]) -> str:
    if len(verdicts) > 1 and claim.best == claim.baseline:
        return f"; the baseline {claim.baseline} had the highest rate"
    arm, *others = [name for name in claim.among if name in verdicts and claim.best in (name, claim.baseline)]
    return f"{';' if others or len(verdicts) > 1 else ':'} {arm} was {_times(verdicts[arm])} {claim.baseline}"


def _pair(verdict: Verdict) -> str:
    """The answer of a single arm with a verdict."""
    arm, baseline = verdict.arm, verdict.baseline
    match verdict.verdict:
        case "faster":
            return f"{arm} is {_times(verdict)} {baseline} here."
        case "slower":
            back = replace(
                verdict,
                ratio=1 / _of(verdict.ratio),
                ratio_low=1 / _of(verdict.ratio_high),
                ratio_high=1 / _of(verdict.ratio_low),
            )
            return f"{baseline} is {_times(back)} {arm} here."
        case "equivalent":
            return f"{arm} and {baseline} are equivalent here ({_interval(verdict)} times as fast)."
        case _:
            return f"No difference between {arm} and {baseline} was detected here: {verdict.reason}."


def _sentence(clause: str) -> str:
    """A clause as a further sentence; nothing where it is empty."""
    return f" {clause[:1].upper()}{clause[1:]}." if clause else ""


def while_busy(verdicts: Sequence[Verdict]) -> str:
    """Tell verdicts with a condition, a sentence for each condition; what was shown stands before what was not."""
    said: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        said.setdefault(verdict.condition or "", []).append(verdict)
    return " ".join(
        f"While {condition}, {'; '.join(map(_clause, sorted(several, key=_decided_first)))}."
        for condition, several in said.items()
    )


def _decided_first(verdict: Verdict) -> int:
    return DECIDED.index(verdict.while_busy) if verdict.while_busy in DECIDED else len(DECIDED)


def _clause(verdict: Verdict) -> str:
    """What a `busy` verdict says, without its condition: "a was as fast as b (0.98 to 1.02 times)"."""
    arm, baseline = verdict.arm, verdict.baseline
    match verdict.while_busy:
        case "faster" | "slower":
            return f"{arm} was {_times(verdict)} {baseline}"
        case "equivalent":
            return f"{arm} was as fast as {baseline} ({_interval(verdict)} times)"
        case _:
            return f"no difference between {arm} and {baseline} was detected"


def _times(verdict: Verdict) -> str:
    """Write the verdict's ratio, as `1.31 times as fast (1.25 to 1.38) as`."""
    interval = f" ({_interval(verdict)})" if verdict.ratio_low is not None else ""
    return f"{times(_of(verdict.ratio))} times as fast{interval} as"


def _interval(verdict: Verdict) -> str:
    return f"{times(_of(verdict.ratio_low))} to {times(_of(verdict.ratio_high))}"


def _of(value: float | None) -> float:
    return math.nan if value is None else value


def _row(arm: ArmFigures) -> tuple[str, ...]:
    verdict = arm.verdict
    return (
        arm.name,
        rate(arm.rows_per_s),
        *_ratio_cells(arm),
        _verdict_cell(arm),
        "-" if arm.setting is None else seconds(arm.load_seconds),
        megabytes(arm.peak_rss_bytes),
        "-" if arm.setting is None or not arm.rows_scored else f"{arm.flips:,}",
        percent(arm.fraction_of_limit),
        "-" if verdict is None or arm.break_even_rows is None else f"{math.ceil(arm.break_even_rows):,} rows",
    )


def _ratio_cells(arm: ArmFigures) -> tuple[str, str]:
    verdict = arm.verdict
    if verdict is None:
        return "1", "-"
    if verdict.ratio is None:
        return "-", "-"
    return times(verdict.ratio), "-" if verdict.ratio_low is None else _interval(verdict)


def _verdict_cell(arm: ArmFigures) -> str:
    if arm.verdict is None:
        return "invalid" if arm.failure else "baseline"
    return arm.verdict.verdict or "no verdict"


def _latency_table(found: Sequence[ArmFigures]) -> Table:
    shares = sorted({share for arm in found for share in arm.percentile_seconds})
    names = [f"p{share * 100:g}" for share in shares]
    headings = ("setting", "rows/call", *names, "ratio", "interval", "verdict")
    rows = []
    for arm in found:
        size = "-" if arm.setting is None or arm.setting.request_rows is None else f"{arm.setting.request_rows:,}"
        times = [seconds(arm.percentile_seconds[share]) if share in arm.percentile_seconds else "-" for share in shares]
        rows.append((arm.name, size, *times, *_ratio_cells(arm), _verdict_cell(arm)))
    return Table(headings, tuple(rows))
