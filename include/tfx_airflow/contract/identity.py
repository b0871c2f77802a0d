"""Names of the MLMD contexts that tell Airflow's task instances apart, made from Airflow's ids.

    pipeline_run            <dag_id>:<run_id>
    airflow_task_instance   <dag_id>:<run_id>:<task_id>:<map_index>:<try_number>...   one try
    airflow_task_tries      <dag_id>:<run_id>:<task_id>:<map_index>                   all tries of a task instance
    airflow_task_group      <dag_id>:<group_id>[<item>]                               a pipeline's place in a DAG, in all runs

A task id includes its task groups, so a DAG can contain a pipeline more than once.
Standard library only; both interpreters use it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

# MLMD's names are VARCHAR(255) on MySQL and PostgreSQL. Counted in bytes, because its MySQL client
# stores each byte as a character.
_LONGEST = 255
_DIGITS = 16


def bounded(name: str) -> str:
    """The name; if it is too long for MLMD, its beginning, `~` and a hash of the whole name."""
    data = name.encode()
    if len(data) <= _LONGEST:
        return name
    beginning = data[: _LONGEST - _DIGITS - 1].decode(errors="ignore")
    return f"{beginning}~{hashlib.sha256(data).hexdigest()[:_DIGITS]}"


def run_name(dag_id: str, run_id: str) -> str:
    """Name of a DAG run's `pipeline_run` context."""
    return bounded(f"{dag_id}:{run_id}")


def tries_name(task: Mapping[str, Any], task_id: str | None = None) -> str:
    """Name of a task instance's `airflow_task_tries` context.

    Args:
      task: With dag_id, run_id, task_id and map_index.
      task_id: Another task of the same run and map index.
    """
    return bounded(_instance(task, task_id or task["task_id"]))


def try_name(task: Mapping[str, Any], unique: str) -> str:
    """Name of the `airflow_task_instance` context of one try.

    Args:
      task: With dag_id, run_id, task_id, map_index and try_number.
      unique: Distinguishes tries of the same number: `dags test` recreates a run under its old id.
    """
    name = f"{_instance(task, task['task_id'])}:{task['try_number']}"
    return bounded(f"{name}:{unique}" if unique else name)


def job_name(task: Mapping[str, Any], unique: str) -> str:
    """Beginning of the names of one try's Beam jobs: readable, and the same in all tries up to `-try`.

    Lower-case letters, digits and hyphens, at most 50 of them up to `-try`: what every runner takes.

    Args:
      task: With dag_id, run_id, task_id and try_number.
      unique: At most ten digits or letters, the same in all tries of a task instance and in no other one.
    """
    readable = re.sub(
        r"[^a-z0-9]+", "-", f"{task['dag_id']}-{task['task_id']}-{task['run_id']}".lower()
    ).strip("-")
    return f"{('tfx-' + readable)[:39].rstrip('-')}-{unique}-try{task['try_number']}"


def group_name(dag_id: str, group_id: str, item: str = "") -> str:
    """Name of the `airflow_task_group` context of a pipeline's copy.

    Args:
      dag_id: Its DAG.
      group_id: Its task group, with the enclosing ones; empty for the DAG's root group.
      item: What distinguishes the copies in a mapped task group, in every run.
    """
    return bounded(f"{dag_id}:{group_id}" + (f"[{item}]" if item else ""))


def _instance(task: Mapping[str, Any], task_id: str) -> str:
    return f"{task['dag_id']}:{task['run_id']}:{task_id}:{task['map_index']}"
