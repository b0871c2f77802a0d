"""Chicago taxi, retrained on every month of data: on a cron schedule, and whenever a month is delivered."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, PartitionedAssetTimetable
from mlmd_panel.airflow_tasks import EvaluationDiffOperator

from include.taxi import hyperparameters
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig, NodeConfig, SpanSensor, range_config

# Folders, or addresses in an object store such as s3://bucket/taxi/spans; without a root, artifacts are in `home`.
SPANS = "${TFX_AIRFLOW_HOME}/taxi/spans"
SERVING = "${TFX_AIRFLOW_HOME}/serving/taxi_retraining"
ARTIFACTS = ""
WAIT = "wait_for_span"


def retraining(dag_id: str, schedule: object) -> DAG:
    """One DAG: waits for its span, trains on the months before it, evaluates the model on it, tells what changed."""
    dag = AirflowDagRunner(
        AirflowPipelineConfig(
            airflow_dag_config={
                "dag_id": dag_id,
                "schedule": schedule,
                "start_date": datetime(2013, 1, 1, tzinfo=timezone.utc),
                "catchup": False,
                "max_active_runs": 1,
                "default_args": {"retries": 2, "retry_delay": timedelta(minutes=1)},
                "params": {
                    "span": Param(
                        None,
                        type=["null", "integer"],
                        minimum=1,
                        description="Month, such as 201403. Empty: the month of the data interval.",
                    )
                },
                "tags": ["tfx", "taxi"],
            },
            node_configs={
                "AnomalyGate": NodeConfig(retries=0),  # the data is the same a minute later
                "Trainer": NodeConfig(execution_timeout=timedelta(hours=1)),
                "Evaluator": NodeConfig(execution_timeout=timedelta(hours=1)),
                "Pusher": NodeConfig(outlets=[Asset("taxi_model")]),
            },
            runtime_parameters={
                "on_anomalies": Param("fail", enum=["fail", "warn", "ignore"]),
                "hyperparameters": Param({}, **hyperparameters.SCHEMA),
            },
            computed_parameters={"range_config": range_config(WAIT)},
        )
    ).run(
        "include.taxi.retraining:create_pipeline",
        pipeline_root=ARTIFACTS,
        spans_root=SPANS,
        serving_dir=SERVING,
        rolling_window=6,
    )
    first, last = dag.roots, dag.leaves
    with dag:
        SpanSensor(task_id=WAIT, root=SPANS) >> first
        # Also when the model was not blessed, and the Pusher was skipped; it never fails a run. A notifier of Airflow's
        # providers in notifiers= sends the diff on, such as SlackNotifier(text="{{ evaluation_diff.markdown }}").
        last >> EvaluationDiffOperator(task_id="evaluation_diff", trigger_rule="none_failed")
    return dag


# A run has the data interval of one month and starts when that month is over.
monthly = retraining("taxi_retraining", CronDataIntervalTimetable("@monthly", timezone="UTC"))
# One run for each span that taxi_ingest announces.
on_delivery = retraining("taxi_retraining_on_delivery", PartitionedAssetTimetable(assets=Asset("taxi_spans")))
