"""What a NodeConfig hands to the operator."""

from __future__ import annotations

from datetime import timedelta

from include.tfx_airflow.airflow_side.config import NodeConfig


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


def test_the_beam_runner_is_no_argument_of_airflow() -> None:
    assert NodeConfig(beam_runner="flink", retries=1).arguments() == {"retries": 1}
