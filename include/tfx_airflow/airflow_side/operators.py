"""The operator: one node of a TFX pipeline as an Airflow task."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import Asset, BaseOperator, BaseOperatorLink, Context
from airflow.sdk.definitions.asset import AssetRef, BaseAsset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.tfx_airflow.airflow_side import (
    airflow_variables,
    beam_work,
    machines,
    mlmd_connection,
    object_store,
    open_lineage,
    parameters,
)
from include.tfx_airflow.airflow_side.compiled import Compiled
from include.tfx_airflow.airflow_side.panel_link import ArtifactsLink, EvaluationDiffLink, panel_url
from include.tfx_airflow.airflow_side.skips import XCOM_KEY, Skip, skip_after, without_output
from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import (
    BeamConnectionError,
    ConfigError,
    MlmdConnectionError,
    NodeError,
    ObjectStoreError,
    TfxAirflowError,
)
from include.tfx_airflow.contract.manifest import Node
from include.tfx_airflow.settings import Settings, read_settings

if TYPE_CHECKING:  # imported when a task runs: a parse makes the operators only
    from include.tfx_airflow.contract.beam_runner import BeamTarget
    from include.tfx_airflow.contract.node import NodeRequest, NodeResult
    from include.tfx_airflow.node_process.node_process import NodeProcess

_EVALUATOR = "Evaluator"


class TfxNodeOperator(BaseOperator):
    """Runs one TFX node in the TFX interpreter; its result goes to the log and to XCom.

    The task succeeds when the node was executed or found in the cache, is skipped when its Cond is
    false or there is nothing to work on, and fails otherwise, with the node's own traceback last.

    XCom `return_value`: {"node", "state", "execution_id", "outputs": {key: [{id, type, uri, note}]},
    "summary", "seconds"}; with a named Beam runner also "beam": {"runner", "jobs"}; examples also have their span and version. Numbers that JSON lacks are the
    strings "NaN", "Infinity" and "-Infinity". A skipped task has an XCom `tfx_skip` instead, which says why.
    """

    template_fields: Sequence[str] = ("runtime_parameters", "copy")
    template_fields_renderers = {"runtime_parameters": "json"}
    ui_color = "#fef0e0"
    operator_extra_links: tuple[BaseOperatorLink, ...] = (ArtifactsLink(),)

    def __init__(
        self,
        *,
        tfx_node: Node,
        compiled: Compiled,
        runtime_parameters: Mapping[str, str],
        computed_parameters: Sequence[str] = (),
        copy: Mapping[str, Any] | None = None,
        rule_is_given: bool = True,
        beam_runner: str = "",
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
          tfx_node: The node.
          compiled: Its pipeline.
          runtime_parameters: Jinja templates by parameter name.
          computed_parameters: Names of those that a run's conf does not override.
          copy: What distinguishes this copy of the pipeline from others in its DAG, in every run and besides the
            task group: templates or mapped arguments by name.
          rule_is_given: Whether the DAG's author chose the trigger rule, for every upstream task. Otherwise it is
            the pipeline's, for its nodes, and when any other upstream task is skipped, so is this one.
          beam_runner: Where its Beam pipelines run, a name of `include/beam_runners.py`; "" for what the pipeline says.
          **kwargs: Of Airflow's BaseOperator.

        Raises:
          ConfigError: Among the outlets is one that never has an event.
        """
        super().__init__(**kwargs)
        for outlet in self.outlets:
            if isinstance(outlet, (BaseAsset, str)) and not isinstance(outlet, (Asset, AssetRef)):
                raise ConfigError(
                    f"outlets of node {tfx_node.id!r} contain {outlet!r}, for which Airflow would never emit an event; "
                    "give the Asset itself, such as Asset('models')."
                )
        if tfx_node.kind == _EVALUATOR:
            self.operator_extra_links = (*self.operator_extra_links, EvaluationDiffLink())
        self.tfx_node = tfx_node
        self.compiled = compiled
        self.runtime_parameters = dict(runtime_parameters)
        self.computed_parameters = tuple(computed_parameters)
        self.copy = dict(copy or {})
        self.rule_is_given = rule_is_given
        self.beam_runner = beam_runner
        # Task id of each node in this copy of the pipeline; AirflowDagRunner adds the others.
        self.node_tasks = {tfx_node.id: self.task_id}
        self._process: NodeProcess | None = None
        self._lineage: dict[str, Any] = {}

    @property
    def operator_name(self) -> str:
        """Component name, shown by Airflow where it would show the class."""
        return self.tfx_node.kind

    def execute(self, context: Context) -> dict[str, Any]:
        """Runs the node; see the class.

        Raises:
          NodeError: The node failed.
          MlmdConnectionError: The address of the store cannot be read now.
          ObjectStoreError: Nor can the credentials of the object store.
          BeamConnectionError: The address of the Beam runner cannot be read now.
          AirflowFailException: It failed, and a retry cannot help.
          AirflowSkipException: It was skipped.
        """
        from include.tfx_airflow.node_process.node_process import NodeProcess

        settings = read_settings()
        skip = skip_after(context, self.tfx_node, self.node_tasks, self.trigger_rule, self._other_tasks())
        if skip:
            self._skip(context, skip)
        # Before the node works, since an Asset that is given by its name alone may not exist.
        events = [context["outlet_events"][o] for o in self.outlets if isinstance(o, (Asset, AssetRef))]
        try:
            absent = without_output(context, self.tfx_node, self.node_tasks, self.trigger_rule)
            request = self._request(context, settings, absent)
            home_mark = machines.check_node(settings, self.compiled.ir, request.parameters)
            request = dataclasses.replace(request, home_mark=home_mark)
            asked = time.time()
            self._process = NodeProcess(settings, request, self.compiled.source.environment)
        except (BeamConnectionError, MlmdConnectionError, ObjectStoreError):
            raise
        except TfxAirflowError as error:
            raise AirflowFailException(str(error)) from None
        result = self._process.wait(self._log_line)
        self._process = None
        if result.started:
            self.log.info(
                "The node started %.2f s after it was requested and ran for %.2f s.",
                result.started - asked,
                result.seconds,
            )
        name = f"{self.tfx_node.kind} {self.tfx_node.id!r}"
        if result.state == "refused":
            raise AirflowFailException(result.message)
        if result.state == "failed":
            raise NodeError(f"{name} in run {request.run!r}; its error:", tail=result.message)
        if result.state == "skipped":
            self._skip(context, Skip(self.tfx_node.id, result.message))
        self._lineage = result.lineage
        self._log_result(context, result)
        value = {
            "node": self.tfx_node.id,
            "state": result.state,
            "execution_id": result.execution_id,
            "outputs": result.outputs,
            "summary": with_json_numbers(result.summary),
            "seconds": round(result.seconds, 3),
            **beam_work.in_xcom(result.beam),
        }
        for event in events:
            event.extra = {
                "dag_id": self.dag_id,
                "run_id": context["run_id"],
                "task_id": self.task_id,
                "map_index": context["ti"].map_index,
                **value,
            }
        return value

    def _other_tasks(self) -> dict[str, bool]:
        """The upstream tasks whose skip means this one: see `skips.skip_after`."""
        if self.rule_is_given:
            return {}
        mapped = {group.group_id for group in self.iter_mapped_task_groups()}
        return {
            task_id: any(g.group_id in mapped for g in self.dag.get_task(task_id).iter_mapped_task_groups())
            for task_id in sorted(self.upstream_task_ids - set(self.node_tasks.values()))
        }

    def _log_result(self, context: Context, result: NodeResult) -> None:
        for line in [*table(self.tfx_node.id, result), *beam_work.lines(result.beam)]:
            self.log.info("%s", _CONTROL.sub("?", line))
        for warning in result.summary.get("warnings", []):
            self.log.warning("%s: %s", self.tfx_node.id, warning)
        map_index = context["ti"].map_index
        self.log.info("In the panel: %s", panel_url(self.dag_id, context["run_id"], self.task_id, map_index))

    def _skip(self, context: Context, skip: Skip) -> NoReturn:
        """Ends the task as skipped; the reason goes to XCom, where the report and later tasks find it."""
        node = self.tfx_node
        context["ti"].xcom_push(key=XCOM_KEY, value=dataclasses.asdict(skip))
        raise AirflowSkipException(f"{node.kind} {node.id!r} was skipped: {skip.message(node.id)}")

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """What the OpenLineage provider asks for: the artifacts as datasets."""
        return open_lineage.facets(with_json_numbers(self._lineage))

    def on_kill(self) -> None:
        """Ends the node's process group and records FAILED in MLMD."""
        if self._process:
            self._process.kill()

    def _request(self, context: Context, settings: Settings, absent: tuple[str, ...]) -> NodeRequest:
        from include.tfx_airflow.contract.node import NodeRequest

        instance, run_id = context["ti"], context["run_id"]
        given = {k: v for k, v in context["params"].items() if k not in self.computed_parameters}
        task = {
            "dag_id": self.dag_id,
            "run_id": run_id,
            "task_id": self.task_id,
            "map_index": instance.map_index if instance.map_index is not None else -1,
            "try_number": instance.try_number,
            # Clearing raises max_tries by the tries that were made: what came before was cleared.
            "first_try": min(
                max(1, (instance.max_tries or 0) - (self.retries or 0) + 1), instance.try_number
            ),
            "backfill": context["dag_run"].run_type == "backfill",
        }
        # The same try of the same task is another attempt when `dags test` recreates the run.
        task["key"] = identity.try_name(task, unique=str(getattr(instance, "id", "") or "")[-12:])
        several = bool(self.copy) or self._has_other_copies()
        group = self.task_group.group_id or ""
        return NodeRequest(
            ir=str(self.compiled.ir),
            node_id=self.tfx_node.id,
            run=identity.run_name(self.dag_id, run_id),
            task=task,
            parameters=parameters.bind(self.compiled.manifest, self.runtime_parameters, given),
            mlmd=mlmd_connection.address(settings),
            roots=settings.roots(),
            task_ids=self.node_tasks,
            absent=absent,
            group=identity.group_name(self.dag_id, group, self._item()) if group or several else "",
            own_history=several,
            bundle_version=bundle_version(instance),
            lineage=open_lineage.is_wanted(),
            library_patches=settings.library_patches,
            object_store=object_store.access(settings),
            beam=dataclasses.asdict(self._beam_target(context, task, settings)) if self.beam_runner else {},
            legacy=self._legacy(),
        )

    def _beam_target(self, context: Context, task: Mapping[str, Any], settings: Settings) -> BeamTarget:
        from include.tfx_airflow.airflow_side import beam_connection, beam_job_name

        what = f"beam_runner of {self.task_id!r}"
        job_name = beam_job_name.of_task(self.beam_runner, what, task, context["task_state_store"])
        return beam_connection.target(self.beam_runner, what, job_name, settings)

    def _legacy(self) -> dict[str, Any] | None:
        """The legacy DAG file that the pipeline is from, with the Variables that it asks for."""
        file, names = self.compiled.source.file, self.compiled.manifest.airflow_variables
        if not file:
            return None
        values = airflow_variables.values(names) if names else {}
        return dataclasses.asdict(dataclasses.replace(file, variables=values))

    def _item(self) -> str:
        """The item of the mapped task group that this task is for, such as `eu`."""
        values = (self.copy[name] for name in sorted(self.copy))
        return ",".join(v if isinstance(v, str) else json.dumps(v, sort_keys=True) for v in values)

    def _has_other_copies(self) -> bool:
        """Whether this DAG contains the pipeline in another task group too."""
        tasks = (task for task in self.dag.tasks if isinstance(task, TfxNodeOperator))
        name = self.compiled.manifest.pipeline_name
        return any(
            task.compiled.manifest.pipeline_name == name and task.task_group is not self.task_group
            for task in tasks
        )

    def _log_line(self, level: int, line: str) -> None:
        self.log.log(level, "%s", _CONTROL.sub("?", line))


