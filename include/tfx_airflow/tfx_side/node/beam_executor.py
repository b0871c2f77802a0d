"""Runs a node's Beam executor on a named runner.

The runner joins the executor's arguments only here, after TFX has looked into its cache: where a pipeline runs is no
part of the cache key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from google.protobuf import message
from tfx.dsl.compiler import placeholder_utils
from tfx.orchestration.portable import beam_executor_operator
from tfx.proto.orchestration import executable_spec_pb2, placeholder_pb2

from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.tfx_side.beam import arguments, cancel, job_server_runner

log = logging.getLogger(__name__)


def operators(target: BeamTarget | None) -> dict[Any, Callable[..., Any]]:
    """What TFX's launcher takes as its `custom_executor_operators`."""
    if target is None:
        return {}

    def made(
        executor_spec: message.Message, platform_config: message.Message | None = None
    ) -> BeamExecutorOperator:
        operator = BeamExecutorOperator(executor_spec, platform_config)
        operator.target = target
        return operator

    return {executable_spec_pb2.BeamExecutableSpec: made}


class BeamExecutorOperator(beam_executor_operator.BeamExecutorOperator):
    """TFX's, with the arguments of a named runner.

    Attributes:
      target: Where pipelines run.
    """

    target: BeamTarget
    beam_pipeline_args: list[Any]

    def run_executor(self, execution_info: Any, make_beam_pipeline_fn: Any = None) -> Any:
        """As TFX's."""
        context = placeholder_utils.ResolutionContext(
            exec_info=execution_info, executor_spec=self._executor_spec, platform_config=self._platform_config
        )
        given = [
            placeholder_utils.resolve_placeholder_expression(argument, context)
            for argument in self.beam_pipeline_args
        ]
        if self.target.of.uses_job_server:
            job_server_runner.use(self.target)
        node = execution_info.pipeline_node.node_info.id
        of_node = arguments.of_node(self.target, given, node)
        cancel.cancel_earlier(self.target, of_node)
        self.beam_pipeline_args = [_literal(argument) for argument in of_node]
        return super().run_executor(execution_info, make_beam_pipeline_fn)


def cancel_left(target: BeamTarget, ir: str, node: str) -> None:
    """Cancels what earlier tries have left at work of a node that came from the cache and so needs no cluster.

    What cannot be cancelled is logged.

    Args:
      target: Where its pipelines would run.
      ir: Path of the compiled `pipeline.json`.
      node: Its id.
    """
    try:
        cancel.cancel_earlier(target, arguments.as_compiled(target, ir, node))
    except BeamError as error:
        log.warning("A job that an earlier try has left may still be at work. %s", error)


def _literal(text: str) -> placeholder_pb2.PlaceholderExpression:
    expression = placeholder_pb2.PlaceholderExpression()
    expression.value.string_value = text
    return expression
