#!/usr/bin/env bash
# Prints the shell lines that make `airflow` mean this bundle's: eval "$(make -s env)".
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
state=${TFX_STATE:-$root/.state}
cat <<END
export PATH="$state/airflow/bin:\$PATH"
export AIRFLOW_HOME="$state/home"
export AIRFLOW__CORE__DAGS_FOLDER="$root"
export AIRFLOW__CORE__PLUGINS_FOLDER="$root/plugins"
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__EXECUTOR=LocalExecutor
export AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT=180
export AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT=200
export AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.25
export AIRFLOW__TFX_AIRFLOW__PYTHON="$state/tfx/bin/python"
END
