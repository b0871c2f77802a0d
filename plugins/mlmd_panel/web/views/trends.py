"""The page of metrics and of statistics of features over many runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Query

from mlmd_panel.csv_text import csv_text
from mlmd_panel.errors import NotFound
from mlmd_panel.evaluation import decay as decays
from mlmd_panel.evaluation import feature_trend, trend
from mlmd_panel.evaluation.feature_trend import FeatureLine, FeaturePoint, FeatureTrends
from mlmd_panel.evaluation.trend import Line, Point, Trends
from mlmd_panel.evaluation.trend_runs import TrendRun, last_runs
from mlmd_panel.formats import number, percent, utc
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.run_summaries import RunSummary, evaluated
from mlmd_panel.web import trend_charts
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.choices import Names
from mlmd_panel.web.request import Text, Visit, Visiting
from mlmd_panel.web.trend_charts import Mark
from mlmd_panel.web.views.compare import pin_name

MAX_RUNS = 200
MAX_PIPELINES = 6
# Runs that are looked through for evaluations, where no pipeline is asked for.
_LOOKED_THROUGH = 60

Pipelines = Annotated[
    list[Annotated[str, Query(max_length=500)]],
    Query(max_length=MAX_PIPELINES, description="Name of a pipeline; may be repeated"),
]
Slices = Annotated[
    list[Annotated[str, Query(max_length=20_000)]],
    Query(max_length=50, description="Name of a slice; may be repeated"),
]
Features = Annotated[
    list[Annotated[str, Query(max_length=5000)]],
    Query(max_length=50, description="Name of a feature; may be repeated"),
]
STATISTICS = {
    "mean": "Mean",
    "missing": "Missing",
    "top_share": "Share of the most frequent value",
    "before": "Drift against the run before",
    "rolling": "Drift against the rolling baseline",
}
Statistic = Literal["mean", "missing", "top_share", "before", "rolling"]


def trends(
    visit: Visiting,
    pipeline: Pipelines = [],  # noqa: B006 - FastAPI copies it
    metrics: Names = [],  # noqa: B006
    slices: Slices = [],  # noqa: B006
    runs: Annotated[int, Query(ge=2, le=MAX_RUNS, description="Number of runs of each pipeline")] = 25,
    axis: Literal["time", "span", "run"] = "time",
    pinned: Annotated[
        int | None,
        Query(ge=0, lt=2**63, description="Baseline of slow decay; 0 for the oldest that was not rejected"),
    ] = None,
    allowed: Annotated[
        float | None,
        Query(ge=0, le=1e12, description="How much worse one change may be, in place of the thresholds"),
    ] = None,
    features: Features = [],  # noqa: B006
    split: Text = None,
    statistic: Statistic = "before",
    window: Annotated[int, Query(ge=1, le=50, description="Runs of the rolling baseline")] = 5,
) -> Answer:
    """Metrics of slices, and statistics of features, over the last runs of pipelines."""
    names = tuple(dict.fromkeys(name for name in pipeline if name.strip())) or _usual(visit)
    found = last_runs(visit.store, visit.dags, names, runs)
    pin = _cookie(visit, names) if pinned is None else pinned or None
    shown = trend.of_runs(visit.panel.files, found, metrics, slices, pin, allowed)
    of_features = feature_trend.of_runs(visit.panel.files, found, features, split or "", window)
    pin_is_shown = pin is None or any(row.summary.run.id == pin for row in found)
    rows = list(reversed(found))
    told = [_decay(shown, place, found) for place in sorted(shown.decays)]
    data = {
        "pipelines": names,
        "runs": [_run(row.summary) for row in rows],
        "lines": [_line(line) for line in shown.lines],
        "lines_left_out": shown.left_out,
        "metrics": shown.metrics,
        "slices": shown.slices,
        "available_metrics": shown.available_metrics,
        "available_slices": shown.available_slices,
        "unknown_metrics": shown.unknown_metrics,
        "unknown_slices": shown.unknown_slices,
        "pinned": pin,
        "pinned_is_shown": pin_is_shown,
        "allowed": allowed,
        "decays": told,
        "undecided": [
            {**_place(shown.lines[place]), "why": why} for place, why in sorted(shown.undecided.items())
        ],
        "features": [_feature(line) for line in of_features.lines],
        "features_left_out": of_features.left_out,
        "available_features": of_features.available,
        "split": of_features.split,
        "splits": of_features.splits,
        "window": window,
    }
    only_html = {
        "asked": metrics,
        "rows": rows,
        "count": runs,
        "axis": axis,
        "axes": trend_charts.AXES,
        "statistic": statistic,
        "statistics": STATISTICS,
        "chosen_features": [line.feature for line in of_features.lines],
        "known_pipelines": [one.name for one in visit.store.pipelines(visit.dags)],
        "columns": _columns(shown),
        "cells": _cells(shown),
        "figures": _figures(visit, shown, axis),
        "gaps": _gaps(shown.lines),
        "pin": _named_run(visit, pin) if pin and not pin_is_shown else "",
        "without_span": sum(not trend_charts.has_place(row.summary, axis) for row in found),
        "feature_columns": list(dict.fromkeys(line.feature for line in of_features.lines)),
        "feature_cells": _feature_cells(of_features),
        "feature_figure": _feature_figure(visit, of_features, axis, statistic),
    }
    return Answer("trends.html", "Trends", data, only_html, csv=lambda: _csv(shown, of_features))


def _usual(visit: Visit) -> tuple[str, ...]:
    """The pipeline with the most evaluations among the newest runs, else that of the newest run."""
    page = visit.store.runs(RunFilter(), visit.dags, limit=_LOOKED_THROUGH)
    runs = [run for run in page.rows if run.pipeline]
    counts = Counter(run.pipeline for run in evaluated(visit.store, runs))
    names = [name for name, _ in counts.most_common(1)] or [run.pipeline for run in runs[:1]]
    return tuple(names)


def _cookie(visit: Visit, names: Sequence[str]) -> int | None:
    """The baseline that the comparison page pinned for the pipeline."""
    text = visit.cookies.get(pin_name(names[0]), "") if len(names) == 1 else ""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _named_run(visit: Visit, id_: int) -> str:
    try:
        return visit.store.run(id_, visit.dags).label
    except NotFound:
        return f"run {id_}"


def _run(row: RunSummary) -> dict[str, Any]:
    return {
        "id": row.run.id,
        "label": row.run.label,
        "pipeline": row.run.pipeline,
        "branch": row.name,
        "started": row.started,
        "spans": row.spans,
        "blessed": row.blessed,
        "pushed": row.pushed,
        "evaluation": row.evaluation.id if row.evaluation else None,
    }


def _line(line: Line) -> dict[str, Any]:
    fields = {f.name: getattr(line, f.name) for f in dataclasses.fields(line)}
    return fields | {"points": [_point(point) for point in line.points]}


def _point(point: Point | FeaturePoint) -> dict[str, Any]:
    fields = {f.name: getattr(point, f.name) for f in dataclasses.fields(point)}
    return fields | {"run": point.run.summary.run.id}


def _feature(line: FeatureLine) -> dict[str, Any]:
    return {
        "pipeline": line.pipeline,
        "branch": line.branch,
        "feature": line.feature,
        "points": [_point(point) for point in line.points],
    }


def _decay(shown: Trends, place: int, runs: Sequence[TrendRun]) -> dict[str, Any]:
    line, found = shown.lines[place], shown.decays[place]
    labels = {row.summary.run.id: row.summary.run.label for row in runs}
    name = f"{line.metric} of {line.slice}" + (f" in {_named(line)}" if _named(line) else "")
    return {
        **_place(line),
        "sentence": decays.sentence(found, name, labels.get(found.baseline, "")),
        "alarm": found.alarm is not None,
        "decay": found,
    }


def _place(line: Line) -> dict[str, str]:
    return {
        "metric": line.metric,
        "slice": line.slice,
        "pipeline": line.pipeline,
        "branch": line.branch,
    }


def _named(line: Line | FeatureLine) -> str:
    return f"{line.pipeline} {line.branch}".strip() if line.branch else ""


def _columns(shown: Trends) -> list[tuple[str, str]]:
    """Metric and slice of each column: lines of several pipelines share one."""
    return list(dict.fromkeys((line.metric, line.slice) for line in shown.lines))


def _cells(shown: Trends) -> dict[tuple[int, str, str, str], Point]:
    return {
        (point.run.summary.run.id, point.run.summary.name, line.metric, line.slice): point
        for line in shown.lines
        for point in line.points
    }


def _feature_cells(shown: FeatureTrends) -> dict[tuple[int, str, str], FeaturePoint]:
    return {
        (point.run.summary.run.id, point.run.summary.name, line.feature): point
        for line in shown.lines
        for point in line.points
    }


def _gaps(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """How many runs of each line have no value, by reason."""
    return [
        {
            "line": _title(line, lines),
            "runs": len(line.points),
            "reasons": Counter(point.gap for point in line.points if point.value is None).most_common(3),
            "gaps": line.gaps,
        }
        for line in lines
        if line.gaps
    ]


def _title(line: Line, lines: Sequence[Line]) -> str:
    """What distinguishes a line from the others."""
    parts = [line.metric, line.slice]
    if len({(one.pipeline, one.branch) for one in lines}) > 1:
        parts.append(f"{line.pipeline} {line.branch}".strip())
    return ", ".join(parts)


def _figures(visit: Visit, shown: Trends, axis: str) -> list[tuple[str, Any]]:
    """A figure for each metric, as metrics have scales of their own."""
    figures = []
    for metric in dict.fromkeys(line.metric for line in shown.lines):
        lines = [line for line in shown.lines if line.metric == metric]
        marked = [
            (_title(line, shown.lines), [_mark(visit, point) for point in line.points]) for line in lines
        ]
        figures.append((metric, trend_charts.lines(marked, axis, metric)))
    return figures


def _mark(visit: Visit, point: Point) -> Mark:
    run = point.run.summary
    said = number(point.value)
    if point.lower is not None:
        said += f" ({number(point.lower)} to {number(point.upper)})"
    return Mark(
        run,
        visit.urls.to("runs", run.run.id),
        point.value,
        point.lower,
        point.upper,
        f"{said}, {_state(run)}",
    )


def _state(run: RunSummary) -> str:
    if run.pushed:
        return "pushed"
    return {True: "blessed", False: "not blessed", None: "no verdict"}[run.blessed]


def _feature_figure(visit: Visit, shown: FeatureTrends, axis: str, statistic: str) -> Any:
    several = len({(line.pipeline, line.branch) for line in shown.lines}) > 1
    marked = []
    for line in shown.lines:
        name = f"{line.feature}, {line.pipeline} {line.branch}".strip() if several else line.feature
        marks = []
        for point in line.points:
            value = getattr(point, statistic)
            shares = statistic in ("missing", "top_share")
            said = percent(value) if shares else number(value)
            run = point.run.summary
            marks.append(Mark(run, visit.urls.to("runs", run.run.id), value, said=said))
        marked.append((name, marks))
    return trend_charts.lines(marked, axis, STATISTICS[statistic]) if marked else None


def _csv(shown: Trends, of_features: FeatureTrends) -> str:
    """A row for each point; those of features have the statistic as their metric and the feature as their slice."""
    header = "kind pipeline branch run_id run started span blessed pushed metric slice value lower upper examples gap"
    rows: list[list[Any]] = []
    for line in shown.lines:
        for point in line.points:
            values = [
                line.metric,
                line.slice,
                point.value,
                point.lower,
                point.upper,
                point.examples,
                point.gap,
            ]
            rows.append(["metric", *_csv_run(point.run.summary), *values])
    for one in of_features.lines:
        for place in one.points:
            for name in STATISTICS:
                values = [name, one.feature, getattr(place, name), None, None, place.examples, place.gap]
                rows.append(["feature", *_csv_run(place.run.summary), *values])
    return csv_text(header.split(), rows)


def _csv_run(row: RunSummary) -> list[Any]:
    run = row.run
    spans = " ".join(map(str, row.spans))
    return [run.pipeline, row.name, run.run_id, run.id, utc(row.started), spans, row.blessed, row.pushed]
