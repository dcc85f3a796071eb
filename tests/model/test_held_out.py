"""Which rows are held out, and in which order the others are learnt."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vecml.model.held_out import Stream, folds, single_part

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
