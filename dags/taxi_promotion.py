"""### A TFX pipeline inside a DAG of your own: a model goes to production

`judge` is a task group with one task per TFX node: a model that `taxi_retraining` has trained is evaluated on a month that it
was not trained on, and pushed to production if it is good enough. The rest are ordinary Airflow tasks. `verdict` reads the
Evaluator's XCom and takes one of two branches: `promoted`, after the Pusher, or `rejected`, which says what was not good
enough and which model stays. The Pusher is in a `Cond` of the pipeline, so a model that is not blessed is never pushed,
whatever the branch does.

The trigger form has the pipeline's Params (`span`, `model`) beside the DAG's own (`audience`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig
from include.tfx_airflow.settings import read_settings

with DAG(
    "taxi_promotion",
    schedule=None,
    start_date=datetime(2013, 1, 1),
    catchup=False,
    max_active_runs=1,
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
            }
        )
    ).task_group(
        "include.taxi.promotion:create_pipeline",
        group_id="judge",
        serving_dir="${TFX_AIRFLOW_HOME}/serving/taxi_production",
    )

    @task.branch
    def verdict(ti: Any) -> str:
        """Chooses the branch: the id of a task."""
        return "promoted" if ti.xcom_pull(task_ids="judge.Evaluator")["summary"]["blessed"] else "rejected"

    @task
    def promoted(ti: Any, params: dict[str, Any]) -> str:
        """Reports that the model is in production."""
        pushed = ti.xcom_pull(task_ids="judge.Pusher")["summary"]["pushed"]
        return tell(ti, params, f"model {candidate(ti)} is in production now: {pushed}")

    @task
    def rejected(ti: Any, params: dict[str, Any]) -> str:
        """Reports that the model is not good enough, and what stays in production."""
        folder = Path(read_settings().home, "serving", "taxi_production")
        stays = max(folder.glob("[0-9]*"), key=lambda path: int(path.name), default="nothing")
        return tell(ti, params, f"model {candidate(ti)} is not good enough; in production stays: {stays}")

    def candidate(ti: Any) -> int:
        """Id of the evaluated model."""
        return ti.xcom_pull(task_ids="judge.candidate")["outputs"]["model"][0]["id"]

    def tell(ti: Any, params: dict[str, Any], what: str) -> str:
        """Composes the message and writes it to the log."""
        summary = ti.xcom_pull(task_ids="judge.Evaluator")["summary"]
        metrics = summary.get("metrics", {})
        lines = [f"To {params['audience']}: {what}", f"Judged on span {params['span']}:"]
        lines += [f"  {name} {metric['value']:.4f}" for name, metric in sorted(metrics.items())]
        lines += [f"  threshold failed: {failure}" for failure in summary.get("failed_thresholds", [])]
        # Add a notifier here, such as SmtpNotifier(to=..., html_content=...) or SlackNotifier(text=...) of
        # Airflow's providers smtp and slack; each takes its password from an Airflow Connection.
        print("\n".join(lines))
        return "\n".join(lines)

    ways = [promoted(), rejected()]
    dag.get_task("judge.Evaluator") >> verdict() >> ways
    dag.get_task("judge.Pusher") >> ways[0]
