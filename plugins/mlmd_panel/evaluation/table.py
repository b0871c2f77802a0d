"""Selects the slices and metrics of an evaluation that its page shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mlmd_panel.evaluation.paging import PageOf, page_of
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metric_names import metric_names
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey
from mlmd_panel.payloads.evaluation.slices import Slice

MAX_ROWS = 500
# Cells of a table: the more columns, the fewer rows per page.
MAX_CELLS = 20_000
MAX_COLUMNS = 200
# Columns shown by default.
FEW_COLUMNS = 8
ALL = "*"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What the query parameters select.

    Attributes:
      metrics: Names; * is all; none is those with thresholds, or the first.
      slices: Text in the slice's name.
      min_examples: Slices with fewer are left out.
      metric: Metric of the chart; "" is the first shown.
      plot: Name of the slice whose plots are shown; "" is the first.
      page: Page of the list of slices.
      bounds: Page of the verdict's bounds.
      cells: Page of the cells of matrices that cannot be drawn.
      attributions: Page of the attributions.
    """

    metrics: tuple[str, ...] = ()
    slices: str = ""
    min_examples: int = 0
    metric: str = ""
    plot: str = ""
    page: int = 1
    bounds: int = 1
    cells: int = 1
    attributions: int = 1


@dataclasses.dataclass(frozen=True)
class TableRow:
    """A slice.

    Attributes:
      slice: The slice.
      examples: Number of examples, or None.
      weighted_examples: Sum of their weights, or None.
      error: What TFMA says instead of metrics, or empty.
      metrics: By name those of the columns and of the chart.
    """

    slice: Slice
    examples: float | None
    weighted_examples: float | None
    error: str
    metrics: dict[str, Metric]


@dataclasses.dataclass(frozen=True)
class Table:
    """The slices and metrics to show.

    Attributes:
      names: Metrics, as columns.
      available: Names of all metrics: of the candidates, of the changes, of the baseline.
      numeric: Those of them that are numbers, which a chart can show.
      unknown: Requested names that no metric has.
      left_out: Requested names beyond MAX_COLUMNS.
      page: The slices shown, of those that match.
      chart: Metric of the chart, or "".
      uncounted: A minimum number of examples is set, but some slices shown have no count.
    """

    names: tuple[str, ...]
    available: tuple[str, ...]
    numeric: tuple[str, ...]
    unknown: tuple[str, ...]
    left_out: tuple[str, ...]
    page: PageOf[TableRow]
    chart: str
    uncounted: bool


def chosen_names(asked: Sequence[str]) -> tuple[str, ...]:
    """The requested names, each once."""
    return tuple(dict.fromkeys(name for name in asked if name.strip()))


def picked(
    asked: Sequence[str], available: Sequence[str], usual: Sequence[str], most: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Which metrics are shown.

    Returns:
      Names to show, requested names that are not available, and names beyond `most`.
    """
    known = set(available)
    names = tuple(available) if ALL in asked else tuple(name for name in asked if name in known)
    unknown = tuple(name for name in asked if name not in known and name != ALL)
    if not names:
        names = tuple(usual)
    return names[:most], unknown, names[most:]


def table(payload: EvaluationPayload, chosen: Choice) -> Table:
    """The slices and metrics that a choice selects."""
    numbers: dict[MetricKey, bool] = {}
    for part in payload.slices:
        for metric in part.metrics:
            numbers[metric.key] = numbers.get(metric.key, False) or metric.number is not None
    keys = _ordered(list(numbers), payload)
    of_key = metric_names(keys, payload.sole)
    available = tuple(of_key.values())
    numeric = tuple(name for key, name in of_key.items() if numbers[key])
    usual = [of_key[key] for key in _usual([key for key in keys if numbers[key]], payload)]
    names, unknown, left_out = picked(chosen.metrics, available, usual, MAX_COLUMNS)
    rows = [
        part
        for part in payload.slices
        if chosen.slices.lower() in part.slice.name.lower()
        and (part.examples is None or part.examples >= chosen.min_examples)
    ]
    size = max(min(MAX_ROWS, MAX_CELLS // max(len(names), 1)), 20)
    listed = page_of(rows, chosen.page, size)
    chart = chosen.metric if chosen.metric in numeric else next((n for n in names if n in numeric), "")
    shown = {*names, chart}
    filled = tuple(
        TableRow(
            part.slice,
            part.examples,
            part.weighted_examples,
            part.error,
            {of_key[m.key]: m for m in part.metrics if of_key[m.key] in shown},
        )
        for part in listed.rows
    )
    page = PageOf(filled, listed.in_all, listed.first, listed.page, listed.pages)
    uncounted = bool(chosen.min_examples) and any(row.examples is None for row in filled)
    return Table(names, available, numeric, unknown, left_out, page, chart, uncounted)


def _ordered(keys: list[MetricKey], payload: EvaluationPayload) -> list[MetricKey]:
    """Candidates' metrics first, then changes, then the baseline's; models of a metric next to each other."""
    models = {name: place for place, name in enumerate(payload.candidates)}
    measures = {measure: place for place, measure in enumerate(dict.fromkeys(map(_measure, keys)))}

    def place(key: MetricKey) -> tuple:
        of_baseline = bool(key.model) and key.model == payload.baseline
        return of_baseline, key.is_diff, measures[_measure(key)], models.get(key.model, len(models))

    return sorted(keys, key=place)


def _usual(keys: list[MetricKey], payload: EvaluationPayload) -> list[MetricKey]:
    """Metrics with thresholds first, then the others, counts only without others; of several models all or none."""
    own = [key for key in keys if not key.is_diff and (not key.model or key.model != payload.baseline)]
    bound = {_measure(key) for key in {one.key for one in payload.config.thresholds if not one.change}}
    measures = dict.fromkeys(m for m in map(_measure, own) if m in bound)
    measures |= dict.fromkeys(m for m in map(_measure, own) if "example_count" not in m.name)
    measures = measures or dict.fromkeys(map(_measure, own))
    found: list[MetricKey] = []
    for measure in measures:
        of_models = [key for key in own if _measure(key) == measure]
        if found and len(found) + len(of_models) > FEW_COLUMNS:
            break
        found += of_models
    return found


def _measure(key: MetricKey) -> MetricKey:
    return dataclasses.replace(key, model="")
