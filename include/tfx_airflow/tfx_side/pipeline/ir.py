"""Compiles a live `tfx.dsl.Pipeline` to manifest and IR, and parses the IR text again for a run."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping

from google.protobuf import json_format
from tfx.dsl.compiler import compiler
from tfx.dsl.components.base import base_component, base_node, executor_spec
from tfx.dsl.control_flow import for_each_internal
from tfx.orchestration import pipeline as pipeline_lib
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.errors import UnsupportedNodeError
from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.contract.manifest import Manifest, Node
from include.tfx_airflow.tfx_side import compat
from include.tfx_airflow.tfx_side.pipeline import declared, embedded, paths, skippable, sql_slices

_Strategy = pipeline_pb2.NodeExecutionOptions
_TRIGGER_RULES = {
    _Strategy.TRIGGER_STRATEGY_UNSPECIFIED: "all_success",
    _Strategy.ALL_UPSTREAM_NODES_SUCCEEDED: "all_success",
    _Strategy.ALL_UPSTREAM_NODES_COMPLETED: "all_done",
}
_WORKING_FOLDER = (
    " Or name the folder that relative paths are meant from: adopt(..., working_folder='/srv/airflow')."
)


def compile_pipeline(
    pipeline: pipeline_lib.Pipeline,
    reference: str,
    doc: str,
    roots: Mapping[str, str],
    environment: dict[str, str],
    file: LegacyFile | None = None,
) -> tuple[Callable[[tuple[str, ...]], Manifest], str]:
    """Compiles with TFX's own compiler, then removes what belongs to this machine.

    Args:
      pipeline: What the user's function returned.
      reference: `module:function` it came from.
      doc: Docstring of that function.
      roots: Folders whose paths become `${NAME}`.
      environment: TFX and Python version.
      file: The legacy DAG file that the pipeline is from.

    Returns:
      A function from the tuple of compiled files to the manifest, and the IR as JSON text.

    Raises:
      UnsupportedNodeError: It is not a pipeline, or cannot run as one Airflow task per node.
    """
    if not isinstance(pipeline, pipeline_lib.Pipeline):
        raise UnsupportedNodeError(f"the function returned {pipeline!r}, not a tfx.dsl.Pipeline.")
    declared.make_texts(pipeline)
    _refuse_unsupported(pipeline)
    _use_module_names(pipeline, roots, file)
    proto = compiler.Compiler().compile(pipeline)
    _refuse_merged_inputs(proto)
    _refuse_what_is_left_out(proto)
    _forget_mlmd_address(proto)
    found = declared.declarations(pipeline, proto)
    if file and file.working_folder:
        paths.make_absolute(proto, file.working_folder)
    paths.refuse_relative(proto, _WORKING_FOLDER if file else "")
    nodes = skippable.with_trigger_rules(
        tuple(_node(pipeline, entry.pipeline_node, found) for entry in proto.nodes),
        {n.node_info.id for e in proto.nodes if skippable.may_skip_itself(n := e.pipeline_node)},
    )
    parameters = declared.merged(found, roots)
    text = json_format.MessageToJson(proto, sort_keys=True, indent=1)

    def manifest(files: tuple[str, ...]) -> Manifest:
        return Manifest(
            pipeline_name=proto.pipeline_info.id,
            reference=reference,
            nodes=nodes,
            runtime_parameters=parameters,
            files=files,
            environment=environment,
            doc=doc,
            addresses=paths.addresses(proto),
        )

    # A path may contain characters that JSON escapes, and be in JSON inside a string.
    for escapes in range(5):
        text = fingerprint.abstract(text, {name: _escaped(folder, escapes) for name, folder in roots.items()})
    return manifest, text + "\n"


def read_ir(text: str, roots: Mapping[str, str]) -> pipeline_pb2.Pipeline:
    """Parses the IR, with this machine's folders filled in."""
    escaped = {name: _escaped(folder, 1) for name, folder in roots.items()}
    return json_format.Parse(fingerprint.concrete(text, escaped), pipeline_pb2.Pipeline())


