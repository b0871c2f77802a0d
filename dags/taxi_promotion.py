"""### A TFX pipeline inside a DAG of your own: a model goes to production if a person says so

`judge` is a task group with one task per TFX node: a model that `taxi_retraining` has trained is evaluated on a month that it
was not trained on, beside the model that is in production. The rest are ordinary Airflow tasks:

- `diff` compares the two: what got better, what got worse, and whether it is more than chance;
- `approve` shows that to a person, on the page *Required Actions*, and waits for *Approve* or *Reject* and a reason. An answer
  against the Evaluator's verdict counts; to approve against it takes a reason. After three days without an answer it is *Reject*;
- `judge.Approval` keeps the answer in ML Metadata, with name and reason. The Pusher is in a `Cond` on it: without an approval
  nothing is pushed, whatever the other tasks do;
- `verdict` takes one of two branches: `promoted`, after the Pusher, or `rejected`, which says why and which model stays.

`airflow dags test` cannot answer and has no time limit: it waits until somebody answers in the UI of an Airflow on the same
database (`make up`).

The trigger form has the pipeline's Params (`span`, `model`) beside the DAG's own (`audience`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import DAG, Context, Param, task
from mlmd_panel.airflow_tasks import EvaluationDiffOperator

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig
from include.tfx_airflow.settings import read_settings


class AuditedApprovalOperator(ApprovalOperator):
    """Passes a *Reject* on like an *Approve*: Airflow's own skips what follows, and leaves no XCom of who said it and why."""

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Returns the answer, as any HITLOperator does."""
        return HITLOperator.execute_complete(self, context, event)


with DAG(
    "taxi_promotion",
    schedule=None,
    start_date=datetime(2013, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1)},  # a worker may vanish
    doc_md=__doc__,
    tags=["tfx", "taxi"],
    params={
        "audience": Param(
            "everybody",
            enum=["everybody", "the drivers", "the dispatchers"],  # not an address that a user may type in
            description="Who the message is for.",
        )
    },
) as dag:
    judge = AirflowDagRunner(
        AirflowPipelineConfig(
            runtime_parameters={
                "span": Param(type="integer", minimum=1, description="Month to evaluate on, such as 201403.")
            },
            # Not Params: who may trigger a run must not be able to approve it by that.
            computed_parameters={
                name: f"{{{{ (ti.xcom_pull('answer') or {{}}).get('{name}', '') }}}}"
                for name in ("approved", "approved_by", "reason", "answered_at")
            },
        )
    ).task_group(
        "include.taxi.promotion:create_pipeline",
        group_id="judge",
        serving_dir="${TFX_AIRFLOW_HOME}/serving/taxi_production",
    )

    diff = EvaluationDiffOperator(task_id="diff", against="own")
    # assigned_users= names who may answer; notifiers= tells them.
    approve = AuditedApprovalOperator(
        task_id="approve",
        subject="Push model {{ ti.xcom_pull('judge.candidate')['outputs']['model'][0]['id'] }} to production?",
        body="{{ ti.xcom_pull('diff', key='markdown') }}",
        params={"reason": Param("", type="string", description="Why. Kept in ML Metadata with your name.")},
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(days=3),
        retries=2,  # asks again: Airflow 3.3.2 fails a task that is answered before its scheduler knows that it waits
        retry_delay=timedelta(seconds=10),
    )

    @task
    def answer(ti: Any) -> dict[str, Any]:
        """The person's answer, as parameters of `judge.Approval`."""
        given = ti.xcom_pull(task_ids="approve")
        user = given["responded_by_user"]
        return {
            "approved": int(given["chosen_options"] == [ApprovalOperator.APPROVE]),
            "approved_by": user["name"] or user["id"] if user else "",
            "reason": given["params_input"].get("reason") or "" if user else "no answer in time",
            "answered_at": str(given["responded_at"]),
        }

    @task.branch
    def verdict(ti: Any) -> str:
        """Chooses the branch: the id of a task."""
        return "promoted" if ti.xcom_pull(task_ids="judge.Approval")["summary"]["blessed"] else "rejected"

    @task
    def promoted(ti: Any, params: dict[str, Any]) -> str:
        """Reports that the model is in production."""
        pushed = ti.xcom_pull(task_ids="judge.Pusher")["summary"]["pushed"]
        return tell(ti, params, f"model {candidate(ti)} is in production now: {pushed}")

    @task
    def rejected(ti: Any, params: dict[str, Any]) -> str:
        """Reports that the model is not pushed, and what stays in production."""
        folder = Path(read_settings().home, "serving", "taxi_production")
        stays = max(folder.glob("[0-9]*"), key=lambda path: int(path.name), default="nothing")
        return tell(ti, params, f"model {candidate(ti)} was not approved; in production stays: {stays}")

    def candidate(ti: Any) -> int:
        """Id of the evaluated model."""
        return ti.xcom_pull(task_ids="judge.candidate")["outputs"]["model"][0]["id"]

    def tell(ti: Any, params: dict[str, Any], what: str) -> str:
        """Composes the message and writes it to the log."""
        summary = ti.xcom_pull(task_ids="judge.Evaluator")["summary"]
        said = ti.xcom_pull(task_ids="answer")
        metrics = summary.get("metrics", {})
        lines = [f"To {params['audience']}: {what}", f"Judged on span {params['span']}:"]
        lines += [f"  {name} {metric['value']:.4f}" for name, metric in sorted(metrics.items())]
        lines += [f"  threshold failed: {failure}" for failure in summary.get("failed_thresholds", [])]
        lines += [
            f"{'Approved' if said['approved'] else 'Not approved'} by {said['approved_by'] or 'nobody'}: "
            f"{said['reason'] or 'no reason given'}"
        ]
        # Add a notifier here, such as SmtpNotifier(to=..., html_content=...) or SlackNotifier(text=...) of
        # Airflow's providers smtp and slack; each takes its password from an Airflow Connection.
        print("\n".join(lines))
        return "\n".join(lines)

    ways = [promoted(), rejected()]
    approval = dag.get_task("judge.Approval")
    dag.get_task("judge.Evaluator") >> diff >> approve >> answer() >> approval >> verdict() >> ways
    dag.get_task("judge.Pusher") >> ways[0]
