"""`beam-workers`: serves harnesses to the workers of a Flink or Spark cluster on this machine, with TFX imported once.

Whoever reaches the pool can have it run code. It serves this machine only, unless it has a token, which jobs must bring: in
`worker_pool_token` of the runner's Connection, or in an environment variable where there are no Connections.
"""

from __future__ import annotations

import json
import os
import sys

from include.tfx_airflow.airflow_side import beam_connection
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import read_settings

TOKEN_VARIABLE = "TFX_AIRFLOW_BEAM_WORKERS_TOKEN"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PRELOAD = "include.tfx_airflow.tfx_side.node_server.preload"


def main(host: str, port: int, runner: str | None) -> int:
    """Becomes the pool.

    Args:
      host: Address to serve at.
      port: Port to serve at.
      runner: A Beam runner, whose Connection has the token; None for the environment variable's.

    Raises:
      SettingsError: Others could reach it, and it has no token; or there is no TFX interpreter.
      ConfigError: There is no such runner.
    """
    settings = read_settings()
    token = os.environ.get(TOKEN_VARIABLE, "")
    if runner:
        token = beam_connection.target(runner, "--runner", "", settings).worker_pool_token
    if host not in LOOPBACK and not token:
        raise SettingsError(
            f"a worker pool at {host} runs code for whoever reaches it, so it needs a token: put worker_pool_token into the "
            f"extra of the runner's Connection and name the runner with --runner, or set {TOKEN_VARIABLE}. Without one, "
            "--host 127.0.0.1 serves this machine only."
        )
    request = {
        "host": host,
        "port": port,
        "token": token,
        "packages": os.path.join(settings.home, "beam", "packages"),
        "preload": _PRELOAD,
    }
    environment = process.child_environment(settings)
    environment.pop(TOKEN_VARIABLE, None)
    # Google's libraries warn about Python 3.10 in many lines.
    environment["PYTHONWARNINGS"] = "ignore::FutureWarning"
    python = settings.interpreter()
    # The writing end stays open in the pool itself, which so ends by a signal only.
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    os.write(writing, json.dumps(request).encode() + b"\n")
    os.dup2(reading, 0)
    os.chdir(BUNDLE_ROOT)
    sys.stdout.flush()
    os.execve(python, [python, "-m", "include.tfx_airflow.tfx_side.beam.worker_pool"], environment)
