"""What a NodeConfig hands to the operator."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.tfx_airflow.airflow_side.config import AirflowPipelineConfig, NodeConfig
from include.tfx_airflow.contract.errors import ConfigError


def test_empty_config_leaves_airflows_defaults() -> None:
    assert NodeConfig().arguments() == {}


def test_given_options_are_arguments_also_when_they_are_zero() -> None:
    config = NodeConfig(retries=0, retry_delay=timedelta(0), pool="gpu", executor_config={})
    assert config.arguments() == {
        "retries": 0,
        "retry_delay": timedelta(0),
        "pool": "gpu",
        "executor_config": {},
    }


def test_operator_args_are_merged_and_win() -> None:
    config = NodeConfig(retries=1, operator_args={"retries": 2, "depends_on_past": True})
    assert config.arguments() == {"retries": 2, "depends_on_past": True}
    assert "operator_args" not in config.arguments()


@pytest.mark.parametrize("queue", ["", "gpu,cpu", "two words", "x" * 257, 7, ["gpu"]])
@pytest.mark.parametrize("inside", [False, True], ids=["field", "operator_args"])
def test_a_queue_that_no_worker_can_listen_to_is_refused_with_its_node(queue: object, inside: bool) -> None:
    config = {"operator_args": {"queue": queue}} if inside else {"queue": queue}
    with pytest.raises(ConfigError, match=r"node_configs\['Trainer'\]\.queue is ") as caught:
        AirflowPipelineConfig.of({"node_configs": {"Trainer": config}})
    assert repr(queue) in str(caught.value)


def test_a_queue_is_an_argument_of_the_node_s_task() -> None:
    config = AirflowPipelineConfig.of({"node_configs": {"Trainer": NodeConfig(queue="gpu")}})
    assert config.node_configs["Trainer"].arguments() == {"queue": "gpu"}


def test_the_beam_runner_is_no_argument_of_airflow() -> None:
    assert NodeConfig(beam_runner="flink", retries=1).arguments() == {"retries": 1}
