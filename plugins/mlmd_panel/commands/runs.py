"""Lists the runs of a store, newest first, each with its state, spans, verdict, push and metrics."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mlmd_panel.commands import list_options, store_options
from mlmd_panel.formats import duration, number, utc

EXAMPLES = """\
  python -m mlmd_panel runs --mlmd metadata.db --pipeline taxi_retraining --metrics auc accuracy
  python -m mlmd_panel runs --mlmd metadata.db --state FAILED --since 2014-03-01 --format csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    store_options.add_arguments(parser, "title", "repository")
    list_options.add_arguments(parser, 25)
    parser.add_argument("--pipeline", default="", metavar="NAME", help="of the runs")
    parser.add_argument("--dag-id", default="", metavar="ID", help="Airflow DAG of the runs")
    parser.add_argument("--state", default="", help="COMPLETE, RUNNING, FAILED, CANCELED, NEW or UNKNOWN")
    parser.add_argument(
        "--metrics",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="metrics to show; '*' for all. Default: those with thresholds, else the usual ones",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the list.

    Raises:
      PanelError: The store cannot be read, or an option is not valid.
    """
    from mlmd_panel.evaluation.run_list import run_list
    from mlmd_panel.store.filters import RunFilter

    opened = store_options.opened(options)
    wanted = RunFilter(
        pipeline=options.pipeline,
        dag_id=options.dag_id,
        state=options.state,
        since=options.since,
        until=options.until,
        text=options.text,
    )
    data = run_list(opened.store, opened.files, None, wanted, options.metrics, options.limit, options.after)
    sys.stdout.write(list_options.written("runs", data, options.format, lambda: _text(data)))
    for text in (*data["unknown_metrics"], *data["metrics_left_out"]):
        print(f"No metric {text!r} in these runs, or too many metrics to show it.", file=sys.stderr)
    list_options.warn_of_more(data)
    return 0


def _text(data: Mapping[str, Any]) -> str:
    from mlmd_panel.commands.text_table import text_table

    header = ["id", "run", "state", "started", "duration", "spans", "blessed", "pushed", *data["metrics"]]
    return text_table(header, _rows(data), right=("id", "duration", *data["metrics"]))


def _rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    for of_run in data["runs"]:
        for row in (of_run, *of_run["branches"]):
            summary = row["summary"]
            run = summary.run
            yield [
                str(run.id),
                f"{run.dag_id or run.pipeline}:{run.label}" if row is of_run else f"  {summary.name}",
                summary.state,
                utc(summary.started)[:19],
                duration(summary.duration),
                " ".join(map(str, summary.spans)),
                _flag(summary.blessed),
                _flag(summary.pushed),
                *(number(row["metrics"].get(name)) for name in data["metrics"]),
            ]


def _flag(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"
