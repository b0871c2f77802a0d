"""`history`: the runs of a DAG as one table: span, training window, metric, verdict, what is served.

month     span    trained on               auc                      model        pushed
2014-03   201403  201312-201402 (3 spans)  0.9479 [0.9319, 0.9640]  BLESSED      1795504804

If the pipeline has a gate with evidence, its verdict and TFMA's each have a column; the one that is only recorded stands
in parentheses.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tabulate import tabulate

from include.tfx_airflow.commands import report
from include.tfx_airflow.contract.evidence import EvidenceVerdict


@dataclasses.dataclass(frozen=True)
class Row:
    """One run, or what one copy of a pipeline did in it.

    Attributes:
      date: Start of the data interval, or the time of the trigger; ISO format.
      state: Of the DAG run; `skipped` when it ended well without an evaluation.
      span: Span of the examples that it read; 0 when it read none.
      window: Spans that it trained on.
      metrics: Metric to {"value", "lower", "upper"}, overall.
      blessed: TFMA's verdict; None when no model was evaluated.
      failed_thresholds: Why it was not blessed.
      evidence: The verdict of a gate with evidence; None without one.
      pushed: Folder of the pushed model; empty when none was.
      seconds: From the run's start to its end.
      copy: Task group and map index if the DAG contains the pipeline more than once; else empty.
    """

    run_id: str
    date: str
    state: str
    span: int = 0
    window: tuple[int, ...] = ()
    metrics: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    blessed: bool | None = None
    failed_thresholds: tuple[str, ...] = ()
    evidence: EvidenceVerdict | None = None
    pushed: str = ""
    seconds: float = 0.0
    copy: str = ""

    @property
    def decision(self) -> bool | None:
        """The verdict that the pipeline followed: TFMA's, or that of the gate with evidence."""
        return self.evidence.blessed if self.evidence and self.evidence.decides else self.blessed

    @property
    def contradicted(self) -> bool:
        """Whether the other verdict is another one."""
        return self.evidence is not None and self.evidence.blessed != self.blessed


def rows(run: dict[str, Any]) -> list[Row]:
    """A run as `report.read_run` reads it: a row for each copy of a pipeline, one for a run without any."""
    found = {
        copy: values
        for copy, tasks in report.copies(run).items()
        if (values := [task["value"] for task in tasks if task["value"]])
    }
    if len(found) < 2:
        return [_row(run, next(iter(found.values()), []), "")]
    return [_row(run, values, copy) for copy, values in found.items()]


def _row(run: dict[str, Any], values: list[dict[str, Any]], copy: str) -> Row:
    summary: dict[str, Any] = {}
    window: tuple[int, ...] = ()
    for value in values:
        summary |= value["summary"]
        # The keys of the Resolver strategy in include/components/rolling_window.py.
        if {"newest", "examples"} <= value["outputs"].keys():
            window = tuple(sorted(_spans(value["outputs"]["examples"])))
    spans = [span for value in values for span in _spans(value["outputs"].get("examples", []))]
    evaluated = "blessed" in summary
    return Row(
        run_id=run["run_id"],
        date=run["date"],
        state="skipped" if run["state"] == "success" and not evaluated else run["state"],
        span=max(spans, default=0),
        window=window,
        metrics=summary.get("metrics", {}) if evaluated else {},
        blessed=summary.get("blessed"),
        failed_thresholds=tuple(summary.get("failed_thresholds", ())),
        evidence=report.evidence(summary),
        pushed=summary.get("pushed", ""),
        seconds=run["seconds"],
        copy=copy,
    )


def _spans(artifacts: list[dict[str, Any]]) -> list[int]:
    return [artifact["span"] for artifact in artifacts if "span" in artifact]


def lines(rows: list[Row], metric: str) -> list[str]:
    """The table.

    Args:
      rows: Runs, in the order in which they are shown.
      metric: The metric to show, such as "auc".

    Returns:
      Lines of text: one per run, and one more for each failed threshold and each verdict with evidence.
    """
    several, gated = any(found.copy for found in rows), any(found.evidence for found in rows)
    verdicts = ("by TFMA", "with evidence") if gated else ("model",)
    table = [
        (
            "month",
            *(["copy"] if several else []),
            "span",
            "trained on",
            metric,
            *verdicts,
            "seconds",
            "pushed",
        )
    ]
    notes: dict[int, list[str]] = {}
    for found in rows:
        table.append(
            (
                found.date[:7],
                *([found.copy or "-"] if several else []),
                str(found.span or "-"),
                _window(found.window),
                _interval(found.metrics.get(metric)),
                *_verdicts(found, gated),
                f"{found.seconds:.0f}",
                found.pushed.rstrip("/").rpartition("/")[2] or "-",
            )
        )
        notes[len(table) - 1] = _notes(found)
    text = []
    for number, line in enumerate(tabulate(table, tablefmt="plain", disable_numparse=True).splitlines()):
        text.append(line.rstrip())
        text += [f"{'':7}  {note}" for note in notes.get(number, ())]
    return text


def _verdicts(found: Row, gated: bool) -> list[str]:
    by_tfma = {True: "BLESSED", False: "NOT BLESSED", None: found.state}[found.blessed]
    if not gated:
        return [by_tfma]
    if found.evidence is None:
        return [by_tfma, "-"]
    with_evidence = found.evidence.as_text()
    if found.evidence.decides:
        return [f"({by_tfma})", with_evidence]
    return [by_tfma, f"({with_evidence})"]


def _notes(found: Row) -> list[str]:
    notes = [f"threshold failed: {failure}" for failure in found.failed_thresholds]
    if found.evidence and (found.failed_thresholds or not found.evidence.blessed):
        notes.append(f"with evidence: {found.evidence.reason}")
    return notes


def _window(spans: tuple[int, ...]) -> str:
    if len(spans) < 2:
        return str(spans[0]) if spans else "-"
    return f"{spans[0]}-{spans[-1]} ({len(spans)} spans)"


def _interval(value: dict[str, float] | None) -> str:
    if value is None:
        return "-"
    bounds = ""
    if "lower" in value:
        bounds = f" [{report.number(value['lower'])}, {report.number(value['upper'])}]"
    return f"{report.number(value['value'])}{bounds}"


def main(dag_id: str, metric: str) -> int:
    """Prints the table of a DAG's runs, oldest data first; returns the exit code."""
    runs = report.read_runs(dag_id)
    if not runs:
        print(f"DAG {dag_id!r} has no runs in this Airflow's database")
        return 1
    print("\n".join(lines([found for run in runs for found in rows(run)], metric)))
    return 0
