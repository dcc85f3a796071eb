"""The correctness gate: why an arm is invalid however fast it is, from what its workers found. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from vecml.config import Setting
from vecml.measure.records import ArmMeasurement, Measured


def faults(measured: Measured, settings: Mapping[str, Setting], classes: Sequence[str]) -> dict[str, str]:
    """By the name of each arm that is a setting and whose answers are not right: what is wrong, in one sentence."""
    found: dict[str, str] = {}
    for arm in measured.arms:
        setting = settings.get(arm.name)
        if setting is None or arm.role not in ("baseline", "arm") or arm.name in found:
            continue
        told = [fault(launch.facts, setting, classes) for launch in arm.launches]
        changing = _changing(arm) if setting.request_rows is None else None
        if reason := changing or next((one for one in told if one is not None), None):
            found[arm.name] = reason
    return found


def fault(facts: Mapping[str, Any], setting: Setting, classes: Sequence[str]) -> str | None:
    """What one worker's checks say: a constant, wrong labels, logits that are off, cached answers, the precision."""
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
    """Timed calls over the same rows that did not give the same labels."""
    answers = arm.blocks.answer
    different = len(set(answers))
    if different > 1:
        most = max(set(answers), key=answers.count)
        odd = sum(answer != most for answer in answers)
        return f"its labels changed from call to call over the same rows, in {odd} of {len(answers)} blocks"
    return None
