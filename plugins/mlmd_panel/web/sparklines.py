"""Tiny pictures inside tables, as SVG: sparklines, time bars, histograms, intervals.

Sizes and colours come from classes in the style sheet; the <title> of a picture describes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

from markupsafe import Markup, escape

from mlmd_panel.payloads.data.feature_statistics import FeatureStatistics


def sparkline(values: Sequence[float | None], title: str, width: int = 88, height: int = 22) -> Markup:
    """A line over values, oldest first; what is missing leaves a gap; "" for less than two values.

    NaN is a dash across, infinity a triangle at the top, and below at the bottom; the title counts them.
    """
    known = [value for value in values if value is not None]
    finite = [value for value in known if _finite(value)]
    if len(known) < 2:
        return Markup("")
    low, high = min(finite, default=0), max(finite, default=0)
    points: list[str] = []
    pieces: list[list[str]] = []
    marks = Markup("")
    for number, value in enumerate(values):
        x = 2 + number * (width - 4) / max(len(values) - 1, 1)
        if value is None or not _finite(value):
            pieces.append(points)
            points = []
            marks += _odd_mark(value, x, height)
            continue
        # Halves first: the difference of two finite numbers need not be one.
        share = (value / 2 - low / 2) / ((high / 2 - low / 2) or 1)
        points.append(f"{x:.1f},{height - 3 - share * (height - 6):.1f}")
    pieces.append(points)
    lines = Markup("").join(
        Markup('<polyline points="{}"/>').format(" ".join(piece)) for piece in pieces if piece
    )
    if finite:
        last = next(piece[-1] for piece in reversed(pieces) if piece).split(",")
        lines += Markup('<circle cx="{}" cy="{}" r="2"/>').format(*last)
    if odd := len(known) - len(finite):
        title += f"; {odd} of {len(known)} NaN or infinite"
    return _svg("spark", width, height, lines + marks, title)


def _odd_mark(value: float | None, x: float, height: int) -> Markup:
    """Mark of a value that is not a point of the line; nothing for a missing one."""
    if value is None:
        return Markup("")
    if math.isnan(value):
        middle = height / 2
        return Markup('<path class="odd" d="M{:.1f} {:.1f}h4"/>').format(x - 2, middle)
    tip, base = (0, 5) if value > 0 else (height, height - 5)
    return Markup('<path class="odd" d="M{:.1f} {}l3 {}h-6z"/>').format(x, tip, base - tip)


def time_bar(start: float, end: float, began: float, ended: float, state: str, title: str) -> Markup:
    """When something ran between the start and the end of its run."""
    span = max(end - start, 1)
    x = 100 * min(max((began - start) / span, 0), 1)
    width = max(100 * (ended - began) / span, 1)
    bar = Markup(
        '<rect class="track" width="100" height="8" rx="2"/><rect class="bar s-{}" x="{:.2f}" width="{:.2f}" '
    ).format(state.lower(), min(x, 99), min(width, 100 - min(x, 99))) + Markup('height="8" rx="1"/>')
    return _svg("timebar", 100, 8, bar, title, stretch=True)


def bars(heights: Sequence[float], title: str, width: int = 96, height: int = 26) -> Markup:
    """A small histogram of buckets that are drawn equally wide."""
    shown = [max(value, 0) if _finite(value) else 0 for value in heights]
    top = max(shown, default=0) or 1
    if not shown:
        return Markup("")
    each = width / len(shown)
    rects = Markup("").join(
        Markup('<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
            number * each, height - value / top * height, max(each - 0.6, 0.4), value / top * height
        )
        for number, value in enumerate(shown)
    )
    return _svg("bars", width, height, rects, title)


def heights(feature: FeatureStatistics) -> list[float]:
    """Bucket counts of a feature's small histogram: of numbers by value, of texts by rank."""
    if feature.numeric:
        found = next((h for h in feature.numeric.histograms if h.kind == "STANDARD"), None)
        return [bucket.count for bucket in found.buckets] if found else []
    if feature.strings:
        ranked = feature.strings.ranks
        counts = [bucket.count for bucket in ranked.buckets] if ranked else []
        return (counts or [one.count for one in feature.strings.top])[:24]
    return []


