#!/usr/bin/env bash
# Runs the tests, fast ones first, each folder in the interpreter it is for. `run.sh fast` stops after the fast;
# `run.sh cluster` runs those that start clusters, and no others.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${TFX_STATE:-$PWD/.state}
say() { printf '\n==> %s\n' "$*"; }
export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=2
marks=()
if [ "${1:-}" = cluster ]; then
  include/bootstrap.sh services
  include/bootstrap.sh panel # its Airflow has the Celery provider
  include/bootstrap.sh workers
  EXTRAS=s3 include/bootstrap.sh cluster
  # The logs of the clusters stay below the state folder until the next run.
  exec "$state/airflow/bin/python" -m pytest -v --durations=0 --durations-min=1 --basetemp="$state/test-cluster" tests/cluster "${@:2}"
fi
if [ "${1:-}" = fast ]; then
  marks=(-m "not slow")
else # first, so that what cannot be had is told before the tests
  include/bootstrap.sh services
  include/bootstrap.sh panel
fi
airflow() { "$state/airflow/bin/python" -m pytest "$@"; }
tfx() { "$state/tfx/bin/python" -m pytest "$@"; }
panel() { "$state/panel/bin/python" -m pytest "$@"; }

lanes=$(mktemp -d)
running=()
trap 'kill "${running[@]}" 2>/dev/null || true; rm -rf "$lanes"' EXIT # a failing trap would be the script's status

# Starts a lane beside others: a name, an interpreter, pytest's arguments.
lane() {
  "$2" --durations=10 "${@:3}" >"$lanes/$1" 2>&1 &
  running+=($!)
  names+=("$1")
}

# Shows the lanes, the first as it goes. What failed stands last, where a reader of the log's end finds it.
finish() {
  local number name failed=()
  tail -n +1 -f --pid="${running[0]}" "$lanes/${names[0]}"
  for number in "${!names[@]}"; do
    name=${names[$number]}
    wait "${running[$number]}" || failed+=("$name")
    [ "$number" = 0 ] || cat "$lanes/$name"
  done
  for name in "${failed[@]}"; do
    say "failed in lane $name:"
    sed -n '/^=* \(FAILURES\|ERRORS\) =*$/,$p' "$lanes/$name"
  done
  running=() names=()
  [ ${#failed[@]} = 0 ]
}

if [ "${1:-}" = fast ]; then
  say "tests/unit in the Airflow interpreter, beside tests/tfx, tests/taxi and tests/components in the TFX interpreter"
  names=()
  lane unit airflow -q tests/unit "${marks[@]}"
  lane tfx tfx -q tests/tfx tests/taxi tests/components "${marks[@]}"
  finish
  exit 0
fi
say "tests/unit, in the Airflow interpreter"
airflow -q tests/unit

say "tests/tfx, tests/taxi and tests/components in the TFX interpreter, beside tests/panel"
names=()
lane panel panel -v tests/panel/{store,files,payloads,evaluation,commands,web}
lane mounts panel -v tests/panel/mounts
# absl, in some executors, takes pytest's -v for its own.
lane tfx tfx -q tests/tfx tests/taxi tests/components
finish
say "tests/airflow: what measures time, with nothing beside it"
at=tests/airflow/test_
airflow -v --durations=10 "${at}parse.py" "${at}kills.py"
say "tests/airflow: the rest, in three lanes, since most of it waits for schedulers and servers"
retraining=("${at}"{retraining*,adopt}.py)
services=("${at}"{mlmd_servers,compose,panel,replay,regions,kinds}.py)
rest=()
for file in "$at"*.py; do
  case " ${retraining[*]} ${services[*]} ${at}parse.py ${at}kills.py " in *" $file "*) ;; *) rest+=("$file") ;; esac
done
lane rest airflow -v "${rest[@]}"
lane retraining airflow -v "${retraining[@]}"
lane services airflow -v "${services[@]}"
finish
