"""Names that TFX itself has dropped, with their heirs: files for old versions of TFX fail on them."""

from __future__ import annotations

import re
from typing import Any

from tfx.orchestration import pipeline as pipeline_lib

_RESOLVER = (
    "'tfx.dsl.components.common.resolver.Resolver' is its heir: Resolver(strategy_class=..., model=...)"
)
_INPUT = "pass the folder itself: CsvExampleGen(input_base='/data')"
# Found as whole words in the message of the error; modules before the names in them.
_NAMES = {
    "tfx.components.common_nodes.resolver_node": _RESOLVER,
    "tfx.components.common_nodes.importer_node": "'tfx.dsl.components.common.importer.Importer' is its heir",
    "tfx.utils.dsl_utils": f"it held external_input and its like; {_INPUT}",
    "tfx.components.example_gen.big_query_example_gen": "it is 'tfx.extensions.google_cloud_big_query' now",
    "tfx.components.config": "pass the component its arguments directly",
    "tfx.orchestration.airflow.airflow_pipeline": "use 'tfx.orchestration.pipeline.Pipeline'",
    "tfx.orchestration.pipeline.PipelineDecorator": "write a function that returns a Pipeline",
    "ResolverNode": _RESOLVER,
    "ImporterNode": "'tfx.dsl.components.common.importer.Importer' is its heir",
    "external_input": _INPUT,
    "csv_input": _INPUT,
    "tfrecord_input": "pass the folder itself: ImportExampleGen(input_base='/data')",
    "parquet_input": "pass the folder itself: FileBasedExampleGen(input_base='/data', ...)",
    "BigQueryExampleGen": "it is in 'tfx.extensions.google_cloud_big_query.example_gen.component' now",
    "AirflowDAGRunner": "use 'AirflowDagRunner' of 'tfx.orchestration.airflow.airflow_dag_runner'",
    "ModelValidator": "'tfx.components.Evaluator' is its heir, with an EvalConfig that has thresholds",
}
# Of components, all renamed or removed before TFX 1.0.
_ARGUMENTS = {
    "input": _INPUT,
    "instance_name": "write .with_id('...') behind the component",
    "stats": "it is 'statistics' now",
    "input_data": "it is 'examples' now",
    "transform_output": "it is 'transform_graph' now",
    "model_exports": "it is 'model' now",
    "feature_slicing_spec": "give the Evaluator an eval_config with slicing_specs",
    "output": "outputs are made by TFX; their names are in .outputs[...]",
    "resolver_class": "it is 'strategy_class' now",
    "driver_class": "TFX's launcher has no custom drivers for components; use a Resolver",
    "log_root": "Airflow keeps the logs of tasks",
}


def explain(error: BaseException) -> str:
    """What to write instead of the name that an error is about; "" if it is not about a dropped one."""
    text = str(error)
    if isinstance(error, TypeError):
        found = re.search(r"unexpected keyword argument '(\w+)'", text)
        name = found[1] if found else ""
        return f"the argument {name!r} is dropped by TFX: {_ARGUMENTS[name]}." if name in _ARGUMENTS else ""
    if not isinstance(error, (ImportError, AttributeError, NameError)):
        return ""
    for name, heir in _NAMES.items():
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", text):
            return f"{name!r} is dropped by TFX: {heir}."
    return ""


def dropped_component(pipeline: pipeline_lib.Pipeline) -> tuple[str, str]:
    """Id and heir of a component that TFX still defines and that cannot run any more; empty if there is none."""
    for component in pipeline.components:
        if (name := _class_name(component)) in ("ModelValidator", "ResolverNode"):
            return component.id, f"{name!r} is dropped by TFX: {_NAMES[name]}."
    return "", ""


def _class_name(component: Any) -> str:
    kind = type(component)
    return kind.__name__ if kind.__module__.startswith("tfx.") else ""
