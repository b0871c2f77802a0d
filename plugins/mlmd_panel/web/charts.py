"""Makes plotly figures, {"data": [...], "layout": {...}}, from payloads.

Colours are CSS variables, which the page resolves, so that a figure fits both themes. Texts from the store must go
through `text()`, as plotly interprets HTML tags.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import escape

from mlmd_panel import formats
from mlmd_panel.payloads.data.feature_statistics import ValueCount
from mlmd_panel.payloads.data.histograms import Histogram, RankHistogram
from mlmd_panel.payloads.evaluation.attributions import Attribution
from mlmd_panel.payloads.evaluation.metrics import Metric
from mlmd_panel.payloads.evaluation.plots import Calibration, ClassMatrix, ConfusionCurve
from mlmd_panel.payloads.evaluation.slices import Slice

COLOURS = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)")
MAX_BARS = 60
MAX_CLASSES = 100
Figure = dict[str, Any]


def text(value: Any, limit: int = 40) -> str:
    """Escapes a text, so that plotly does not interpret HTML tags in it."""
    shown = str(value)
    return str(escape(shown if len(shown) <= limit else shown[: limit - 1] + "…"))


def slices(rows: Sequence[tuple[Slice, Metric]], metric: str) -> Figure:
    """A metric by slice, with confidence intervals; the overall slice is highlighted, NaN and infinity are named."""
    found = [(slice_, m, m.number) for slice_, m in rows if m.number is not None]
    values = [number for _, _, number in found]
    upper, lower = zip(*(_whisker(m) for _, m, _ in found), strict=True) if found else ((), ())
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": list(range(len(found))),
        "marker": {
            "color": ["var(--c2)" if slice_.is_overall else "var(--c1)" for slice_, _, _ in found],
            "size": 8,
        },
        "customdata": [[text(slice_.name, 80), _with_interval(m)] for slice_, m, _ in found],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    }
    if any(upper) or any(lower):
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": list(upper),
            "arrayminus": list(lower),
            "color": "var(--c6)",
            "thickness": 1.5,
            "width": 3,
        }
    names = [
        text(slice_.name) + ("" if math.isfinite(number) else f": {formats.number(number)}")
        for slice_, _, number in found
    ]
    layout = axes(x=text(metric), y="")
    layout["yaxis"] |= {
        "autorange": "reversed",
        "tickvals": list(range(len(found))),
        "ticktext": names,
        "automargin": True,
    }
    layout["height"] = 90 + 20 * max(len(found), 4)
    return {"data": [trace], "layout": layout}


def roc(curve: ConfusionCurve) -> Figure:
    """True over false positive rate, with the diagonal of guessing."""
    line = _line(curve.false_positive_rate, curve.recall, "ROC", curve.thresholds)
    guess = {**_line((0, 1), (0, 1), "guessing"), "line": {"color": "var(--c6)", "dash": "dot", "width": 1}}
    layout = axes("False positive rate", "True positive rate")
    layout["xaxis"]["range"] = layout["yaxis"]["range"] = [-0.02, 1.02]
    return {"data": [guess, line], "layout": layout}


def precision_recall(curve: ConfusionCurve) -> Figure:
    """Precision over recall."""
    layout = axes("Recall", "Precision")
    layout["xaxis"]["range"] = layout["yaxis"]["range"] = [-0.02, 1.02]
    return {"data": [_line(curve.recall, curve.precision, "Precision", curve.thresholds)], "layout": layout}


def calibration(found: Calibration) -> Figure:
    """Mean label over mean prediction of each bucket that has examples, with the diagonal of perfect calibration."""
    rows = [
        (p / n, label / n, n)
        for p, label, n in zip(found.predictions, found.labels, found.examples, strict=True)
        if n and math.isfinite(p / n) and math.isfinite(label / n)
    ]
    top = max((row[2] for row in rows), default=1)
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "buckets",
        "x": [row[0] for row in rows],
        "y": [row[1] for row in rows],
        "customdata": [row[2] for row in rows],
        "marker": {
            "color": "var(--c1)",
            "size": [4 + 14 * math.sqrt(row[2] / top) for row in rows],
            "opacity": 0.7,
        },
        "hovertemplate": "predicted %{x:.4f}<br>label %{y:.4f}<br>%{customdata} examples<extra></extra>",
    }
    ends = [v for row in rows for v in row[:2]]
    low, high = (min(ends), max(ends)) if ends else (0, 1)
    perfect = {
        **_line((low, high), (low, high), "perfect"),
        "line": {"color": "var(--c6)", "dash": "dot", "width": 1},
    }
    return {"data": [perfect, points], "layout": axes("Mean prediction", "Mean label")}


def predictions(found: Calibration) -> Figure:
    """The distribution of the predictions."""
    middles, widths = _steps(found.lower, found.upper)
    trace = {
        "type": "bar",
        "x": middles,
        "y": list(found.examples),
        "width": widths,
        "marker": {"color": "var(--c1)"},
    }
    return {"data": [trace], "layout": axes("Prediction", "Examples")}


def classes(matrix: ClassMatrix) -> Figure:
    """Actual classes over predicted ones, as a share of all examples of each actual class, drawn or not."""
    actual, predicted = drawn_classes(matrix)
    counts = {(int(cell[0]), int(cell[1])): cell[2] for cell in matrix.cells}
    totals = dict(matrix.totals)
    grid = [[counts.get((a, p), 0) for p in predicted] for a in actual]
    shares = [[n / (totals[a] or 1) for n in row] for a, row in zip(actual, grid, strict=True)]
    trace = {
        "type": "heatmap",
        "z": shares,
        "x": ["none" if p < 0 else str(p) for p in predicted],
        "y": [str(a) for a in actual],
        "customdata": grid,
        "colorscale": [[0, "var(--bg-sunk)"], [1, "var(--c1)"]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "hovertemplate": "actual %{y}, predicted %{x}: %{customdata} examples, %{z:.1%}<extra></extra>",
    }
    layout = axes("Predicted class", "Actual class")
    layout["yaxis"] |= {"autorange": "reversed", "type": "category"}
    layout["xaxis"]["type"] = "category"
    return {"data": [trace], "layout": layout}


def drawn_classes(matrix: ClassMatrix) -> tuple[list[int], list[int]]:
    """Actual and predicted classes that `classes` draws: if there are more than MAX_CLASSES, those with the most examples."""
    predicted: dict[int, float] = {}
    for cell in matrix.cells:
        predicted[int(cell[1])] = predicted.get(int(cell[1]), 0) + cell[2]
    return _largest(dict(matrix.totals)), _largest(predicted)


def _largest(examples: dict[int, float]) -> list[int]:
    return sorted(sorted(examples, key=lambda one: (-examples[one], one))[:MAX_CLASSES])


def binary(
    curve: ConfusionCurve, threshold: float = 0.5
) -> tuple[float, list[tuple[str, float, float]]] | None:
    """The confusion matrix of two classes at the threshold closest to the requested one.

    Returns:
      The threshold, and two rows (actual class, predicted negative, predicted positive); None without thresholds.
    """
    known = [n for n, value in enumerate(curve.thresholds) if math.isfinite(value)]
    if not known:
        return None
    at = min(known, key=lambda n: abs(curve.thresholds[n] - threshold))
    return curve.thresholds[at], [
        ("Negative", curve.true_negatives[at], curve.false_positives[at]),
        ("Positive", curve.false_negatives[at], curve.true_positives[at]),
    ]


def histogram(found: Histogram) -> Figure:
    """Buckets at their true widths; quantiles are drawn as density."""
    buckets = [b for b in found.buckets if math.isfinite(b.low) and math.isfinite(b.high)]
    middles, widths = _steps([b.low for b in buckets], [b.high for b in buckets])
    quantiles = found.kind == "QUANTILES"
    heights = [b.count / w if quantiles else b.count for b, w in zip(buckets, widths, strict=True)]
    trace = {
        "type": "bar",
        "x": middles,
        "y": heights,
        "width": widths,
        "customdata": [[b.low, b.high, b.count] for b in buckets],
        "marker": {"color": "var(--c1)", "line": {"width": 0.5, "color": "var(--bg)"}},
        "hovertemplate": "%{customdata[0]:.6g} to %{customdata[1]:.6g}: %{customdata[2]:,.6g}<extra></extra>",
    }
    return {"data": [trace], "layout": axes("", "Values per unit" if quantiles else "Values")}


def ranks(found: RankHistogram | None, top: Sequence[ValueCount]) -> Figure:
    """The most frequent values."""
    rows = [(b.label or f"ranks {b.low}–{b.high}", b.count) for b in found.buckets] if found else []
    rows = (rows or [(one.value, one.count) for one in top])[:MAX_BARS]
    trace = {
        "type": "bar",
        "x": list(range(len(rows))),
        "y": [count for _, count in rows],
        "customdata": [text(name, 80) for name, _ in rows],
        "marker": {"color": "var(--c1)"},
        "hovertemplate": "%{customdata}: %{y:,.6g}<extra></extra>",
    }
    layout = axes("", "Values")
    layout["xaxis"] |= {"tickvals": list(range(len(rows))), "ticktext": [text(name, 18) for name, _ in rows]}
    return {"data": [trace], "layout": layout}


def attributions(found: Attribution) -> Figure:
    """Values of features, largest first."""
    rows = [(name, metric.number) for name, metric in found.features if metric.number is not None]
    rows = sorted(rows, key=lambda row: -abs(row[1] or 0))[:MAX_BARS]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [value for _, value in rows],
        "y": [text(name) for name, _ in rows],
        "marker": {"color": "var(--c1)"},
    }
    layout = axes(text(found.key.label), "")
    layout["yaxis"] |= {"autorange": "reversed", "automargin": True}
    return {"data": [trace], "layout": layout}


def _with_interval(metric: Metric) -> str:
    interval = metric.interval
    if interval is None or not isinstance(interval.lower, (int, float)):
        return formats.number(metric.number)
    bounds = f"{formats.number(interval.lower)} to {formats.number(interval.upper)}"
    return f"{formats.number(metric.number)} ({bounds})"


def _whisker(metric: Metric) -> tuple[float, float]:
    interval, value = metric.interval, metric.number
    if interval is None or value is None:
        return 0, 0
    upper, lower = interval.upper, interval.lower
    if not isinstance(upper, (int, float)) or not isinstance(lower, (int, float)):
        return 0, 0
    if not all(map(math.isfinite, (value, upper, lower))):
        return 0, 0
    return max(upper - value, 0), max(value - lower, 0)


def _line(
    x: Sequence[float], y: Sequence[float], name: str, thresholds: Sequence[float] = ()
) -> dict[str, Any]:
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "name": name,
        "line": {"color": "var(--c1)"},
    }
    if thresholds:
        trace |= {
            "customdata": list(thresholds),
            "hovertemplate": "%{x:.4f}, %{y:.4f}<br>threshold %{customdata:.4f}<extra></extra>",
        }
    return trace


def _steps(low: Sequence[float], high: Sequence[float]) -> tuple[list[float], list[float]]:
    """Middles and widths of buckets; empty and unbounded ones get a width that is visible."""
    pairs = list(zip(low, high, strict=True))
    spans = [b - a for a, b in pairs if math.isfinite(b - a) and b > a]
    least = (sum(spans) / len(spans) if spans else 1.0) / 20
    middles, widths = [], []
    for a, b in pairs:
        width = b - a if math.isfinite(b - a) and b > a else least
        start = a if math.isfinite(a) else b - width if math.isfinite(b) else 0.0
        middles.append(start + (b - a) / 2 if width == b - a else start)
        widths.append(width)
    return middles, widths


def axes(x: str, y: str) -> dict[str, Any]:
    """Layout of a figure with titles of its axes."""
    axis = {
        "gridcolor": "var(--line)",
        "zerolinecolor": "var(--line-strong)",
        "linecolor": "var(--line-strong)",
        "automargin": True,
    }
    return {
        "paper_bgcolor": "var(--bg)",
        "plot_bgcolor": "var(--bg)",
        "font": {"color": "var(--text-soft)", "family": "Inter, system-ui, sans-serif", "size": 12},
        "hoverlabel": {
            "bgcolor": "var(--bg-sunk)",
            "bordercolor": "var(--line-strong)",
            "font": {"color": "var(--text)"},
        },
        "margin": {"l": 56, "r": 16, "t": 16, "b": 44},
        "showlegend": False,
        "bargap": 0.1,
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
    }
