"""Names that TFX and TensorFlow have dropped, with their heirs: files for old versions of TFX fail on them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from include.tfx_airflow.tfx_side.legacy import missing_names

if TYPE_CHECKING:
    from tfx.orchestration import pipeline as pipeline_lib

_RESOLVER = (
    "'tfx.dsl.components.common.resolver.Resolver' is its heir: Resolver(strategy_class=..., model=...)"
)
_INPUT = "pass the folder itself: CsvExampleGen(input_base='/data')"
_RUNNER = "use 'AirflowDagRunner' of 'tfx.orchestration.airflow.airflow_dag_runner'"
_ESTIMATOR = "Estimators went with TensorFlow 2.16; write a Keras model, in the run_fn of a module file"
# Heir by module; the longest first, because each is looked for in the message of the error.
MODULES = {
    "tfx.components.common_nodes.resolver_node": _RESOLVER,
    "tfx.components.common_nodes.importer_node": "'tfx.dsl.components.common.importer.Importer' is its heir",
    "tfx.utils.dsl_utils": f"it held external_input and its like; {_INPUT}",
    "tfx.components.example_gen.big_query_example_gen": "it is 'tfx.extensions.google_cloud_big_query' now",
    "tfx.components.config": "pass the component its arguments directly",
    "tfx.orchestration.airflow.airflow_pipeline": "use 'tfx.orchestration.pipeline.Pipeline'",
    "tfx.runtimes": _RUNNER,
    "tensorflow.contrib": "it went with TensorFlow 1; https://www.tensorflow.org/guide/migrate names what replaces its parts",
    "tensorflow.estimator": _ESTIMATOR,
    "tensorflow.compat.v1.estimator": _ESTIMATOR,
    "tensorflow.keras.wrappers.scikit_learn": "the package 'scikeras' is its heir",
}
# Heir by name, of whatever module of TFX.
NAMES = {
    "ResolverNode": _RESOLVER,
    "ImporterNode": "'tfx.dsl.components.common.importer.Importer' is its heir",
    "PipelineDecorator": "write a function that returns a Pipeline",
    "external_input": _INPUT,
    "csv_input": _INPUT,
    "tfrecord_input": "pass the folder itself: ImportExampleGen(input_base='/data')",
    "parquet_input": "pass the folder itself: FileBasedExampleGen(input_base='/data', ...)",
    "BigQueryExampleGen": "it is in 'tfx.extensions.google_cloud_big_query.example_gen.component' now",
    "AirflowDAGRunner": _RUNNER,
}
# Modules that still have a name of that kind.
NOT_DROPPED = {
    "BigQueryExampleGen": "tfx.extensions.",
    "AirflowDAGRunner": "tfx.orchestration.airflow.airflow_runner",
}
# TFX still defines these components, and they cannot run.
COMPONENTS = {
    "ModelValidator": "'tfx.components.Evaluator' is its heir, with an EvalConfig that has thresholds",
    "ResolverNode": _RESOLVER,
}
# Names that many files import and few use: they may be imported. Heir by name by module.
UNUSED = {
    "tfx.components.trainer.executor": {
        "Executor": "it trained Estimators; leave custom_executor_spec out, and write the module file's run_fn"
    }
}
# Of components, all renamed or removed before TFX 1.0.
ARGUMENTS = {
    "input": _INPUT,
    "instance_name": "write .with_id('...') behind the component",
    "stats": "it is 'statistics' now",
    "input_data": "it is 'examples' now",
    "transform_output": "it is 'transform_graph' now",
    "model_exports": "it is 'model' now",
    "model_export": "it is 'model' now",
    "feature_slicing_spec": "give the Evaluator an eval_config with slicing_specs",
    "output": "outputs are made by TFX; their names are in .outputs[...]",
    "resolver_class": "it is 'strategy_class' now",
    "driver_class": "TFX's launcher has no custom drivers for components; use a Resolver",
    "executor_class": "it is custom_executor_spec=ExecutorClassSpec(...) now",
    "log_root": "leave it out, Airflow keeps the logs of tasks",
    "serving_model_dir": "write push_destination=tfx.proto.PushDestination(filesystem="
    "tfx.proto.PushDestination.Filesystem(base_directory='/srv/models'))",
    "train_steps": "write train_args=tfx.proto.TrainArgs(num_steps=...)",
    "eval_steps": "write eval_args=tfx.proto.EvalArgs(num_steps=...)",
    "warm_starting": "give the Trainer the earlier model as base_model=..., from a Resolver",
}
TFX_COMPONENTS = frozenset(
    "BigQueryExampleGen BulkInferrer CsvExampleGen Evaluator ExampleValidator FileBasedExampleGen ImportExampleGen"
    " ImportSchemaGen Importer ImporterNode InfraValidator ModelValidator PrestoExampleGen Pusher Resolver ResolverNode"
    " SchemaGen StatisticsGen Trainer Transform Tuner".split()
)
_OUTPUTS = {
    "output": "its name, such as .outputs['statistics'] of StatisticsGen, .outputs['schema'] of SchemaGen or "
    ".outputs['model'] of Trainer",
    "transform_output": ".outputs['transform_graph']",
}
_TFMA = "tensorflow_model_analysis"


def of_name(name: str) -> str:
    """The sentence on a dropped module or name."""
    heir = MODULES.get(name) or NAMES.get(name) or COMPONENTS.get(name)
    owner = "TensorFlow" if name.startswith("tensorflow.") else "TFX"
    return f"{name!r} is dropped by {owner}: {heir}."


def of_unused(module: str, name: str) -> str:
    """The sentence on a dropped name that may be imported, when it is used."""
    return f"'{module}.{name}' is dropped by TFX: {UNUSED[module][name]}."


def of_argument(name: str) -> str:
    """The sentence on a dropped argument."""
    return f"the argument {name!r} is dropped by TFX: {ARGUMENTS[name]}."


def of_output(name: str) -> str:
    """The sentence on an output that is written as an attribute."""
    how = _OUTPUTS.get(name, f".outputs[{name!r}]")
    return f"'.outputs.{name}' is dropped by TFX: write {how}."


def of_tfma_config() -> str:
    """The sentence on `tfma.config`."""
    return f"'{_TFMA}.config' is dropped: its classes are in {_TFMA!r} itself, such as tfma.MetricThreshold."


def explain(error: BaseException, line: str = "") -> str:
    """What to write instead of the name that an error is about; "" if it is not about a dropped one.

    Args:
      error: The error.
      line: The line of the user's that it comes from.
    """
    text = str(error)
    if isinstance(error, (TypeError, ValueError)):
        return _of_call(text)
    if not isinstance(error, (ImportError, AttributeError, NameError)):
        return ""
    if found := re.search(r"'dict' object has no attribute '(\w+)'", text):
        return of_output(found[1]) if f"outputs.{found[1]}" in line else ""
    if f"module '{_TFMA}' has no attribute 'config'" in text or f"No module named '{_TFMA}.config'" in text:
        return of_tfma_config()
    missing = missing_names.full_name(error)
    for name in MODULES:
        if f"{missing}.".startswith(f"{name}."):
            return of_name(name)
    for name in (*MODULES, *NAMES):
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", text):
            return of_name(name)
    return ""


def _of_call(text: str) -> str:
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", text)
    of_pipeline = found and (found[1], found[2]) == ("Pipeline", "log_root")
    if found and (of_pipeline or found[1] in TFX_COMPONENTS and found[2] in ARGUMENTS):
        return of_argument(found[2])
    # A Resolver takes whatever argument for a channel.
    found = re.search(r"Resolver got non-BaseChannel argument (\w+)", text)
    return of_argument(found[1]) if found and found[1] in ARGUMENTS else ""


def dropped_component(pipeline: pipeline_lib.Pipeline) -> tuple[str, str]:
    """Id and heir of a component that TFX still defines and that cannot run any more; empty if there is none."""
    for component in pipeline.components:
        if (name := _class_name(component)) in COMPONENTS:
            return component.id, f"{name!r} is dropped by TFX: {COMPONENTS[name]}."
    return "", ""


def _class_name(component: Any) -> str:
    kind = type(component)
    return kind.__name__ if kind.__module__.startswith("tfx.") else ""
