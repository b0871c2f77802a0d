"""`python -m include.tfx_airflow.tfx_side.beam.cancel`: cancels the jobs of a try whose task is dead.

Reads the `BeamTarget` as JSON from standard input. It outlives the task, which may have seconds only, while a job that was
being handed over takes longer to come to the cluster. The next try looks for what is left.
"""

from __future__ import annotations

import json
import sys

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.tfx_side.beam import job_service

_SECONDS = 300.0


def cancel_try(target: BeamTarget, seconds: float = _SECONDS) -> list[str]:
    """Cancels the jobs of the target's try; returns their names.

    Raises:
      BeamError: One goes on, or nobody answers.
    """
    mine = f"{target.job_name}-"
    return job_service.cancel(target, lambda name: name.startswith(mine), seconds, is_patient=True)


if __name__ == "__main__":
    cancel_try(BeamTarget(**json.load(sys.stdin)))