def bundle_version(instance: Any) -> str:
    """Airflow's version of the DAG bundle that a task instance's code is from; "" when it has none."""
    bundle = getattr(instance, "bundle_instance", None)
    if bundle is None or not bundle.version:
        return ""
    # A DAG file may also import this from elsewhere, by PYTHONPATH.
    return str(bundle.version) if BUNDLE_ROOT.is_relative_to(Path(bundle.path).resolve()) else ""


# Terminal escapes and the like, which a node may print, do not belong in Airflow's log.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def with_json_numbers(value: Any) -> Any:
    """A value that JSON can hold: NaN and infinity become strings, spelled as in protobuf's JSON mapping."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: with_json_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_json_numbers(item) for item in value]
    return value


def table(node_id: str, result: NodeResult) -> list[str]:
    """The end of a task's log: what the node made.

    Args:
      node_id: TFX node id.
      result: A result with state `executed` or `cached`.

    Returns:
      Lines of text.
    """
    # Not at a parse.
    from tabulate import tabulate

    rows = [
        (key, str(artifact["id"]), artifact["type"], artifact["uri"], artifact["note"])
        for key, artifacts in result.outputs.items()
        for artifact in artifacts
    ]
    lines = [f"{node_id}: {result.state} (MLMD execution {result.execution_id})"]
    if rows:
        head = ("output", "id", "type", "uri", "")
        text = tabulate([head, *rows], tablefmt="plain", disable_numparse=True)
        lines += [line.rstrip() for line in text.splitlines()]
    for failure in result.summary.get("failed_thresholds", []):
        lines.append(f"threshold failed: {failure}")
    if "infra_failure" in result.summary:
        lines.append(f"the model could not be served: {result.summary['infra_failure']}")
    return lines
