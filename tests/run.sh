#!/usr/bin/env bash
# Runs the tests, fast ones first, each folder in the interpreter it is for. `run.sh fast` stops after the fast.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${TFX_STATE:-$PWD/.state}
say() { printf '\n==> %s\n' "$*"; }
export PYTHONDONTWRITEBYTECODE=1
marks=()
if [ "${1:-}" = fast ]; then
  marks=(-m "not slow")
else # first, so that what cannot be had is told before the tests
  include/bootstrap.sh services
  include/bootstrap.sh panel
fi
say "tests/unit, in the Airflow interpreter"
"$state/airflow/bin/python" -m pytest -q tests/unit "${marks[@]}"
say "tests/tfx, tests/taxi and tests/components, in the TFX interpreter"
TF_CPP_MIN_LOG_LEVEL=2 "$state/tfx/bin/python" -m pytest -q tests/tfx tests/taxi tests/components "${marks[@]}"
[ "${1:-}" != fast ] || exit 0
say "tests/panel, in Airflow's interpreter with what the panel's tests need beside it"
"$state/panel/bin/python" -m pytest -v --durations=10 tests/panel
airflow() { "$state/airflow/bin/python" -m pytest -v --durations=10 "$@"; }
say "tests/airflow: what measures time, with nothing beside it"
airflow tests/airflow/test_parse.py tests/airflow/test_kills.py
say "tests/airflow: the rest, in two lanes, since most of it waits for schedulers and servers"
lanes=$(mktemp -d)
trap 'kill $! 2>/dev/null || true; rm -rf "$lanes"' EXIT # a failing trap would be the script's status
airflow tests/airflow/test_retraining*.py >"$lanes/retraining" 2>&1 &
failed=()
airflow tests/airflow --ignore-glob='*/test_retraining*.py' --ignore=tests/airflow/test_parse.py --ignore=tests/airflow/test_kills.py \
  2>&1 | tee "$lanes/rest" || failed+=(rest)
wait $! || failed+=(retraining)
cat "$lanes/retraining"
# What failed stands last, where a reader of the log's end finds it.
for lane in "${failed[@]}"; do
  say "failed in lane $lane:"
  sed -n '/^=* \(FAILURES\|ERRORS\) =*$/,$p' "$lanes/$lane"
done
[ ${#failed[@]} = 0 ]
