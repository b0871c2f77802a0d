"""Joins a slice of an evaluation to the drift of the features that define it."""

from __future__ import annotations

from mlmd_panel.evaluation.changes.changed import Changes
from mlmd_panel.evaluation.changes.drift import Drift, DriftOfData
from mlmd_panel.payloads.evaluation.slices import Slice


def drifted_for(slice_: Slice, changes: Changes) -> tuple[Drift, ...]:
    """Drift of the features that define a slice, in the data that the Evaluators read if it is known there.

    Args:
      slice_: A slice; of a cross slice the features of both parts count.
      changes: What changed between the runs.

    Returns:
      Drifts, greatest first; none of the slice of all examples, and of features without drift.
    """
    features = {feature for feature, _ in (*slice_.pairs, *(slice_.baseline or ()))}
    details = [item.details for item in changes.of_kind("drift") if isinstance(item.details, DriftOfData)]
    found = [
        (data, drift)
        for data in details
        for drift in data.features
        if drift.feature in features and drift.has_drifted
    ]
    evaluated = [pair for pair in found if pair[0].is_evaluated]
    chosen = [drift for _, drift in evaluated or found]
    return tuple(sorted(chosen, key=lambda drift: (not drift.beyond, -(drift.value or 0.0))))
