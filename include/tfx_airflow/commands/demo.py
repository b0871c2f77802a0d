"""`demo` and `compile`: compile all DAG files, run one DAG, and show the progress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from include.tfx_airflow.commands import dag_needs, report
from include.tfx_airflow.settings import read_settings

_TASK = re.compile(r"\[DAG TEST\] (starting|end task) task_id=([\w.-]+)")
_NEXT = """
Next:
  make up                          Airflow's UI, with this DAG and this run
  eval "$(make -s env)"            this shell's `airflow` is the bundle's:
  airflow dags test {dag_id} 2014-01-01
  make demo                        again: unchanged nodes come from the cache
"""


def compile_all() -> int:
    """Compiles the pipelines of all DAG files, in all DAG bundles of this Airflow.

    Returns:
      0, or 1 when a DAG file has errors, which are printed.
    """
    broken = False
    for bag in dag_needs.dag_bags():
        for dag_id, dag in sorted(bag.dags.items()):
            print(f"    {dag_id}: {len(dag.tasks)} tasks", flush=True)
        for path, error in bag.import_errors.items():
            broken = True
            print(f"{path}:\n{error}", file=sys.stderr)
    return 1 if broken else 0


def main(dag_id: str) -> int:
    """Compiles, runs `airflow dags test`, reports; returns the exit code of the run."""
    start = time.monotonic()
    print("==> compiling the pipelines of the DAG files", flush=True)
    if compile_all():
        return 1
    log_path = Path(read_settings().home) / "demo.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    print(f"==> airflow dags test {dag_id}   (full log: {log_path})", flush=True)
    code = _run(dag_id, log_path)
    if code:
        print("".join(log_path.read_text(errors="replace").splitlines(keepends=True)[-40:]), file=sys.stderr)
        print(f"\nThe run failed (exit code {code}); full log: {log_path}", file=sys.stderr)
        return code
    print(f"==> done in {time.monotonic() - start:.0f} s", flush=True)
    report.main(dag_id, None)
    print(_NEXT.format(dag_id=dag_id))
    return 0


def _run(dag_id: str, log_path: Path) -> int:
    environment = {**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow", "dags", "test", dag_id],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    started: dict[str, float] = {}
    assert process.stdout
    with open(log_path, "w", encoding="utf-8") as log:
        for line in process.stdout:
            log.write(line)
            found = _TASK.search(line)
            if not found:
                continue
            event, task = found.groups()
            if event == "starting":
                started[task] = time.monotonic()
                print(f"    {task} ...", flush=True)
            elif task in started:
                print(f"    {task} ended after {time.monotonic() - started.pop(task):.1f} s", flush=True)
    return process.wait()
