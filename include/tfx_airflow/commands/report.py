"""`report`: what a DAG run made, read from Airflow's own database.

node            state     seconds  output
CsvExampleGen   executed     21.4  examples 1 span 0, version 0
"""

from __future__ import annotations

import json
from datetime import timezone, tzinfo
from typing import Any

from tabulate import tabulate

from include.tfx_airflow.airflow_side import span_number
from include.tfx_airflow.airflow_side.skips import NO_REASON, XCOM_KEY, Skip
from include.tfx_airflow.contract.evidence import EvidenceVerdict


def read_run(dag_id: str, run_id: str | None) -> dict[str, Any]:
    """Reads a run with its tasks.

    Args:
      dag_id: The DAG.
      run_id: The run; None for the latest one.

    Returns:
      {"run_id", "state", "date", "seconds", "tasks": [{"task", "map_index", "state", "seconds", "value", "skip"}]}:
      `date` is the start of the data interval, or the time the run was due, in ISO format and in the time
      zone of the DAG's schedule; tasks are in the order they started; `value` is the XCom of a TFX node, None
      for other tasks; `skip` says why the task was skipped, if it is known.

    Raises:
      LookupError: There is no such run.
    """
    runs = read_runs(dag_id, run_id, latest=True)
    if not runs:
        raise LookupError(
            f"DAG {dag_id!r} has no run{f' {run_id!r}' if run_id else ''} in this Airflow's database"
        )
    return runs[0]


def read_runs(dag_id: str, run_id: str | None = None, latest: bool = False) -> list[dict[str, Any]]:
    """Reads the runs of a DAG, those of the oldest data first.

    Args:
      dag_id: The DAG.
      run_id: This run only.
      latest: Only the run that was created last.

    Returns:
      Runs as `read_run` has them.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    dag = SerializedDagModel.get_dag(dag_id)
    clock = span_number.clock(dag) if dag else timezone.utc
    query = select(DagRun).where(DagRun.dag_id == dag_id)
    if run_id:
        query = query.where(DagRun.run_id == run_id)
    if latest:
        query = query.order_by(DagRun.id.desc()).limit(1)
    with create_session() as session:
        runs = [_read(run, session, clock) for run in session.scalars(query).all()]
    return sorted(runs, key=lambda run: run["date"])


def _read(run: Any, session: Any, clock: tzinfo) -> dict[str, Any]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    of_run = {"dag_id": run.dag_id, "run_id": run.run_id}
    instances = session.scalars(
        select(TaskInstance).filter_by(**of_run).order_by(TaskInstance.start_date)
    ).all()
    results = session.scalars(select(XComModel).filter_by(**of_run)).all()
    values = {(result.key, result.task_id, result.map_index): result.value for result in results}
    tasks = [
        {
            "task": instance.task_id,
            "map_index": instance.map_index,
            "state": instance.state,
            "seconds": instance.duration or 0.0,
            "value": _decode(values.get(("return_value", instance.task_id, instance.map_index)), "outputs"),
            "skip": _decode(values.get((XCOM_KEY, instance.task_id, instance.map_index)), "reason"),
        }
        for instance in instances
    ]
    date = run.data_interval_start or run.run_after
    # From the tasks: a run of `dags test` starts at its logical date.
    begun = [instance.start_date for instance in instances if instance.start_date]
    ended = [instance.end_date for instance in instances if instance.end_date]
    seconds = (max(ended) - min(begun)).total_seconds() if begun and ended else 0.0
    return {
        "run_id": run.run_id,
        "state": str(run.state),
        "date": date.astimezone(clock).isoformat(),
        "seconds": seconds,
        "tasks": tasks,
    }


def _decode(value: Any, field: str) -> dict[str, Any] | None:
    try:  # JSON text on SQLite; PostgreSQL returns it decoded, and a string may be just a string
        decoded = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) and field in decoded else None


def copies(run: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The tasks of a run, by the copy of a pipeline that they belong to.

    Returns:
      By task group and map index, such as `each.train[0]`; the empty string for tasks in no group.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for task in run["tasks"]:
        node = (task["value"] or {}).get("node") or task["task"].rpartition(".")[2]
        group = task["task"].removesuffix(node).rstrip(".")
        index = task.get("map_index", -1)
        found.setdefault(group + (f"[{index}]" if index >= 0 else ""), []).append(task)
    return found


def lines(run: dict[str, Any]) -> list[str]:
    """The report of a run as lines of text."""
    rows = [("node", "state", "seconds", "made")]
    warnings = []
    for task in run["tasks"]:
        name = task["task"] + (f"[{task['map_index']}]" if task.get("map_index", -1) >= 0 else "")
        value = task["value"] or {"state": task["state"] or "-", "outputs": {}, "summary": {}}
        made = [
            f"{artifact['type']} #{artifact['id']}" + (f" ({artifact['note']})" if artifact["note"] else "")
            for artifacts in value["outputs"].values()
            for artifact in artifacts
        ]
        if task["state"] == "skipped":
            made = [_why_skipped(task["task"], task.get("skip"))]
        state = value["state"] if task["state"] == "success" else str(task["state"] or "-")
        for index, item in enumerate(made or [""]):
            first = (name, state, f"{task['seconds']:.1f}") if index == 0 else ("", "", "")
            rows.append((*first, item))
        warnings += [f"Warning: {name}: {warning}" for warning in value["summary"].get("warnings", [])]
    table = tabulate(
        rows, tablefmt="plain", disable_numparse=True, colalign=("left", "left", "right", "left")
    )
    text = [*(line.rstrip() for line in table.splitlines()), "", *warnings]
    evaluations = {copy: _evaluation(_summary(tasks)) for copy, tasks in copies(run).items()}
    evaluations = {copy: found for copy, found in evaluations.items() if found}
    for copy, found in evaluations.items():
        text += [*([f"{copy or 'The pipeline'}:"] if len(evaluations) > 1 else []), *found]
    return text


def _why_skipped(task_id: str, skip: dict[str, Any] | None) -> str:
    if skip is None:
        return NO_REASON
    node = skip["node"]
    own = task_id == node or task_id.endswith(f".{node}")
    return Skip(**skip).message(node if own else task_id)


def _summary(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for task in tasks:
        summary.update((task["value"] or {}).get("summary", {}))
    return summary


def evidence(summary: dict[str, Any]) -> EvidenceVerdict | None:
    """The verdict of a gate with evidence, of a summary; None without one."""
    return EvidenceVerdict(**summary["evidence"]) if "evidence" in summary else None


def number(value: float | str, width: int = 0) -> str:
    """A metric's value; NaN and infinity are strings in XCom, because JSON lacks them."""
    return f"{float(value):>{width}.4f}"


