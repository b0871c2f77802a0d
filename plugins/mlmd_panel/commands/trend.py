"""Shows a metric over the last runs of a pipeline, each with its confidence interval and number of examples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlmd_panel.commands import exit_codes, list_options, store_options
from mlmd_panel.errors import PayloadError
from mlmd_panel.formats import number, utc

if TYPE_CHECKING:
    from mlmd_panel.files.allowed import Files
    from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
    from mlmd_panel.payloads.evaluation.metrics import Metric
    from mlmd_panel.store.run_summaries import RunSummary
    from mlmd_panel.store.store import Store

EXAMPLES = """\
  python -m mlmd_panel trend auc --mlmd metadata.db --pipeline taxi_retraining
  python -m mlmd_panel trend auc --mlmd metadata.db --slice 'payment_type: Cash' --runs 12 --format csv
"""
_COLUMNS = (
    "run",
    "dag_id",
    "run_id",
    "branch",
    "started",
    "spans",
    "value",
    "lower",
    "upper",
    "examples",
    "blessed",
    "pushed",
    "problem",
)
_NUMBERS = ("run", "value", "lower", "upper", "examples")
_OVERALL = "Overall"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    store_options.add_arguments(parser, "title", "repository")
    parser.add_argument("metric", metavar="METRIC", help="name of the metric, such as auc")
    parser.add_argument(
        "--slice",
        default=_OVERALL,
        metavar="NAME",
        help="such as 'payment_type: Cash'. Default: all examples.",
    )
    parser.add_argument(
        "--pipeline", default="", metavar="NAME", help="of the runs; needed if there are several"
    )
    parser.add_argument(
        "--runs", type=list_options.positive, default=12, metavar="N", help="runs at most. Default: 12."
    )
    parser.add_argument("--format", choices=["text", "json", "csv"], default="text", help="Default: text.")


def run(options: argparse.Namespace) -> int:
    """Prints the series, the oldest run first; runs without an evaluation are left out.

    Raises:
      PanelError: The store cannot be read, or no run has the metric.
    """
    opened = store_options.opened(options)
    rows = [
        _row(one, opened.files, options) for one in reversed(_evaluated(opened.store.for_request(), options))
    ]
    sys.stdout.write(_written(rows, options))
    if rows and all(row["value"] is None for row in rows):
        print(f"None of these runs has {options.metric!r} in slice {options.slice!r}.", file=sys.stderr)
    return exit_codes.OK if any(row["value"] is not None for row in rows) else exit_codes.NO_ANSWER


def _evaluated(store: Store, options: argparse.Namespace) -> list[RunSummary]:
    """The newest runs and branches with an evaluation, newest first."""
    from mlmd_panel.store.run_references import newest, pipeline_of

    found: list[RunSummary] = []
    runs = 0
    for row in newest(store, None, pipeline_of(store, None, "trend", options.pipeline)):
        branches = [one for one in row.each if one.evaluation]
        found += reversed(branches)
        runs += bool(branches)
        if runs == options.runs:
            break
    return found


def _row(one: RunSummary, files: Files, options: argparse.Namespace) -> dict[str, Any]:
    from mlmd_panel.payloads.evaluation import evaluation

    row = dict.fromkeys(_COLUMNS) | {
        "run": one.run.id,
        "dag_id": one.run.dag_id,
        "run_id": one.run.run_id,
        "branch": one.name,
        "started": one.started,
        "spans": one.spans,
        "blessed": one.blessed,
        "pushed": one.pushed,
        "problem": "",
    }
    assert one.evaluation is not None
    try:
        payload = evaluation.read(one.evaluation, files, parts=(), search=_search(options.slice))
    except PayloadError as error:
        return row | {"problem": str(error)}
    return row | _values(payload, options.metric, options.slice)


def _search(slice_name: str) -> str:
    return "" if slice_name == _OVERALL else slice_name


def _values(payload: EvaluationPayload, metric: str, slice_name: str) -> dict[str, Any]:
    from mlmd_panel.payloads.evaluation.metric_names import metric_names

    part = next((one for one in payload.slices if one.slice.name == slice_name), None)
    if part is None:
        return {"problem": f"no slice {slice_name!r}"}
    found = payload.of_candidates(part)
    names = {name: key for key, name in metric_names(sorted(found, key=repr)).items()}
    if metric not in names:
        known = ", ".join(sorted(names)) or "none"
        return {"examples": part.examples, "problem": f"no metric {metric!r}; it has {known}"}
    value: Metric = found[names[metric]]
    if value.number is None:
        return {"examples": part.examples, "problem": f"{metric!r} is not a single number"}
    bounds = value.interval
    single = bounds is not None and all(isinstance(end, (int, float)) for end in (bounds.lower, bounds.upper))
    return {
        "value": value.number,
        "lower": bounds.lower if single and bounds else None,
        "upper": bounds.upper if single and bounds else None,
        "examples": part.examples,
    }


def _written(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> str:
    if options.format == "json":
        from mlmd_panel.json_text import to_json

        return to_json({"metric": options.metric, "slice": options.slice, "runs": rows}).decode() + "\n"
    if options.format == "csv":
        from mlmd_panel.csv_text import csv_text

        return csv_text(_COLUMNS, ([_csv_cell(name, row[name]) for name in _COLUMNS] for row in rows))
    from mlmd_panel.commands.text_table import text_table

    shown = [name for name in _COLUMNS if name not in ("dag_id", "branch") or any(r[name] for r in rows)]
    return text_table(shown, ([_cell(name, row[name]) for name in shown] for row in rows), right=_NUMBERS)


def _cell(name: str, value: Any) -> str:
    if name == "started":
        return utc(value)[:19]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value) if name == "run" or isinstance(value, str) else number(value)


def _csv_cell(name: str, value: Any) -> Any:
    return utc(value) if name == "started" else _cell(name, value) if isinstance(value, tuple) else value
