"""Whether commands give the same: what the timed starts printed, and the file that they wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vecml.measure.records import ArmMeasurement, Measured

SHOWN = 60  # characters of a line


@dataclass(frozen=True)
class Output:
    """Holds what is compared.

    Attributes:
        folder: where the workers have left it, under the commands' numbers.
        printed: whether the standard output is compared.
        written: the file that is compared, or None.
    """

    folder: Path
    printed: bool
    written: Path | None


def differences(measured: Measured, names: Sequence[str], output: Output) -> dict[str, str]:
    """Return, by the names of commands whose output is not the baseline's, how it differs; `names` begin with that.

    The checksums are those of the timed starts, one for each block.
    """
    if not output.printed and output.written is None:
        return {}
    found: dict[str, str] = {}
    own = {role: [arm for arm in measured.arms if arm.role == role] for role in ("baseline", "null", "arm")}
    answers = {answer for arm in (*own["baseline"], *own["null"]) for answer in arm.blocks.answer}
    if len(answers) > 1:
        return {names[0]: "its output changed from start to start"}
    for arm in own["arm"]:
        if (reason := _reason(arm, answers, names, output)) is not None:
            found[arm.name] = reason
    return found


def _reason(arm: ArmMeasurement, expected: set[int], names: Sequence[str], output: Output) -> str | None:
    theirs = set(arm.blocks.answer)
    if not theirs or not expected or theirs == expected:
        return None
    if len(theirs) > 1:
        return "its output changed from start to start"
    number = names.index(arm.name)
    for kind, told in (("output", "its output"), ("file", f"its {output.written}")):
        pair = [output.folder / f"{kind}-{at}" for at in (0, number)]
        if all(path.exists() for path in pair):
            line = _first_difference(*(path.read_bytes() for path in pair))
            if line is not None:
                return f"{told} is not the baseline's: {line}"
    return "its output is not the baseline's"


def _first_difference(expected: bytes, found: bytes) -> str | None:
    """Where two contents begin to differ, in words; None if they are the same."""
    if expected == found:
        return None
    ours, theirs = expected.splitlines(keepends=True), found.splitlines(keepends=True)
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        if one != other:
            return f"line {number} is {_shown(other)}, there {_shown(one)}"
    return f"it has {len(theirs):,} lines, there {len(ours):,}"


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r\n").decode(errors="replace")
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
