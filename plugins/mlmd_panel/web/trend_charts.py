"""Makes plotly figures of trends: lines over runs with intervals, gaps and marks; a click opens the run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from mlmd_panel import formats
from mlmd_panel.store.run_summaries import RunSummary
from mlmd_panel.web import charts
from mlmd_panel.web.charts import COLOURS, Figure, text

RUN, TIME, SPAN = "run", "time", "span"
AXES = (TIME, SPAN, RUN)
# Lines differ in their dashes too, as not everybody sees their colours.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
BLESSED, REJECTED, PUSHED, NONE = "circle", "x", "star", "circle-open"


@dataclasses.dataclass(frozen=True)
class Mark:
    """A run on a line.

    Attributes:
      run: The run.
      url: Its page.
      value: None leaves a gap.
      lower: End of the interval, or None.
      upper: End of the interval, or None.
      said: What the mark shows when pointed at, besides the run.
    """

    run: RunSummary
    url: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    said: str = ""


def lines(found: Sequence[tuple[str, Sequence[Mark]]], axis: str, title: str) -> Figure:
    """Lines over runs, oldest first.

    Args:
      found: Name and marks of each line.
      axis: time, span or run; runs without a span are left out of an axis of spans.
      title: What the values are.
    """
    order = _order([mark.run for _, marks in found for mark in marks])
    traces = [_trace(name, marks, axis, place, order) for place, (name, marks) in enumerate(found)]
    layout = charts.axes({TIME: "Started", SPAN: "Span", RUN: ""}[axis], text(title))
    if axis == TIME:
        layout["xaxis"]["type"] = "date"
    if axis == SPAN:
        # As numbers, months such as 201312 and 201401 would be far apart.
        spans = sorted({mark.run.spans[-1] for _, marks in found for mark in marks if mark.run.spans})
        layout["xaxis"] |= {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(map(str, spans)),
        }
    if axis == RUN:
        layout["xaxis"] |= {
            "tickvals": list(order.values()),
            "ticktext": [
                text(_label(run), 24) for run in {id_: r for id_, r in _runs(found).items()}.values()
            ],
            "nticks": 12,
        }
    if len(found) > 1:
        layout |= {"showlegend": True, "legend": {"orientation": "h", "y": -0.2}}
        layout["margin"] = {**layout["margin"], "b": 80}
    return {"data": traces, "layout": layout}


def _runs(found: Sequence[tuple[str, Sequence[Mark]]]) -> dict[int, RunSummary]:
    runs = {mark.run.run.id: mark.run for _, marks in found for mark in marks}
    return dict(sorted(runs.items(), key=lambda pair: (pair[1].started, pair[0])))


def _order(runs: Sequence[RunSummary]) -> dict[int, int]:
    """Place of each run on an axis of runs."""
    by_time = sorted({run.run.id: run.started for run in runs}.items(), key=lambda pair: (pair[1], pair[0]))
    return {id_: place for place, (id_, _) in enumerate(by_time)}


def _trace(name: str, marks: Sequence[Mark], axis: str, place: int, order: dict[int, int]) -> dict[str, Any]:
    placed = [(_x(mark.run, axis, order), mark) for mark in marks]
    shown = [(x, mark) for x, mark in placed if x is not None]
    if axis == SPAN:
        shown.sort(key=lambda pair: pair[0])
    colour = COLOURS[place % len(COLOURS)]
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(name, 60),
        "connectgaps": False,
        "x": [str(x) if axis == SPAN else x for x, _ in shown],
        "y": [mark.value for _, mark in shown],
        "line": {"color": colour, "width": 1.5, "dash": _DASHES[place % len(_DASHES)]},
        "marker": {"color": colour, "size": 9, "symbol": [symbol(mark.run) for _, mark in shown]},
        "customdata": [[text(_label(mark.run), 80), text(mark.said, 160)] for _, mark in shown],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        "meta": {"links": [mark.url for _, mark in shown]},
    }
    whiskers = [_whisker(mark) for _, mark in shown]
    if any(up or down for up, down in whiskers):
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [up for up, _ in whiskers],
            "arrayminus": [down for _, down in whiskers],
            "color": "var(--c6)",
            "thickness": 1.2,
            "width": 3,
        }
    return trace


def symbol(run: RunSummary) -> str:
    """Mark of a run: whether its model was pushed, else blessed."""
    if run.pushed:
        return PUSHED
    return NONE if run.blessed is None else BLESSED if run.blessed else REJECTED


def has_place(run: RunSummary, axis: str) -> bool:
    """Whether a run has a place on an axis."""
    return axis != SPAN or bool(run.spans)


def _x(run: RunSummary, axis: str, order: dict[int, int]) -> Any:
    if axis == SPAN:
        return run.spans[-1] if run.spans else None
    return order[run.run.id] if axis == RUN else formats.utc(run.started)


def _label(run: RunSummary) -> str:
    return f"{run.run.label} {run.name}".strip()


def _whisker(mark: Mark) -> tuple[float, float]:
    if mark.value is None or mark.lower is None or mark.upper is None:
        return 0, 0
    if not all(map(math.isfinite, (mark.value, mark.lower, mark.upper))):
        return 0, 0
    return max(mark.upper - mark.value, 0), max(mark.value - mark.lower, 0)
