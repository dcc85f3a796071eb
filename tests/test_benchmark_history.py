"""How `make bench-history` counts, on small examples worked out by hand, and that the page is written."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import history
from benchmarks.history_cases import KINDS, SITTINGS, Case, made_cases
from benchmarks.history_scores import agreement, matched, score, table


@pytest.mark.parametrize(
    ("true", "told", "distances"),
    [
        ([30], [30], [0]),
        ([30], [27], [3]),
        ([30], [26], []),
        ([30], [29, 31], [1]),  # one change is found once; the other one told is none
        ([30, 32], [31], [1]),
        ([20, 40], [41, 20], [0, 1]),
        ([], [12], []),
        ([12], [], []),
    ],
)
def test_a_change_is_found_once_and_within_three_sittings(
    true: list[int], told: list[int], distances: list[int]
) -> None:
    assert matched(true, told) == distances


def test_what_is_told_beside_the_changes_is_counted_by_series() -> None:
    value_N = np.ones(SITTINGS)
    cases = [Case("a", value_N, (30,)), Case("a", value_N, (30,)), Case("a", value_N, (30,))]
    found = score(cases, [[31], [30, 50, 55], []])
    assert (found.planted, found.hits, found.false, found.alarmed, found.off) == (3, 2, 2, 1, (1, 0))


def test_the_agreement_with_people_is_that_of_the_public_benchmark() -> None:
    assert agreement([[50], [50]], [52]) == pytest.approx(1)
    assert agreement([[], []], []) == pytest.approx(1)
    # told: the beginning and 52; marked together 0, 50, 80: precision 1; recall (2/2 + 2/3) / 2
    assert agreement([[50], [50, 80]], [52]) == pytest.approx(2 * (5 / 6) / (1 + 5 / 6))
    assert agreement([[50]], [90]) == pytest.approx(0.5)


def test_every_kind_of_series_is_made_with_its_changes_and_is_the_same_each_time() -> None:
    cases, again = made_cases(2), made_cases(2)
    assert list(dict.fromkeys(case.kind for case in cases)) == list(KINDS)
    for case, other in zip(cases, again, strict=True):
        assert (case.value_N == other.value_N).all()
        assert len(case.value_N) == SITTINGS
        assert (case.value_N > 0).all()
        assert bool(case.places) == (not case.kind.startswith("quiet"))


def test_the_table_goes_between_the_markers_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "history.md"
    page.write_text(f"before\n{history.BEGIN}\nold\n{history.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(history, "PAGE", page)
    cases = [Case("a step", np.ones(SITTINGS), (30,)), Case("quiet", np.ones(SITTINGS))]
    lines = table(cases, {"one": [[31], []], "other": [[], [12]]})
    history.write("\n".join(lines))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{history.BEGIN}\n")
    assert text.endswith(f"{history.END}\nafter\n")
    assert "| a step | 1 | 1 (off by 1.0) | 0 of 1 | 0 | 0 of 1 |" in text
    assert "| quiet | none | - | 0 of 1 | - | 1 of 1 |" in text


def test_what_is_detected_is_what_the_history_page_tells() -> None:
    step = np.where(np.arange(SITTINGS) < 30, 1e6, 0.7e6) * np.exp(np.random.default_rng(3).normal(0, 0.01, SITTINGS))
    assert history.places_of(step) == [30]
