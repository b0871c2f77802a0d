"""`serve`: the node server in the foreground, for a service manager; and its end.

The service's environment should be that of Airflow's workers: a variable that libraries read when
they are loaded (`server_client.socket_path`) makes tasks look for another server.
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
    """Becomes the server, in the place of one that tasks have started."""
    settings = read_settings()
    if not settings.node_server:
        raise SettingsError(
            "[tfx_airflow] node_server is False: no task would ask the server; set it to True."
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
    """Asks this home's servers to end; nodes that run are seen through. Returns 1 when one cannot be asked."""
    settings = read_settings()
    deadline = time.monotonic() + _LEAVE_SECONDS
    try:
        for path in server_client.socket_paths(settings):
            while server_client.ask_at(path, "retire") is not None:
                if time.monotonic() > deadline:
                    print("The node server is busy with its start; try again.", file=sys.stderr)
                    return 1
                time.sleep(0.1)
    except (wire.WireError, OSError) as error:
        print(f"The node server cannot be asked: {error}", file=sys.stderr)
        return 1
    return 0
