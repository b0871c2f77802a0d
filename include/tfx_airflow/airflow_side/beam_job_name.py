"""Names the Beam jobs of a task, so that its later tries find them on the cluster, and no other task takes them for its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from airflow.sdk.execution_time.context import NEVER_EXPIRE

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.beam_runner import find

_KEY = "tfx_airflow_beam_jobs"


def of_task(runner: str, what: str, task: Mapping[str, Any], states: Any) -> str:
    """Beginning of the names of a try's jobs; "" of a runner whose work is done in the task's own processes.

    Several deployments may use one cluster, with the same DAGs and run ids: a random number tells their jobs apart. It is
    kept in the task's state, which all tries of a task instance share.

    Args:
      runner: Its name.
      what: Who asks for it, for errors.
      task: Airflow's names of the try, see `NodeRequest.task`.
      states: Airflow's `task_state_store` of the running task.

    Raises:
      ConfigError: There is no such runner.
    """
    if not find(runner, what).runs_elsewhere:
        return ""
    unique = states.get(_KEY)
    if not unique:
        unique = secrets.token_hex(5)
        states.set(_KEY, unique, retention=NEVER_EXPIRE)
    return identity.job_name(task, unique)
