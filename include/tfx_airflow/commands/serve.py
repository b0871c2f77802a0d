"""`serve`: runs the node server in the foreground, for a service manager, or stops it.

The service should have the environment of Airflow's workers: if a variable that libraries read when
loaded differs (`server_client.socket_path`), tasks look for another server.
"""

from __future__ import annotations

import os
import sys
import time

from include.tfx_airflow.contract import wire
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.node_process import process, server_client
from include.tfx_airflow.settings import read_settings

_LEAVE_SECONDS = 10.0


def main() -> int:
    """Becomes the server, replacing one that tasks have started."""
    settings = read_settings()
    if not settings.node_server:
        raise SettingsError(
            "[tfx_airflow] node_server is False, so no task would use the server; set it to True."
        )
    environment = process.child_environment(settings)
    os.makedirs(settings.home, exist_ok=True)
    path = server_client.socket_path(settings, environment)
    command = server_client.command(settings, path, idle=0)
    stop()
    os.chdir(BUNDLE_ROOT)
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def stop() -> int:
    """Asks this home's servers to stop once their running nodes have finished. Returns 1 if one cannot be asked."""
    settings = read_settings()
    deadline = time.monotonic() + _LEAVE_SECONDS
    try:
        for path in server_client.socket_paths(settings):
            while server_client.ask_at(path, "retire") is not None:
                if time.monotonic() > deadline:
                    print("The node server is still starting; try again.", file=sys.stderr)
                    return 1
                time.sleep(0.1)
    except (wire.WireError, OSError) as error:
        print(f"The node server cannot be reached: {error}", file=sys.stderr)
        return 1
    return 0