def _evaluation(summary: dict[str, Any]) -> list[str]:
    text = []
    if summary.get("metrics"):
        text.append("Evaluation, all examples (95 % confidence interval):")
        for name, metric in sorted(summary["metrics"].items()):
            interval = (
                f"  [{number(metric['lower'])}, {number(metric['upper'])}]" if "lower" in metric else ""
            )
            text.append(f"  {name:<24} {number(metric['value'], 12)}{interval}")
    if summary.get("metrics_left_out"):
        text.append(f"  ... and {summary['metrics_left_out']} more metrics, in the panel")
    if "infra_blessed" in summary:
        verdict = "can be served" if summary["infra_blessed"] else "could NOT be served"
        text.append(f"Model: {verdict}{_after(summary.get('infra_failure'))}")
    if "blessed" in summary:
        first = ", no earlier model to compare with" if summary.get("rubber_stamp") else ""
        text.append(f"Model: {'BLESSED' if summary['blessed'] else 'NOT BLESSED'}{first}")
        text += [f"  threshold failed: {failure}" for failure in summary.get("failed_thresholds", [])]
    text += _with_evidence(evidence(summary))
    if "pushed" in summary:
        text.append(f"Pushed: {summary['pushed'] or 'no, the model served before stays'}")
    return text


def _with_evidence(verdict: EvidenceVerdict | None) -> list[str]:
    if verdict is None:
        return []
    part = "decides" if verdict.decides else "only recorded"
    return [f"With evidence ({part}): {verdict.as_text()}", f"  {verdict.reason}"]


def _after(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def main(dag_id: str, run_id: str | None) -> int:
    """Prints the report; returns 1 if there is no such run."""
    try:
        run = read_run(dag_id, run_id)
    except LookupError as error:
        print(error)
        return 1
    print(f"DAG run {dag_id} / {run['run_id']}: {run['state']}")
    print("\n".join(lines(run)))
    return 0
