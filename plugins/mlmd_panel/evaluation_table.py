"""Which slices and metrics of an evaluation its page shows."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any

from fastapi import Depends, Query

from mlmd_panel.payloads.evaluation import EvaluationPayload, SliceMetrics
from mlmd_panel.payloads.metrics import Metric

MAX_ROWS = 500
MAX_COLUMNS = 12


@dataclasses.dataclass(frozen=True)
class Choice:
    """What the address chooses.

    Attributes:
      metrics: Names with commas; * is all; "" is those with thresholds, or the first.
      slices: Text in the slice's name.
      min_examples: Slices with fewer are left out.
      metric: Of the chart; "" is the first shown.
      plot: Name of the slice whose plots are shown; "" is the first.
    """

    metrics: str = ""
    slices: str = ""
    min_examples: int = 0
    metric: str = ""
    plot: str = ""


def choice(
    metrics: Annotated[
        str, Query(max_length=1000, description="Of an evaluation: names with commas; * is all")
    ] = "",
    slices: Annotated[str, Query(max_length=200, description="Text in the slice's name")] = "",
    min_examples: Annotated[int, Query(ge=0, le=10**12, description="Slices with fewer are left out")] = 0,
    metric: Annotated[str, Query(max_length=500, description="Metric of the chart")] = "",
    plot: Annotated[str, Query(max_length=500, description="Slice whose plots are shown")] = "",
) -> Choice:
    """The choice of a request."""
    return Choice(metrics.strip(), slices.strip(), min_examples, metric, plot)


Choosing = Annotated[Choice, Depends(choice)]


@dataclasses.dataclass(frozen=True)
class Table:
    """What is shown.

    Attributes:
      names: Metrics, as columns.
      available: All metrics' names.
      rows: Slices with the candidate's metrics by name.
      matching: Number of slices that match, also those not shown.
      chart: Metric of the chart, or "".
      scales: By metric the least and greatest number shown, intervals included.
    """

    names: tuple[str, ...]
    available: tuple[str, ...]
    rows: tuple[tuple[SliceMetrics, dict[str, Metric]], ...]
    matching: int
    chart: str
    scales: dict[str, tuple[float, float]]


def names_in(text: str) -> tuple[str, ...]:
    """The names that an address gives with commas between them, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def table(payload: EvaluationPayload, chosen: Choice) -> Table:
    """The slices and metrics that a choice leaves."""
    all_rows = [(part, payload.candidate(part)) for part in payload.slices]
    available = tuple(dict.fromkeys(name for _, metrics in all_rows for name in metrics))
    numeric = [n for n in available if any(m[n].number is not None for _, m in all_rows[:50] if n in m)]
    names = names_in(chosen.metrics)
    if "*" in names:
        names = available
    elif not names:
        bound = [t.key.label for t in payload.config.thresholds if not t.change and t.key.label in available]
        counts = [name for name in numeric if "example_count" in name]
        names = tuple(dict.fromkeys([*bound, *(n for n in numeric if n not in counts)]))[:6]
    names = tuple(name for name in names if name in available)[:MAX_COLUMNS]
    rows = [
        (part, metrics)
        for part, metrics in all_rows
        if chosen.slices.lower() in part.slice.name.lower()
        and (part.examples is None or part.examples >= chosen.min_examples)
    ]
    chart = chosen.metric if chosen.metric in available else next((n for n in names if n in numeric), "")
    shown = tuple(rows[:MAX_ROWS])
    return Table(names, available, shown, len(rows), chart, {name: _scale(shown, name) for name in names})


def _scale(rows: tuple[tuple[SliceMetrics, dict[str, Metric]], ...], name: str) -> tuple[float, float]:
    numbers: list[float] = []
    for _, metrics in rows:
        metric = metrics.get(name)
        if metric:
            bounds: list[Any] = [metric.interval.lower, metric.interval.upper] if metric.interval else []
            numbers += [
                n for n in (metric.number, *bounds) if isinstance(n, (int, float)) and math.isfinite(n)
            ]
    return (min(numbers), max(numbers)) if numbers else (0.0, 0.0)
