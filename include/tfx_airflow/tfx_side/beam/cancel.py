"""Cancels what tries of a task have left at work elsewhere: on a cluster behind a job server, or on Dataflow.

`python -m include.tfx_airflow.tfx_side.beam.cancel` cancels the jobs of a try whose task is dead, through a job server. It reads
the `BeamTarget` as JSON from standard input. It outlives the task, which may have seconds only, while a job that was being
handed over takes longer to come to the cluster. The next try looks for what is left.

Each service has libraries that the others have no use for: they are imported when they are needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from include.tfx_airflow.contract.beam_runner import BeamTarget

_SECONDS = 300.0


def cancel_earlier(target: BeamTarget, arguments: Sequence[str]) -> list[str]:
    """Cancels the jobs of earlier tries of this task instance that are still at work, and waits for their end.

    A task that was killed together with its machine could not cancel its job.

    Args:
      target: Its job name tells task instances apart. This try has started nothing yet.
      arguments: Beam's; they say where on Dataflow a job is.

    Returns:
      Names of the jobs that were cancelled; none where jobs end with their task's processes.

    Raises:
      BeamError: The service does not answer, or a job goes on.
    """
    if target.of.uses_job_server:
        from include.tfx_airflow.tfx_side.beam import job_service

        return job_service.cancel_earlier(target)
    if target.of.kind == "dataflow":
        from include.tfx_airflow.tfx_side.beam import dataflow_jobs

        return dataflow_jobs.cancel_earlier(target, arguments)
    return []


def cancel_try(target: BeamTarget, arguments: Sequence[str] = (), seconds: float = _SECONDS) -> list[str]:
    """Cancels the jobs of the target's try, which is dead; see `cancel_earlier`.

    Args:
      target: Its job name is that of the try.
      arguments: As there.
      seconds: How long their end is waited for; who does not answer is asked again, for as long.
    """
    if target.of.uses_job_server:
        from include.tfx_airflow.tfx_side.beam import job_service

        mine = f"{target.job_name}-"
        return job_service.cancel(target, lambda name: name.startswith(mine), seconds, is_patient=True)
    if target.of.kind == "dataflow":
        from include.tfx_airflow.tfx_side.beam import dataflow_jobs

        return dataflow_jobs.cancel_try(target, arguments, seconds)
    return []


if __name__ == "__main__":
    cancel_try(BeamTarget(**json.load(sys.stdin)))
