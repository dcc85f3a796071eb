"""The comparison of recorded runs as text: for each later run a sentence, a table and remarks."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vecml.history.diff import Against, Difference
from vecml.numbers import percent, rate, times
from vecml.report.comparison import Table

VERSION = 1


def sentence(against: Against) -> str:
    """The answer for one later run."""
    if against.refusals:
        return f"{against.other} cannot be compared with {against.first}: {against.refusals[0]}."
    if not against.differences:
        return f"{against.other} and {against.first} have no setting in common that counts."
    if len(against.differences) == 1:
        return _one(against, against.differences[0])
    told = [one for one in against.differences if one.word != "indicative"]
    if not told:
        return f"No verdict between {against.first} and {against.other}: figures of so few sittings are indicative."
    counts = {word: sum(one.word == word for one in told) for word in ("faster", "slower", "equivalent", "undetected")}
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    rest = len(against.differences) - len(told)
    return (
        f"Of {len(against.differences)} settings in {against.other} against {against.first}: {', '.join(parts)}"
        f"{f', {rest} without a verdict' if rest else ''}."
    )


def table(against: Against) -> Table:
    """A row for each pair of settings."""
    headings = ("setting", "first", "other", "ratio", "interval", "verdict", "sittings", "accuracy")
    return Table(headings, tuple(_row(one) for one in against.differences))


def remarks(against: Against, *, everything: bool = False) -> list[str]:
    """Remarks, a line each: refusals, reasons, fields that differ, and settings that were left out.

    everything: whether to name fields that vecml chose for the machine, such as the block size, as well.
    """
    lines = list(against.refusals[1:])
    lines += against.remarks
    lines += [f"{one.other}: {one.word}: {one.reason}" for one in against.differences]
    for one in against.differences:
        fields = [field for field in one.fields if everything or not field.startswith("block_rows:")]
        if fields:
            name = one.first if one.first == one.other else f"{one.first} and {one.other}"
            lines.append(f"{name} differ in {'; '.join(fields)}")
    if against.accuracy is not None:
        lines.append(against.accuracy)
    lines += [f"the environments differ in {field}" for field in against.facts]
    lines += [f"left out: {reason}" for reason in against.left_out]
    return lines


def as_json(found: Sequence[Against]) -> dict[str, Any]:
    """The records as JSON for programs: `version` 1, their own fields, with the answer beside them."""
    return {
        "version": VERSION,
        "kind": "diff",
        "against": [{**asdict(one), "answer": sentence(one)} for one in found],
    }


def _one(against: Against, difference: Difference) -> str:
    ratio = times(difference.ratio)
    settings = difference.first if difference.first == difference.other else f"{difference.other} to {difference.first}"
    beside = f"{settings}, {against.other} to {against.first}"
    match difference.word:
        case "indicative":
            return f"No verdict: {against.other} ran {ratio} times as fast as {against.first} ({difference.reason})."
        case "faster" | "slower":
            interval = f"{times(difference.low)} to {times(difference.high)}"
            return f"{against.other} is {ratio} times as fast ({interval}) as {against.first}, over sittings."
        case "equivalent":
            return f"{beside}: equivalent over sittings ({ratio} times as fast)."
        case _:
            return f"{beside}: no difference was detected over sittings ({difference.reason})."


def _row(one: Difference) -> tuple[str, ...]:
    known = [None if value is None else percent(value) for value in one.accuracies]
    accuracy = "-" if known == [None, None] else " / ".join(value or "-" for value in dict.fromkeys(known))
    return (
        one.first if one.first == one.other else f"{one.first} / {one.other}",
        rate(one.rates[0]),
        rate(one.rates[1]),
        times(one.ratio),
        "-" if one.low is None or one.high is None else f"{times(one.low)} to {times(one.high)}",
        one.word,
        " / ".join(map(str, one.sittings)),
        accuracy,
    )
