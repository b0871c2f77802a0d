"""Named Beam runners: what their table may hold, and what a pipeline may say beside one."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import pytest

from include.tfx_airflow.contract import beam_runner, identity
from include.tfx_airflow.contract.beam_runner import BeamRunner, BeamTarget
from include.tfx_airflow.contract.errors import ConfigError

FLINK = BeamRunner("flink", conn_id="beam_flink", options=["--parallelism=2"])
PROCESSES = BeamRunner("processes", options=["--direct_num_workers=2"])


def test_the_table_has_a_runner_of_each_kind() -> None:
    assert {name: runner.kind for name, runner in beam_runner.table().items()} == {
        name: name for name in beam_runner.BEAM_NAMES
    }


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ConfigError, match=r"x is 'flnik', .* has \['dataflow', 'flink', 'in_memory', 'processes'"
    ):
        beam_runner.find("flnik", "x")


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--job_endpoint=jobs:8099", "job_endpoint"),
        ("--artifact_endpoint=jobs:8098", "artifact_endpoint"),
        ("--environment_config=pool:50000", "environment_config"),
        ("--runner=FlinkRunner", "runner"),
        ("--auth_token=s3cret", "auth_token"),
        ("--db_password", "db_password"),
    ],
)
def test_addresses_and_secrets_are_refused_and_their_values_not_shown(option: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"option --{why} of a Beam runner") as raised:
        BeamRunner("flink", conn_id="beam_flink", options=[option])
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"kind": "Flink"}, "BeamRunner.kind is 'Flink'"),
        ({"kind": "flink"}, "needs a conn_id"),
        ({"kind": "in_memory", "conn_id": "beam"}, "takes no conn_id"),
        ({"kind": "flink", "conn_id": "x", "workers": "docker"}, "BeamRunner.workers is 'docker'"),
        ({"kind": "flink", "conn_id": "x", "code": "baked"}, "BeamRunner.code is 'baked'"),
        ({"kind": "in_memory", "options": "--x"}, "must be a list"),
    ],
)
def test_what_is_no_runner_is_refused_where_it_is_written(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        BeamRunner(**arguments)


def test_a_broken_table_is_told_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, beam_runner.TABLE, None)
    with pytest.raises(ConfigError, match="include/beam_runners.py cannot be read: ModuleNotFoundError"):
        beam_runner.table()


def test_arguments_are_read_in_both_spellings() -> None:
    given = ["--a=1", "--b", "2", "--flag", "--c=x=y", "--last"]
    assert list(beam_runner.named(given)) == [
        ("a", "1"),
        ("b", "2"),
        ("flag", ""),
        ("c", "x=y"),
        ("last", ""),
    ]


@pytest.mark.parametrize(
    ("runner", "given", "wrong"),
    [
        (FLINK, ["--direct_running_mode=in_memory", "--direct_num_workers=1"], []),
        (FLINK, ["--temp_location=/tmp", "--experiments=x"], []),
        (FLINK, ["--parallelism=2"], []),
        (FLINK, ["--parallelism", "8"], ["--parallelism=8"]),
        (FLINK, ["--runner=DirectRunner"], ["--runner=DirectRunner"]),
        (FLINK, ["--environment_type=DOCKER"], ["--environment_type=DOCKER"]),
        (PROCESSES, ["--direct_num_workers=4"], ["--direct_num_workers=4"]),
        (PROCESSES, ["--direct_running_mode=in_memory"], ["--direct_running_mode=in_memory"]),
        (BeamRunner("in_memory"), ["--runner=DirectRunner", "--direct_num_workers=3"], []),
        (BeamRunner("in_memory"), ["--runner=FlinkRunner"], ["--runner=FlinkRunner"]),
    ],
)
def test_only_what_says_something_else_contradicts(
    runner: BeamRunner, given: list[str], wrong: list[str]
) -> None:
    assert beam_runner.contradictions(runner, given) == wrong


def test_a_cluster_gets_no_options_of_the_direct_runner_and_the_runners_come_last() -> None:
    given = ["--direct_running_mode=in_memory", "--temp_location", "/tmp", "--streaming"]
    joined = beam_runner.joined(FLINK, given)
    assert joined[:2] == ["--temp_location=/tmp", "--streaming"]
    assert joined[2:] == list(FLINK.arguments()) and joined[-1] == "--parallelism=2"


def test_a_target_hides_its_tokens_and_survives_json() -> None:
    target = BeamTarget(
        "flink", dataclasses.asdict(FLINK), job_endpoint="jobs:1", token="s3cret", worker_pool_token="s3cret"
    )
    assert "s3cret" not in repr(target)
    assert BeamTarget(**json.loads(json.dumps(dataclasses.asdict(target)))).of == FLINK


def test_a_jobs_name_tells_task_instances_and_tries_apart_and_is_short() -> None:
    task = {
        "dag_id": "Taxi.v1",
        "run_id": "scheduled__2014-01-01T00:00:00+00:00",
        "task_id": "eu.Transform",
        "map_index": -1,
        "try_number": 2,
    }
    name = identity.job_name(task, "0123456789")
    assert (
        name.startswith("tfx-taxi-v1-eu-transform-scheduled") and name.endswith("-try2") and len(name) <= 56
    )
    again = identity.job_name({**task, "try_number": 3}, "0123456789")
    assert again.removesuffix("3") == name.removesuffix("2")
    other = identity.job_name(task, "9876543210")
    assert other.rpartition("-")[0] != name.rpartition("-")[0]
