#!/usr/bin/env bash
# Makes the two interpreters of this bundle below the state folder, from the locked requirements:
#   airflow/  Airflow 3.3.2, on any Python 3.10-3.13 that is there; `bootstrap.sh service` gives it what production needs beside it
#   tfx/      TFX 1.21.0, on any Python 3.11-3.13 that is there, where glibc is 2.39 or newer; else TFX 1.16.0, on Python 3.10
# TFX=1.16 or TFX=1.21 chooses otherwise, and is remembered until TFX=auto.
# With EXTRAS=s3 or EXTRAS=gs both get the drivers of an object store; this is remembered until EXTRAS=none.
# Needs a Python and network registries, and takes nothing from them whose hash is not in a lock. Run again, it changes nothing
# and takes a moment.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
state=${TFX_STATE:-$root/.state}
mkdir -p "$state"
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

find_uv() {
  if command -v uv >/dev/null; then command -v uv; return; fi
  if [ ! -x "$state/uv/bin/uv" ]; then
    say "fetching uv (the Python package installer) from the package index"
    local python lock=$root/include/requirements-uv.txt
    local install=(-m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r "$lock")
    python=$(command -v python3 || command -v python) || die "no Python found: install python3 (Debian: apt-get install python3 python3-venv)."
    # Without ensurepip (Debian splits it off), pip itself may still be there.
    if "$python" -m venv "$state/uv" >/dev/null 2>&1; then
      "$state/uv/bin/python" "${install[@]}" >&2 || die "could not install $lock (network?); run it again, or install uv yourself."
    else
      rm -rf "$state/uv"
      "$python" "${install[@]}" --target "$state/uv" >&2 ||
        die "cannot install uv: $python has neither venv nor pip (Debian: apt-get install python3-venv), or install uv yourself."
    fi
  fi
  echo "$state/uv/bin/uv"
}

# Prints a Python of the wanted version: on PATH, of pyenv, or fetched by uv. Where something is compiled, one with its C headers.
find_python() { # name of the interpreter, request, pyenv version pattern, 'compiles' or nothing
  local request=$2 headers=${4:+ with its C headers} found folder without=
  folder=$(pyenv root 2>/dev/null || echo "${PYENV_ROOT:-$HOME/.pyenv}")
  for found in "$("$uv" python find --no-python-downloads "$request" 2>/dev/null)" \
    "$(ls -d "$folder"/versions/$3/bin/python 2>/dev/null | sort -V | tail -n 1)"; do
    [ -n "$found" ] || continue
    if [ -z "$headers" ] || "$found" -c "$has_headers" 2>/dev/null; then echo "$found"; return; fi
    without=" ($found is without)"
  done
  say "fetching Python $request"
  if ! "$uv" python install "$request" >"$state/python.log" 2>&1; then # with --quiet it would not say why
    cat "$state/python.log" >&2
    die "$1 needs Python $request$headers; this machine has none$without, and uv could not fetch one, for the reason above: install one and put it on PATH, or name a mirror of uv's Pythons in UV_PYTHON_INSTALL_MIRROR."
  fi
  "$uv" python find --managed-python "$request"
}
has_headers='import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'

# pyfarmhash, which TensorFlow Data Validation needs, has no wheel. Without a compiler on the machine,
# Zig's (a wheel of 80 MB) builds it.
provide_compiler() {
  if command -v g++ >/dev/null && command -v gcc >/dev/null; then return; fi
  local folder=$state/compiler lock=$root/include/requirements-compiler.txt name
  if [ ! -x "$folder/use/g++" ]; then
    say "no C++ compiler here: fetching one from the package index"
    "$uv" venv --quiet --allow-existing "$folder"
    "$uv" pip install --quiet --require-hashes --no-build --python "$folder/bin/python" -r "$lock" ||
      die "could not install $lock (network?); install g++ or run it again."
    mkdir -p "$folder/use"
    for name in gcc:cc cc:cc g++:c++ c++:c++; do
      printf '#!/bin/sh\nexec "%s" -m ziglang %s "$@"\n' "$folder/bin/python" "${name#*:}" >"$folder/use/${name%:*}"
      chmod +x "$folder/use/${name%:*}"
    done
  fi
  export PATH="$folder/use:$PATH"
}

