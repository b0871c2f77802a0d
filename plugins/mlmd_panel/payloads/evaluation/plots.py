"""Reads the plots of an evaluation: ROC, precision/recall, calibration and confusion matrices, by slice."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadTooLarge
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import shards
from mlmd_panel.payloads.evaluation.metrics import MetricKey, key_of
from mlmd_panel.payloads.evaluation.slices import Slice, slice_of
from mlmd_panel.store.records import Artifact

# Of a curve; TFMA writes 1,001 unless asked for more.
MAX_POINTS = 2001
# Of all matrices that are read; ask for one slice to get all of its.
MAX_CELLS = 100_000
MAX_MATRICES = 100
# Plots kept when no slice is asked for; their slices are all named.
MAX_PLOTS = 60
MAX_SLICES = 5000


@dataclasses.dataclass(frozen=True)
class ConfusionCurve:
    """Confusion matrices by threshold: ROC and precision/recall curves are made from it.

    Attributes:
      thresholds: A prediction above counts as positive; the other columns are as long.
      true_positives: Weighted examples.
      false_positives: Weighted examples.
      true_negatives: Weighted examples.
      false_negatives: Weighted examples.
      precision: As TFMA wrote it.
      recall: As TFMA wrote it; the true positive rate.
      false_positive_rate: False positives among the negatives; NaN without negatives.
      cut: Points were left out, evenly.
    """

    thresholds: tuple[float, ...]
    true_positives: tuple[float, ...]
    false_positives: tuple[float, ...]
    true_negatives: tuple[float, ...]
    false_negatives: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    false_positive_rate: tuple[float, ...]
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Histogram of predictions with the labels in each bucket; residuals are labels minus predictions.

    Attributes:
      lower: Least prediction of the bucket; the other columns are as long.
      upper: Predictions are below.
      examples: Weighted examples.
      labels: Sum of the labels, weighted.
      predictions: Sum of the predictions, weighted.
      cut: Neighbouring buckets were put together.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    examples: tuple[float, ...]
    labels: tuple[float, ...]
    predictions: tuple[float, ...]
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class ClassMatrix:
    """Confusion between classes at one threshold.

    Attributes:
      threshold: A prediction must reach it to count.
      cells: (actual class, predicted class, weighted examples); class -1 predicted means none reached the threshold.
        Of a model with several labels (actual class, predicted class, false negatives, true negatives, false
        positives, true positives).
      several_labels: Which of the two.
      totals: Weighted examples of each actual class in all cells, also in those left out; () of several labels.
      cells_in_all: Number of cells.
      cut: There are more cells.
    """

    threshold: float
    cells: tuple[tuple[int | float, ...], ...]
    several_labels: bool
    totals: tuple[tuple[int, float], ...] = ()
    cells_in_all: int = 0
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class Plot:
    """Plots of one key in one slice.

    Attributes:
      slice: The slice.
      key: Name (may be empty), model, output and sub key.
      confusion: For ROC and precision/recall, or None.
      calibration: Predictions beside labels, by bucket, or None.
      classes: Confusion between classes.
      message: What TFMA says instead of a plot, or empty.
      cut: There are matrices for more thresholds.
    """

    slice: Slice
    key: MetricKey
    confusion: ConfusionCurve | None
    calibration: Calibration | None
    classes: tuple[ClassMatrix, ...]
    message: str = ""
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class PlotsPayload:
    """Plots.

    Attributes:
      slices: All slices that have plots, up to MAX_SLICES.
      plots: Overall first, then by slice.
      cut: Plots of some slices were left out; ask for one slice by its name.
      plots_in_all: Number of plots of all slices.
      slices_in_all: Number of slices that have plots.
    """

    kind: ClassVar[str] = "plots"
    slices: tuple[Slice, ...]
    plots: tuple[Plot, ...]
    cut: bool = False
    plots_in_all: int = 0
    slices_in_all: int = 0


def read(artifact: Artifact, files: Files, only: str | None = None) -> PlotsPayload:
    """Reads plots-*.tfrecord; empty in evaluations without plots.

    Args:
      artifact: The ModelEvaluation.
      files: Where from.
      only: Name of the slice whose plots are wanted; None is all, up to MAX_PLOTS.

    Raises:
      PayloadGone: TFMA wrote none.
      PayloadError: Broken or too large.
    """
    seen: list[Slice] = []
    kept: list[tuple[Slice, list[tuple[MetricKey, Any]]]] = []
    slices = count = 0
    try:
        for message in shards.messages(files, artifact.uri, "plots", "PlotsForSlice"):
            pairs = _pairs(message)
            if not pairs:
                continue
            slice_, slices, count = slice_of(message), slices + 1, count + len(pairs)
            if len(seen) < MAX_SLICES or slice_.is_overall:
                seen.append(slice_)
            if only is None or slice_.name == only:
                kept = _first([*kept, (slice_, pairs)])
        whole = True
    except PayloadTooLarge:
        if not kept:
            raise
        whole = False
    seen.sort(key=lambda one: one.sort_key)
    found, room = [], MAX_CELLS
    for slice_, pairs in kept:
        for key, data in pairs:
            found.append(_plot(slice_, key, data, room))
            room -= sum(len(matrix.cells) for matrix in found[-1].classes)
    return PlotsPayload(tuple(seen), tuple(found), not whole or len(found) < count, count, slices)


def _first(
    found: list[tuple[Slice, list[tuple[MetricKey, Any]]]],
) -> list[tuple[Slice, list[tuple[MetricKey, Any]]]]:
    """Those of the slices that come first, up to MAX_PLOTS plots, in order; the first slice's are all kept."""
    found.sort(key=lambda pair: pair[0].sort_key)
    count = 0
    for place, (_, pairs) in enumerate(found):
        count += len(pairs)
        if place and count > MAX_PLOTS:
            return found[:place]
    return found


