"""Arithmetic of confusion matrices that have the same thresholds.

The jackknife adds and subtracts them some thousand times. `Matrices` in TFMA's `metrics/binary_confusion_matrices.py`
walks both lists of thresholds to find which one has what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def same_thresholds(original: Callable[..., Any]) -> Callable[..., Any]:
    """Replaces `Matrices._apply_binary_op_elementwise`."""
    from tensorflow_model_analysis.metrics.binary_confusion_matrices import Matrices

    def _apply_binary_op_elementwise(self: Any, other: Any, op: Callable[[float, float], float]) -> Any:
        # A threshold that stands there twice, or in no order, is the original's to decide.
        if self.thresholds != other.thresholds or sorted(set(self.thresholds)) != list(self.thresholds):
            return original(self, other, op)
        columns = {
            name: [op(x, y) for x, y in zip(getattr(self, name), getattr(other, name), strict=True)]
            for name in ("tp", "tn", "fp", "fn")
        }
        return Matrices(thresholds=list(self.thresholds), **columns)

    return _apply_binary_op_elementwise