# Makes a venv with just the locked packages. What was installed is remembered by content.
install() { # name, lock file, python request, pyenv pattern; where the lock has packages without a wheel, 'compiles' or, of data, 'packs'
  local name=$1 lock=$2 compiles=${5:-} build=(--no-build) python minor sum
  sum=$(sha256sum <"$lock")
  [ "$(cat "$state/$name/locked" 2>/dev/null)" != "$sum" ] || return 0
  python=$(find_python "$name" "$3" "$4" "${compiles#packs}")
  case $compiles in
    compiles)
      provide_compiler
      build=()
      ;;
    packs) build=(--build-constraints "$lock") ;; # by the setuptools of the lock
  esac
  say "installing $(basename "$lock") into ${state#"$root/"}/$name ($("$python" -V 2>&1))"
  minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  # The packages of another Python would stay beside its own.
  if [ ! -d "$state/$name/lib/python$minor" ]; then rm -rf "${state:?}/$name"; fi
  "$uv" venv --quiet --allow-existing --python "$python" "$state/$name"
  "$uv" pip sync --quiet --compile-bytecode --require-hashes "${build[@]}" --python "$state/$name/bin/python" "$lock" ||
    die "could not install $lock (network, or a full disk?); run it again."
  rm -f "$state/$name"/with-*
  echo "$sum" >"$state/$name/locked"
}

# Adds what else is wanted in a venv, whose lock is made to fit what is there.
add() { # name, what, lock file
  local name=$1 what=$2 lock=$3 sum
  sum=$(sha256sum <"$lock")
  [ "$(cat "$state/$name/with-$what" 2>/dev/null)" != "$sum" ] || return 0
  say "adding $what to ${state#"$root/"}/$name"
  "$uv" pip install --quiet --compile-bytecode --require-hashes --no-build --python "$state/$name/bin/python" -r "$lock" ||
    die "could not install $lock; run it again."
  echo "$sum" >"$state/$name/with-$what"
}

# Packages for Airflow in a folder of their own: only who has it on PYTHONPATH sees them.
beside() { # name, lock file
  local name=$1 lock=$2 sum
  sum=$(cat "$lock" "$state/airflow/locked" | sha256sum)
  [ "$(cat "$state/$name/locked" 2>/dev/null)" != "$sum" ] || return 0
  say "installing $(basename "$(dirname "$lock")") into ${state#"$root/"}/$name"
  rm -rf "${state:?}/$name"
  "$uv" pip install --quiet --compile-bytecode --require-hashes --no-build --no-deps --target "$state/$name" --python "$state/airflow/bin/python" -r "$lock" ||
    die "could not install $lock; run it again."
  echo "$sum" >"$state/$name/locked"
}

# Which TFX: the one asked for, now or earlier, else the newest that this machine's C library can run.
choose_lane() {
  local wanted=${TFX:-} glibc newest=1.16 why oldest
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || die "this machine's C library is not glibc, which the wheels of TFX need; use another machine or container."
  glibc=${glibc#glibc }
  why="this machine has glibc $glibc, and TFX 1.21 needs 2.39"
  read -r oldest < <(printf '%s\n' 2.39 "$glibc" | sort -V)
  if [ "$oldest" = 2.39 ]; then newest=1.21 why="this machine has glibc $glibc, which is new enough for it"; fi
  case "$wanted" in
    "" | auto | 1.16 | 1.21) ;;
    *) die "TFX=$wanted: there are 1.21, 1.16, and auto for the newest that this machine can run." ;;
  esac
  if [ "$wanted" = auto ]; then rm -f "$state/lane"; wanted=; fi
  if [ -z "$wanted" ] && [ -s "$state/lane" ]; then wanted=$(cat "$state/lane"); fi
  lane=${wanted:-$newest}
  [ "$lane" != 1.21 ] || [ $newest = 1.21 ] || die "TFX=1.21 cannot be had: $why; use TFX=1.16, a newer system (Debian 13, Ubuntu 24.04), or docker-compose.yaml."
  [ -z "${TFX:-}" ] || [ -z "$wanted" ] || echo "$lane" >"$state/lane"
  [ -z "$wanted" ] || why="as TFX=$lane asked for; TFX=auto takes $newest here"
  case $lane in
    1.21) lane_lock=requirements-tfx lane_python='>=3.11,<3.14' lane_pyenv='3.1[1-3].*' lane_builds=packs ;;
    1.16) lane_lock=requirements-tfx-1.16 lane_python='>=3.10,<3.11' lane_pyenv='3.10.*' lane_builds=compiles ;;
  esac
  lane_lock=$root/include/$lane_lock
  [ "$(cat "$state/tfx/locked" 2>/dev/null)" = "$(sha256sum <"$lane_lock.txt")" ] || say "TFX $lane: $why"
}

