"""### Beam's word count, on the runner of your choice

    lines --FlatMap--> words --Map--> (word, 1) --CombinePerKey--> (word, n) --Map--> text

Each step takes a **PCollection** and names a new one. A PCollection holds no data: while `include/wordcount/count.py` builds its
pipeline, it only writes down a plan, and nothing is read. When the plan is run, the *runner* sees all of it: it fuses steps that need
no exchange into one pass (here all up to the words' partial sums), spreads that over its workers, and brings equal
words together once, at `CombinePerKey`. So the plan is the same for a list in memory and for a cluster; `runner` says which:

- **in memory**: threads of one process; for tests and small data
- **several processes**: the Direct runner with two workers, elements travel between processes; twice as many with
  `--direct_num_workers=4`
- **Flink**: a Flink cluster, by way of Beam's job server at `job_endpoint`; Python code runs beside the task, or, with
  `--environment_type=EXTERNAL --environment_config=host:port`, in worker pools beside Flink's task managers

The counts go to `<home>/wordcount/<run id>/counts.csv`; the task's log ends with the most frequent words and Beam's counters.
"""

from datetime import datetime

from airflow.sdk import DAG, Param

from include.tfx_airflow.beam import FROM_PARAMS, BeamProgramOperator, runner_params

with DAG(
    "beam_wordcount",
    schedule=None,
    start_date=datetime(2014, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["beam"],
    params={
        "text": Param(
            None,
            type=["null", "string"],
            description="File pattern of texts. Empty: five sonnets of Shakespeare's.",
        ),
        **runner_params(),
    },
) as dag:
    BeamProgramOperator(
        task_id="count",
        module="include.wordcount.count",
        pipeline_options={
            "input": "{{ params.text or '' }}",
            "output": "${TFX_AIRFLOW_HOME}/wordcount/{{ run_id }}/counts.csv",
        },
        **FROM_PARAMS,
    )
