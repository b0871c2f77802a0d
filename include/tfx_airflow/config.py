"""What the DAG file says about a pipeline: Airflow's side of each node, and its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any


@dataclasses.dataclass(frozen=True)
class NodeConfig:
    """Airflow options of one node's task; None leaves Airflow's default.

    Attributes:
      outlets: Airflow Assets this node emits, with its output artifacts in `extra`.
      operator_args: Any further argument of Airflow's BaseOperator, by name.
    """

    retries: int | None = None
    retry_delay: timedelta | None = None
    execution_timeout: timedelta | None = None
    pool: str | None = None
    pool_slots: int | None = None
    queue: str | None = None
    priority_weight: int | None = None
    trigger_rule: str | None = None
    executor_config: Mapping[str, Any] | None = None
    outlets: Sequence[Any] | None = None
    operator_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Arguments for the operator: those that were given."""
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "operator_args" and getattr(self, field.name) is not None
        }
        return {**given, **self.operator_args}


@dataclasses.dataclass(frozen=True)
class AirflowPipelineConfig:
    """How a pipeline becomes a DAG; named as in `tfx.orchestration.airflow.airflow_dag_runner`.

    Attributes:
      airflow_dag_config: Arguments of Airflow's DAG, such as schedule, start_date, catchup.
      node_configs: NodeConfig by node id.
      runtime_parameters: For a RuntimeParameter of the pipeline, by name: a default value, an Airflow
        Param, or a template such as "{{ data_interval_start | ds }}", which is used in runs that
        give no value of their own.
      computed_parameters: For RuntimeParameters that nobody shall type in, by name: a template, such as
        '{{ ti.xcom_pull("wait_for_span")["span"] }}', or the argument of a mapped task group. They are no Params.
      copy: Names this copy of the pipeline in every run, when the copies must not see what earlier runs of the
        others made: a template such as "{{ params.region }}", or the argument of a mapped task group. By
        default the task group's id does, with the mapped arguments among `computed_parameters`.
    """

    airflow_dag_config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    node_configs: Mapping[str, NodeConfig] = dataclasses.field(default_factory=dict)
    runtime_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    computed_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    copy: Any = None
