"""A launcher that serves nothing while its executor runs.

TFX's launcher starts a gRPC server for each executor, so that operators which run it elsewhere can report progress. Ours
run it in this process and never ask. Its threads are what makes a fork in user code unsafe: a data loader's worker that
is forked while one of them holds a lock of gRPC may abort or hang. It would also be a port through which every process
of the machine may change an execution.
"""

from __future__ import annotations

from typing import Any

from include.tfx_airflow.tfx_side.patches.patch import Patch


class Quiet:
    """Takes the place of `tfx.orchestration.portable.execution_watcher.ExecutionWatcher`.

    Attributes:
      address: Of no server.
    """

    address = ""

    def __init__(self, **_: Any):
        """Takes what TFX's takes."""

    def start(self) -> None:
        """Starts nothing."""

    def stop(self) -> None:
        """Stops nothing."""


# Fingerprints are of TFX 1.16.0 and 1.21.0.
NONE = Patch(
    "tfx.orchestration.portable.execution_watcher",
    "ExecutionWatcher",
    lambda _: Quiet,
    {
        "ExecutionWatcher": frozenset({"e0d33817f565dbe2"}),
        "tfx.orchestration.portable.launcher:Launcher.launch": frozenset({"199705068969c820"}),
    },
)
