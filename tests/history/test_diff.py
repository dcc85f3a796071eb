"""Runs of other days and machines: a verdict only where one is allowed, and everything that differs named."""

import math
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from scipy.stats import ttest_ind

from tests.made_recorded import recorded
from vecml.history.diff import Against, Answers, Side, diff
from vecml.history.recorded import RecordedSetting
from vecml.measure.verdict import Rules
from vecml.report.diff import as_json, remarks, sentence, table

SETTING = {
    "engine": "halide",
    "device": "cpu",
    "device_index": "0",
    "precision": "float32",
    "layout": "columns",
    "isa": "native",
    "threads": "2",
    "block_rows": "1024",
    "request_rows": "none",
    "scope": "host",
}
KEYS = {"architecture_digest": "a1", "data_digest": "d1", "model_digest": "m1"}
FACTS = {"cpu_model": "one", "numpy": "2.3.5", "torch": "2.13.0", "machine_key": "x", "instruction_sets": ["sse41"]}


def sitting(rate: float | None = 1e8, run_id: str = "r1", environment: str = "e1", **more: Any) -> RecordedSetting:
    setting = {**SETTING, **more.pop("setting", {})}
    keys = {**KEYS, "environment_key": environment, **more.pop("keys", {})}
    values = {"run_id": run_id, "name": setting["engine"], "n_rows": 1_000, "accuracy": 0.9, **keys, **more}
    return recorded(0, rate, setting=setting, **values)


def side(name: str, *settings: RecordedSetting, **more: Any) -> Side:
    return Side(name, settings[0].run_id if settings else name, "compare", settings, more.pop("facts", FACTS), **more)


def rates(mean: float, count: int, seed: int, sd: float = 0.02) -> list[float]:
    random = Random(seed)
    return [mean * math.exp(random.gauss(0, sd)) for _ in range(count)]


def series(mean: float, count: int, environment: str, seed: int = 0) -> list[RecordedSetting]:
    return [sitting(rate, f"{environment}-{place}", environment) for place, rate in enumerate(rates(mean, count, seed))]


def held(first: list[RecordedSetting], other: list[RecordedSetting], **more: Any) -> Against:
    (found,) = diff([side("old", first[0]), side("new", other[0], **more)], [*first, *other])
    return found


def test_one_sitting_each_is_indicative_and_says_what_is_missing() -> None:
    found = held(series(1e8, 1, "e1"), series(2e8, 1, "e2"))
    (one,) = found.differences
    assert (one.word, one.low, one.high) == ("indicative", None, None)
    assert one.reason == "1 sitting and 1 sitting, and a verdict across sittings takes 5 of each"
    assert sentence(found).startswith("No verdict: new ran 2.00 times as fast as old (1 sitting")


@pytest.mark.parametrize("count", [4, 5])
def test_five_sittings_of_each_give_a_verdict(count: int) -> None:
    found = held(series(1e8, 5, "e1"), series(1.5e8, count, "e2", seed=1))
    assert found.differences[0].sittings == (5, count)
    assert found.differences[0].word == ("faster" if count == 5 else "indicative")


def test_the_interval_is_welchs() -> None:
    first, other = series(1e8, 6, "e1"), series(0.8e8, 9, "e2", seed=3)
    (one,) = held(first, other).differences
    logs = [[math.log(s.rows_per_s or 0) for s in group] for group in (other, first)]
    expected = ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    assert one.word == "slower"
    assert (one.low, one.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)), rel=1e-12)


@pytest.mark.parametrize(("mean", "word"), [(1.0, "equivalent"), (1.04, "undetected"), (0.5, "slower")])
def test_the_words_are_those_of_a_comparison(mean: float, word: str) -> None:
    first = [sitting(1e8 * (1 + d), f"a{d}", "e1") for d in (-0.01, -0.005, 0, 0.005, 0.01)]
    other = [sitting(1e8 * mean * (1 + d), f"b{d}", "e2") for d in (-0.01, -0.005, 0, 0.005, 0.01)]
    (one,) = held(first, other).differences
    assert one.word == word
    if word == "undetected":
        assert one.reason == "1.040 is within the A/A gate of 5.0 %"


