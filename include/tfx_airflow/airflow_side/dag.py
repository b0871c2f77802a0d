"""`AirflowDagRunner`: a compiled pipeline becomes a DAG or a task group, one task a node."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup

# Private, and exported nowhere: the DAGs of the file that Airflow is parsing, and the argument of a mapped task group,
# which Airflow gives to the function.
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.sdk.definitions._internal.expandinput import MappedArgument

from include.tfx_airflow.airflow_side import machines, object_store, parameters
from include.tfx_airflow.airflow_side.compiled import Compiled, load
from include.tfx_airflow.airflow_side.config import AirflowPipelineConfig, NodeConfig
from include.tfx_airflow.airflow_side.operators import TfxNodeOperator
from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.contract.manifest import Node
from include.tfx_airflow.settings import parse_seconds, read_settings

_AIRFLOWS_RULE = "all_success"
# Params that a task group added to its DAG, with a description of that group.
_added_by_groups: weakref.WeakKeyDictionary[Param, str] = weakref.WeakKeyDictionary()


def _default(param: Param) -> str:
    kind = param.schema.get("type")
    return f"{param.value!r} ({kind if isinstance(kind, str) else ' or '.join(kind or [])})"


def _check_id(dag_id: str, reference: str) -> None:
    """Refuses a second DAG of an id in one DAG file, of which Airflow keeps either without a word.

    Airflow's set holds what the parse of this file has made so far; at any other time it is empty.
    """
    if any(dag.dag_id == dag_id for dag, _ in DagContext.autoregistered_dags):
        raise ConfigError(
            f"{reference!r} becomes the DAG {dag_id!r}, but this DAG file has made a DAG of that id before, and Airflow "
            "would keep only one of them; give airflow_dag_config a dag_id."
        )


class AirflowDagRunner:
    """Runs TFX pipelines on Airflow; used like the runner of that name in `tfx.orchestration.airflow`.

    dag = AirflowDagRunner(
        AirflowPipelineConfig(airflow_dag_config={"schedule": "@monthly", ...})
    ).run("include.taxi.pipeline:create_pipeline", serving_dir="/srv/models")
    """

    def __init__(self, config: AirflowPipelineConfig | Mapping[str, Any] | None = None):
        """Takes the Airflow side of the pipeline: the config, or a dict of its fields.

        Raises:
          ConfigError: It is something else.
        """
        self._config = AirflowPipelineConfig.of(config)

    def run(self, pipeline: str, /, **arguments: Any) -> DAG:
        """Makes the DAG of a pipeline; parsing it imports no TFX.

        Args:
          pipeline: `module:function` of a function that returns a `tfx.dsl.Pipeline`, importable by the
            TFX interpreter from the bundle's root or [tfx_airflow] pythonpath.
          **arguments: JSON-able keyword arguments of that function.

        Returns:
          The DAG, to be kept in a module-level variable. Its id is the pipeline's name, unless
          `airflow_dag_config` has a `dag_id`.

        Raises:
          CompileError: The pipeline does not compile; ends with its own traceback.
          ConfigError: The config names nodes or parameters that the pipeline does not have, or the DAG file has made a
            DAG of that id before.
          SettingsError: The pipeline is not compiled yet and there is no TFX interpreter, or this is a task on a machine
            that does not share the DAG processor's `home`.
          MlmdError: Tasks run on several machines, and the store is a SQLite file.
        """
        return self.dag(self._load(pipeline, arguments))

    def dag(self, compiled: Compiled) -> DAG:
        """Makes the DAG of a compiled pipeline.

        Raises:
          ConfigError: As for `run`.
        """
        self._check(compiled)
        options = dict(self._config.airflow_dag_config)
        own = self._params(compiled, options.get("params") or {})
        options["params"] = {**own, **(options.get("params") or {})}
        options.setdefault("dag_id", compiled.manifest.pipeline_name)
        options.setdefault("doc_md", compiled.manifest.doc)
        options.setdefault("catchup", False)
        if options.get("auto_register", True):
            _check_id(options["dag_id"], compiled.manifest.reference)
        with DAG(**options) as dag:
            self._add_tasks(compiled, dag.task_group)
        return dag

    def task_group(self, pipeline: str, /, group_id: str | None = None, **arguments: Any) -> TaskGroup:
        """Makes the tasks of a pipeline inside the DAG whose `with` block this is.

        Args:
          pipeline: As for `run`.
          group_id: Id of the task group, prefix of its task ids; the pipeline's name by default.
          **arguments: As for `run`.

        Returns:
          The task group: `wait_for_data >> group >> notify`.

        Raises:
          ConfigError: Not inside a DAG, `airflow_dag_config` is given, or as for `run`.
        """
        if self._config.airflow_dag_config:
            raise ConfigError(
                f"task_group({pipeline!r}) does not take airflow_dag_config "
                f"({sorted(self._config.airflow_dag_config)}); pass these to the DAG around it."
            )
        compiled = self._load(pipeline, arguments)
        self._check(compiled)
        name = group_id or compiled.manifest.pipeline_name.replace(".", "_")
        try:
            group = TaskGroup(group_id=name, tooltip=compiled.manifest.doc.split("\n")[0])
        except RuntimeError:
            raise ConfigError(f"task_group({pipeline!r}) must be called inside 'with DAG(...):'.") from None
        with group:
            self._add_params(group, compiled)
            self._add_tasks(compiled, group)
        return group

    def _copy(self, compiled: Compiled, group: TaskGroup) -> dict[str, Any]:
        """What distinguishes this copy of the pipeline from the others in a mapped task group.

        The map index does not: in the next run it may mean another item.
        """
        mapped = [found.group_id for found in group.iter_mapped_task_groups()]
        if self._config.copy is not None:
            if (
                mapped
                and isinstance(self._config.copy, str)
                and not parameters.is_template(self._config.copy)
            ):
                raise ConfigError(
                    f"copy = {self._config.copy!r} is the same for all items of the mapped task group {mapped[0]!r}; "
                    "use the group's argument, or a template."
                )
            return {"copy": self._config.copy}
        if not mapped:
            return {}
        items = {
            name: value
            for name, value in self._config.computed_parameters.items()
            if isinstance(value, MappedArgument)
        }
        with_history = [node.id for node in compiled.manifest.nodes if node.history]
        if with_history and not items:
            raise ConfigError(
                f"{compiled.manifest.pipeline_name!r} is in the mapped task group {mapped[0]!r}, and its nodes "
                f"{with_history} read what earlier runs made, but nothing says for which item. Give "
                "AirflowPipelineConfig copy=, such as the group's mapped argument, or pass that argument in its "
                "computed_parameters."
            )
        return items

    def _add_params(self, group: TaskGroup, compiled: Compiled) -> None:
        """Adds the pipeline's Params to the DAG; the author's own take precedence."""
        present = group.dag.params
        authors = {key for key in present if present.get_param(key) not in _added_by_groups}
        own = self._params(compiled, {key: present.get_param(key) for key in authors})
        for key, param in own.items():
            if key in authors:
                continue
            nodes = [node.id for node in compiled.manifest.nodes if key in node.parameters]
            place = f"task group {group.group_id!r} (nodes {nodes})"
            if key not in present:
                present[key] = param
                _added_by_groups[param] = place
                continue
            other = present.get_param(key)
            if (other.value, other.schema) != (param.value, param.schema):
                raise ConfigError(
                    f"Param {key!r} has the default {_default(other)} in {_added_by_groups[other]} and "
                    f"{_default(param)} in {place}; a DAG has one Param of a name. Give both groups the same value in "
                    f"AirflowPipelineConfig(runtime_parameters={{{key!r}: ...}}), give the DAG a Param {key!r}, "
                    "or give each group its own value in computed_parameters."
                )

    def _params(self, compiled: Compiled, dag_params: Mapping[str, Any]) -> dict[str, Param]:
        return parameters.params(
            compiled.manifest,
            self._config.runtime_parameters,
            self._config.computed_parameters,
            dag_params,
        )

    def _load(self, pipeline: str, arguments: dict[str, Any]) -> Compiled:
        settings = read_settings()
        machines.check_parse(settings)
        return load(
            pipeline,
            arguments,
            settings,
            patience=parse_seconds(),
            compiled_from=self._config.compiled_from,
        )

    def _check(self, compiled: Compiled) -> None:
        if compiled.manifest.addresses:  # settings take most of a millisecond to read
            object_store.check(compiled.manifest.addresses, read_settings())
        known = [node.id for node in compiled.manifest.nodes]
        unknown = sorted(set(self._config.node_configs) - set(known))
        if unknown:
            raise ConfigError(
                f"node_configs names {unknown}, which {compiled.manifest.pipeline_name!r} does not have; "
                f"it has {known}."
            )

    def _beam_runner(self, node: Node) -> str:
        """Name of the Beam runner of a node; "" for what its own Beam arguments say.

        Raises:
          ConfigError: There is no such runner, the node runs no Beam pipeline, or its arguments say something else.
        """
        own = self._config.node_configs.get(node.id, NodeConfig()).beam_runner
        name = self._config.beam_runner if own is None else own
        if name is None:
            return ""
        from include.tfx_airflow.contract import beam_runner  # not for the parse of a DAG that names none

        what = (
            "AirflowPipelineConfig.beam_runner" if own is None else f"node_configs[{node.id!r}].beam_runner"
        )
        runner = beam_runner.find(name, what)
        if node.beam is None:
            if own is not None:
                raise ConfigError(
                    f"{what} is {own!r}, but {node.kind} {node.id!r} runs no Beam pipeline; remove it."
                )
            return ""
        if wrong := beam_runner.contradictions(runner, node.beam):
            raise ConfigError(
                f"{what} is {name!r}, but the pipeline's beam_pipeline_args give {node.id!r} {wrong}; remove these from "
                "the pipeline, or the runner from the DAG file."
            )
        return name

    def _add_tasks(self, compiled: Compiled, group: TaskGroup) -> None:
        copy = self._copy(compiled, group)
        rule = {**group.dag.default_args, **group.default_args}.get("trigger_rule")
        tasks = {node.id: self._task(compiled, node, copy, rule) for node in compiled.manifest.nodes}
        for task in tasks.values():
            task.node_tasks = {node_id: other.task_id for node_id, other in tasks.items()}
        for node in compiled.manifest.nodes:
            for upstream in node.upstream:
                tasks[upstream] >> tasks[node.id]

    def _task(
        self, compiled: Compiled, node: Node, copy: dict[str, Any], default_rule: str | None
    ) -> TfxNodeOperator:
        config = self._config.node_configs.get(node.id, NodeConfig())
        # The pipeline's own strategy stays, as its own retries do. Airflow's default written out is no reason to skip
        # what can run without a skipped upstream node.
        takes_default = default_rule not in (None, _AIRFLOWS_RULE) and node.trigger_rule != "all_done"
        options: dict[str, Any] = {
            "trigger_rule": default_rule if takes_default else node.trigger_rule,
            # Even in a DAG that renders native objects: "1" and "{}" must stay strings, see `parameters.bind`.
            "render_template_as_native_obj": False,
        }
        if node.doc:
            options["doc"] = node.doc
        if node.retries is not None:
            options["retries"] = node.retries
        if node.timeout_seconds:
            options["execution_timeout"] = timedelta(seconds=node.timeout_seconds)
        return TfxNodeOperator(
            task_id=node.id,
            tfx_node=node,
            compiled=compiled,
            runtime_parameters=parameters.templates(
                compiled.manifest,
                node.parameters,
                self._config.runtime_parameters,
                self._config.computed_parameters,
            ),
            computed_parameters=sorted(self._config.computed_parameters),
            copy=copy,
            rule_is_given=takes_default or "trigger_rule" in config.arguments(),
            beam_runner=self._beam_runner(node),
            **{**options, **config.arguments()},
        )
