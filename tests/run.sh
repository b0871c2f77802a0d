#!/usr/bin/env bash
# Runs the tests, fast ones first, each folder in the interpreter it is for. `run.sh fast` stops after the fast;
# `run.sh long` runs those that are left out otherwise, `run.sh cluster` those that start clusters, `run.sh tfx` those that another
# version of TFX may change, and no others.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${TFX_STATE:-$PWD/.state}
say() { printf '\n==> %s\n' "$*"; }
export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=2
marks=(-m "not long")
if [ "${1:-}" = cluster ]; then
  if [ ! -d "$state/tfx/lib/python3.10" ]; then
    echo "The clusters' job servers are of Beam 2.62, which is that of TFX 1.16: TFX=1.16 make test-cluster (it needs Python 3.10)." >&2
    exit 1
  fi
  include/bootstrap.sh services
  include/bootstrap.sh panel # its Airflow has the Celery provider
  include/bootstrap.sh workers
  EXTRAS=s3 include/bootstrap.sh cluster
  # The logs of the clusters stay below the state folder until the next run.
  exec "$state/airflow/bin/python" -m pytest -v --durations=0 --durations-min=1 --basetemp="$state/test-cluster" tests/cluster "${@:2}"
fi
if [ "${1:-}" = fast ]; then
  marks=(-m "not slow and not long")
else # first, so that what cannot be had is told before the tests
  include/bootstrap.sh services
  include/bootstrap.sh panel
fi
airflow() { "$state/airflow/bin/python" -m pytest --durations=10 "${marks[@]}" "$@"; }
tfx() { "$state/tfx/bin/python" -m pytest --durations=10 "${marks[@]}" "$@"; }
panel() { "$state/panel/bin/python" -m pytest --durations=10 "${marks[@]}" "$@"; }

lanes=$(mktemp -d)
export COMPILED=$lanes/compiled # where the Airflows of all tests have their compiled pipelines, see tests/bundle.py
mkdir "$COMPILED"
running=()
trap 'kill "${running[@]}" 2>/dev/null || true; rm -rf "$lanes"' EXIT # a failing trap would be the script's status

# Starts a lane beside others: a name, and commands with -- between them; one that fails does not stop the next.
lane() {
  local name=$1 word command=() status=0
  shift
  (
    for word in "$@" --; do
      if [ "$word" = -- ]; then
        "${command[@]}" || status=1
        command=()
      else
        command+=("$word")
      fi
    done
    exit $status
  ) >"$lanes/$name" 2>&1 &
  running+=($!)
  names+=("$name")
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
  lane unit airflow -q tests/unit
  lane tfx tfx -q tests/tfx tests/taxi tests/components
  finish
  exit 0
fi
if [ "${1:-}" = tfx ]; then
  names=()
  lane tfx tfx -q tests/tfx tests/taxi tests/components
  lane airflow airflow -v tests/airflow/test_{demo,kills,kinds,taxi_dags,upgrade}.py -- panel -v tests/panel/{files,payloads,store} tests/panel/evaluation/test_{drift,rejudge}.py
  finish
  exit 0
fi
if [ "${1:-}" = long ]; then
  # What there is more of than in `make test`; each may be given as another number.
  export ASKERS=${ASKERS:-8}
  export EXAMPLES=${EXAMPLES:-100}
  export KILLS=${KILLS:-10}
  export MONTHS=${MONTHS:-8}
  export MUTATIONS=${MUTATIONS:-4}
  marks=(-m long)
  tfx -q tests/tfx tests/taxi tests/components
  airflow -v --ignore tests/airflow/test_retraining.py tests/airflow
  marks=(-m "not long") # which `make test` runs, too, with less
  airflow -v -k "start_at_once or killed_at_any_moment" tests/airflow/test_{mlmd_servers,kills}.py
  panel -q tests/panel/web/test_api_schema.py tests/panel/payloads/test_{hostile_files,payloads_evaluation,payloads_model}.py
  marks=()
  airflow -v tests/airflow/test_retraining.py
  exit 0
fi
# Three lanes on two processors, since a test often waits for a scheduler, a server or a browser. Each has what the others
# do not use: an Airflow, and the panel's or TFX's interpreter.
at=tests/airflow/test_
retraining=("${at}"{retraining*,adopt,kinds,kills,taxi_dags}.py)
services=("${at}"{mlmd_servers,compose,panel,replay,regions}.py)
# What measures time.
alone=(
  "${at}parse.py::test_parsing_with_a_warm_cache_is_light_quick_and_deterministic"
  "${at}kills.py::test_a_node_starts_in_less_than_a_third_of_a_second"
)
demo=${at}demo.py # where a browser looks at what it leaves behind
rest=()
for file in "$at"*.py; do
  case " ${retraining[*]} ${services[*]} $demo " in *" $file "*) ;; *) rest+=("$file") ;; esac
done
names=()
say "tests/unit, tests/panel, tests/tfx, tests/taxi, tests/components, tests/airflow"
lane rest panel -v tests/panel/{store,files,payloads,evaluation,commands,web} -- airflow -v --deselect "${alone[0]}" "${rest[@]}"
# absl, in some executors, takes pytest's -v for its own. The scheduler comes last, since it runs until pytest ends.
lane tfx tfx -q tests/tfx tests/taxi tests/components -- airflow -v "${services[@]}" tests/airflow/scheduler
lane retraining airflow -q tests/unit -- panel -v "$demo" tests/panel/mounts -- airflow -v --deselect "${alone[1]}" "${retraining[@]}"
finish
say "tests/airflow: what measures time, with nothing beside it"
airflow -v "${alone[@]}"