# The drivers of an object store that was asked for, now or earlier.
remember_extras() {
  local wanted=${EXTRAS:-}
  case "$wanted" in
    "") return ;;
    none) wanted= ;;
    s3 | gs) ;;
    *) die "EXTRAS=$wanted: there are s3 and gs, of which one can be had at a time, and none." ;;
  esac
  [ "$(cat "$state/extras" 2>/dev/null)" != "$wanted" ] || return 0
  # What an earlier choice has brought goes: packages are installed anew.
  if [ -s "$state/extras" ]; then rm -f "$state"/{tfx,airflow}/locked; fi
  echo "$wanted" >"$state/extras"
}
add_extras() {
  local extra
  extra=$(cat "$state/extras" 2>/dev/null) || return 0
  [ -n "$extra" ] || return 0
  add tfx "$extra" "$lane_lock-$extra.txt"
  add airflow "$extra" "$root/include/requirements-airflow-$extra.txt"
}

# Jars of a Maven repository, by their paths there, below the folder jars/.
fetch_jars() { # lock files
  local repository=${MAVEN_REPOSITORY:-https://repo1.maven.org/maven2} folder=$state/jars sum missing
  sum=$(cat "$@" | sha256sum)
  [ "$(cat "$folder/locked" 2>/dev/null)" != "$sum" ] || return 0
  command -v curl >/dev/null || die "curl is missing (Debian: apt-get install curl)."
  say "fetching the jars of $(basename -a "$@" | paste -sd' ') into ${folder#"$root/"}"
  mkdir -p "$folder"
  cat "$@" | sort -u >"$folder/wanted"
  missing=$(cd "$folder" && sha256sum --check wanted 2>/dev/null | sed -n 's/: FAILED.*//p') || true
  if [ -n "$missing" ]; then
    sed 's|.*|url = "'"$repository"'/&"\noutput = "'"$folder"'/&"|' <<<"$missing" |
      curl --fail --no-progress-meter --location --retry 3 --create-dirs --parallel --config - ||
      die "could not fetch the jars from $repository (network?); run it again, or name a mirror of Maven Central in MAVEN_REPOSITORY."
  fi
  (cd "$folder" && sha256sum --check --quiet wanted) >&2 || die "these jars are not what the locks say; see above."
  echo "$sum" >"$folder/locked"
}

# A program for tests that cannot be had is told, and the tests go on without it.
provide() { "$root/tests/services/debian.sh" "$1" "$state/services/$1" || [ $? = 3 ]; }

case "$(uname -sm)" in
  "Linux x86_64") ;;
  *) die "TFX has wheels for Linux on x86-64 only (this is $(uname -sm)); use such a machine or container." ;;
esac
uv=$(find_uv)
airflow=$root/requirements.txt
[ "${1:-}" != service ] || airflow=$root/include/requirements-service.txt
choose_lane
remember_extras
# TFX first: it asks for more than Airflow does.
install tfx "$lane_lock.txt" "$lane_python" "$lane_pyenv" "$lane_builds"
install airflow "$airflow" '>=3.10,<3.14' '3.1[0-3].*'
add_extras
case "${1:-}" in
  tests)
    add airflow pytest "$root/tests/requirements.txt"
    add tfx pytest "$root/tests/requirements.txt"
    add airflow linters "$root/tests/lint/requirements.txt"
    ;;
  panel)
    install panel "$root/tests/panel/requirements.txt" '>=3.11,<3.14' '3.1[1-3].*'
    provide chromium
    ;;
  services)
    install services "$root/tests/services/requirements.txt" '>=3.10,<3.14' '3.1[0-3].*'
    provide mariadb
    # These providers need Python 3.11; their tests say so.
    if "$state/airflow/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      beside openlineage "$root/tests/openlineage/requirements.txt"
      beside kubernetes "$root/tests/kubernetes/requirements.txt"
    fi
    ;;
  workers) # for tests/cluster/test_workers.py and test_engine.py, beside what `services` and `panel` install
    provide redis
    provide docker
    ;;
  cluster)
    found=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | head -n 1) || true
    [[ $found = *'version "17'* ]] ||
      die "Flink and Spark need Java 17, on PATH or in JAVA_HOME (Debian: apt-get install openjdk-17-jre-headless); found: $found"
    install cluster "$root/tests/cluster/requirements.txt" '>=3.10,<3.14' '3.1[0-3].*' packs
    fetch_jars "$root"/tests/cluster/jars/*.txt
    ;;
  bench) install stock "$root/tests/benchmarks/requirements.txt" '>=3.10,<3.11' '3.10.*' compiles ;;
esac
