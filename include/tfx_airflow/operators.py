"""The operator: one node of a TFX pipeline as an Airflow task."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from include.tfx_airflow import child, mlmd, parameters
from include.tfx_airflow.compat import AirflowFailException, AirflowSkipException, BaseOperator, Context
from include.tfx_airflow.compiled import Compiled
from include.tfx_airflow.errors import MlmdConnectionError, NodeError, TfxAirflowError
from include.tfx_airflow.manifest import Node
from include.tfx_airflow.panel_link import ArtifactsLink, panel_url
from include.tfx_airflow.settings import Settings, read_settings


class TfxNodeOperator(BaseOperator):
    """Runs one TFX node in the TFX interpreter; its result goes to the log and to XCom.

    The task succeeds when the node was executed or found in the cache, is skipped when its Cond is
    false or there is nothing to work on, and fails otherwise, with the node's own traceback last.

    XCom `return_value`: {"state", "execution_id", "outputs": {key: [{id, type, uri, note}]},
    "summary", "seconds"}.
    """

    template_fields: Sequence[str] = ("runtime_parameters",)
    template_fields_renderers = {"runtime_parameters": "json"}
    ui_color = "#fef0e0"
    operator_extra_links = (ArtifactsLink(),)

    def __init__(
        self,
        *,
        tfx_node: Node,
        compiled: Compiled,
        runtime_parameters: Mapping[str, str],
        computed_parameters: Sequence[str] = (),
        **kwargs: Any,
    ):
        """Makes the task.

        Args:
          tfx_node: The node.
          compiled: Its pipeline.
          runtime_parameters: Jinja templates by parameter name.
          computed_parameters: Names of those that no value in a run's conf replaces.
          **kwargs: Of Airflow's BaseOperator.
        """
        super().__init__(**kwargs)
        self.tfx_node = tfx_node
        self.compiled = compiled
        self.runtime_parameters = dict(runtime_parameters)
        self.computed_parameters = tuple(computed_parameters)
        self._process: child.NodeProcess | None = None

    @property
    def operator_name(self) -> str:
        """Component name, shown by Airflow where it would show the class."""
        return self.tfx_node.kind

    def execute(self, context: Context) -> dict[str, Any]:
        """Runs the node; see the class.

        Raises:
          NodeError: The node failed.
          MlmdConnectionError: Where the store is cannot be found out now.
          AirflowFailException: It failed in a way that a retry cannot mend.
          AirflowSkipException: It was skipped.
        """
        settings = read_settings()
        try:
            request = self._request(context, settings)
            asked = time.time()
            self._process = child.NodeProcess(settings, request)
        except MlmdConnectionError:
            raise
        except TfxAirflowError as error:
            raise AirflowFailException(str(error)) from None
        result = self._process.wait(self._log_line)
        self._process = None
        if result.started:
            self.log.info(
                "The node began %.2f s after it was asked for and worked %.2f s.",
                result.started - asked,
                result.seconds,
            )
        name = f"{self.tfx_node.kind} {self.tfx_node.id!r}"
        if result.state == "refused":
            raise AirflowFailException(result.message)
        if result.state == "failed":
            raise NodeError(f"{name} in run {request.run!r}; the node says:", tail=result.message)
        if result.state == "skipped":
            raise AirflowSkipException(f"{name} was skipped: {result.message}")
        for line in table(self.tfx_node.id, result):
            self.log.info("%s", line)
        instance = context["ti"]
        self.log.info(
            "In the panel: %s",
            panel_url(self.dag_id, context["run_id"], self.task_id, instance.map_index),
        )
        value = {
            "state": result.state,
            "execution_id": result.execution_id,
            "outputs": result.outputs,
            "summary": result.summary,
            "seconds": round(result.seconds, 3),
        }
        for asset in self.outlets or []:
            context["outlet_events"][asset].extra = {
                "dag_id": self.dag_id,
                "run_id": context["run_id"],
                "node": self.tfx_node.id,
                **value,
            }
        return value

    def on_kill(self) -> None:
        """Ends the node's process group; MLMD says FAILED."""
        if self._process:
            self._process.kill()

    def _request(self, context: Context, settings: Settings) -> child.NodeRequest:
        instance, run_id = context["ti"], context["run_id"]
        given = {k: v for k, v in context["params"].items() if k not in self.computed_parameters}
        map_index = instance.map_index if instance.map_index is not None else -1
        run = f"{self.dag_id}:{run_id}"
        # The same try of the same task is another attempt when `dags test` makes the run anew.
        unique = str(getattr(instance, "id", "") or "")[-12:]
        key = f"{run}:{self.task_id}:{map_index}:{instance.try_number}"
        return child.NodeRequest(
            ir=str(self.compiled.ir),
            node_id=self.tfx_node.id,
            run=run,
            task={
                "dag_id": self.dag_id,
                "run_id": run_id,
                "task_id": self.task_id,
                "map_index": map_index,
                "try_number": instance.try_number,
                # Clearing raises max_tries by the tries that were made: what came before was cleared.
                "first_try": min(
                    max(1, (instance.max_tries or 0) - (self.retries or 0) + 1), instance.try_number
                ),
                "backfill": context["dag_run"].run_type == "backfill",
                "key": f"{key}:{unique}" if unique else key,
            },
            parameters=parameters.bind(self.compiled.manifest, self.runtime_parameters, given),
            mlmd=mlmd.address(settings),
            roots=settings.roots(),
        )

    def _log_line(self, level: int, line: str) -> None:
        self.log.log(level, "%s", _CONTROL.sub("?", line))


# Terminal escapes and the like, which a node may print, do not belong into Airflow's log.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def table(node_id: str, result: child.NodeResult) -> list[str]:
    """The end of a task's log: what the node made.

    Args:
      node_id: TFX node id.
      result: A result with state `executed` or `cached`.

    Returns:
      Lines of text.
    """
    rows = [
        (key, str(artifact["id"]), artifact["type"], artifact["uri"], artifact["note"])
        for key, artifacts in result.outputs.items()
        for artifact in artifacts
    ]
    lines = [f"{node_id}: {result.state} (MLMD execution {result.execution_id})"]
    if rows:
        head = ("output", "id", "type", "uri", "")
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(5)]
        lines += [
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
        ]
    for failure in result.summary.get("failed_thresholds", []):
        lines.append(f"threshold failed: {failure}")
    return lines
