"""A histogram of single calls: counts that add up, and percentiles as exact as its buckets are narrow."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.measure.latency import BUCKETS_PER_OCTAVE, bucket_of, merged, percentile, percentiles

NANOSECONDS = st.integers(1, 10**13)
# Shares that floats hold exactly, so that a rank is the same in any arithmetic.
SHARES = st.integers(1, 64).map(lambda numerator: numerator / 64)
WIDTH = 0.011  # of a bucket, relative


def histogram(samples: list[int]) -> dict[int, int]:
    return dict(Counter(map(bucket_of, samples)))


def middle(nanoseconds: int) -> float:
    """Seconds that a single call of this duration is told as."""
    return percentile({bucket_of(nanoseconds): 1}, 0.5)


@given(st.lists(NANOSECONDS, min_size=1, max_size=200), SHARES)
@settings(deadline=None)
def test_a_percentile_is_that_of_the_samples_to_a_buckets_width(samples: list[int], share: float) -> None:
    want = float(np.percentile(samples, 100 * share, method="inverted_cdf")) * 1e-9
    assert percentile(histogram(samples), share) == pytest.approx(want, rel=WIDTH)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_percentiles_of_many_random_samples(seed: int, share: float) -> None:
    sample_N = np.random.default_rng(seed).lognormal(math.log(3e6), 0.5, 300_000).astype(np.int64)
    want = float(np.quantile(sample_N, share)) * 1e-9
    assert percentile(histogram(sample_N.tolist()), share) == pytest.approx(want, rel=WIDTH)


@given(NANOSECONDS)
def test_a_bucket_is_one_percent_wide(nanoseconds: int) -> None:
    assert middle(nanoseconds) == pytest.approx(nanoseconds * 1e-9, rel=WIDTH / 2 + 1e-9)


@given(NANOSECONDS, NANOSECONDS)
def test_longer_calls_are_never_in_a_lower_bucket(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)
    if high > 1.0111 * low:
        assert bucket_of(low) < bucket_of(high)


def test_an_octave_has_its_buckets() -> None:
    assert bucket_of(2**21) - bucket_of(2**20) == BUCKETS_PER_OCTAVE == 64
    assert bucket_of(1) == 0


def test_a_call_that_took_no_time_counts_as_a_nanosecond() -> None:
    assert bucket_of(0) == bucket_of(1)


def test_the_nearest_rank() -> None:
    ten = histogram([1_000 * 2**power for power in range(10)])  # ten calls in ten buckets

    def found(share: float) -> float:
        """Which of the ten it is, by its duration in octaves over the first."""
        return round(math.log2(percentile(ten, share) / 1e-6), 1)

    assert [found(share) for share in (0.0, 0.01, 0.1, 0.11, 0.5, 0.51, 0.9, 0.91, 1.0)] == [
        *(0, 0, 0, 1),
        *(4, 5),  # half of ten are five: the fifth, and not what lies between it and the sixth
        *(8, 9, 9),
    ]


def test_one_call_is_every_percentile() -> None:
    assert {percentile({100: 1}, share) for share in (0.0, 0.001, 0.5, 0.999, 1.0)} == {2 ** (100.5 / 64) * 1e-9}


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile({}, 0.5))
    assert percentiles({}) == {}


def test_buckets_may_come_in_any_order() -> None:
    want = percentile({100: 1}, 0.5)
    assert percentile({300: 1, 100: 2, 200: 1}, 0.5) == percentile({100: 2, 200: 1, 300: 1}, 0.5) == want


@given(st.lists(st.lists(NANOSECONDS, max_size=30), max_size=5))
@settings(deadline=None)
def test_merged_is_the_histogram_of_all_samples_also_by_way_of_json(parts: list[list[int]]) -> None:
    texts = [json.dumps({str(bucket): count for bucket, count in histogram(part).items()}) for part in parts]
    found = merged(json.loads(text) for text in texts)
    assert found == histogram([sample for part in parts for sample in part])
    assert list(found) == sorted(found)


def test_merged_of_nothing_is_nothing() -> None:
    assert merged([]) == merged([{}, {}]) == {}


def test_only_percentiles_that_the_calls_support_are_told() -> None:
    assert list(percentiles({100: 24_575})) == [0.5]
    assert list(percentiles({100: 24_576})) == [0.5, 0.9]
    # nine in ten in one bucket and one in ten in another, of which the last percentile is
    both = percentiles({100: 270_336 - 20_000, 640: 20_000})
    assert list(both) == [0.5, 0.9, 0.95, 0.97, 0.99]
    assert both[0.5] == both[0.9] == percentile({100: 1}, 0.5)
    assert both[0.95] == both[0.99] == percentile({640: 1}, 0.5)
