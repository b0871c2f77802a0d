"""`python -m tests.asker FILE`: one attempt at a node, asked for as the operator does, without Airflow.

A process of its own, so that it can be killed. Prints the result as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from pathlib import Path

from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.node_process.node_process import NodeProcess
from include.tfx_airflow.settings import Settings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asked = json.loads(Path(sys.argv[1]).read_text())
    node = NodeProcess(Settings(**asked["settings"]), NodeRequest(**asked["request"]))
    result = node.wait(lambda level, line: print(line, file=sys.stderr))
    print(json.dumps(dataclasses.asdict(result)))
