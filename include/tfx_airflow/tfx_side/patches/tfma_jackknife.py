"""TFMA's jackknife intervals in two steps of a Beam pipeline instead of some hundred.

`evaluators/jackknife.py` makes, of each of its 20 buckets, a collection of its own, and of each of the 20 samples that
leave one bucket out another: 20 times 19 copies of every accumulator go through Beam's coders, and each collection is
a stage with its set-up. Here one combiner keeps the buckets of a slice side by side and merges them itself, by the same
calls in the same order: with the same buckets each sample's metrics are the same to the last bit.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np


class _AtOnce:
    """A list that Beam's coder pickles at once; it would pickle what is in a list or tuple one by one."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]):
        self.items = items


class _BucketsCombineFn(beam.CombineFn):
    """From (bucket, extracts) to (sample, metrics) of every sample: all rows, and all but those of one bucket.

    An accumulator has those of the buckets, None for a bucket without rows.
    """

    def __init__(self, combine_fn: beam.CombineFn, buckets: int, all_rows: int):
        """Takes TFMA's combiner, the number of buckets, and the id of the sample that has all rows."""
        self._combine_fn, self._buckets, self._all_rows = combine_fn, buckets, all_rows

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Delegates."""
        self._combine_fn.setup(*args, **kwargs)

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        """Delegates."""
        self._combine_fn.teardown(*args, **kwargs)

    def create_accumulator(self) -> _AtOnce:
        """No bucket has rows."""
        return _AtOnce([None] * self._buckets)

    def add_input(self, accumulator: _AtOnce, element: tuple[int, Any]) -> _AtOnce:
        """Adds a row to its bucket."""
        bucket, extracts = element
        part = accumulator.items[bucket]
        if part is None:
            part = self._combine_fn.create_accumulator()
        accumulator.items[bucket] = self._combine_fn.add_input(part, extracts)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_AtOnce]) -> _AtOnce:
        """Merges bucket by bucket, with all accumulators of a bucket in one call, as Beam does."""
        found = [
            [part for part in parts if part is not None]
            for parts in zip(*(a.items for a in accumulators), strict=True)
        ]
        return _AtOnce([self._combine_fn.merge_accumulators(parts) if parts else None for parts in found])

    def compact(self, accumulator: _AtOnce) -> _AtOnce:
        """Compacts each bucket."""
        return _AtOnce([p if p is None else self._combine_fn.compact(p) for p in accumulator.items])

    def extract_output(self, accumulator: _AtOnce) -> _AtOnce:
        """The metrics of each sample that has rows."""
        # A merge may keep parts of what it merges, and change them at the next one: every sample gets copies.
        parts = {i: pickle.dumps(part, -1) for i, part in enumerate(accumulator.items) if part is not None}
        samples = [*range(self._buckets), self._all_rows]
        chosen = {sample: [part for i, part in parts.items() if i != sample] for sample in samples}
        return _AtOnce([(sample, self._metrics(found)) for sample, found in chosen.items() if found])

    def _metrics(self, parts: list[bytes]) -> Any:
        fn = self._combine_fn
        merged = fn.create_accumulator()
        for part in parts:
            merged = fn.merge_accumulators([merged, pickle.loads(part)])
        return fn.extract_output(fn.merge_accumulators([fn.compact(merged)]))


class _ToBucket(beam.DoFn):
    """Assigns each row of a slice to a bucket at random, as TFMA does."""

    def __init__(self, buckets: int, random_state: np.random.RandomState):
        self._buckets, self._random_state = buckets, random_state

    def process(self, element: tuple[Any, Any]) -> Iterator[tuple[Any, tuple[int, Any]]]:
        """Puts the bucket's number beside the row."""
        slice_key, extracts = element
        yield slice_key, (self._random_state.randint(self._buckets), extracts)


def in_two_steps(original: Callable[..., beam.PTransform]) -> Callable[..., beam.PTransform]:
    """Replaces `ComputeWithConfidenceIntervals` of TFMA's module; `original` still serves cross slices.

    With those the samples of all slices depend on each other, and TFMA's own collections are needed.
    """
    from tensorflow_model_analysis.evaluators import jackknife

    class ComputeWithConfidenceIntervals(beam.PTransform):
        """Base and derived metrics of each slice, with their standard errors."""

        def __init__(self, *arguments: Any):
            super().__init__()
            self._arguments = arguments

        def expand(self, sliced_extracts: beam.PCollection) -> beam.PCollection:
            combine_fn, derived, buckets, skipped, seed = self._arguments
            all_rows = jackknife._FULL_SAMPLE_ID
            return (
                sliced_extracts
                | f"Partition({buckets})" >> beam.ParDo(_ToBucket(buckets, np.random.RandomState(seed)))
                | "CombineSamplesPerSlice"
                >> beam.CombinePerKey(_BucketsCombineFn(combine_fn, buckets, all_rows))
                | "Samples" >> beam.FlatMapTuple(_by_sample)
                | "AddDerivedMetrics" >> derived
                | "AddSampleIdToValue" >> beam.MapTuple(_by_slice)
                | "CombineJackknifeSamplesPerSlice"
                >> beam.CombinePerKey(jackknife._JackknifeSampleCombineFn(buckets, skipped))
            )

    def compute(
        computations_combine_fn: beam.CombineFn,
        derived_metrics_ptransform: beam.PTransform,
        num_jackknife_samples: int,
        skip_ci_metric_keys: Any = None,
        random_seed_for_testing: int | None = None,
    ) -> beam.PTransform:
        arguments = (
            computations_combine_fn,
            derived_metrics_ptransform,
            num_jackknife_samples,
            skip_ci_metric_keys,
            random_seed_for_testing,
        )
        if _has_cross_slices(derived_metrics_ptransform):
            return original(*arguments)
        return ComputeWithConfidenceIntervals(*arguments)

    return compute


def _has_cross_slices(derived_metrics: Any) -> bool:
    """Of TFMA's `_AddDerivedCrossSliceAndDiffMetrics`; True when that cannot be told."""
    try:
        _, _, cross_slice_specs, _ = derived_metrics._args
    except (AttributeError, TypeError, ValueError):
        return True
    return bool(cross_slice_specs)


def _by_sample(slice_key: Any, samples: _AtOnce) -> Iterator[tuple[tuple[Any, int], Any]]:
    # To the derived metrics a key is a key.
    for sample, metrics in samples.items:
        yield (slice_key, sample), metrics


def _by_slice(key: tuple[Any, int], metrics: Any) -> tuple[Any, Any]:
    from tensorflow_model_analysis.evaluators import jackknife

    slice_key, sample = key
    return jackknife._add_sample_id(slice_key, metrics, sample)
