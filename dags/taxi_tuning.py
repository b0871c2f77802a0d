"""### Hyper-parameters for the months to come

A search that you trigger, on the months that `taxi_retraining` has read and that passed its anomaly gate: nothing is read twice.
Each trial trains on a window of months that ends with `span`, and the best trial's settings are kept.

`taxi_retraining` uses the last settings that were tuned on months *before* its own. A run for an earlier month, as in a
backfill, or for `span` itself, whose trips the search has seen, trains as if there had been no search.
"""

from datetime import datetime, timedelta

from airflow.sdk import Param

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig, NodeConfig

dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config={
            "schedule": None,
            "start_date": datetime(2013, 1, 1),
            "catchup": False,
            "max_active_runs": 1,
            "default_args": {"retries": 1, "retry_delay": timedelta(minutes=1)},  # a worker may vanish
            "params": {
                "span": Param(
                    type="integer",
                    minimum=1,
                    description="Newest month that the search may see, such as 201403.",
                ),
                "max_trials": Param(8, type="integer", minimum=1, description="Number of settings to try."),
                "train_steps": Param(
                    100, type="integer", minimum=1, description="Steps per trial, of 128 rows each."
                ),
            },
            "doc_md": __doc__,
            "tags": ["tfx", "taxi"],
        },
        node_configs={"Tuner": NodeConfig(execution_timeout=timedelta(hours=4))},
        computed_parameters={
            "span": "{{ params.span }}",
            "search": '{"max_trials": {{ params.max_trials }}}',
            "train_args": '{"num_steps": {{ params.train_steps }}}',
        },
    )
).run("include.taxi.tuning:create_pipeline", rolling_window=6)
