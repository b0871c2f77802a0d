"""The compose files on a real Docker engine: one machine, then several workers on the same volumes."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import compose
from tests.bundle import ROOT
from tests.cluster import docker_engine
from tests.cluster.docker_engine import Engine
from tests.compose_services import free_port, secrets
from tests.scheduler import Scheduler
from tests.server import wait_until

_SERVICES = {"postgres", "api-server", "scheduler", "dag-processor", "triggerer"}


class Project:
    """The bundle as a user has it: a checkout, `.env` beside it, and `docker compose`."""

    def __init__(self, engine: Engine, folder: Path):
        """Copies the bundle's files and makes the secrets."""
        self.engine, self.folder = engine, folder
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        archive = subprocess.run(
            ["tar", "--create", "--null", "--files-from=-"],
            cwd=ROOT,
            input=tracked.stdout.encode(),
            capture_output=True,
            check=True,
        )
        subprocess.run(["tar", "--extract"], cwd=folder, input=archive.stdout, check=True)
        self.variables = secrets(folder)
        self.port = free_port()
        self._set(AIRFLOW_PORT=str(self.port), COMPOSE_PROJECT_NAME="tfxtest")

    def _set(self, **variables: str) -> None:
        with open(self.folder / ".env", "a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())

    def with_workers(self) -> None:
        """The line at the top of the second file."""
        self.variables = secrets(self.folder, compose.WORKERS)

    def compose(self, *arguments: str, timeout: float = 1800, check: bool = True) -> str:
        """Runs `docker compose` in the folder."""
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            env=self.engine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def up(self, *arguments: str) -> Scheduler:
        """Builds, starts, waits until all is healthy, logs in."""
        self.compose("up", "--build", "--detach", *arguments)
        wait_until(self._healthy, 400, "all services to be healthy", 3)
        return Scheduler(f"http://localhost:{self.port}", "admin", self.variables["AIRFLOW_ADMIN_PASSWORD"])

    def containers(self) -> list[dict[str, str]]:
        """What runs: Service, Name, Health."""
        lines = self.compose("ps", "--format", "json").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def running(self) -> set[str]:
        """The services that run."""
        return {container["Service"] for container in self.containers()}

    def _healthy(self) -> bool:
        return all(container["Health"] == "healthy" for container in self.containers())

    def sql(self, query: str) -> list[list[str]]:
        """Rows of ML Metadata."""
        text = self.compose(
            *("exec", "-T", "-e", f"PGPASSWORD={self.variables['MLMD_DB_PASSWORD']}", "postgres"),
            *(
                "psql",
                "--host=127.0.0.1",
                "--username=mlmd",
                "--no-align",
                "--tuples-only",
                "mlmd",
                "-c",
                query,
            ),
        )
        return [line.split("|") for line in text.splitlines() if line]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A running engine."""
    with docker_engine.running() as engine:
        yield engine


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The bundle on that engine, not started; in the end all of its containers and volumes are removed."""
    services = compose.read_with_workers()["services"]
    [python] = re.findall("^FROM (.*)", services["init"]["build"]["dockerfile_inline"], re.MULTILINE)
    docker_engine.provide_images(engine, python, services["postgres"]["image"], services["redis"]["image"])
    project = Project(engine, tmp_path_factory.mktemp("project"))
    try:
        yield project
    finally:
        with contextlib.suppress(AssertionError):
            project.compose("down", "--volumes", "--remove-orphans")


def _executions(project: Project, run_id: str) -> list[tuple[str, str]]:
    """Node and state of the executions of a run, oldest first."""
    rows = project.sql(
        "select n.name, e.last_known_state from Execution e"
        " join Association a on a.execution_id = e.id join Context r on r.id = a.context_id"
        " join Type rt on rt.id = r.type_id and rt.name = 'pipeline_run'"
        " join Association b on b.execution_id = e.id join Context n on n.id = b.context_id"
        f" join Type nt on nt.id = n.type_id and nt.name = 'node' where r.name = 'taxi:{run_id}' order by e.id"
    )
    states = {"2": "RUNNING", "3": "COMPLETE", "4": "FAILED", "5": "CACHED"}
    return [(name.rpartition(".")[2], states.get(state, state)) for name, state in rows]


def _run(client: Scheduler, run_id: str, **conf: object) -> None:
    client.trigger("taxi", run_id, conf)
    assert client.wait_for_run("taxi", run_id, 900) == "success", {
        name: task["state"] for name, task in client.tasks("taxi", run_id).items()
    }


def _wait_for_training(project: Project, run_id: str) -> None:
    wait_until(lambda: ("Trainer", "RUNNING") in _executions(project, run_id), 400, "Trainer to run", 1)


@pytest.mark.parametrize("policy", ["unless-stopped", "always", "on-failure"])
def test_a_restart_policy_undoes_a_crash_and_none_undoes_docker_kill(engine: Engine, policy: str) -> None:
    docker_engine.make_tiny_image(engine, "tfxtest-tiny")
    name = f"tfxtest-{policy}"
    engine.docker(
        "run", "--detach", "--name", name, "--restart", policy, "tfxtest-tiny", "/bin/sleep", "1000"
    )

    def state() -> str:
        return engine.docker("inspect", "--format", "{{.State.Running}} {{.RestartCount}}", name).strip()

    try:
        pid = engine.docker("inspect", "--format", "{{.State.Pid}}", name).strip()
        subprocess.run(["kill", "-9", pid], check=True)
        wait_until(lambda: state() == "true 1", 30, "the restart", 0.5)
        engine.docker("kill", name)
        time.sleep(10)
        assert state() == "false 1"
    finally:
        engine.docker("rm", "--force", name)


def test_two_runs_a_crash_a_kill_and_a_restart_of_everything(project: Project) -> None:
    client = project.up()
    assert project.running() == _SERVICES
    _run(client, "first")
    assert {state for _, state in _executions(project, "first")} == {"COMPLETE"}
    _run(client, "second")
    assert dict(_executions(project, "second"))["Transform"] == "CACHED"
    assert "BAD" not in project.compose(
        "exec", "-T", "scheduler", "python", "-m", "include.tfx_airflow", "doctor"
    )

    # Containers come back when their process ends by itself, and what ran is taken up within about a minute.
    client.trigger("taxi", "crashed", {"train_args": {"num_steps": 1500}})
    _wait_for_training(project, "crashed")
    [scheduler] = [c for c in project.containers() if c["Service"] == "scheduler"]
    pid = project.engine.docker("inspect", "--format", "{{.State.Pid}}", scheduler["Name"]).strip()
    subprocess.run(["kill", "-9", pid], check=True)
    crashed = time.monotonic()
    wait_until(
        lambda: client.tasks("taxi", "crashed")["Trainer"]["try_number"] == 2, 150, "the second try", 1
    )
    print(f"adopted after {time.monotonic() - crashed:.0f} s")
    assert client.wait_for_run("taxi", "crashed", 900) == "success"
    trained = [state for node, state in _executions(project, "crashed") if node == "Trainer"]
    assert trained == ["FAILED", "COMPLETE"]

    # `docker kill` is a stop to the engine; `up` undoes it.
    [triggerer] = [c for c in project.containers() if c["Service"] == "triggerer"]
    project.engine.docker("kill", triggerer["Name"])
    time.sleep(15)
    assert project.running() == _SERVICES - {"triggerer"}
    project.compose("up", "--detach")
    assert project.running() == _SERVICES

    project.compose("down")
    assert project.running() == set()
    client = project.up()
    assert sorted(client.run_ids("taxi")) == ["crashed", "first", "second"]
    _run(client, "after", train_args={"num_steps": 120})
    assert "CACHED" in dict(_executions(project, "after")).values()


def test_several_workers_on_the_same_volumes_and_one_of_them_killed(project: Project) -> None:
    project.with_workers()
    client = project.up("--scale", "worker=2")
    assert project.running() == _SERVICES | {"redis", "worker"}
    _run(client, "over_two", train_args={"num_steps": 130})
    assert len({task["hostname"] for task in client.tasks("taxi", "over_two").values()}) == 2
    doctor = project.compose(
        "exec", "-T", "--index", "1", "worker", "python", "-m", "include.tfx_airflow", "doctor"
    )
    assert "BAD" not in doctor and "CeleryExecutor: /opt/airflow/tfx is the DAG processor's folder" in doctor

    client.trigger("taxi", "killed", {"train_args": {"num_steps": 1400}})
    _wait_for_training(project, "killed")
    host = client.tasks("taxi", "killed")["Trainer"]["hostname"]
    project.engine.docker("kill", host)
    killed = time.monotonic()
    assert client.wait_for_run("taxi", "killed", 900) == "success"
    print(f"from the worker's end to the run's: {time.monotonic() - killed:.0f} s")
    trained = [state for node, state in _executions(project, "killed") if node == "Trainer"]
    assert trained == ["FAILED", "COMPLETE"]

    printed = project.compose("logs", "--no-color")
    assert [
        name for name, value in project.variables.items() if "PASSWORD" in name and value in printed
    ] == []
