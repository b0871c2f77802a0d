"""Reads the metrics of each slice of an evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from typing import Any, NamedTuple, overload

from mlmd_panel.errors import PayloadTooLarge
from mlmd_panel.files.allowed import Files
from mlmd_panel.files.record_store import RecordStore, Stored
from mlmd_panel.payloads.evaluation import slice_records, slices
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey, key_of, metric_of
from mlmd_panel.payloads.evaluation.slices import Slice

MAX_SLICES = 5000
MAX_METRICS = 100_000
# Rows of structured values, such as confusion matrices.
MAX_ROWS = 200_000
# Beyond those, slices that are searched for by name.
MAX_SEARCHED = 500


@dataclasses.dataclass(frozen=True)
class SliceMetrics:
    """The metrics of a slice.

    Attributes:
      slice: The slice.
      metrics: Of all models, and the differences between them.
      examples: Number of examples, or None when it was not measured; never a sum of weights, nor a cross slice's
        difference of numbers.
      weighted_examples: Sum of their weights, or None when it was not measured, or differs between outputs.
      error: What TFMA says instead of metrics, such as that the slice is too small; or empty.
    """

    slice: Slice
    metrics: tuple[Metric, ...]
    examples: float | None
    weighted_examples: float | None
    error: str = ""

    def metric(self, key: MetricKey) -> Metric | None:
        """The metric of that key."""
        return next((metric for metric in self.metrics if metric.key == key), None)


class StoredSlices(Sequence[SliceMetrics]):
    """The slices of an evaluation as they were written, each parsed when it is asked for.

    Of thousands of slices only few are objects at a time: a metric with its interval takes three times its bytes in
    the file, and small objects that are freed leave gaps which the process keeps.
    """

    def __init__(self, stored: Sequence[_Stored], layouts: Sequence[_Layout]) -> None:
        """Args:
        stored: The slices, in their order.
        layouts: Keys of their metrics, by the number that they are stored with.
        """
        self._stored, self._layouts = stored, layouts

    @property
    def slices(self) -> tuple[Slice, ...]:
        """What the slices are of."""
        return tuple(one.slice for one in self._stored)

    @property
    def examples(self) -> tuple[float | None, ...]:
        """Number of examples of each."""
        return tuple(one.examples for one in self._stored)

    @property
    def keys(self) -> tuple[MetricKey, ...]:
        """Keys of all their metrics, each once."""
        layouts = (self._layouts[number] for number in dict.fromkeys(one.layout for one in self._stored))
        return tuple(dict.fromkeys(key for layout in layouts for key in layout if key is not None))

    def only(self, keys: Container[MetricKey]) -> StoredSlices:
        """The same slices without other metrics than those."""
        return StoredSlices(
            self._stored,
            [tuple(key if key in keys else None for key in layout) for layout in self._layouts],
        )

    def __len__(self) -> int:
        return len(self._stored)

    @overload
    def __getitem__(self, place: int) -> SliceMetrics: ...

    @overload
    def __getitem__(self, place: slice) -> StoredSlices: ...

    def __getitem__(self, place: int | slice) -> SliceMetrics | StoredSlices:
        if isinstance(place, slice):
            return StoredSlices(self._stored[place], self._layouts)
        one = self._stored[place]
        message = slice_records.message(one.record.data, one.file)
        layout, pairs = self._layouts[one.layout], message.metric_keys_and_values
        metrics = [
            metric_of(
                key, pair.value, pair.confidence_interval if pair.HasField("confidence_interval") else None
            )
            for key, pair in zip(layout, pairs, strict=False)  # names come after the pairs
            if key is not None
        ]
        of_names = zip(layout[len(pairs) :], sorted(message.metrics), strict=True)
        metrics += [metric_of(key, message.metrics[name]) for key, name in of_names if key is not None]
        return SliceMetrics(one.slice, tuple(metrics), one.examples, one.weighted_examples, one.error)


def slices_of(parts: Sequence[SliceMetrics]) -> tuple[Slice, ...]:
    """What slices are of, without parsing those that are stored."""
    return parts.slices if isinstance(parts, StoredSlices) else tuple(part.slice for part in parts)


def examples_of(parts: Sequence[SliceMetrics]) -> tuple[float | None, ...]:
    """Number of examples of slices, without parsing those that are stored."""
    return parts.examples if isinstance(parts, StoredSlices) else tuple(part.examples for part in parts)


# The key of each value of a slice; None of what is left out.
_Layout = tuple["MetricKey | None", ...]


class _Stored(NamedTuple):
    """A slice as it was written, with what is known without its metrics."""

    slice: Slice
    file: str
    record: Stored
    layout: int
    examples: float | None
    weighted_examples: float | None
    error: str


def read(files: Files, uri: str, search: str = "") -> tuple[StoredSlices, int, bool]:
    """The slices that are kept, how many there are, and whether something was left out.

    Args:
      files: Where from.
      uri: Of the ModelEvaluation.
      search: Text in the names of slices that are kept beyond the limits.

    Raises:
      PayloadError: The metrics are gone or cannot be read.
    """
    found: list[_Stored] = []
    storing = _Storing()
    count = metrics = rows = 0
    more, full, cut = MAX_SEARCHED, False, False
    try:
        for file, record in slice_records.records(files, uri):
            message = slice_records.message(record, file)
            count += 1
            metrics += len(message.metric_keys_and_values) + len(message.metrics)
            full = full or len(found) >= MAX_SLICES or metrics > MAX_METRICS or rows > MAX_ROWS
            if full:
                slice_ = slices.slice_of(message)
                wanted = slice_.is_overall or (search and search.lower() in slice_.name.lower())
                if not wanted or not more:
                    cut = True
                    continue
                more -= 1
            found.append(storing.stored(message, file, record))
            rows += storing.rows
    except PayloadTooLarge:
        if not found:
            raise
        cut = True
    found.sort(key=lambda one: one.slice.sort_key)
    return StoredSlices(found, storing.layouts), count, cut


class _Storing:
    """Finds what is known of slices without their metrics; all slices have the same few keys.

    Attributes:
      rows: Of the structured values of the last slice.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._keys: dict[bytes, tuple[MetricKey, bool | None]] = {}
        self._layouts: dict[_Layout, int] = {}
        self._records = RecordStore()

    @property
    def layouts(self) -> tuple[_Layout, ...]:
        return tuple(self._layouts)

    def stored(self, message: Any, file: str, record: bytes) -> _Stored:
        layout: list[MetricKey | None] = []
        counted: list[tuple[bool, Metric]] = []
        self.rows, error = 0, ""
        for pair in message.metric_keys_and_values:
            key, counts = self._key(pair.key)
            layout.append(key)
            if counts is not None or not pair.value.HasField("double_value"):
                metric = metric_of(key, pair.value)
                self.rows += len(metric.value) if isinstance(metric.value, list) else 0
                if counts is not None:
                    counted.append((counts, metric))
        for name in sorted(message.metrics):  # of TFMA before 0.22, and errors
            key = MetricKey(name)
            metric = metric_of(key, message.metrics[name])
            if metric.kind == "message":
                error = str(metric.value)
                layout.append(None)
                continue
            layout.append(key)
            self.rows += len(metric.value) if isinstance(metric.value, list) else 0
            if (counts := _counts(key)) is not None:
                counted.append((counts, metric))
        slice_ = slices.slice_of(message)
        # Of a cross slice all metrics are differences, counts too.
        if slice_.baseline is not None:
            counted = []
        number = self._layouts.setdefault(tuple(layout), len(self._layouts))
        counts_ = _count(counted, weighted=False), _count(counted, weighted=True)
        return _Stored(slice_, file, self._records.add(record), number, *counts_, error)

    def _key(self, message: Any) -> tuple[MetricKey, bool | None]:
        written = message.SerializeToString()
        if written not in self._keys:
            key = key_of(message)
            self._keys[written] = key, _counts(key)
        return self._keys[written]


def _count(counted: list[tuple[bool, Metric]], weighted: bool) -> float | None:
    """The number that all models and outputs agree on, else None: weights may be theirs alone."""
    counts = {
        repr(metric.number): metric.number
        for of_weights, metric in counted
        if of_weights is weighted and not metric.key.is_diff and metric.number is not None
    }
    return next(iter(counts.values())) if len(counts) == 1 else None


def _counts(key: MetricKey) -> bool | None:
    """True of a sum of weights, False of a number of examples, None of other metrics.

    TFMA gives both of its metrics weighted and unweighted; the key says which. Of those without a key, of old
    versions, the name does.
    """
    name = key.name.removeprefix("post_export_metrics/")
    if name == "example_count":
        return key.weighted is True
    if name in ("weighted_example_count", "example_weight"):
        return key.weighted is not False
    return None
