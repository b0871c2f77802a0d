"""### How a month differs from another

Compares two months that `taxi_retraining` has read. `DistributionValidator` measures the Jensen-Shannon divergence of each column (0:
alike, 1: nothing in common), `ExampleDiff` what differs between trips that are alike otherwise. How much is drift depends on the
number of trips: `ChanceDistance` calculates it from both months and the reviewed policy, `include/taxi/drift_policy.json`.

`CompareSpans` ends with a *DriftReport*: JSON with the columns, the largest distance first; the log shows the same. Nothing
is stopped: to stop a month with anomalies is the work of the anomaly gate of `taxi_retraining`.
"""

from datetime import datetime

from airflow.sdk import Param

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig

dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config={
            "schedule": None,
            "start_date": datetime(2013, 1, 1),
            "catchup": False,
            "doc_md": __doc__,
            "tags": ["tfx", "taxi"],
        },
        runtime_parameters={
            "span": Param(type="integer", minimum=1, description="Month in question, such as 201403."),
            "baseline_span": Param(type="integer", minimum=1, description="Month that it is compared with."),
        },
    )
).run("include.taxi.drift:create_pipeline")
