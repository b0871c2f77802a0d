"""docker-compose.yaml: no secret of its own, one image, the environment of `make env`, health checks."""

from __future__ import annotations

import math
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests import compose
from tests.bundle import ROOT

FILE = compose.read()
SERVICES = FILE["services"]
AIRFLOW = [name for name in SERVICES if name != "postgres"]
SECRETS = sorted({name for name, _ in compose.variables(FILE)} - {"AIRFLOW_PORT"})


def test_every_secret_is_required_and_none_stands_in_the_file() -> None:
    assert {sign for name, sign in compose.variables(FILE) if name in SECRETS} == {"?"}
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD$|SECRET|FERNET|_KEY$", name):
                assert value.startswith("${"), name
            for password in re.findall(r"://[^:/@]+:(.*)@", value):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", password), name
    assert not re.search("password '(?!%)", FILE["configs"]["databases"]["content"], re.IGNORECASE)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_missing_secret_is_an_error_that_says_how_to_make_it(secret: str) -> None:
    variables = {name: "given" for name in SECRETS if name != secret}
    with pytest.raises(LookupError, match=f"{secret}: make .env as the top of docker-compose.yaml says"):
        compose.walk(FILE, lambda text: compose.fill_in(text, variables))


def test_the_command_at_the_top_makes_all_secrets_and_never_replaces_them(tmp_path: Path) -> None:
    command = next(
        line.removeprefix("#") for line in compose.FILE.read_text().splitlines() if "/dev/urandom" in line
    )
    for _ in range(2):
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
        env = (tmp_path / ".env").read_text()
        made = dict(line.split("=", 1) for line in env.splitlines())
        assert sorted(made) == SECRETS
        assert len(set(made.values())) == len(SECRETS)
        fernet_key = made.pop("AIRFLOW_FERNET_KEY")
        assert re.fullmatch("[A-Za-z0-9_-]{43}=", fernet_key)  # 32 bytes, no more and no less
        assert all(re.fullmatch("[A-Za-z0-9_-]{64}", value) for value in made.values())
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    (tmp_path / ".env").write_text("mine")
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    assert (tmp_path / ".env").read_text() == "mine"


def test_airflow_services_share_one_image_built_once_and_one_environment() -> None:
    assert [name for name in AIRFLOW if "build" in SERVICES[name]] == ["init"]
    shared = FILE["x-airflow"]["environment"]
    for name in AIRFLOW:
        assert SERVICES[name]["image"] == FILE["x-airflow"]["image"]
        volumes = [volume.removesuffix(":ro") for volume in SERVICES[name]["volumes"]]
        assert volumes == FILE["x-airflow"]["volumes"]
        assert shared.items() <= SERVICES[name]["environment"].items()
    for name in ("api-server", "scheduler", "triggerer"):
        assert SERVICES[name]["environment"] == shared


def test_users_and_roles_are_kept_as_in_production_and_only_init_knows_the_first_password() -> None:
    manager = FILE["x-airflow"]["environment"]["AIRFLOW__CORE__AUTH_MANAGER"]
    assert manager == "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    lock = (ROOT / "include/requirements-service.txt").read_text()
    assert re.search(r"^apache-airflow-providers-fab==\S+ \\\n +--hash=sha256:", lock, re.MULTILINE)
    knowing = [
        name for name in SERVICES if ("AIRFLOW_ADMIN_PASSWORD", "?") in compose.variables(SERVICES[name])
    ]
    assert knowing == ["init"]
    # In a list of processes, arguments are seen; `printf` is no process.
    [line] = [line for line in SERVICES["init"]["command"][-1].splitlines() if "ADMIN_PASSWORD" in line]
    assert line.startswith("printf ") and line.endswith(" |")