def share(value: float | None, kind: str = "", width: int = 60) -> Markup:
    """A bar that is filled by a share of 1."""
    filled = min(max(value, 0), 1) if _finite(value) else 0
    rect = Markup('<rect class="track" width="100" height="6" rx="1"/>') + Markup(
        '<rect class="bar {}" width="{:.1f}" height="6" rx="1"/>'
    ).format(kind, 100 * filled)
    return _svg("share", 100, 6, rect, "", stretch=True)


def margin(value: float | None, limit: float | None, lower: bool, passed: bool | None) -> Markup:
    """A value relative to its bound; the side that passes is shaded."""
    if not _finite(value) or not _finite(limit):
        return Markup("")
    reach = max(abs(value - limit) * 1.4, abs(limit) * 0.1, 1e-9)
    x = 50 + 50 * (value - limit) / reach
    good = Markup('<rect class="good" x="{}" width="50" height="10"/>').format(50 if lower else 0)
    kind = "pass" if passed else "fail" if passed is False else ""
    inside = (
        Markup('<rect class="track" width="100" height="10" rx="2"/>')
        + good
        + Markup(
            '<line class="limit" x1="50" x2="50" y1="0" y2="10"/><circle class="{}" cx="{:.1f}" cy="5" r="3.4"/>'
        ).format(kind, min(max(x, 4), 96))
    )
    return _svg("margin", 100, 10, inside, f"{value:.4g}, bound {limit:.4g}")


def interval(lower: float, value: float, upper: float, low: float, high: float) -> Markup:
    """A value with its confidence interval on a scale from low to high."""
    if not all(map(_finite, (lower, value, upper, low, high))) or high <= low:
        return Markup("")
    at = [2 + 96 * min(max((v - low) / (high - low), 0), 1) for v in (lower, value, upper)]
    inside = Markup(
        '<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="5" y2="5"/><circle cx="{:.1f}" cy="5" r="2.4"/>'
    ).format(at[0], at[2], at[1])
    return _svg("interval", 100, 10, inside, f"{value:.4g}, 95 % between {lower:.4g} and {upper:.4g}")


def forest(
    value: float, lower: float, upper: float, reach: float, allowed: float | None, kind: str
) -> Markup:
    """A change with its interval around 0, of a forest plot; ends beyond `reach` are arrows.

    Args:
      value: The change.
      lower: Bound of its interval.
      upper: Bound of its interval.
      reach: What the picture shows to each side of 0.
      allowed: The change to each side that is allowed, shaded; None for none.
      kind: Class of the line.
    """
    if not all(map(_finite, (value, lower, upper, reach))) or reach <= 0:
        return Markup("")

    def x(at: float) -> float:
        return 60 + 54 * min(max(at / reach, -1), 1)

    band = Markup("")
    if allowed:
        left, right = x(-allowed), x(allowed)
        band = Markup('<rect class="allowed" x="{:.1f}" width="{:.1f}" height="14"/>').format(
            left, right - left
        )
    ends = Markup("")
    if lower < -reach:
        ends += Markup('<path d="M8 3L3 7L8 11"/>')
    if upper > reach:
        ends += Markup('<path d="M112 3L117 7L112 11"/>')
    inside = (
        band
        + Markup(
            '<line class="zero" x1="60" x2="60" y1="0" y2="14"/><line x1="{:.1f}" x2="{:.1f}" y1="7" y2="7"/>'
        ).format(x(lower), x(upper))
        + ends
        + Markup('<circle cx="{:.1f}" cy="7" r="3"/>').format(x(value))
    )
    return _svg(f"forest {kind}", 120, 14, inside, f"{value:+.4g}, between {lower:+.4g} and {upper:+.4g}")


def _svg(kind: str, width: int, height: int, inside: Markup, title: str, stretch: bool = False) -> Markup:
    described = Markup("<title>{}</title>").format(escape(title)) if title else Markup("")
    hidden = Markup(' role="img"') if title else Markup(' aria-hidden="true"')
    ratio = Markup(' preserveAspectRatio="none"') if stretch else Markup("")
    return (
        Markup('<svg class="{}" viewBox="0 0 {} {}"{}{}>').format(kind, width, height, ratio, hidden)
        + described
        + inside
        + Markup("</svg>")
    )


def _finite(value: float | None) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)
