"""Compares the evaluations of two runs: what got better, what got worse, and whether it is more than chance."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mlmd_panel.commands import exit_codes, store_options
from mlmd_panel.errors import BadQuery

if TYPE_CHECKING:
    from mlmd_panel.evaluation.diff import Diff
    from mlmd_panel.store.run_summaries import RunSummary
    from mlmd_panel.store.store import Store

EXAMPLES = """\
  python -m mlmd_panel diff last-blessed latest --mlmd metadata.db --pipeline taxi_retraining
  python -m mlmd_panel diff previous 'taxi_retraining:manual__1' --mlmd metadata.db --format md
  python -m mlmd_panel diff own latest --mlmd metadata.db --fail-on worse --metrics auc

runs:
  17                the run with this id; `runs` lists them
  DAG_ID:RUN_ID     the run with these ids of Airflow
  latest, latest~1  the newest run with an evaluation, the one before it; NAME/latest is that of pipeline NAME
  last-blessed      the newest run with a blessed model; as BASELINE, the last one before the candidate
  previous          as BASELINE only: the run before the candidate that has an evaluation
  own               as BASELINE only: the model that the candidate's own Evaluator compared it with
"""
_FORMATS = ("text", "md", "json", "csv")
# Outcomes that are a finding, by --fail-on.
_FINDINGS = {"worse": ("worse",), "inconclusive": ("worse", "suspect", "inconclusive")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    store_options.add_arguments(parser, "title")
    parser.add_argument("baseline", metavar="BASELINE", help="run to compare with, see below")
    parser.add_argument("candidate", metavar="CANDIDATE", help="run to judge, see below")
    parser.add_argument("--pipeline", default="", metavar="NAME", help="pipeline of latest and last-blessed")
    parser.add_argument(
        "--branch", default="", metavar="NAME", help="of a run with several pipelines or models"
    )
    parser.add_argument("--format", choices=_FORMATS, default="text", help="Default: text.")
    parser.add_argument(
        "--fail-on",
        choices=sorted(_FINDINGS, reverse=True),
        help="end with exit code 1 if the outcome is worse; or if it is worse, suspect or inconclusive",
    )
    parser.add_argument(
        "--metrics",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="metrics to compare; '*' for all. Default: those with thresholds, else the usual ones",
    )
    parser.add_argument(
        "--scope",
        choices=("overall", "metric", "all"),
        default="overall",
        help="which comparisons are corrected for together: those on all examples apart from those of slices "
        "(overall, the default), those of each metric, or all",
    )
    parser.add_argument(
        "--level", type=_level, default=0.95, help="of the confidence intervals. Default: 0.95."
    )
    parser.add_argument(
        "--min-examples",
        type=_count,
        default=30,
        metavar="N",
        help="with fewer examples on either side nothing is said of a change. Default: 30.",
    )
    parser.add_argument(
        "--rows", type=_count, default=40, metavar="N", help="rows of text and md at most. Default: 40."
    )


def run(options: argparse.Namespace) -> int:
    """Prints the comparison; returns the exit code.

    Raises:
      PanelError: It cannot be made.
    """
    from mlmd_panel.evaluation.diff import Options, diff
    from mlmd_panel.evaluation.named_baseline import named_baseline

    opened = store_options.opened(options)
    store = opened.store.for_request()
    candidate = _candidate(store, options)
    chosen = named_baseline(store, None, options.baseline, candidate, options.pipeline)
    _say(chosen.note if chosen.run else "")  # without a run, diff says it
    asked = Options(
        level=options.level,
        scope=options.scope,
        metrics=tuple(options.metrics),
        min_examples=options.min_examples,
    )
    found = diff(store, opened.files, None, chosen, candidate, asked, opened.repository)
    if found.unknown:
        available = ", ".join(found.available) or "none"
        raise BadQuery(
            f"Neither run has a metric {', '.join(map(repr, found.unknown))}; they have {available}."
        )
    sys.stdout.write(_written(found, options))
    return exit_code(found, options.fail_on)


def exit_code(found: Diff, fail_on: str | None) -> int:
    """What the outcome means for whoever runs the command."""
    from mlmd_panel.evaluation.comparability import NOT_COMPARABLE
    from mlmd_panel.evaluation.verdicts import INCONCLUSIVE

    untested = found.outcome == INCONCLUSIVE and not found.comparison.corrected
    if found.outcome == NOT_COMPARABLE or untested:
        return exit_codes.NO_ANSWER
    if found.outcome in _FINDINGS.get(fail_on or "", ()):
        return exit_codes.FINDING
    return exit_codes.OK


def _candidate(store: Store, options: argparse.Namespace) -> RunSummary:
    from mlmd_panel.store.run_references import only_branch, refer

    if options.candidate in ("own", "previous"):
        raise BadQuery(f"{options.candidate!r} names a baseline; it stands before the candidate.")
    referred = refer(store, None, options.candidate, options.pipeline)
    _say(referred.note)
    return only_branch(referred.run, options.branch)


def _written(found: Diff, options: argparse.Namespace) -> str:
    from mlmd_panel.evaluation import reports
    from mlmd_panel.json_text import to_json

    if options.format == "json":
        return to_json(reports.as_json(found)).decode() + "\n"
    if options.format == "csv":
        return reports.as_csv([(found, found.comparison.rows)])
    if options.format == "md":
        return reports.as_markdown(found, rows=options.rows)
    return reports.as_text(found, rows=options.rows)


def _say(note: str) -> None:
    if note:
        print(note, file=sys.stderr)


def _level(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0.5 <= found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a level from 0.5 to below 1, such as 0.95")
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)