def test_several_settings_share_the_level() -> None:
    """At the edge: 5 % for one setting, not for two."""
    first, other = rates(1e8, 5, 1), rates(1.5e8, 5, 2)
    two = [
        *(
            replace(sitting(rate, f"a{i}", "e1"), setting={**SETTING, "engine": name})
            for name in ("torch", "numpy")
            for i, rate in enumerate(first)
        ),
        *(
            replace(sitting(rate, f"b{i}", "e2"), setting={**SETTING, "engine": name})
            for name in ("torch", "numpy")
            for i, rate in enumerate(other)
        ),
    ]
    sides = [side("old", two[0], two[5]), side("new", two[10], two[15])]
    (found,) = diff(sides, two)
    logs = [[math.log(rate) for rate in group] for group in (other, first)]
    expected = ttest_ind(*logs, equal_var=False).confidence_interval(0.975)
    assert [one.low for one in found.differences] == pytest.approx([math.exp(expected.low)] * 2, rel=1e-12)


@pytest.mark.parametrize(
    ("keys", "refusal"),
    [
        (
            {"architecture_digest": "a2"},
            "they ran different networks (architecture_digest a1 and a2): train both with the same --hidden,"
            " --activation and features",
        ),
        (
            {"data_digest": "d2"},
            "they ran different data (data_digest d1 and d2): read the same file in both, or generate the same --rows"
            " with the same --seed",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_would_lift_it(keys: dict[str, str], refusal: str) -> None:
    (found,) = diff([side("old", sitting()), side("new", sitting(environment="e2", keys=keys))])
    assert found.refusals == (refusal,)
    assert found.differences == ()
    assert sentence(found) == f"new cannot be compared with old: {refusal}."


def test_another_scope_is_refused() -> None:
    (found,) = diff([side("old", sitting()), side("new", sitting(environment="e2", setting={"scope": "device"}))])
    assert found.refusals == ("one was timed in scope host, the other in device: time both alike",)


def test_other_weights_are_allowed_and_said() -> None:
    (found,) = diff([side("old", sitting()), side("new", sitting(environment="e2", keys={"model_digest": "m2"}))])
    assert found.remarks == (
        "the weights differ, the architecture is the same: speeds compare, labels need not be equal",
    )
    assert len(found.differences) == 1


def test_differing_fields_are_named_and_keys_are_not() -> None:
    facts = {**FACTS, "numpy": "2.4.6", "machine_key": "y", "instruction_sets": ["sse41", "avx2"]}
    found = held(series(1e8, 1, "e1"), series(1e8, 1, "e2"), facts=facts)
    assert found.facts == ("numpy: 2.3.5, 2.4.6", "instruction_sets: sse41, sse41 avx2")
    assert "the environments differ in numpy: 2.3.5, 2.4.6" in remarks(found)


def test_settings_that_were_chosen_for_two_machines_are_matched_and_the_difference_named() -> None:
    other = sitting(environment="e2", setting={"threads": "1", "isa": "avx2"})
    (found,) = diff([side("old", sitting()), side("new", other)])
    assert found.differences[0].fields == ("isa: native, avx2", "threads: 2, 1")
    assert "halide differ in isa: native, avx2; threads: 2, 1" in remarks(found)


def test_the_closest_settings_are_matched() -> None:
    first = [sitting(setting={"threads": "1"}, name="one"), sitting(setting={"threads": "2"}, name="two")]
    other = [
        sitting(environment="e2", setting={"threads": "2"}, name="two"),
        sitting(environment="e2", setting={"threads": "4"}, name="four"),
    ]
    (found,) = diff([side("old", *first), side("new", *other)])
    assert [(one.first, one.other) for one in found.differences] == [("one", "four"), ("two", "two")]


def test_what_has_no_partner_or_is_invalid_is_left_out_with_the_reason() -> None:
    first = [
        sitting(),
        sitting(setting={"engine": "torch"}),
        sitting(setting={"engine": "numpy"}, verdict="invalid", reason="it died"),
    ]
    other = [sitting(environment="e2"), sitting(environment="e2", setting={"engine": "openvino"})]
    (found,) = diff([side("old", *first), side("new", *other)])
    assert len(found.differences) == 1
    assert found.left_out == (
        "numpy: invalid in run r1: it died",
        "torch: in the first run only",
        "openvino: in the other run only",
    )


def test_tables_of_other_sizes_give_no_verdict() -> None:
    first = series(1e8, 5, "e1")
    other = [replace(one, n_rows=5_000) for one in series(2e8, 5, "e2")]
    (one,) = held(first, other).differences
    assert (one.word, one.reason) == ("indicative", "the tables have other sizes")


def test_the_same_setting_on_the_same_machine_is_a_matter_of_its_history() -> None:
    first, other = series(1e8, 5, "e1"), [replace(one, run_id=f"again {one.run_id}") for one in series(2e8, 5, "e1")]
    found = held(first, other)
    assert (found.differences[0].word, found.differences[0].sittings) == ("indicative", (1, 1))
    assert found.differences[0].ratio == pytest.approx(2)
    assert "vecml history" in found.differences[0].reason


def test_sittings_of_another_environment_or_table_do_not_count() -> None:
    others = [*series(1e8, 4, "e1"), *series(9e8, 9, "e3"), *(replace(s, n_rows=7) for s in series(9e8, 3, "e1"))]
    (found,) = diff([side("old", sitting(1e8, "named", "e1")), side("new", sitting(1e8, "b", "e2"))], others)
    assert found.differences[0].sittings == (5, 1)


def test_accuracies_are_tested_in_pairs() -> None:
    ours = Answers(tuple(range(100)), tuple(place >= 2 for place in range(100)))
    theirs = Answers(tuple(range(50, 150)), tuple(place % 5 != 0 for place in range(50, 150)))
    (found,) = diff([side("old", sitting(), answers=ours), side("new", sitting(environment="e2"), answers=theirs)])
    assert found.accuracy == (
        "accuracies on the 50 test rows that both have: old is more accurate (McNemar p 0.002: right in old alone 10,"
        " in new alone 0)"
    )


def test_a_failed_run_says_so() -> None:
    (found,) = diff([side("old", sitting()), replace(side("new", sitting()), settings=(), error="disk full")])
    assert found.refusals == ("run new has no figures: disk full",)


def test_the_table_fits_eighty_columns_and_the_json_is_complete() -> None:
    found = held(series(1e8, 5, "e1"), series(1.5e8, 5, "e2", seed=1))
    content = table(found)
    assert content.rows[0][:1] == ("halide",)
    assert content.rows[0][5:] == ("faster", "5 / 5", "90.0 %")
    told = as_json([found])
    assert (told["version"], told["kind"]) == (1, "diff")
    assert told["against"][0]["answer"] == sentence(found)
    assert told["against"][0]["differences"][0]["word"] == "faster"


def test_a_rule_of_the_machine_is_taken() -> None:
    first = [sitting(1e8 * (1 + d), f"a{d}", "e1") for d in (-0.001, -0.0005, 0, 0.0005, 0.001)]
    other = [sitting(1.08e8 * (1 + d), f"b{d}", "e2") for d in (-0.001, -0.0005, 0, 0.0005, 0.001)]
    sides = [side("old", first[0]), side("new", other[0])]
    assert diff(sides, [*first, *other])[0].differences[0].word == "faster"
    assert diff(sides, [*first, *other], Rules(gate=0.2))[0].differences[0].word == "undetected"