def test_the_image_has_the_airflow_of_the_other_lock() -> None:
    def pinned(file: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / file).read_text(), re.MULTILINE))

    service, one_machine = pinned("include/requirements-service.txt"), pinned("requirements.txt")
    named = re.findall(r"^(apache-[\w-]+|[\w-]+)==", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    assert len(named) > 5
    assert {name: service[name] for name in named} == {name: one_machine[name] for name in named}


def test_the_panel_finds_the_store_and_the_artifacts_and_can_write_none() -> None:
    server = SERVICES["api-server"]
    assert server["environment"]["AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID"] == "mlmd_default"
    assert server["environment"]["AIRFLOW_CONN_MLMD_DEFAULT"].startswith("postgres://mlmd:")
    assert server["environment"]["AIRFLOW__CORE__PLUGINS_FOLDER"] == "/opt/bundle/plugins"
    read_only = {name: [v for v in SERVICES[name]["volumes"] if v.endswith(":ro")] for name in AIRFLOW}
    assert {name: found for name, found in read_only.items() if found} == {
        "api-server": ["tfx:/opt/airflow/tfx:ro"]
    }


def test_the_environment_is_that_of_make_env() -> None:
    lines = subprocess.run(
        [ROOT / "include/env.sh"],
        capture_output=True,
        text=True,
        check=True,
        env={"TFX_STATE": "/opt/state", "PATH": "/usr/bin:/bin"},
    ).stdout
    shared = FILE["x-airflow"]["environment"]
    for line in lines.replace(str(ROOT), "/opt/bundle").splitlines():
        name, value = re.fullmatch(r'export (\w+)="?(.*?)"?', line).groups()
        if name == "PATH":
            assert shared[name].startswith("/opt/state/airflow/bin:")
        elif name != "AIRFLOW_HOME":
            assert shared[name] == value, name


def test_versions_are_pinned_and_those_of_the_locks() -> None:
    lock = (ROOT / "include/requirements-service.txt").read_text()
    airflow = re.search(r"^apache-airflow==(\S+)", lock, re.MULTILINE)[1]
    tfx = re.search(r"^tfx==(\S+)", (ROOT / "include/requirements-tfx.txt").read_text(), re.MULTILINE)[1]
    assert FILE["x-airflow"]["image"] == f"tfx-airflow:{airflow}-{tfx}"
    [base] = re.findall("^FROM (.*)", SERVICES["init"]["build"]["dockerfile_inline"], re.MULTILINE)
    assert re.fullmatch(r"python:3\.1[1-3]\.\d+-slim-trixie", base)
    assert re.fullmatch(r"postgres:\d+\.\d+-bookworm", SERVICES["postgres"]["image"])


def test_the_image_gets_the_bundle_and_nothing_that_is_not_code() -> None:
    first, *rest = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert first == "*"
    allowed = {line[1:] for line in rest if line.startswith("!")}
    assert allowed == {".airflowignore", "dags", "include", "plugins"}
    docker = SERVICES["init"]["build"]["dockerfile_inline"]
    copied = re.findall(r"^COPY (.*) \S+$", docker, re.MULTILINE)
    assert copied[0].split() == ["include/bootstrap.sh", "include/requirements-*.txt"]
    for sources in copied:
        for source in sources.split():
            assert source == "." or any(ROOT.glob(source)), source
            assert source == "." or source.split("/")[0] in allowed, source
    assert docker.index("bootstrap.sh service &&") < docker.index("COPY . ")
    assert re.search("^USER airflow", docker, re.MULTILINE)


def test_every_service_that_stays_has_a_health_check_and_comes_back() -> None:
    for name, service in SERVICES.items():
        if name == "init":
            assert service["restart"] == "no" and "healthcheck" not in service
        else:
            assert service["restart"] == "unless-stopped"
            assert service["healthcheck"]["test"][0] == "CMD"


def test_what_containers_print_is_limited_and_checks_do_not_all_run_at_once() -> None:
    limited = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert [name for name, service in SERVICES.items() if service["logging"] != limited] == []
    # Those that start an Airflow.
    slow = [
        s["healthcheck"]["interval"]
        for s in SERVICES.values()
        if "airflow" in s.get("healthcheck", {}).get("test", [])
    ]
    seconds = [int(interval.removesuffix("s")) for interval in slow]
    assert len(seconds) == 2 and math.gcd(*seconds) == 1


def test_tasks_of_a_crashed_scheduler_are_adopted_within_a_minute() -> None:
    assert FILE["x-airflow"]["environment"]["AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL"] == "60"


def test_services_start_in_order_and_each_waits_for_what_it_needs() -> None:
    assert compose.start_order(SERVICES) == [
        ["postgres"],
        ["init"],
        ["api-server"],
        ["scheduler", "dag-processor", "triggerer"],
    ]
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            done = "service_completed_successfully" if needed == "init" else "service_healthy"
            assert how == {"condition": done}


def test_only_the_ui_has_a_port_and_only_on_this_machine() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]}


def test_services_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"wait for each other: \['a', 'b'\]"):
        compose.start_order({"a": {"depends_on": {"b": {}}}, "b": {"depends_on": {"a": {}}}, "c": {}})


@pytest.mark.parametrize(
    ("text", "filled"),
    [("a$$b", "a$b"), ("${X}-${Y}", "x-"), ("${X:-d}${Y:-d}", "xd"), ("${X:?m}", "x")],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert compose.fill_in(text, {"X": "x"}) == filled


def test_a_lone_dollar_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"a lone \$"):
        compose.fill_in("$HOME", {})
