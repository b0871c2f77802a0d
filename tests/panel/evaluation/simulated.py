"""Evaluations of models whose true metrics are known, drawn by chance, with TFMA's jackknife of 20 buckets.

`python -m tests.panel.evaluation.simulated` prints the figures of docs/evaluation-diff.md.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from functools import cache

from mlmd_panel.evaluation.compare import Comparison, Method, compare
from mlmd_panel.evaluation.differences import Estimate, welch
from mlmd_panel.evaluation.false_discovery import corrected_level
from mlmd_panel.payloads.evaluation.slices import Slice

from tests.panel.evaluation.evaluations import evaluated, part

BUCKETS = 20
PAIRS = 500
# Examples on each side, and comparisons that are judged together.
EQUAL = (
    (20, 1), (30, 1), (60, 1), (100, 1), (300, 1), (1000, 1), (30, 10), (100, 10), (1000, 10), (30, 100), (100, 100),
    (100, 1000),
)  # fmt: skip


def jackknife(whole: float, without: Sequence[float]) -> Estimate:
    """TFMA's estimate: variance (n - 1) / n times the sum of squares around the mean of the estimates without a bucket.

    Args:
      whole: Estimate of all examples.
      without: Estimates without each bucket.
    """
    mean = sum(without) / len(without)
    squares = sum((value - mean) ** 2 for value in without)
    return Estimate(whole, math.sqrt(squares * (len(without) - 1) / len(without)), len(without) - 1)


def accuracy(draw: random.Random, examples: int, truth: float) -> Estimate:
    """An accuracy as TFMA estimates it."""
    sizes = [examples // BUCKETS + (number < examples % BUCKETS) for number in range(BUCKETS)]
    right = [draw.choices(range(size + 1), cum_weights=_binomial(size, truth))[0] for size in sizes]
    total = sum(right)
    without = [(total - mine) / (examples - size) for mine, size in zip(right, sizes, strict=True)]
    return jackknife(total / examples, without)


@cache
def _binomial(size: int, truth: float) -> tuple[float, ...]:
    weights = (math.comb(size, k) * truth**k * (1 - truth) ** (size - k) for k in range(size + 1))
    return tuple(itertools.accumulate(weights))


def accuracies(
    draw: random.Random, examples: int, before: float, after: float
) -> tuple[Estimate, Estimate, Estimate]:
    """Two models on the same examples: their accuracies, and TFMA's paired difference.

    The two disagree on a tenth of the examples, so that their truths may differ by up to 0.1.
    """
    kinds = _joint(before, after)
    buckets = [[0, 0, 0] for _ in range(BUCKETS)]  # examples, right by the first, right by the second
    for number, (first, second) in enumerate(draw.choices(*kinds, k=examples)):
        bucket = buckets[number % BUCKETS]
        bucket[0] += 1
        bucket[1] += first
        bucket[2] += second
    all_of = [sum(column) for column in zip(*buckets, strict=True)]

    def of(value: Callable[[Sequence[int]], float]) -> Estimate:
        rest = ([whole - mine for whole, mine in zip(all_of, bucket, strict=True)] for bucket in buckets)
        return jackknife(value(all_of), [value(one) for one in rest])

    return (
        of(lambda counts: counts[1] / counts[0]),
        of(lambda counts: counts[2] / counts[0]),
        of(lambda counts: (counts[2] - counts[1]) / counts[0]),
    )


@cache
def _joint(before: float, after: float) -> tuple[list[tuple[int, int]], list[float]]:
    lost, won = 0.05 + (before - after) / 2, 0.05 + (after - before) / 2
    return [(1, 1), (1, 0), (0, 1), (0, 0)], [before - lost, lost, won, 1 - before - won]


def auc(draw: random.Random, examples: int, distance: float) -> Estimate:
    """An area under the ROC curve; scores of the two classes are normal, and their means `distance` apart."""
    rows = sorted(
        (draw.gauss(distance if label else 0, 1), label, number % BUCKETS)
        for number, label in enumerate(draw.random() < 0.4 for _ in range(examples))
    )
    return jackknife(_auc(rows, -1), [_auc(rows, bucket) for bucket in range(BUCKETS)])


def _auc(rows: Sequence[tuple[float, bool, int]], left_out: int) -> float:
    below = pairs = positive = 0
    for _, label, bucket in rows:
        if bucket == left_out:
            continue
        if label:
            positive += 1
            pairs += below
        else:
            below += 1
    return pairs / (positive * below) if positive and below else 0.5


def unpaired_verdicts(
    examples: int, comparisons: int, drop: float = 0.0, pairs: int = PAIRS, seed: int = 1, truth: float = 0.9
) -> tuple[float, float, float]:
    """How often a candidate is called worse.

    Returns:
      The share of comparisons called worse before the correction for many, the share after, and how often at least one
      of those judged together is called worse after.

    Args:
      examples: On each side of each comparison.
      comparisons: That are judged together.
      drop: By how much the candidate's true accuracy is lower in each of them.
      pairs: How many times.
      seed: Of the draws.
      truth: Accuracy of the baseline.
    """
    draw = random.Random(f"{seed} {examples} {comparisons} {drop}")
    before = after = any_after = 0
    for _ in range(pairs):
        found = []
        for _ in range(comparisons):
            one = welch(accuracy(draw, examples, truth), accuracy(draw, examples, truth - drop))
            # A standard error of 0 or too few examples: nothing is said.
            if one is not None and examples >= 30:
                found.append(one)
        level = corrected_level([one.p_value for one in found], 0.95)
        before += sum(one.interval(0.95)[1] < 0 for one in found)
        worse = sum(one.interval(level)[1] < 0 for one in found)
        after += worse
        any_after += worse > 0
    return before / pairs / comparisons, after / pairs / comparisons, any_after / pairs


def planted(
    draw: random.Random, examples: int, model: float, data: float, slices: int = 0, level: float = 0.95
) -> Comparison:
    """Two runs whose model effect and data effect are known: on the overall examples and on slices of the same size.

    The baseline's model has an accuracy of 0.85 on the baseline's data.
    """
    where = [Slice(()), *(Slice((("slice", number),)) for number in range(slices))]
    before, after = [], []
    for slice_ in where:
        first = accuracy(draw, examples, 0.85)
        old, new, change = accuracies(draw, examples, 0.85 + data, 0.85 + data + model)
        before.append(part(slice_, examples, first.standard_error, accuracy=first.value))
        made = part(
            slice_, examples, new.standard_error, {"accuracy": old.value}, {"accuracy": (change.value, change.standard_error)},
            accuracy=new.value,
        )  # fmt: skip
        after.append(made)
    return compare(
        evaluated(1, *before, model=7), evaluated(2, *after, baseline_model=7), method=Method(level=level)
    )


def main() -> None:
    """Prints how often equal models are called worse, and how often a drop is found."""
    print("Equal models called worse, %: before and after the correction, at least one after")
    for examples, comparisons in EQUAL:
        shares = unpaired_verdicts(examples, comparisons)
        print(
            f"| {examples:,} | {comparisons:,} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |",
            flush=True,
        )
    print("Drops found, %: unpaired and paired")
    for examples in (100, 300, 1000, 3000):
        cells = []
        for drop in (0.01, 0.02, 0.05):
            draw = random.Random(examples)
            paired = sum(planted(draw, examples, -drop, 0.0).counts["worse"] for _ in range(PAIRS))
            cells.append(
                f"{100 * unpaired_verdicts(examples, 1, drop)[0]:.0f} and {100 * paired / PAIRS:.0f}"
            )
        print(f"| {examples:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
