"""The distribution of single calls' times as counts in narrow buckets: small enough to keep, fine enough to read.

64 buckets an octave: a bucket's edges are 1.1 % apart, so a percentile is told to within that.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from vecml.statistics import supported_percentiles

BUCKETS_PER_OCTAVE = 64


def bucket_of(nanoseconds: int) -> int:
    """The bucket of a duration; what took no time by the clock counts as a nanosecond."""
    return math.floor(math.log2(max(1, nanoseconds)) * BUCKETS_PER_OCTAVE)


def merged(histograms: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """Several histograms (bucket number as text: JSON has no other keys) as one, in ascending order."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update({int(bucket): count for bucket, count in histogram.items()})
    return dict(sorted(total.items()))


def percentile(histogram: Mapping[int, int], share: float) -> float:
    """Seconds that `share` (0 to 1) of the calls did not take longer than: the middle of the bucket that holds it.

    The nearest rank (R. J. Hyndman and Y. Fan, Am. Stat. 50 (1996), 361-365, definition 1); NaN of nothing.
    """
    rank = max(1, math.ceil(share * sum(histogram.values())))
    for bucket in sorted(histogram):
        rank -= histogram[bucket]
        if rank <= 0:
            return math.exp2((bucket + 0.5) / BUCKETS_PER_OCTAVE) * 1e-9
    return math.nan


def percentiles(histogram: Mapping[int, int]) -> dict[float, float]:
    """The percentiles that the number of calls supports, as seconds; see `supported_percentiles`."""
    return {share: percentile(histogram, share) for share in supported_percentiles(sum(histogram.values()))}
