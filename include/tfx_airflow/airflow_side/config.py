"""The configuration of a pipeline in a DAG file: Airflow's options of its nodes, and its parameters."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from include.tfx_airflow.contract.errors import ConfigError

_Config = TypeVar("_Config", "NodeConfig", "AirflowPipelineConfig")

# As long as Airflow's database lets it be.
_QUEUE = re.compile(r"[^\s,]{1,256}")


@dataclasses.dataclass(frozen=True)
class NodeConfig:
    """Airflow options of one node's task; None leaves Airflow's default.

    Attributes:
      queue: Where the task runs, with an executor that has queues: on a worker that listens to this one.
      beam_runner: Where its Beam pipelines run: a name of `include/beam_runners.py`; None for the pipeline's.
      outlets: Airflow Assets this node emits, with its output artifacts in `extra`; an AssetAlias is refused.
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
    beam_runner: str | None = None
    operator_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Arguments for the operator: those that were given."""
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("operator_args", "beam_runner") and getattr(self, field.name) is not None
        }
        return {**given, **self.operator_args}

    @classmethod
    def of(cls, value: Any, node_id: str) -> NodeConfig:
        """A NodeConfig as it is, or made from a dict of its fields.

        Raises:
          ConfigError: It is neither, has a key that is not a field, or a queue that no worker can listen to.
        """
        made = _build(cls, value, f"node_configs[{node_id!r}]")
        if isinstance(made.retries, Mapping):
            raise ConfigError(
                f"node_configs[{node_id!r}].retries is {made.retries!r}; pass NodeConfig(**{{...}}), or the dict itself."
            )
        queue = made.arguments().get("queue")
        if queue is not None and not (isinstance(queue, str) and _QUEUE.fullmatch(queue)):
            raise ConfigError(
                f"node_configs[{node_id!r}].queue is {queue!r}; it must be the name of one queue, such as 'gpu': a text without "
                "spaces and commas, which would separate queues where a worker names those it listens to."
            )
        return made


@dataclasses.dataclass(frozen=True)
class AirflowPipelineConfig:
    """How a pipeline becomes a DAG; named as in `tfx.orchestration.airflow.airflow_dag_runner`.

    Attributes:
      airflow_dag_config: Arguments of Airflow's DAG, such as schedule, start_date, catchup.
      node_configs: NodeConfig by node id.
      runtime_parameters: For a RuntimeParameter of the pipeline, by name: a default value, an Airflow
        Param, or a template such as "{{ data_interval_start | ds }}", which is used in runs that
        give no value of their own.
      computed_parameters: For RuntimeParameters that users must not set, by name: a template, such as
        '{{ ti.xcom_pull("wait_for_span")["span"] }}', or the argument of a mapped task group. They do not
        become Params.
      copy: Identifies this copy of the pipeline across runs, so that it does not see what earlier runs of the
        other copies made: a template such as "{{ params.region }}", or the argument of a mapped task group.
        Default: the task group's id, with the mapped arguments among `computed_parameters`.
      beam_runner: Where the Beam pipelines of its nodes run: a name of `include/beam_runners.py`; None for what
        the pipeline's own `beam_pipeline_args` say, by default in memory.
      compiled_from: Files and folders that the pipeline function reads without this being noticed (in a C++
        library, say): absolute, or below `${BUNDLE_ROOT}`. The pipeline is compiled again when their content
        changes. What it imports, opens, lists or takes from the environment is noticed anyway.
    """

    airflow_dag_config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    node_configs: Mapping[str, NodeConfig] = dataclasses.field(default_factory=dict)
    runtime_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    computed_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    copy: Any = None
    beam_runner: str | None = None
    compiled_from: Sequence[str] = ()

    @classmethod
    def of(cls, value: Any) -> AirflowPipelineConfig:
        """A config whose node_configs are NodeConfigs, made from a config or from a dict of its fields.

        Raises:
          ConfigError: It is neither, or one of its fields has a value of another kind.
        """
        config = _build(cls, {} if value is None else value, "the config of AirflowDagRunner")
        for name in ("airflow_dag_config", "node_configs", "runtime_parameters", "computed_parameters"):
            given = getattr(config, name)
            if given is not None and not isinstance(given, Mapping):
                raise ConfigError(f"AirflowPipelineConfig.{name} must be a dict, not {given!r}.")
        if isinstance(config.compiled_from, (str, bytes)):
            raise ConfigError(
                f"AirflowPipelineConfig.compiled_from must be a list of paths, not {config.compiled_from!r}."
            )
        inside = sorted(set(config.airflow_dag_config or {}) & {f.name for f in dataclasses.fields(cls)})
        if inside:
            raise ConfigError(
                f"airflow_dag_config contains {inside}, which are fields of AirflowPipelineConfig, not arguments of "
                "Airflow's DAG; write AirflowPipelineConfig(**{...})."
            )
        relative = [p for p in config.compiled_from or () if not str(p).startswith(("/", "${"))]
        if relative:
            raise ConfigError(
                f"AirflowPipelineConfig.compiled_from contains the relative paths {relative}; start them with '/' or "
                "'${BUNDLE_ROOT}/'."
            )
        nodes = {key: NodeConfig.of(value, key) for key, value in (config.node_configs or {}).items()}
        return dataclasses.replace(
            config,
            airflow_dag_config=config.airflow_dag_config or {},
            node_configs=nodes,
            runtime_parameters=config.runtime_parameters or {},
            computed_parameters=config.computed_parameters or {},
            compiled_from=tuple(str(path) for path in config.compiled_from or ()),
        )


def _build(cls: type[_Config], value: Any, what: str) -> _Config:
    if isinstance(value, cls):
        return value
    fields = [field.name for field in dataclasses.fields(cls)]
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what} must be a {cls.__name__}, or a dict of its fields, not {value!r}.")
    unknown = sorted(str(key) for key in value if key not in fields)
    if unknown:
        hint = (
            "arguments of Airflow's DAG go into airflow_dag_config"
            if cls is AirflowPipelineConfig
            else "further arguments of Airflow's operator go into operator_args"
        )
        raise ConfigError(
            f"{what} contains {unknown}, which {cls.__name__} does not have; its fields are {fields}; {hint}."
        )
    return cls(**value)
