"""Writes numbers for sentences."""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """A number for a sentence: four decimals or four digits, whichever says more."""
    if value is None:
        return "unknown"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1000:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.4g}"


def signed(value: float | None) -> str:
    """A number with its sign."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text
