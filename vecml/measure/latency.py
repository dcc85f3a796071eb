"""The times of single calls as a histogram with narrow buckets, from which percentiles are read.

There are 64 buckets to an octave, so that a bucket's edges, and the error of a percentile, are 1.1 % apart.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from vecml.statistics import supported_percentiles

BUCKETS_PER_OCTAVE = 64


def bucket_of(nanoseconds: int) -> int:
    """The number of a duration's bucket; a duration of 0 counts as a nanosecond."""
    return math.floor(math.log2(max(1, nanoseconds)) * BUCKETS_PER_OCTAVE)


def merged(histograms: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """Several histograms as one, in ascending order; their buckets are text, because JSON has no other keys."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update({int(bucket): count for bucket, count in histogram.items()})
    return dict(sorted(total.items()))


def percentile(histogram: Mapping[int, int], share: float) -> float:
    """The seconds that a share (0 to 1) of the calls did not exceed: the middle of the bucket that has this call.

    It is the nearest rank (R. J. Hyndman and Y. Fan, Am. Stat. 50 (1996), 361-365, definition 1); NaN without calls.
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
