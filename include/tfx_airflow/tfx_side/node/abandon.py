"""`python -m include.tfx_airflow.tfx_side.node.abandon`: marks as FAILED what a killed node left RUNNING.

Reads the `NodeRequest` of the dead child from standard input. Starts in under a second: no TFX. What the child has left at
work on a cluster is cancelled then; what cannot be is printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.beam import arguments, cancel
from include.tfx_airflow.tfx_side.mlmd import mlmd_store


def abandon(request: NodeRequest, reason: str, last: Callable[[], None] = lambda: None) -> None:
    """Marks as FAILED what the request's task instance left unfinished.

    Args:
      request: The request of the dead or dying child.
      reason: Stored beside the state, for people.
      last: Called while the lock is still held, so the child cannot publish before the call.
    """
    with mlmd_store.open_store(request.mlmd, identity.tries_name(request.task)) as store:
        mlmd_store.retried(lambda: mlmd_store.fail_unfinished(store, request.task, reason))
        last()


def cancel_jobs(request: NodeRequest) -> None:
    """Cancels the Beam jobs of the request's try; prints what cannot be done."""
    target = BeamTarget(**request.beam)
    try:
        cancel.cancel_try(target, arguments.as_compiled(target, request.ir, request.node_id), seconds=90)
    except BeamError as error:
        print(error)


if __name__ == "__main__":
    dead = NodeRequest(**json.loads(sys.stdin.readline()))
    abandon(dead, "the node's process was killed")
    if dead.beam:
        cancel_jobs(dead)