def _pairs(message: Any) -> list[tuple[MetricKey, Any]]:
    pairs = [(key_of(pair.key), pair.value) for pair in message.plot_keys_and_values]
    if message.HasField("plot_data"):  # this and the next of TFMA before 0.22
        pairs.append((MetricKey(""), message.plot_data))
    return pairs + [(MetricKey(name), message.plots[name]) for name in sorted(message.plots)]


def _plot(slice_: Slice, key: MetricKey, data: Any, room: int) -> Plot:
    confusion, calibration = data.confusion_matrix_at_thresholds, data.calibration_histogram_buckets
    classes: list[ClassMatrix] = []
    cut = False
    for field, several in (
        (data.multi_class_confusion_matrix_at_thresholds, False),
        (data.multi_label_confusion_matrix_at_thresholds, True),
    ):
        cut |= len(field.matrices) > MAX_MATRICES
        for matrix in field.matrices[:MAX_MATRICES]:
            classes.append(_classes(matrix, several, room))
            room -= len(classes[-1].cells)
    return Plot(
        slice_,
        key,
        _confusion(confusion.matrices) if confusion.matrices else None,
        _calibration(calibration.buckets) if calibration.buckets else None,
        tuple(classes),
        data.debug_message[:2000],
        cut,
    )


def _confusion(matrices: Sequence[Any]) -> ConfusionCurve:
    kept = _thinned(matrices)
    rates = []
    for matrix in kept:
        negatives = matrix.false_positives + matrix.true_negatives
        rates.append(matrix.false_positives / negatives if negatives else float("nan"))
    return ConfusionCurve(
        tuple(m.threshold for m in kept),
        tuple(m.true_positives for m in kept),
        tuple(m.false_positives for m in kept),
        tuple(m.true_negatives for m in kept),
        tuple(m.false_negatives for m in kept),
        tuple(m.precision for m in kept),
        tuple(m.recall for m in kept),
        tuple(rates),
        len(kept) < len(matrices),
    )


def _calibration(buckets: Sequence[Any]) -> Calibration:
    each = -(-len(buckets) // MAX_POINTS)
    groups = [buckets[place : place + each] for place in range(0, len(buckets), each)]
    return Calibration(
        tuple(group[0].lower_threshold_inclusive for group in groups),
        tuple(group[-1].upper_threshold_exclusive for group in groups),
        tuple(sum(b.num_weighted_examples.value for b in group) for group in groups),
        tuple(sum(b.total_weighted_label.value for b in group) for group in groups),
        tuple(sum(b.total_weighted_refined_prediction.value for b in group) for group in groups),
        each > 1,
    )


def _classes(matrix: Any, several: bool, room: int) -> ClassMatrix:
    cells: list[tuple[int | float, ...]] = []
    totals: dict[int, float] = {}
    for entry in matrix.entries:
        place = (entry.actual_class_id, entry.predicted_class_id)
        counts: tuple[float, ...]
        if not several:
            count = entry.num_weighted_examples
            totals[place[0]] = totals.get(place[0], 0.0) + count
            counts = (count,)
        else:
            counts = (
                entry.false_negatives,
                entry.true_negatives,
                entry.false_positives,
                entry.true_positives,
            )
        if len(cells) < room:
            cells.append(place + counts)
    in_all = len(matrix.entries)
    return ClassMatrix(
        matrix.threshold,
        tuple(cells),
        several,
        tuple(sorted(totals.items())),
        in_all,
        len(cells) < in_all,
    )


def _thinned(points: Sequence[Any]) -> list[Any]:
    """All points, or MAX_POINTS of them with the first and the last."""
    if len(points) <= MAX_POINTS:
        return list(points)
    step = (len(points) - 1) / (MAX_POINTS - 1)
    return [points[round(i * step)] for i in range(MAX_POINTS)]
