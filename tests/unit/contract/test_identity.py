"""Names of contexts in MLMD: of any length of Airflow's ids, never the same for two task instances."""

from __future__ import annotations

import itertools

import pytest

from include.tfx_airflow.contract import identity

TASK = {
    "dag_id": "flow",
    "run_id": "scheduled__2014-01-01T00:00:00+00:00",
    "task_id": "eu.Gen",
    "map_index": -1,
}


def test_names_that_fit_are_readable() -> None:
    run = "scheduled__2014-01-01T00:00:00+00:00"
    task = {**TASK, "try_number": 2}
    assert identity.run_name("flow", run) == f"flow:{run}"
    assert identity.tries_name(TASK) == f"flow:{run}:eu.Gen:-1"
    assert identity.tries_name(TASK, "eu.Train") == f"flow:{run}:eu.Train:-1"
    assert identity.try_name(task, "ab12") == f"flow:{run}:eu.Gen:-1:2:ab12"
    assert identity.group_name("flow", "eu") == "flow:eu"
    assert identity.group_name("flow", "each.train", "us") == "flow:each.train[us]"


@pytest.mark.parametrize("letter", ["x", "ü", "日"])
def test_names_of_the_longest_ids_fit_into_255_bytes_and_stay_apart(letter: str) -> None:
    task = {name: letter * 250 for name in ("dag_id", "run_id", "task_id")} | {
        "map_index": 999,
        "try_number": 1,
    }
    others = [{**task, name: letter * 249 + "z"} for name in ("dag_id", "run_id", "task_id")]
    others += [{**task, "map_index": 998}, {**task, "try_number": 2}]
    names = [identity.try_name(one, "ab") for one in (task, *others)]
    assert len(set(names)) == len(names)
    assert {len(name.encode()) <= 255 for name in names} == {True}
    assert names[0].startswith(letter * 70)


def test_each_part_of_the_identity_tells_task_instances_apart() -> None:
    values = {"dag_id": "ab", "run_id": "rs", "task_id": "tu", "map_index": (-1, 0)}
    tasks = [dict(zip(values, found, strict=True)) for found in itertools.product(*values.values())]
    assert len({identity.tries_name(task) for task in tasks}) == len(tasks) == 16


def test_name_of_255_bytes_is_left_alone() -> None:
    assert identity.bounded("n" * 255) == "n" * 255
    assert identity.bounded("n" * 256) != "n" * 256