def _escaped(text: str, times: int) -> str:
    for _ in range(times):
        text = json.dumps(text)[1:-1]
    return text


def _refuse_unsupported(pipeline: pipeline_lib.Pipeline) -> None:
    if pipeline.execution_mode != pipeline_lib.ExecutionMode.SYNC:
        raise UnsupportedNodeError(
            f"{pipeline.id!r} has execution mode {pipeline.execution_mode.name}; "
            "an Airflow DAG run is one synchronous run: use ExecutionMode.SYNC."
        )
    for node in pipeline.components:
        if isinstance(node, pipeline_lib.Pipeline):
            raise UnsupportedNodeError(
                f"{node.id!r} is a sub-pipeline; put its components into {pipeline.id!r}, "
                "or give it a DAG of its own."
            )
        if any(
            isinstance(context, for_each_internal.ForEachContext)
            for context in pipeline.dsl_context_registry.get_contexts(node)
        ):
            raise UnsupportedNodeError(
                f"{node.id!r} is in a ForEach, whose number of iterations is known only in the run; "
                "take it out of the ForEach."
            )
        _refuse_local_class(node)
        if isinstance(node, base_component.BaseComponent):
            spec = node.executor_spec.encode(component_spec=node.spec)
            if isinstance(spec, executable_spec_pb2.ContainerExecutableSpec):
                raise UnsupportedNodeError(
                    f"{node.id!r} is a container component ({spec.image!r}); use a Python component, "
                    "or a DockerOperator/KubernetesPodOperator beside a task_group()."
                )
        options = node.node_execution_options
        if options and (
            options.lifetime_start
            or options.success_optional
            or options.trigger_strategy not in _TRIGGER_RULES
        ):
            raise UnsupportedNodeError(
                f"{node.id!r} has the execution options {options!r}; of these only the trigger strategies "
                "ALL_UPSTREAM_NODES_SUCCEEDED and ALL_UPSTREAM_NODES_COMPLETED have an Airflow trigger rule."
            )


def _refuse_local_class(node: base_node.BaseNode) -> None:
    """Refuses an executor that TFX itself would only say to have no qualified name."""
    kind = getattr(node.executor_spec, "executor_class", None)
    if kind is not None and "<locals>" in kind.__qualname__:
        function, _, name = kind.__qualname__.rpartition(".<locals>.")
        raise UnsupportedNodeError(
            f"the executor of {node.id!r}, {name!r}, is a class inside the function {function!r} of {kind.__module__!r}; its "
            "node is a process of its own, which imports the class by name: define it at the top level of a module."
        )


def _refuse_what_is_left_out(proto: pipeline_pb2.Pipeline) -> None:
    refused = compat.operators_without_support()
    for entry in proto.nodes:
        sql_slices.refuse(entry.pipeline_node)
        for graph in entry.pipeline_node.inputs.input_graphs.values():
            for found in sorted({node.op_node.op_type for node in graph.nodes.values()} & refused):
                raise UnsupportedNodeError(
                    f"an input of {entry.pipeline_node.node_info.id!r} comes from a resolver function with {found}, which needs "
                    "filter queries of ML Metadata: the installed ml_metadata has none, and TFX would choose wrong artifacts "
                    "or none. Use a Resolver with a strategy, or TFX 1.16 (TFX=1.16 make setup)."
                )


