"""Nodes of a DAG whose `home` is another machine's own do not run; those of other DAGs have nothing to do with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from include.tfx_airflow.contract.errors import SettingsError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.node import node
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]


def _on(request: NodeRequest, mark: str) -> NodeRequest:
    return dataclasses.replace(request, home_mark=mark)


def test_a_node_in_another_folder_than_the_first_one_is_refused(make_request: MakeRequest) -> None:
    pipeline = small.write_and_read()
    assert node.run(_on(make_request(pipeline, "Write"), "worker1 01")).state == "executed"
    assert node.run(_on(make_request(pipeline, "Read"), "worker1 01")).state == "executed"
    with pytest.raises(SettingsError) as caught:
        node.run(_on(make_request(pipeline, "Write", run="second"), "worker2 02"))
    for part in ("DAG 'flow'", "says 'worker2 02', theirs 'worker1 01'", "mount one shared folder"):
        assert part in str(caught.value)
    other = make_request(pipeline, "Write", task={"dag_id": "other"})
    assert node.run(_on(other, "worker2 02")).state == "cached"  # what is equal elsewhere is taken


def test_where_one_machine_runs_all_there_is_nothing_to_compare(make_request: MakeRequest) -> None:
    pipeline = small.write_and_read()
    node.run(_on(make_request(pipeline, "Write"), "worker1 01"))
    assert node.run(make_request(pipeline, "Read")).state == "executed"
