"""### Beam's word count, on the runner of your choice

    lines --FlatMap--> words --Map--> (word, 1) --CombinePerKey--> (word, n) --Map--> text

Each step takes a **PCollection** and names a new one. A PCollection holds no data: while `include/wordcount/count.py` builds its
pipeline, it only describes a plan, and nothing is read. When the pipeline runs, the *runner* sees the whole plan: it fuses steps that
need no exchange into one pass (here everything up to the words' partial sums), spreads that over its workers, and brings equal
words together once, at `CombinePerKey`. So the plan is the same for a list in memory and for a cluster; `runner` chooses:

- **in memory**: threads of one process; for tests and small data
- **several processes**: the Direct runner with two workers; elements travel between processes
- **Flink**: a Flink cluster, by way of Beam's job server; Python code runs beside the task

The form offers only these names. Their options and addresses are written in the DAG file, and so is the folder
whose texts may be counted, `<home>/wordcount/texts`.

The counts go to `<home>/wordcount/run_<run id>/counts.csv`; the task's log ends with the most frequent words and Beam's counters.
"""

from datetime import datetime

from airflow.sdk import DAG

from include.tfx_airflow.airflow_side.beam import (
    RUNNERS,
    BeamProgramOperator,
    files_param,
    flink,
    runner_param,
)

RUNNERS_HERE = {**RUNNERS, "Flink": flink("localhost:8099")}
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
        "runner": runner_param(RUNNERS_HERE),
    },
) as dag:
    BeamProgramOperator(
        task_id="count",
        module="include.wordcount.count",
        runner="{{ params.runner }}",
        runners=RUNNERS_HERE,
        pipeline_options={
            "folder": f"{FOLDER}/texts",
            "input": "{{ params.text or '' }}",
            # A run id may be `..`, too.
            "output": FOLDER + "/run_{{ run_id | replace('/', '_') }}/counts.csv",
        },
    )
