#!/usr/bin/env bash
# Runs the tests, fast ones first, each folder in the interpreter it is for. `run.sh fast` stops after the fast.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${TFX_STATE:-$PWD/.state}
say() { printf '\n==> %s\n' "$*"; }
export PYTHONDONTWRITEBYTECODE=1
marks=()
[ "${1:-}" != fast ] || marks=(-m "not slow")
say "tests/unit, in the Airflow interpreter"
"$state/airflow/bin/python" -m pytest -q tests/unit "${marks[@]}"
say "tests/tfx and tests/taxi, in the TFX interpreter"
TF_CPP_MIN_LOG_LEVEL=2 "$state/tfx/bin/python" -m pytest -q tests/tfx tests/taxi "${marks[@]}"
[ "${1:-}" != fast ] || exit 0
say "tests/airflow: dags test, the demo and the real scheduler"
"$state/airflow/bin/python" -m pytest -v tests/airflow --durations=10
