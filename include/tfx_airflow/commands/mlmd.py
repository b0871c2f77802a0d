"""`mlmd init|status`: creates the schema of the MLMD store, or shows its state, in the TFX interpreter."""

from __future__ import annotations

import sys

from include.tfx_airflow.airflow_side import mlmd_connection
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
    settings.interpreter()  # a wrong one is told before a wrong address
    address = mlmd_connection.address(settings)
    done = process.ask(settings, "mlmd.setup", command, question=address, timeout=_SECONDS)
    if not done.stdout:
        raise MlmdError(
            f"{settings.python} cannot run 'mlmd {command}'; its last lines:", process.last_lines(done)
        )
    print(done.stdout, end="", file=sys.stderr if done.returncode else sys.stdout)
    return done.returncode
