"""The ladder's figures from blocks made by hand: rates by row, verdicts step by step, shares of the limit, words."""

import json

import pytest

from tests.made_ladder import RIGHT, made_ladder
from vecml.comparison.compare import Job
from vecml.errors import SettingError
from vecml.lab.ladder import best, claim, climb, figures, gain, per_row, plan_ladder, to_json_dict
from vecml.report.ladder import HEADINGS, note, picture, remarks, sentence, table


def test_rates_are_by_row_whatever_a_call_labels() -> None:
    made = made_ladder()
    found, said = figures(made), claim(made)
    assert [rung.rows_per_s for rung in found] == pytest.approx([1e3, 1e5, 1e5, 2e6], rel=0.01)
    assert found[1].first is not None
    assert found[1].first.ratio == pytest.approx(100, rel=0.01)
    assert gain(found, said) == pytest.approx(2_000, rel=0.01)
    top = best(found, said)
    assert top is not None
    assert top.name == "fused"


def test_each_rung_is_held_to_the_one_before() -> None:
    found = figures(made_ladder())
    assert [rung.word for rung in found] == [None, "faster", "equivalent", "faster"]
    assert [rung.stopped_paying for rung in found] == [False, False, True, False]
    last = found[-1].before
    assert last is not None
    assert last.ratio == pytest.approx(20, rel=0.01)
    assert last.ratio_low is not None
    assert last.ratio_high is not None
    assert last.ratio_low < 20 < last.ratio_high


def test_shares_of_the_limit_climb_with_the_ladder() -> None:
    shares = [rung.fraction_of_limit for rung in figures(made_ladder())]
    # 2 (10 * 32 + 32) operations a row at 1e9 a second: 704 ns, against 1 ms, 10 us and 0.5 us a row
    assert shares == pytest.approx([704e-9 * rate for rate in (1e3, 1e5, 1e5, 2e6)], rel=0.01)


def test_wrong_labels_make_a_rung_invalid_and_not_the_best() -> None:
    made = made_ladder({"fused": {**RIGHT, "wrong": 3, "flips": 3, "precision_used": "float32"}})
    found = figures(made)
    assert found[-1].failure == "3 of 10 labels are wrong: no near ties in float32"
    assert (found[-1].word, found[-1].right, found[-1].flips) == ("invalid", False, 3)
    top = best(found, claim(made))
    assert top is not None
    assert top.name in ("whole-array BLAS", "blocks")
    assert "fused: invalid: 3 of 10 labels are wrong: no near ties in float32." in remarks(made)


def test_seconds_by_row_keep_every_ratio() -> None:
    made = made_ladder()
    scaled = per_row(made.measured, {rung.name: rung.rows for rung in made.rungs})
    for before, after in zip(made.measured.arms, scaled.arms, strict=True):
        rows = {"row loop": 100, "row loop (null arm)": 100}.get(before.name, 1_000)
        count = 1 if before.role == "limit" else rows
        assert [second * count for second in after.blocks.seconds] == pytest.approx(list(before.blocks.seconds))


def test_words() -> None:
    made = made_ladder()
    assert sentence(made) == "From the row loop to fused: 2,000 times as many rows a second, 2M against 1k."
    rows = table(made)
    assert [row[0] for row in rows] == ["row loop", "whole-array BLAS", "blocks", "fused"]
    assert rows[0] == ["row loop", "1k", "-", "-", "1", "0", "88", "0.07 %", "-"]
    assert all(len(row) == len(HEADINGS) for row in rows)
    told = remarks(made)
    assert told[0] == "Network 10-32-2 over 1,000 rows of synthetic; every rate is per row."
    assert told[1] == "Slow rungs label fewer rows a call: row loop 100."
    assert any(line.startswith("blocks: it made no difference here (equivalent): ") for line in told)
    assert told[-1] == "GPU is left out: there is no CUDA device that torch sees."
    assert note(made).startswith(sentence(made))


def test_the_json_has_no_numbers_that_json_lacks_and_says_the_same() -> None:
    content = json.loads(json.dumps(to_json_dict(made_ladder()), allow_nan=False))
    assert (content["version"], content["kind"], content["best"]) == (1, "ladder", "fused")
    assert [rung["verdict"] for rung in content["rungs"]] == [None, "faster", "equivalent", "faster"]
    assert content["rungs"][2]["stopped_paying"] is True
    assert len(content["measured"]["arms"]) == 7


def test_the_picture_is_a_png() -> None:
    assert picture(made_ladder()).startswith(b"\x89PNG")


def test_plans() -> None:
    assert plan_ladder(quick=True).plan.launches == 1
    assert plan_ladder().plan.launches == 8


def test_no_row_and_a_module_of_ones_own_are_refused() -> None:
    import numpy as np

    from tests.lab.test_rungs import made_model

    with pytest.raises(SettingError, match="there is no row to infer"):
        climb(Job(made_model((3, 2)), np.empty((3, 0), np.float32)), plan_ladder(quick=True))
