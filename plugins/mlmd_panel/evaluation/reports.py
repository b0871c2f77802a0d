"""Writes a diff as JSON, CSV, Markdown and text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from tabulate import tabulate

from mlmd_panel.csv_text import csv_text
from mlmd_panel.evaluation.comparability import NOTE
from mlmd_panel.evaluation.compare import SCOPES
from mlmd_panel.evaluation.diff import Diff
from mlmd_panel.evaluation.row import Bounds, Change, Row, Side
from mlmd_panel.formats import counted, exact_percent, number, signed
from mlmd_panel.store.run_summaries import RunSummary

# Changes between the runs that are named in short.
MAX_CHANGES = 8
_HEADER = (
    "Slice",
    "Metric",
    "Baseline",
    "Candidate",
    "Change",
    "Model effect",
    "Data effect",
    "Verdict",
    "Examples",
)
_CSV_HEADER = (
    "slice",
    "metric",
    "baseline",
    "baseline_lower",
    "baseline_upper",
    "candidate",
    "candidate_lower",
    "candidate_upper",
    "total",
    "total_lower",
    "total_upper",
    "relative",
    "model_effect",
    "model_effect_lower",
    "model_effect_upper",
    "data_effect",
    "data_effect_lower",
    "data_effect_upper",
    "judged",
    "corrected_lower",
    "corrected_upper",
    "method",
    "p_value",
    "verdict",
    "why",
    "detectable",
    "allowed",
    "baseline_examples",
    "candidate_examples",
    "candidate_run",
    "candidate_branch",
)


def as_json(diff: Diff, rows: Sequence[Row] | None = None) -> dict[str, Any]:
    """A diff as a mapping for `json_text.to_json`.

    Args:
      diff: The diff.
      rows: Those to include; None for all.
    """
    found = diff.comparison
    return {
        "sentence": diff.sentence,
        "outcome": diff.outcome,
        "against": diff.against,
        "baseline": run_of(diff.baseline),
        "candidate": run_of(diff.candidate),
        "comparability": diff.comparability,
        "method": found.method,
        "link": found.link,
        "counts": found.counts,
        "compared": found.compared,
        "corrected": found.corrected,
        "slices": found.slices,
        "metrics": found.metrics,
        "available_metrics": diff.available,
        "unknown_metrics": diff.unknown,
        "problems": diff.problems,
        "cut": found.cut,
        "primary": _row_json(diff.primary) if diff.primary else None,
        "rows": [_row_json(row) for row in (found.rows if rows is None else rows)],
        "rows_in_all": len(found.rows),
        "changes": diff.changes,
        "causes": diff.causes,
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "slice": {"name": row.slice.name, "pairs": row.slice.pairs, "baseline": row.slice.baseline},
        "metric": row.metric,
        "baseline": row.baseline,
        "candidate": row.candidate,
        "better": row.better,
        "total": row.total,
        "relative": row.relative,
        "relative_interval": row.relative_interval,
        "model_effect": row.model_effect,
        "data_effect": row.data_effect,
        "judged": row.judged,
        "verdict": row.verdict,
        "why": row.why,
        "detectable": row.detectable,
        "allowed": row.allowed,
        "checks": row.checks,
        "changed": row.changed,
        "importance": row.importance,
    }


def run_of(summary: RunSummary) -> dict[str, Any]:
    """A run or branch in short."""
    return {
        "id": summary.run.id,
        "pipeline": summary.run.pipeline,
        "dag_id": summary.run.dag_id,
        "run_id": summary.run.run_id,
        "label": summary.run.label,
        "branch": summary.name,
        "started": summary.started,
        "spans": summary.spans,
        "blessed": summary.blessed,
        "evaluation": summary.evaluation.id if summary.evaluation else None,
    }


def as_csv(diffs: Iterable[tuple[Diff, Iterable[Row]]], unread: Iterable[tuple[RunSummary, str]] = ()) -> str:
    """The rows of one or several diffs as CSV, with all digits.

    Args:
      diffs: Each with its rows to include.
      unread: Candidates that are not compared, and why; a row each.
    """
    rows = ([*_csv_row(row), *_csv_run(diff.candidate)] for diff, found in diffs for row in found)
    why = _CSV_HEADER.index("why")
    gaps = len(_CSV_HEADER) - why - 3
    problems = ([*[None] * why, text, *[None] * gaps, *_csv_run(run)] for run, text in unread)
    return csv_text(_CSV_HEADER, chain(rows, problems))


def _csv_run(candidate: RunSummary) -> tuple[int, str]:
    return candidate.run.id, candidate.name


def as_markdown(diff: Diff, rows: int = 10, url: str = "") -> str:
    """A diff as Markdown for a message or a form.

    Args:
      diff: The diff.
      rows: How many of the ranked rows to show at most.
      url: Address of the page that shows all of it; may be empty.
    """
    shown = diff.comparison.rows[:rows]
    table = tabulate([_cells(row, escaped) for row in shown], _HEADER, "github", disable_numparse=True)
    lines = [f"**{escaped(diff.sentence)}**", "", escaped(_two_runs(diff))]
    lines += ["", *(f"- {escaped(text)}" for text in _cautions(diff))] if _cautions(diff) else []
    lines += ["", table] if shown else []
    lines += ["", *map(escaped, _notes(diff, len(shown)))]
    if told := changed_in_short(diff):
        lines += ["", "What changed between the runs:", "", *(f"- {escaped(text)}" for text in told)]
    return "\n".join([*lines, "", f"[The whole diff]({url})"] if url else lines) + "\n"


def as_text(diff: Diff, rows: int = 40) -> str:
    """A diff for a terminal.

    Args:
      diff: The diff.
      rows: How many of the ranked rows to show at most.
    """
    shown = diff.comparison.rows[:rows]
    lines = [diff.sentence, "", _two_runs(diff), *(f"! {text}" for text in _cautions(diff))]
    if shown:
        cells = [_cells(row, str) for row in shown]
        lines += [
            "",
            tabulate(cells, _HEADER, "simple", disable_numparse=True, maxcolwidths=[40] * len(_HEADER)),
        ]
    lines += ["", *_notes(diff, len(shown))]
    if told := changed_in_short(diff):
        lines += ["", "What changed between the runs:", *(f"- {text}" for text in told)]
    return "\n".join(lines) + "\n"


def changed_in_short(diff: Diff) -> list[str]:
    """What changed between the runs, and what that can tell of causes, a sentence each; empty if it was not asked for."""
    if diff.changes is None or diff.causes is None:
        return []
    items = diff.changes.items
    more = [f"{len(items) - MAX_CHANGES:,} more changes."] if len(items) > MAX_CHANGES else []
    unknown = [f"Not known: {text}" for text in diff.changes.unknown[:MAX_CHANGES]]
    named = [f"{item.what}." for item in items[:MAX_CHANGES]]
    reruns = [
        f"{one.what} {one.tells}{f' {one.command}' if one.command else ''}" for one in diff.causes.reruns
    ]
    return [*named, *more, *unknown, *diff.causes.sentences, *reruns]


def _two_runs(diff: Diff) -> str:
    sides = []
    for name, side in (("Baseline", diff.baseline), ("candidate", diff.candidate)):
        branch = f" {side.name}" if side.name else ""
        spans = f", span {', '.join(map(str, side.spans))}" if side.spans else ""
        sides.append(f"{name}: {side.run.name}{branch} (run {side.run.id}{spans})")
    if diff.against == "own":
        sides[0] = "Baseline: the model that the candidate's Evaluator compared it with"
    return "; ".join(sides) + "."


def _cautions(diff: Diff) -> list[str]:
    found = []
    for one in diff.comparability.differences:
        if one.weight == NOTE:
            continue
        values = (
            f" Baseline: {one.baseline}; candidate: {one.candidate}." if one.baseline or one.candidate else ""
        )
        more = one.names_in_all - len(one.names)
        named = f" {', '.join(one.names)}{f' and {more:,} more' if more else ''}." if one.names else ""
        found.append(f"{one.text}{values}{named}")
    return [*found, *diff.problems]


def _notes(diff: Diff, shown: int) -> list[str]:
    found, in_all = diff.comparison, len(diff.comparison.rows)
    said = [f"{in_all - shown:,} more rows are not shown."] if in_all > shown else []
    return [
        *said,
        f"Intervals at {exact_percent(found.method.level)}, corrected for {counted(found.corrected, 'comparison')} "
        f"({SCOPES[found.method.scope]}).",
    ]


def _cells(row: Row, text: Any) -> list[str]:
    counts = [_count(side) for side in (row.baseline, row.candidate)]
    return [
        text(row.slice.name),
        text(row.metric),
        _value(row.baseline),
        _value(row.candidate),
        _change(row.total),
        _change(row.model_effect),
        _change(row.data_effect),
        row.verdict if not row.why else f"{row.verdict}: {row.why}",
        counts[0] if counts[0] == counts[1] else " → ".join(counts),
    ]


def _value(side: Side | None) -> str:
    if side is None:
        return "missing"
    return number(side.number) if side.number is not None else "not a single number"


def _count(side: Side | None) -> str:
    return number(side.examples) if side is not None else "–"


def _change(change: Change | None) -> str:
    if change is None:
        return "not known"
    bounds = change.corrected or change.interval
    if bounds is None:
        return f"{signed(change.value)} ({change.why or change.method})"
    return f"{signed(change.value)} ({signed(bounds.lower)} to {signed(bounds.upper)})"


def _csv_row(row: Row) -> list[Any]:
    judged = row.judged_change
    return [
        row.slice.name,
        row.metric,
        *_of_side(row.baseline),
        *_of_side(row.candidate),
        *_of_change(row.total),
        row.relative,
        *_of_change(row.model_effect),
        *_of_change(row.data_effect),
        row.judged,
        *_of_bounds(judged.corrected if judged else None),
        judged.method if judged else "",
        judged.p_value if judged else None,
        row.verdict,
        row.why,
        row.detectable,
        row.allowed,
        row.baseline.examples if row.baseline else None,
        row.candidate.examples if row.candidate else None,
    ]


def _of_side(side: Side | None) -> Iterable[Any]:
    if side is None:
        return None, None, None
    interval = side.interval
    value = side.number if side.number is not None else str(side.value)
    return value, *((interval.lower, interval.upper) if interval else (None, None))


def _of_change(change: Change | None) -> Iterable[Any]:
    return (change.value, *_of_bounds(change.interval)) if change else (None, None, None)


def _of_bounds(bounds: Bounds | None) -> Iterable[Any]:
    return (bounds.lower, bounds.upper) if bounds else (None, None)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: names of slices come from data."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
