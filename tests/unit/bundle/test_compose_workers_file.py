"""docker-compose.workers.yaml: what it changes in docker-compose.yaml, and what it adds."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import compose
from tests.bundle import ROOT

ALONE, FILE = compose.read(), compose.read_with_workers()
SERVICES = FILE["services"]
WORKERS = ("worker", "worker-gpu")
AIRFLOW = [name for name in SERVICES if name not in ("postgres", "redis")]
PASSWORDS = {name for name, sign in compose.variables(FILE) if sign == "?"}


def test_all_airflow_services_have_the_executor_its_broker_and_its_results() -> None:
    for name in AIRFLOW:
        environment = SERVICES[name]["environment"]
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert re.fullmatch(
            r"redis://:\$\{REDIS_PASSWORD:\?[^}]+\}@redis:6379/0", environment["AIRFLOW__CELERY__BROKER_URL"]
        )
        # Celery's own kind of address; of Airflow's own database.
        database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert database.startswith("postgresql+psycopg2://")
        assert environment["AIRFLOW__CELERY__RESULT_BACKEND"] == f"db+{database}"


def test_the_rest_of_the_services_is_as_without_workers() -> None:
    for name, service in ALONE["services"].items():
        other = dict(SERVICES[name])
        if name != "postgres":
            changed = {
                key: value for key, value in other["environment"].items() if key in service["environment"]
            }
            assert {key for key, value in changed.items() if service["environment"][key] != value} == {
                "AIRFLOW__CORE__EXECUTOR"
            }
        for key in service.keys() - {"environment", "depends_on"}:
            assert other[key] == service[key], (name, key)


def test_a_worker_has_the_image_the_folders_and_the_limits_of_the_scheduler() -> None:
    scheduler = ALONE["services"]["scheduler"]
    own = {"command", "environment", "depends_on", "healthcheck", "profiles"}
    for name in WORKERS:
        assert {key: value for key, value in SERVICES[name].items() if key not in own} == {
            key: value for key, value in scheduler.items() if key not in own
        }
        assert (
            "ports" not in SERVICES[name] and "container_name" not in SERVICES[name]
        )  # there may be several
    for service in ("redis", "worker"):
        assert "profiles" not in SERVICES[service]


def test_each_queue_has_one_kind_of_worker_and_airflow_s_default_queue_is_among_them() -> None:
    listen = {name: SERVICES[name]["command"] for name in WORKERS}
    assert listen == {
        "worker": ["airflow", "celery", "worker", "--queues", "default"],
        "worker-gpu": ["airflow", "celery", "worker", "--queues", "gpu"],
    }
    assert SERVICES["worker-gpu"]["environment"]["AIRFLOW__CELERY__WORKER_CONCURRENCY"] == "1"


def test_redis_asks_for_a_password_that_no_command_line_shows_and_keeps_what_waits() -> None:
    service = SERVICES["redis"]
    assert re.fullmatch(r"redis:\d+\.\d+-bookworm", service["image"])
    settings = dict(line.split(" ", 1) for line in FILE["configs"]["redis"]["content"].splitlines())
    assert settings["requirepass"] == service["environment"]["REDISCLI_AUTH"]
    assert (settings["appendonly"], settings["maxmemory-policy"]) == ("yes", "noeviction")
    assert "PASSWORD" not in str([service["command"], service["healthcheck"]["test"]])
    assert "ports" not in service and service["volumes"] == ["redis:/data"] and "redis" in FILE["volumes"]
    assert service["restart"] == "unless-stopped" and service["logging"] == ALONE["x-logging"]


@pytest.mark.parametrize("secret", sorted(PASSWORDS))
def test_a_missing_secret_is_an_error_that_names_the_file_that_says_how_to_make_it(secret: str) -> None:
    file = compose.WORKERS if secret == "REDIS_PASSWORD" else compose.FILE
    with pytest.raises(LookupError, match=f"{secret}: .* as the top of {file.name} says"):
        compose.walk(FILE, lambda text: compose.fill_in(text, dict.fromkeys(PASSWORDS - {secret}, "given")))


def test_the_command_at_the_top_adds_the_password_and_the_file_once(tmp_path: Path) -> None:
    [command] = [line[1:] for line in compose.WORKERS.read_text().splitlines() if "/dev/urandom" in line]
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=mine\n")
    for _ in range(2):
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    first, password, files = (tmp_path / ".env").read_text().splitlines()
    assert first == "POSTGRES_PASSWORD=mine"
    assert re.fullmatch("REDIS_PASSWORD=[A-Za-z0-9_-]{64}", password)
    assert files == f"COMPOSE_FILE={compose.FILE.name}:{compose.WORKERS.name}"


def test_workers_start_when_redis_and_the_api_server_answer() -> None:
    assert compose.start_order(SERVICES) == [
        ["postgres", "redis"],
        ["init"],
        ["api-server"],
        ["scheduler", "dag-processor", "triggerer", "worker", "worker-gpu"],
    ]


def test_the_lock_has_a_celery_that_the_provider_can_import() -> None:
    lock = (ROOT / "include/requirements-service.txt").read_text()
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+) \\\n +--hash=sha256:", lock, re.MULTILINE))
    assert {"apache-airflow-providers-celery", "celery", "redis"} <= pinned.keys()
    assert tuple(map(int, pinned["celery"].split("."))) < (5, 7)
