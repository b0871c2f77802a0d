"""docker-compose.yaml by hand: each service's own command, environment and health check, on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import compose
from tests.bundle import STATE
from tests.compose_services import Services, database, make_databases, secrets
from tests.scheduler import Scheduler
from tests.servers import Postgresql

_DAG = """
from datetime import datetime
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig

dag = AirflowDagRunner(
    AirflowPipelineConfig(airflow_dag_config=dict(start_date=datetime(2014, 1, 1), schedule=None))
).run("tests.pipelines.small:write_and_read", message="hello from a service")
"""


@pytest.mark.parametrize("file", [compose.FILE, compose.WORKERS], ids=lambda file: file.name)
def test_the_file_fits_the_schema_of_compose_files(file: Path) -> None:
    check = STATE / "services" / "bin" / "check-jsonschema"
    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


# The same services on a real engine: tests/cluster/test_engine.py.
@pytest.mark.long
def test_the_services_start_in_order_run_a_pipeline_and_stop(tmp_path: Path) -> None:
    variables = secrets(tmp_path)
    with database(tmp_path / "postgres", variables) as server:
        services = Services(tmp_path, compose.read(), variables, server.port)
        services.build(small=_DAG)
        try:
            make_databases(services, server)
            for group in compose.start_order(services.services)[1:]:
                for name in group:
                    services.start(name)
                for name in group:
                    if "healthcheck" in services.services[name]:
                        services.wait_until_healthy(name)
                    else:
                        services.wait_until_completed(name)
            _run_a_pipeline(services, server, variables)
            services.start("init")  # as after an upgrade: it changes nothing here
            services.wait_until_completed("init")
            assert len(services.left()) > 30  # Airflow's executor has that many workers: they are seen here
            for group in reversed(compose.start_order(services.services)[2:]):
                services.stop(group)
            # The end of a container takes all its processes along; here, those that stay on purpose are asked.
            stop = [sys.executable, "-m", "include.tfx_airflow", "serve", "--stop"]
            subprocess.run(stop, env=services.environment("scheduler"), cwd=tmp_path / "bundle", check=True)
            deadline = time.monotonic() + 10
            while services.left() and time.monotonic() < deadline:
                time.sleep(0.2)
            assert services.left() == {}
        finally:
            for pid in services.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in services.processes.values():
                process.kill()
                process.wait()


def _run_a_pipeline(services: Services, server: Postgresql, secrets: dict[str, str]) -> None:
    """A run over the API, its rows in the server, and no secret in any file."""
    client = Scheduler(f"http://localhost:{services.port}", "admin", secrets["AIRFLOW_ADMIN_PASSWORD"])
    run_id = client.trigger("write_and_read")
    state = client.wait_for_run("write_and_read", run_id, 180)
    assert state == "success", client.log("write_and_read", run_id, "Write")[-4000:]
    write, read = server.executions("write_and_read", run_id)
    assert (write.node, write.state, read.node, read.state) == ("Write", "COMPLETE", "Read", "COMPLETE")
    home = services.folder / "airflow"
    assert Path(write.uri("text")).read_text() == "hello from a service"
    assert Path(write.uri("text")).is_relative_to(home / "tfx")
    written = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in written if path.suffix == ".log"]
    for path in [*written, *services.folder.glob("*.log")]:
        text = path.read_text(errors="replace")
        assert not [name for name, value in secrets.items() if value in text], path
