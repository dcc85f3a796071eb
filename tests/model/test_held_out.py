"""Which rows are held out, and in which order the others are learnt."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vecml.model import held_out
from vecml.model.held_out import Stream, folds, judging_parts, shuffled, single_part

labels = st.lists(st.integers(0, 4), min_size=2, max_size=80)


@given(labels, st.integers(2, 7), st.integers(0, 3))
def test_every_row_is_held_out_of_one_network_and_learnt_by_the_others(
    values: list[int], parts: int, seed: int
) -> None:
    label_N = np.array(values, dtype=np.int64)
    parts = min(parts, len(label_N))
    made = folds(label_N, parts, seed)
    judged_N = np.concatenate([fold.judged_N for fold in made])
    np.testing.assert_array_equal(np.sort(judged_N), np.arange(len(label_N)))
    for fold in made:
        np.testing.assert_array_equal(np.sort(np.concatenate([fold.trained_N, fold.judged_N])), np.arange(len(label_N)))
    sizes = [len(fold.judged_N) for fold in made]
    assert max(sizes) - min(sizes) <= 1
    for label in set(values):
        counts = [int((label_N[fold.judged_N] == label).sum()) for fold in made]
        assert max(counts) - min(counts) <= 1


@given(labels, st.integers(0, 3))
def test_a_single_part_leaves_rows_on_both_sides(values: list[int], seed: int) -> None:
    label_N = np.array(values, dtype=np.int64)
    part = single_part(label_N, 0.15, seed)
    assert len(part.judged_N) == -(-len(label_N) // min(7, len(label_N)))
    assert len(part.trained_N) == len(label_N) - len(part.judged_N) > 0
    again = single_part(label_N, 0.15, seed)
    np.testing.assert_array_equal(part.judged_N, again.judged_N)


def test_another_seed_holds_others_out() -> None:
    label_N = np.zeros(100, dtype=np.int64)
    first, second = (folds(label_N, 5, seed)[0].judged_N for seed in (0, 1))
    assert not np.array_equal(first, second)


@given(st.integers(1, 9), st.lists(st.integers(1, 25), min_size=1, max_size=6))
def test_a_stream_goes_through_all_rows_before_one_comes_again(n_rows: int, takes: list[int]) -> None:
    rows_N = np.arange(10, 10 + n_rows)
    stream = Stream(rows_N, 3)
    taken = np.concatenate([stream.take(count).numpy() for count in takes])
    assert len(taken) == sum(takes)
    for start in range(0, len(taken) - n_rows + 1, n_rows):
        np.testing.assert_array_equal(np.sort(taken[start : start + n_rows]), rows_N)
    np.testing.assert_array_equal(taken, Stream(rows_N, 3).take(len(taken)).numpy())


@given(st.integers(1, 3_000), st.one_of(st.none(), st.integers(1, 4_000)), st.integers(0, 3))
def test_windows_hold_every_row_once(n_rows: int, window: int | None, seed: int) -> None:
    parts = list(shuffled(n_rows, torch.Generator().manual_seed(seed), window))
    np.testing.assert_array_equal(np.sort(torch.cat(parts).numpy()), np.arange(n_rows))
    if window is None or window >= n_rows:
        expected = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
        assert [part.tolist() for part in parts] == [expected.tolist()]


def test_a_window_is_of_stretches_from_everywhere_and_shuffled() -> None:
    first = next(shuffled(100_000, torch.Generator().manual_seed(0), 6_400)).numpy()
    assert len(first) == 6_400
    stretches = np.unique(first // 100)
    assert len(stretches) == 64
    assert stretches.min() < 150
    assert stretches.max() > 850
    assert (np.abs(np.diff(first)) == 1).mean() < 0.01


def test_a_stream_goes_on_through_windows_and_begins_anew() -> None:
    rows_N = np.arange(0, 3_000, 3)
    stream = Stream(rows_N, 0, 100)
    taken = torch.cat([stream.take(70) for _ in range(30)]).numpy()
    for start in (0, 1_000):
        np.testing.assert_array_equal(np.sort(taken[start : start + 1_000]), rows_N)
    assert not np.array_equal(taken[:1_000], taken[1_000:2_000])


def test_of_many_rows_some_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "MANY_ROWS", 10_000)
    monkeypatch.setattr(held_out, "MOST_JUDGED", 500)
    label_N = np.random.default_rng(0).integers(0, 3, 20_000)
    (part,) = judging_parts(label_N, 1, 0)
    assert 400 < len(part.judged_N) < 600
    assert len(part.trained_N) + len(part.judged_N) == 20_000
