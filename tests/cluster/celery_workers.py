"""docker-compose.workers.yaml by hand: PostgreSQL, Redis, Airflow without TFX, and workers in network namespaces.

Each service runs the command, in the environment, that the file says; a worker has its own namespace, host name,
AIRFLOW_HOME and folder of temporary files, as in a container, so each has a node server of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import compose
from tests.bundle import STATE
from tests.cluster import retraining
from tests.cluster.network import Network
from tests.compose_services import Services, database, free_port, make_databases, secrets
from tests.scheduler import Scheduler
from tests.server import wait_until
from tests.servers import Server

# A worker that is gone shall be noticed soon enough for a test.
_HEARTBEAT_SECONDS = 30
_DAG = """
from datetime import datetime, timedelta
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig, NodeConfig

_FAST = {"retry_delay": timedelta(seconds=1)}

def _dag(dag_id, reference, node_configs, **arguments):
    return AirflowDagRunner(AirflowPipelineConfig(
        airflow_dag_config=dict(dag_id=dag_id, start_date=datetime(2014, 1, 1), schedule=None, default_args=_FAST),
        node_configs=node_configs,
    )).run(reference, **arguments)

taxi = _dag("taxi", "include.taxi.pipeline:create_pipeline", {"Trainer": NodeConfig(queue="gpu", retries=1)},
            serving_dir="${TFX_AIRFLOW_HOME}/serving/taxi")
small = _dag("small", "tests.pipelines.small:write_and_read", {"Read": NodeConfig(queue="gpu")}, message="from one to the other")
"""


class Cluster:
    """Airflow on this machine, workers in namespaces.

    Attributes:
      client: Of its API server.
      store: The server with ML Metadata.
    """

    client: Scheduler

    def __init__(self, folder: Path, network: Network, services: Services, store: Server):
        """Takes what runs already; `start` starts Airflow."""
        self.folder, self.network, self.services, self.store = folder, network, services, store
        self._prefixes: dict[str, list[str]] = {}
        self._folders: dict[str, Path] = {}

    def start(self, password: str) -> None:
        """Starts Airflow's services but the workers, none with TFX, once the pipelines are compiled."""
        self.services.start("init")
        self.services.wait_until_completed("init")
        done = subprocess.run(
            ["python", "-m", "include.tfx_airflow", "compile"],
            env=self.services.environment("worker"),
            cwd=self.services.folder / "bundle",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.services.start("api-server", AIRFLOW__TFX_AIRFLOW__PYTHON="")
        self.services.wait_until_healthy("api-server")
        for name in ("scheduler", "dag-processor"):
            self.services.start(
                name,
                AIRFLOW__TFX_AIRFLOW__PYTHON="",
                AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=str(_HEARTBEAT_SECONDS),
            )
        self.services.wait_until_healthy("scheduler")
        self.client = Scheduler(f"http://localhost:{self.services.port}", "admin", password)

    def add_worker(self, name: str, queues: str, **environment: str) -> None:
        """Starts a worker in a namespace of that name, and waits until its health check succeeds."""
        if name not in self._prefixes:
            self._prefixes[name] = self.network.add(name)
            # Short, for the node server's socket is below it.
            self._folders[name] = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        own = {
            "AIRFLOW_HOME": str(self._folders[name] / "airflow"),
            "TMPDIR": str(self._folders[name]),
            "HOSTNAME": name,
            # What volumes are for containers.
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.services.folder / "airflow" / "logs"),
            "AIRFLOW__TFX_AIRFLOW__HOME": str(self.services.folder / "airflow" / "tfx"),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(_HEARTBEAT_SECONDS),
            **environment,
        }
        prefix = self._prefixes[name]
        assert self.services.services["worker"]["command"][-2:] == ["--queues", "default"]
        self.services.start("worker", name, prefix, ["--queues", queues], **own)
        check = self.services.services["worker"]["healthcheck"]["test"][1:]
        said: list[str] = []

        def healthy() -> bool:
            assert self.services.processes[name].poll() is None, self.services.log(name)
            done = subprocess.run(
                [*prefix, *check[:-1], check[-1].partition("; ")[2]],  # without the wait before it
                env={**self.services.environment("worker"), **own},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said[:] = [done.stdout]
            return done.returncode == 0

        wait_until(healthy, 180, f"{name} to be healthy", 1)

    def kill_worker(self, name: str) -> None:
        """All of the worker's processes at once, its node server and nodes too."""
        self.network.kill(name)
        self.services.processes[name].wait()

    def stop_worker(self, name: str) -> None:
        """SIGTERM, as `docker compose stop`."""
        # The first process in the namespace: what stands before it has become it.
        self.services.processes[name].send_signal(signal.SIGTERM)
        self.services.processes[name].wait(120)
        self.network.kill(name)

    def node_servers(self, name: str) -> list[Path]:
        """Sockets of the node servers of a worker."""
        return sorted(self._folders[name].glob("tfx-airflow-*/*/*.sock"))

    def stop(self) -> None:
        """Ends everything that was started here, by its process id."""
        for name in self._prefixes:
            self.network.kill(name)
        for process in self.services.processes.values():
            process.kill()
            process.wait()
        for pid in self.services.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _redis(folder: Path, address: str, port: int, config: str) -> Iterator[None]:
    """A Redis with the settings of the compose file."""
    folder.mkdir()
    unpacked = STATE / "services" / "redis" / "start"
    program = str(unpacked) if unpacked.exists() else shutil.which("redis-server")
    if not program:
        pytest.skip("no Redis on this machine; include/bootstrap.sh services says why")
    (folder / "redis.conf").write_text(f"{config}\nbind {address}\nport {port}\ndir {folder}\n")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program, str(folder / "redis.conf")], stdout=log, stderr=log)
    try:
        wait_until(
            lambda: "Ready to accept connections" in (folder / "log").read_text(), 30, "Redis to start", 0.1
        )
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def running(folder: Path, network: Network) -> Iterator[Cluster]:
    """The whole of it, with the DAGs `taxi`, `small` and those of the retraining; workers are for the test to add."""
    variables = secrets(folder, compose.WORKERS)
    redis_port = free_port()
    with database(folder / "postgres", variables, (network.address,)) as store:
        services = Services(
            folder,
            compose.read_with_workers(),
            variables,
            store.port,
            network.address,
            {"@redis:6379": f"@{network.address}:{redis_port}"},
        )
        services.build(cluster=_DAG)
        retraining.write_dags(
            services.folder / "bundle" / "dags",
            {
                # Only when it is triggered.
                'CronDataIntervalTimetable("@monthly", timezone="UTC")': "None",
                '"Trainer": NodeConfig(': '"Trainer": NodeConfig(queue="gpu", ',
            },
        )
        make_databases(services, store)
        config = services.file["configs"]["redis"]["content"]
        with _redis(folder / "redis", network.address, redis_port, config):
            cluster = Cluster(folder, network, services, store)
            try:
                cluster.start(variables["AIRFLOW_ADMIN_PASSWORD"])
                yield cluster
            finally:
                cluster.stop()
