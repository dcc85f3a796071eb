"""The correctness gate: from the checks that an arm's workers made, why the arm is invalid however fast it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from vecml.config import Setting
from vecml.measure.records import ArmMeasurement, Measured


def faults(measured: Measured, settings: Mapping[str, Setting], classes: Sequence[str]) -> dict[str, str]:
    """Find the settings whose answers are not right: by the setting's name, one sentence that says what is wrong.

    Args:
        measured: with the facts of `vecml.comparison.work.EngineWork.finish` in every launch.
        settings: by the arm's name; an arm without a setting is not checked.
        classes: names of the classes, for the sentence.
    """
    found: dict[str, str] = {}
    for arm in measured.arms:
        setting = settings.get(arm.name)
        if setting is None or arm.role not in ("baseline", "arm") or arm.name in found:
            continue
        reasons = [fault(launch.facts, setting, classes) for launch in arm.launches]
        changing = _changing(arm) if setting.request_rows is None else None
        if reason := changing or next(filter(None, reasons), None):
            found[arm.name] = reason
    return found


def fault(facts: Mapping[str, Any], setting: Setting, classes: Sequence[str]) -> str | None:
    """Find what is wrong by the facts of one worker: one sentence, or None.

    It may answer every row alike, give wrong labels or logits, answer from memory, or compute in another precision.
    """
    rows, wrong, only = facts["rows"], facts["wrong"], facts["only_label"]
    if not rows:
        return "it labelled no row"
    if wrong and only is not None and facts["expected_labels"] > 1:
        name = classes[only] if 0 <= only < len(classes) else only
        return f"it gives the same answer, class {name!r}, to every row"
    if wrong:
        return f"{wrong:,} of {rows:,} labels are wrong: no near ties in {setting.precision}"
    if facts["logit_error"] > 1:
        return f"its logits are off by {facts['logit_error']:.3g} times what {setting.precision} allows"
    if facts["cached"]:
        return "it answers from memory: a row was changed, and its label stayed"
    if facts["precision_used"] != setting.precision:
        return f"it was asked for {setting.precision} and computed in {facts['precision_used']}"
    return None


def _changing(arm: ArmMeasurement) -> str | None:
    """Return a fault if the arm's timed calls did not all give the same labels for the same rows; else None."""
    answers = arm.blocks.answer
    different = len(set(answers))
    if different > 1:
        most = max(set(answers), key=answers.count)
        odd = sum(answer != most for answer in answers)
        return f"its labels changed from call to call over the same rows, in {odd} of {len(answers)} blocks"
    return None
