"""Where this bundle's Beam pipelines may run: the names that DAG files use.

Add your own beside these. Options are for Beam and may be shown to anybody; the address of a cluster's job server, its
token and the like are in the Airflow Connection that `conn_id` names. See docs/beyond-one-machine.md.
"""

from include.tfx_airflow.contract.beam_runner import BeamRunner

RUNNERS = {
    "in_memory": BeamRunner("in_memory"),
    "processes": BeamRunner("processes", options=["--direct_num_workers=2"]),
    "flink": BeamRunner("flink", conn_id="beam_flink", options=["--parallelism=2"]),
    "spark": BeamRunner("spark", conn_id="beam_spark"),
    "dataflow": BeamRunner("dataflow", options=["--region=europe-west1"]),
}
