"""Distances between the distributions of a feature in two datasets, equal to those of TFDV 1.16.

TFDV has them in C++, in anomalies/metrics.cc. Its Jensen-Shannon divergence is approximate: within a bucket values
are taken to be spread evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from mlmd_panel.payloads.data.histograms import Bucket, Histogram

Counts = Mapping[str, float]


def l_infinity(baseline: Counts, candidate: Counts) -> tuple[float, str]:
    """Greatest difference of a value's share, and that value; of several the last by its bytes, as in TFDV.

    Args:
      baseline: How often each value is; values without any have the share 0.
      candidate: The same in the other dataset.
    """
    shares, others = _shares(candidate), _shares(baseline)
    greatest, value = 0.0, ""
    for name in sorted({*shares, *others}, key=str.encode):
        difference = abs(shares.get(name, 0.0) - others.get(name, 0.0))
        if difference >= greatest:
            greatest, value = difference, name
    return greatest, value


def _shares(counts: Counts) -> Counts:
    total = sum(counts[name] for name in sorted(counts, key=str.encode))
    return {name: count / total for name, count in counts.items()} if total else counts


def divergence_of_values(baseline: Counts, candidate: Counts) -> float | None:
    """Jensen-Shannon divergence of two distributions over values, in bits: 0 of equal ones, 1 of disjoint ones.

    None, as in TFDV, when one has no values, or a value with no examples.
    """
    if not baseline or not candidate or min(*baseline.values(), *candidate.values()) <= 0:
        return None
    names = sorted({*baseline, *candidate}, key=str.encode)
    return _divergence(
        [candidate.get(name, 0.0) for name in names], [baseline.get(name, 0.0) for name in names]
    )


def divergence_of_numbers(baseline: Histogram, candidate: Histogram) -> float | None:
    """Approximate Jensen-Shannon divergence of two histograms, in bits; None when one has no values."""
    ours, theirs = aligned(candidate, baseline)
    return _divergence(ours, theirs)


def _divergence(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    total, other = sum(ours), sum(theirs)
    if total == 0 or other == 0:
        return None
    sums = [0.0, 0.0]
    for mine, its in zip(ours, theirs, strict=True):
        shares = mine / total, its / other
        middle = (shares[0] + shares[1]) / 2
        for side, share in enumerate(shares):
            if share > 0 and middle > 0:
                sums[side] += share * math.log2(share / middle)
    return min((sums[0] + sums[1]) / 2, 1.0)


def aligned(one: Histogram, two: Histogram) -> tuple[list[float], list[float]]:
    """Counts of two histograms in the same buckets.

    Buckets are cut at each other's bounds. Single values are buckets of their own; infinite bounds and NaN never match
    what the other histogram has there. As in TFDV, NaN count only where no bucket has to be cut.
    """
    plain = [[b for b in found.buckets if _is_finite(b) and b.low != b.high] for found in (one, two)]
    bounds = [sorted({bound for b in some for bound in (b.low, b.high)}) for some in plain]
    alike = bounds[0] == bounds[1]
    if alike:
        counts = [[b.count for b in some] for some in plain]
    else:
        every = sorted({*bounds[0], *bounds[1]})
        counts = [_rebucketed(some, every) for some in plain]
    points = [_points(found.buckets) for found in (one, two)]
    for value in sorted({*points[0], *points[1]}):
        for side in (0, 1):
            counts[side].append(points[side].get(value, 0.0))
    endless = [sum(b.count for b in found.buckets if not _is_finite(b)) for found in (one, two)]
    for side in (0, 1):
        if endless[side]:
            counts[side].append(endless[side])
            counts[1 - side].append(0.0)
    if alike and (one.nan or two.nan):
        counts[0] += [0.0, float(one.nan)]
        counts[1] += [float(two.nan), 0.0]
    return counts[0], counts[1]


def _is_finite(bucket: Bucket) -> bool:
    return math.isfinite(bucket.low) and math.isfinite(bucket.high)


def _points(buckets: Iterable[Bucket]) -> dict[float, float]:
    """Counts of buckets that are a single value."""
    found: dict[float, float] = {}
    for bucket in buckets:
        if _is_finite(bucket) and bucket.low == bucket.high:
            found[bucket.low] = found.get(bucket.low, 0.0) + bucket.count
    return found


def _rebucketed(buckets: Sequence[Bucket], bounds: Sequence[float]) -> list[float]:
    """Counts between each two bounds, among which are those of all buckets."""
    counts: list[float] = []
    place = 0
    for bucket in buckets:
        while bucket.low > bounds[place]:
            counts.append(0.0)
            place += 1
        while bucket.high > bounds[place]:
            width = bounds[place + 1] - bounds[place]
            counts.append(width / (bucket.high - bucket.low) * bucket.count)
            place += 1
    return counts + [0.0] * (len(bounds) - 1 - place)