def _refuse_merged_inputs(proto: pipeline_pb2.Pipeline) -> None:
    """Refuses a Resolver of which TFX's compiler took two inputs for one, so that every run of it would fail."""
    for entry in proto.nodes:
        for graph in entry.pipeline_node.inputs.input_graphs.values():
            known: dict[str, str] = {}
            names = {
                id_: key for node in graph.nodes.values() for key, id_ in node.dict_node.node_ids.items()
            }
            for id_, node in sorted(graph.nodes.items()):
                if node.WhichOneof("kind") != "input_node":
                    continue
                other = known.setdefault(node.input_node.input_key, id_)
                if other != id_:
                    raise UnsupportedNodeError(
                        f"{entry.pipeline_node.node_info.id!r} reads the same output by its inputs "
                        f"{names.get(other, other)!r} and {names.get(id_, id_)!r}, which TFX's compiler takes for one; "
                        "of earlier runs, name the producer alone: Channel(type=..., producer_component_id=...)."
                    )


def _use_module_names(
    pipeline: pipeline_lib.Pipeline, roots: Mapping[str, str], file: LegacyFile | None
) -> None:
    """Refers to user modules by import path where possible.

    TFX would package the file's folder as a wheel here and install it again for every execution. Nodes
    run with the bundle root on `sys.path`, so a module name is enough and the IR holds no path. A file
    elsewhere, and that of a legacy DAG file, keeps its path, see `user_code.py`.
    """
    for node in pipeline.components:
        if not isinstance(node, base_component.BaseComponent):
            continue
        properties = node.spec.exec_properties
        path = properties.get("module_file")
        if not isinstance(path, str) or "://" in path or embedded.fragment(path):
            continue
        if not os.path.isfile(path):
            cure = _WORKING_FOLDER if file and not os.path.isabs(path) else ""
            raise FileNotFoundError(f"module file {path!r} of {node.id!r} does not exist.{cure}")
        # Those of a legacy file import their siblings by name alone: TFX's wheel made them top-level modules.
        name = "" if file else _module_name(os.path.abspath(path), roots["BUNDLE_ROOT"])
        if name and "module_path" in node.spec.PARAMETERS:
            properties["module_file"], properties["module_path"] = None, name
        else:
            properties["module_file"] = os.path.abspath(path)


def _module_name(path: str, root: str) -> str:
    relative = os.path.relpath(path, root)
    parts = relative.removesuffix(".py").split(os.sep)
    if relative.startswith("..") or not all(part.isidentifier() for part in parts):
        return ""
    return ".".join(parts)


def _forget_mlmd_address(proto: pipeline_pb2.Pipeline) -> None:
    """Removes the store's address: it comes from the Airflow Connection at run time, and may hold a password."""
    config = pipeline_pb2.IntermediateDeploymentConfig()
    if proto.deployment_config.Unpack(config):
        config.ClearField("metadata_connection_config")
        proto.deployment_config.Pack(config)


def _node(
    pipeline: pipeline_lib.Pipeline, proto: pipeline_pb2.PipelineNode, found: list[declared.Declaration]
) -> Node:
    component = next(c for c in pipeline.components if c.id == proto.node_info.id)
    options = component.node_execution_options
    return Node(
        id=proto.node_info.id,
        kind=type(component).__name__,
        type=proto.node_info.type.name,
        upstream=tuple(sorted(proto.upstream_nodes)),
        required=skippable.required(proto),
        history=skippable.has_history(proto, pipeline.id),
        outputs={key: spec.artifact_spec.type.name for key, spec in sorted(proto.outputs.outputs.items())},
        parameters=declared.names_of(found, proto.node_info.id),
        conditional=bool(proto.inputs.conditionals),
        trigger_rule=_TRIGGER_RULES[proto.execution_options.strategy],
        retries=options.max_execution_retries if options else None,
        timeout_seconds=options.execution_timeout_sec if options else 0,
        doc=(inspect.getdoc(type(component)) or "").split("\n\n")[0],
        beam=_beam_arguments(component),
    )


def _beam_arguments(component: base_node.BaseNode) -> tuple[str, ...] | None:
    """The node's Beam arguments; those that are placeholders are known only in a run."""
    spec = component.executor_spec
    if not isinstance(spec, executor_spec.BeamExecutorSpec):
        return None
    return tuple(argument for argument in spec.beam_pipeline_args if isinstance(argument, str))
