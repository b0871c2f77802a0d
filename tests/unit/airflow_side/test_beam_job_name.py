"""Names of Beam jobs: found again by later tries, and never those of another deployment."""

from __future__ import annotations

from typing import Any

import pytest

from include.tfx_airflow.airflow_side import beam_job_name
from include.tfx_airflow.contract.errors import ConfigError


class _States(dict[str, Any]):
    """What Airflow keeps for a task instance in all its tries."""

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self[key] = value


def _task(try_number: int) -> dict[str, Any]:
    return {
        "dag_id": "taxi",
        "run_id": "r",
        "task_id": "Transform",
        "map_index": -1,
        "try_number": try_number,
    }


@pytest.mark.parametrize("runner", ["flink", "spark", "dataflow"])
def test_tries_share_all_but_their_number_and_deployments_nothing(runner: str) -> None:
    states = _States()
    first, second = (beam_job_name.of_task(runner, "x", _task(number), states) for number in (1, 2))
    other = beam_job_name.of_task(runner, "x", _task(1), _States())
    assert first.endswith("-try1") and second == first[:-1] + "2"
    assert other.endswith("-try1") and other != first


@pytest.mark.parametrize("runner", ["in_memory", "processes"])
def test_work_in_the_tasks_own_processes_needs_no_name(runner: str) -> None:
    states = _States()
    assert beam_job_name.of_task(runner, "x", _task(1), states) == "" and states == {}


def test_a_runner_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="beam_runner of 'Transform' is 'Flink', which is not"):
        beam_job_name.of_task("Flink", "beam_runner of 'Transform'", _task(1), _States())
