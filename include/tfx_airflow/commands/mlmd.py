"""`mlmd init|status`: creates the schema of the MLMD store, or shows its state, in the TFX interpreter.

The address goes through standard input, because it may contain a password.
"""

from __future__ import annotations

import json
import subprocess
import sys

from include.tfx_airflow.airflow_side import mlmd_connection
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import MlmdError
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import read_settings

_SECONDS = 300


def main(command: str) -> int:
    """Runs `init` or `status` and prints its output; returns 1 if the store cannot be used.

    Raises:
      SettingsError: There is no usable interpreter.
      MlmdError: The Connection names no store, or the TFX interpreter cannot run the command.
    """
    settings = read_settings()
    done = subprocess.run(
        [settings.interpreter(), "-m", "include.tfx_airflow.tfx_side.mlmd.setup", command],
        input=json.dumps(mlmd_connection.address(settings)),
        capture_output=True,
        text=True,
        env=process.child_environment(settings),
        cwd=BUNDLE_ROOT,
        timeout=_SECONDS,
    )
    if not done.stdout:
        tail = "\n".join(done.stderr.splitlines()[-5:])
        raise MlmdError(f"{settings.python} cannot run 'mlmd {command}'; its last lines:", tail)
    print(done.stdout, end="", file=sys.stderr if done.returncode else sys.stdout)
    return done.returncode
