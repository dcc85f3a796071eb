"""No door says more than the verdicts show, over all combinations of verdicts: sentences, pictures, tags, choices."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from tasks.tracking.promotion import _why
from tests.made_comparison import comparison_of
from tests.measure.made_claims import CONDITION, KINDS, PLAIN, family_of, may_be_called_fastest
from vecml.comparison import comparison as records
from vecml.comparison.auto import conclude
from vecml.comparison.comparison import Comparison, families, figures, recommended
from vecml.comparison.settings import Chosen
from vecml.measure import claim
from vecml.measure.claim import claim_of
from vecml.measure.records import Blocks, Plan
from vecml.measure.verdict import Family
from vecml.record import child_tags, parent_metrics
from vecml.report.chart_speed import leading_words
from vecml.report.comparison import as_html, as_text, note, sentence, while_busy
from vecml.report.content import content_of
from vecml.report.page import About, _speed_caption, page

BASE, ARMS = "torch", ("numpy", "halide", "openvino", "onnxruntime")
FASTEST = re.compile(r"fastest|más rápid", re.IGNORECASE)
COMBINATIONS = [
    kinds
    for n in range(1, 5)
    for kinds in itertools.combinations_with_replacement(KINDS, n)
    if "quick" not in kinds or not {*PLAIN} & {*kinds}
]
MADE = {n: comparison_of({BASE: 0.002, **dict.fromkeys(ARMS[:n], 0.001)}) for n in range(1, 5)}


def said_by(comparison: Comparison, family: Family) -> Iterator[tuple[str, str]]:
    """What each door says, by its name."""
    content = content_of(comparison)
    yield "sentence", sentence(comparison, content)
    if len(family.verdicts) < 3:  # these repeat the sentence and add a table
        yield "text", as_text(comparison)
        yield "html", as_html(comparison)
        yield "note", note(comparison)
    yield "legend", leading_words(content)
    yield "short legend", leading_words(content, short=True)
    yield "caption", _speed_caption(content)
    yield "champion", _why(claim_of(family), "sitting")
    yield "auto", conclude(comparison, Chosen(comparison.settings, {}))[1]


def check(monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...]) -> None:
    """Hold every door's words against what the verdicts `kinds` of the arms show."""
    family = family_of(kinds, baseline=BASE, arms=ARMS)
    words = dict(zip(ARMS, kinds, strict=False))
    allowed = may_be_called_fastest(words, BASE)
    shown = bool({*PLAIN} & {*kinds})
    monkeypatch.setattr(records, "judge", lambda *_: (family,))
    comparison = MADE[len(kinds)]
    for door, told in said_by(comparison, family):
        assert allowed or not FASTEST.search(told), (kinds, door, told)
        if door in ("sentence", "text", "note"):
            named = re.search(r"(\w+)(?:, the baseline,)? is the fastest ", told)
            assert named is None or {named[1]} == allowed, (kinds, door, told)
            assert "busy" not in kinds or CONDITION in told.replace("\\", ""), (kinds, door, told)
    told = sentence(comparison)
    assert shown or told.startswith(("No answer: ", "No verdict ")) or f"While {CONDITION}, " in told, (kinds, told)
    assert {*kinds} != {"invalid"} or (told.startswith("No answer: other programs kept the machine busy")), told
    assert {*kinds} != {"invalid"} or told.endswith(" Measure again when they have ended, or with a longer budget.")
    tags = tags_of(comparison)
    assert {name for name, tied in tags.items() if tied == "yes"} <= (allowed or {BASE, *words})
    assert shown or set(tags.values()) == {"none"}, (kinds, tags)
    assert {tags[name] for name, kind in words.items() if kind in ("invalid", "busy")} <= {"none"}
    assert allowed or "compare/best_rows_per_s" not in parent_metrics(comparison)
    assert shown or recommended(comparison, families(comparison)[0]) is None
    assert not allowed or recommended(comparison, families(comparison)[0]) in allowed


