"""DAG files that were written for `tfx.orchestration.airflow`, executed without Airflow."""
