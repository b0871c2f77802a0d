"""### How a month differs from another

Compares two months that `taxi_retraining` has read. `DistributionValidator` measures the Jensen-Shannon divergence of each column (0:
alike, 1: nothing in common), `ExampleDiff` what differs between otherwise similar trips. The distance that counts as drift depends on the
number of trips: `ChanceDistance` calculates it from both months and the reviewed policy, `include/taxi/drift_policy.json`.

`CompareSpans` writes a *DriftReport*: JSON with the columns, the largest distance first; the log shows the same. Nothing
is stopped: stopping a month with anomalies is the job of the anomaly gate of `taxi_retraining`.
"""

from datetime import datetime, timedelta

from airflow.sdk import Param

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig

dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config={
            "schedule": None,
            "start_date": datetime(2013, 1, 1),
            "catchup": False,
            "default_args": {"retries": 1, "retry_delay": timedelta(minutes=1)},  # a worker may vanish
            "doc_md": __doc__,
            "tags": ["tfx", "taxi"],
        },
        runtime_parameters={
            "span": Param(type="integer", minimum=1, description="Month to examine, such as 201403."),
            "baseline_span": Param(type="integer", minimum=1, description="Month to compare it with."),
        },
    )
).run("include.taxi.drift:create_pipeline")