def tags_of(comparison: Comparison) -> Mapping[str, str]:
    return {arm.name: child_tags(comparison, arm)["vecml.tied"] for arm in figures(comparison)}


def test_every_door_says_what_the_verdicts_show_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for kinds in COMBINATIONS:
        check(monkeypatch, kinds)


def test_a_door_that_counts_invalid_settings_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation that was found in use: a baseline of which all rivals were disturbed was called the fastest."""
    whole = claim.counts
    monkeypatch.setattr(claim, "counts", lambda one: one.verdict == "invalid" or whole(one))
    with pytest.raises(AssertionError):
        check(monkeypatch, ("invalid", "invalid"))


def test_a_busy_machine_has_verdicts_with_their_condition_and_no_fastest() -> None:
    """By the real rules: another process took a CPU in every round of which the arms need both."""
    found = busy(MADE[2])
    told = sentence(found)
    assert re.match(
        r"While others used 1\.0 of 2 CPUs, numpy was \S+ times as fast \(\S+ to \S+\) as torch; halide was \S+ times"
        r" as fast \(\S+ to \S+\) as torch\.$",
        told,
    )
    tags = [child_tags(found, arm) for arm in figures(found)]
    assert {one["vecml.verdict"] for one in tags} == {"busy"}
    assert tags[0]["vecml.reason"] == "while others used 1.0 of 2 CPUs"
    assert parent_metrics(found) == {"compare/valid_settings": 0.0}


def test_what_was_shown_stands_before_what_was_not() -> None:
    found = busy(MADE[2])
    (family,) = families(found)
    halide, numpy = sorted(family.verdicts, key=lambda one: one.arm)
    unsure = replace(halide, while_busy="undetected"), replace(numpy, arm="numpy", while_busy="slower")
    elsewhere = replace(numpy, arm="openvino", condition="a quota took 20 % of the CPUs")
    told = while_busy([*unsure, elsewhere])
    assert re.fullmatch(
        r"While others used 1\.0 of 2 CPUs, numpy was .* as torch; no difference between halide and torch was"
        r" detected\."
        r" While a quota took 20 % of the CPUs, openvino was .* as torch\.",
        told,
    ), told


def test_the_page_of_a_busy_comparison_says_what_its_hatching_means() -> None:
    shown, calm = (page(one, About("it", "")) for one in (busy(MADE[2]), MADE[2]))
    for words in ("disturbed: counts for busy verdicts alone", "what was measured while others used the CPUs"):
        assert words in shown
        assert words not in calm
    assert "disturbed: does not count" in calm
    assert "disturbed: does not count" not in shown
    assert re.search(r"<text[^>]*>busy</text>", shown)
    assert "no verdict</text>" not in re.sub(r"(?s)<script.*?</script>", "", calm)


def test_a_quick_look_at_a_busy_machine_is_in_no_history() -> None:
    arms = tuple(replace(arm, blocks=first_launch(arm.blocks)) for arm in MADE[1].measured.arms)
    quick = replace(MADE[1].measured, plan=Plan(launches=1), arms=arms, launches=1)
    calm, disturbed = replace(MADE[1], measured=quick), replace(MADE[1], measured=busy(quick))
    assert sentence(calm).startswith("No verdict from a quick look: numpy was ")
    assert sentence(disturbed).startswith("No answer: other programs kept the machine busy: ")
    for found, words in ((calm, ["baseline", "none"]), (disturbed, ["busy", "invalid"])):
        assert [child_tags(found, arm)["vecml.verdict"] for arm in figures(found)] == words


def busy(made: Any) -> Any:
    """A measurement, or its comparison, in whose every round another process used a CPU."""
    if isinstance(made, Comparison):
        return replace(made, measured=busy(made.measured))
    return replace(made, windows=tuple(replace(window, foreign_cpus=1.0) for window in made.windows))


def first_launch(blocks: Blocks) -> Blocks:
    kept = [index for index, launch in enumerate(blocks.launch) if launch == 0]
    return Blocks(*(tuple(getattr(blocks, one.name)[index] for index in kept) for one in fields(Blocks)))
