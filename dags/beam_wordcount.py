"""### Beam's word count, on the runner of your choice

    lines --FlatMap--> words --Map--> (word, 1) --CombinePerKey--> (word, n) --Map--> text

Each step takes a **PCollection** and names a new one. A PCollection holds no data: while `include/wordcount/count.py` builds its
pipeline, it only describes a plan, and nothing is read. When the pipeline runs, the *runner* sees the whole plan: it fuses steps that
need no exchange into one pass (here everything up to the words' partial sums), spreads that over its workers, and brings equal
words together once, at `CombinePerKey`. So the plan is the same for a list in memory and for a cluster; `runner` chooses:

- **in_memory**: threads of one process; for tests and small data
- **processes**: the Direct runner with two workers; elements travel between processes
- **flink**, **spark**: a cluster, by way of Beam's job server

The form offers only these names. Their options are in `include/beam_runners.py` and their addresses in Airflow Connections; the
folder whose texts may be counted, `<home>/wordcount/texts`, is in the DAG file.

The counts go to `<home>/wordcount/run_<run id>/counts.csv`; the task's log ends with the most frequent words and Beam's counters.
"""

from datetime import datetime

from airflow.sdk import DAG

from include.tfx_airflow.airflow_side.beam import BeamProgramOperator, files_param, runner_param

FOLDER = "${TFX_AIRFLOW_HOME}/wordcount"

with DAG(
    "beam_wordcount",
    schedule=None,
    start_date=datetime(2014, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["beam"],
    params={
        "text": files_param(f"{FOLDER}/texts", "five sonnets of Shakespeare's."),
        "runner": runner_param("in_memory", "processes", "flink", "spark"),
    },
) as dag:
    BeamProgramOperator(
        task_id="count",
        module="include.wordcount.count",
        runner="{{ params.runner }}",
        pipeline_options={
            "folder": f"{FOLDER}/texts",
            "input": "{{ params.text or '' }}",
            # A run id may be `..`, too.
            "output": FOLDER + "/run_{{ run_id | replace('/', '_') }}/counts.csv",
        },
    )
