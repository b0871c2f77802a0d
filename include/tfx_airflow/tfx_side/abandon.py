"""`python -m include.tfx_airflow.tfx_side.abandon`: marks what a killed node left RUNNING as FAILED.

Reads the `NodeRequest` of the dead child from standard input. Starts in under a second: no TFX.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from include.tfx_airflow.child import NodeRequest
from include.tfx_airflow.tfx_side import mlmd


def abandon(request: NodeRequest, reason: str) -> list[int]:
    """Marks the unfinished executions of the request's node and run; returns their ids."""
    pipeline = json.loads(Path(request.ir).read_text(encoding="utf-8"))["pipelineInfo"]["id"]
    with mlmd.open_store(request.mlmd) as store:
        return mlmd.retried(
            lambda: mlmd.fail_unfinished(store, request.run, f"{pipeline}.{request.node_id}", reason)
        )


if __name__ == "__main__":
    abandon(NodeRequest(**json.loads(sys.stdin.readline())), "the node's process was killed")
