"""Shows a metric over the last runs of a pipeline, each with its confidence interval and number of examples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlmd_panel.commands import exit_codes, list_options, store_options
from mlmd_panel.errors import BadQuery
from mlmd_panel.formats import number, utc

if TYPE_CHECKING:
    from mlmd_panel.evaluation.trend import Line, Point, Trends

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
    "gap",
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
    """Prints the series, the oldest run first, and whether many small changes add up to a decay.

    Raises:
      BadQuery: There is no such pipeline, metric or slice.
      StoreError: The store cannot be read.
    """
    from mlmd_panel.evaluation.trend import of_runs
    from mlmd_panel.evaluation.trend_runs import last_runs
    from mlmd_panel.store.run_references import pipeline_of

    opened = store_options.opened(options)
    store = opened.store.for_request()
    pipeline = pipeline_of(store, None, "trend", options.pipeline)
    runs = last_runs(store, None, [pipeline], options.runs)
    if all(one.summary.evaluation is None for one in runs):
        print(f"None of the last {len(runs)} runs of {pipeline!r} has an evaluation.", file=sys.stderr)
        return exit_codes.NO_ANSWER
    found = of_runs(opened.files, runs, [options.metric], [options.slice])
    for what, unknown, known in (
        ("metric", found.unknown_metrics, found.available_metrics),
        ("slice", found.unknown_slices, found.available_slices),
    ):
        if unknown and known:
            raise BadQuery(f"None of these runs has a {what} {unknown[0]!r}; they have {', '.join(known)}.")
    sys.stdout.write(_written(found, options))
    told = any(point.value is not None for line in found.lines for point in line.points)
    return exit_codes.OK if told else exit_codes.NO_ANSWER


def _written(found: Trends, options: argparse.Namespace) -> str:
    rows = [_row(line, point) for line in found.lines for point in line.points]
    sentences = _decays(found)
    if options.format == "json":
        from mlmd_panel.json_text import to_json

        data = {"metric": options.metric, "slice": options.slice, "runs": rows, "decays": sentences}
        return to_json(data).decode() + "\n"
    if options.format == "csv":
        from mlmd_panel.csv_text import csv_text

        return csv_text(_COLUMNS, ([_csv_cell(name, row[name]) for name in _COLUMNS] for row in rows))
    from mlmd_panel.commands.text_table import text_table

    shown = [name for name in _COLUMNS if name not in ("branch", "gap") or any(row[name] for row in rows)]
    cells = ([_cell(name, row[name]) for name in shown] for row in rows)
    return "\n".join([text_table(shown, cells, right=_NUMBERS), *(f"{text}\n" for text in sentences)])


def _row(line: Line, point: Point) -> dict[str, Any]:
    summary = point.run.summary
    return {
        "run": summary.run.id,
        "dag_id": summary.run.dag_id,
        "run_id": summary.run.run_id,
        "branch": line.branch,
        "started": summary.started,
        "spans": summary.spans,
        "value": point.value,
        "lower": point.lower,
        "upper": point.upper,
        "examples": point.examples,
        "blessed": summary.blessed,
        "pushed": summary.pushed,
        "gap": point.gap,
    }


def _decays(found: Trends) -> Sequence[str]:
    """What the changes since the first of the runs add up to, where that can be told."""
    from mlmd_panel.evaluation import decay

    labels = {
        point.run.summary.run.id: point.run.summary.run.label for line in found.lines for point in line.points
    }
    return [
        decay.sentence(one, f"{line.metric} of {line.slice} {line.branch}".rstrip(), labels[one.baseline])
        for place, line in enumerate(found.lines)
        if (one := found.decays.get(place))
    ]


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
