"""Scales of forest plots."""

from __future__ import annotations

from collections.abc import Sequence

from mlmd_panel.evaluation.row import Row

_FITTING = 0.8


def scales(rows: Sequence[Row]) -> dict[str, float]:
    """How far the plot reaches to both sides of 0, by metric: four of five intervals fit, the widest are cut."""
    reaches: dict[str, list[float]] = {}
    for row in rows:
        change = row.judged_change
        bounds = (change.corrected or change.interval) if change else None
        if bounds:
            reaches.setdefault(row.metric, []).append(max(abs(bounds.lower), abs(bounds.upper)))
    return {metric: sorted(found)[int(_FITTING * (len(found) - 1))] for metric, found in reaches.items()}
