"""### Predictions of the served model

Runs when `taxi_retraining` has pushed a model (its event of asset `taxi_model`), or when triggered. The model is the one pushed
last, not a newer one that was only trained or blessed. Without one, the run is skipped and says so.

The trips are those of the month `span`, by default the month on which the model was evaluated; their tips never reach the
model. `WritePredictions` writes a CSV file (start of the trip, probability of a big tip) and logs a summary.
"""

from datetime import datetime, timedelta

from airflow.sdk import Asset, Param

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig

dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config={
            "schedule": [Asset("taxi_model")],
            "start_date": datetime(2013, 1, 1),
            "catchup": False,
            "max_active_runs": 1,
            "default_args": {"retries": 1, "retry_delay": timedelta(minutes=1)},  # a worker may vanish
            "params": {
                "span": Param(
                    None,
                    type=["null", "integer"],
                    description="Month, such as 201403. Empty: the one on which the served model was evaluated.",
                )
            },
            "doc_md": __doc__,
            "tags": ["tfx", "taxi"],
        },
        computed_parameters={"span": "{{ params.span or 0 }}"},
    )
).run("include.taxi.batch_inference:create_pipeline")
