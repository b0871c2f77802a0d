"""What TFX's own unit tests of its Airflow runner expect: met, or different on purpose.

Each test here stands for one of `tfx/orchestration/airflow/airflow_dag_runner_test.py` and `airflow_component_test.py`,
named in its docstring. The differences are those of the table in docs/migration.md. What Airflow's interpreter makes of
it is tested in tests/unit/airflow_side/test_legacy_arguments.py.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import artifact, channel, component_spec

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.errors import UnsupportedNodeError
from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.contract.manifest import Manifest
from include.tfx_airflow.tfx_side.legacy import runner
from include.tfx_airflow.tfx_side.pipeline import ir

_CONFIG = {"schedule_interval": "* * * * *", "start_date": datetime.datetime(2019, 1, 1)}


class _Text(artifact.Artifact):
    TYPE_NAME = "Text"


def _component(
    name: str, upstream: list[Any] | None = None, kind: type | None = None, value: Any = None
) -> Any:
    """A component of that id, which reads the outputs of others and has, if a kind is given, a parameter `a`."""
    inputs = {one.id.lower(): one.outputs["output"] for one in upstream or []}
    spec = type(
        f"Spec{name}",
        (component_spec.ComponentSpec,),
        {
            "PARAMETERS": {"a": component_spec.ExecutionParameter(type=kind)} if kind else {},
            "INPUTS": {key: component_spec.ChannelParameter(type=_Text) for key in inputs},
            "OUTPUTS": {"output": component_spec.ChannelParameter(type=_Text)},
        },
    )
    members = {
        "SPEC_CLASS": spec,
        "EXECUTOR_SPEC": executor_spec.ExecutorClassSpec(base_executor.BaseExecutor),
    }
    properties = {"a": value} if kind else {}
    made = type(name, (base_component.BaseComponent,), members)
    return made(spec=spec(output=channel.Channel(type=_Text), **inputs, **properties))


def _run(components: list[Any], config: Any = None, root: str = "/srv/y", **options: Any) -> runner.Made:
    made: list[runner.Made] = []
    modules = runner.modules(LegacyFile("/srv/flow.py", ("/srv",)), made)
    flow = pipeline.Pipeline(pipeline_name="x", pipeline_root=root, components=components, **options)
    modules[runner.MODULE].AirflowDagRunner(config or runner.AirflowPipelineConfig(_CONFIG)).run(flow)
    return made[0]


def _compiled(made: runner.Made, roots: dict[str, str]) -> tuple[Manifest, dict[str, Any]]:
    manifest, text = ir.compile_pipeline(made.pipeline, "flow.py", "", roots, {})
    return manifest(()), json.loads(text)


def test_each_component_is_a_task_behind_those_it_reads(roots: dict[str, str]) -> None:
    """testAirflowDagRunner and testAirflowComponent (`task_id`): met."""
    a = _component("A")
    b = _component("B", [a])
    c = _component("C", [a, b])
    d = _component("D", [b, c])
    e = _component("E", [a, b, d])
    manifest, _ = _compiled(_run([d, c, a, b, e]), roots)
    assert {node.id: node.upstream for node in manifest.nodes} == {
        "A": (),
        "B": ("A",),
        "C": ("A", "B"),
        "D": ("B", "C"),
        "E": ("A", "B", "D"),
    }


@pytest.mark.parametrize("config", [_CONFIG, runner.AirflowPipelineConfig(_CONFIG)])
def test_a_dict_is_a_config_as_well(config: Any) -> None:
    """testAirflowDagRunnerInitBackwardCompatible: met."""
    made = _run([_component("A")], config)
    assert made.config.airflow_dag_config == _CONFIG
    assert vars(made.dag)["config"] == _CONFIG


def test_a_text_parameter_keeps_its_default_with_a_quote_in_it(roots: dict[str, str]) -> None:
    """testRuntimeParam: met. It is a Param, whose value may come from the run's conf."""
    made = _run([_component("F", kind=str, value=RuntimeParameter("name", str, 'tf"x'))])
    [parameter] = _compiled(made, roots)[0].runtime_parameters
    assert (parameter.name, parameter.kind, parameter.default) == ("name", "string", 'tf"x')


def test_a_default_may_be_a_template(roots: dict[str, str]) -> None:
    """testRuntimeParamTemplated: met. Airflow's side gives `execution_date` its meaning."""
    made = _run([_component("F", kind=str, value=RuntimeParameter("a", str, "{{execution_date}}"))])
    [parameter] = _compiled(made, roots)[0].runtime_parameters
    assert parameter.default == "{{execution_date}}"


def test_a_parameter_may_be_a_number(roots: dict[str, str]) -> None:
    """testRuntimeParamIntError: different. TFX's runner raised RuntimeError, here it is a typed Param."""
    made = _run([_component("G", kind=int, value=RuntimeParameter("a", int, 1))])
    [parameter] = _compiled(made, roots)[0].runtime_parameters
    assert (parameter.kind, parameter.default) == ("integer", 1)


def test_the_run_id_has_the_dag_id_before_it() -> None:
    """testAirflowAdaptor (`run_id`): different. Two DAGs that share a store and a run id stay apart."""
    assert identity.run_name("x", "run_id") == "x:run_id"


@pytest.mark.parametrize("enable_cache", [True, False])
def test_cache_and_beam_arguments_are_those_of_the_pipeline(
    roots: dict[str, str], enable_cache: bool
) -> None:
    """testAirflowComponent (`enable_cache`, `beam_pipeline_args`): met."""
    made = _run([_component("A")], enable_cache=enable_cache, beam_pipeline_args=["--runner=DirectRunner"])
    _, text = _compiled(made, roots)
    options = text["nodes"][0]["pipelineNode"]["executionOptions"]["cachingOptions"]
    assert options.get("enableCache", False) is enable_cache
    assert made.pipeline.beam_pipeline_args == ["--runner=DirectRunner"]


def test_the_store_is_not_that_of_the_pipeline(roots: dict[str, str]) -> None:
    """testAirflowComponent (`metadata_connection_config`): different. An Airflow Connection names it."""
    store = metadata.sqlite_metadata_connection_config("/srv/metadata.db")
    _, text = _compiled(_run([_component("A")], metadata_connection_config=store), roots)
    assert "metadata.db" not in json.dumps(text)


def test_a_relative_pipeline_root_is_refused(roots: dict[str, str]) -> None:
    """testAirflowDagRunner (`pipeline_root="y"`): different. It would be relative to wherever a worker was started."""
    with pytest.raises(UnsupportedNodeError, match="pipeline_root is the relative path 'y'"):
        _compiled(_run([_component("A")], root="y"), roots)
