"""Legacy DAG files are executed without Airflow: what is told of their DAGs, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import tfx
from ml_metadata.proto import metadata_store_pb2
from tfx.components import Trainer
from tfx.orchestration import pipeline as pipeline_lib
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.types import Channel, standard_artifacts

from include.tfx_airflow.contract import legacy
from include.tfx_airflow.contract.errors import NoDagError, UnsupportedNodeError
from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.legacy import read_file, secret_values, store_address
from include.tfx_airflow.tfx_side.legacy.refused import FailedError, NeedsVariables
from include.tfx_airflow.tfx_side.legacy.stand_ins import StandIns
from include.tfx_airflow.tfx_side.node import user_code
from include.tfx_airflow.tfx_side.pipeline import binding, ir
from tests.bundle import ROOT
from tests.tfx.legacy.dag_files import Read, write

_LEGACY = ROOT / "tests" / "legacy"
_TFX = Path(tfx.__file__).parent


@pytest.mark.parametrize(
    ("path", "dag_id", "nodes"),
    [
        ("examples/chicago_taxi_pipeline/taxi_pipeline_simple.py", "chicago_taxi_simple", 9),
        ("examples/airflow_workshop/taxi/setup/dags/taxi_pipeline.py", "taxi", 9),
        ("tools/cli/testdata/test_pipeline_airflow_1.py", "chicago_taxi_simple", 3),
    ],
)
def test_the_files_of_the_tfx_wheel_give_their_pipelines(
    read: Read, path: str, dag_id: str, nodes: int
) -> None:
    [(dag, pipeline)] = read(_TFX / path)
    assert (dag.dag_id, len(pipeline.components)) == (dag_id, nodes)
    config = {name: legacy.live(value) for name, value in dag.config.items()}
    assert config["schedule_interval"] is None
    assert config["start_date"] == datetime.datetime(2019, 1, 1)
    assert dag.store.startswith(f"sqlite:///{os.environ['HOME']}")
    assert not dag.refused


def test_a_config_dict_for_the_older_runner(read: Read) -> None:
    [(dag, pipeline)] = read(_LEGACY / "config_dict.py")
    assert (dag.dag_id, dag.line) == ("legacy_config_dict", 28)
    assert pipeline.pipeline_info.pipeline_root == "/srv/airflow/legacy_config_dict"
    assert dag.store == "sqlite:////srv/airflow/legacy_config_dict/metadata.db"


def test_a_pipeline_config_with_task_defaults(read: Read) -> None:
    [(dag, _)] = read(_LEGACY / "pipeline_config.py")
    config = {name: legacy.live(value) for name, value in dag.config.items()}
    assert config["default_args"]["retry_delay"] == datetime.timedelta(seconds=1)
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    assert config["start_date"].date() in (yesterday.date(), (yesterday - datetime.timedelta(hours=1)).date())
    assert config["doc_md"].startswith("An AirflowPipelineConfig")


def test_variables_are_asked_for_all_at_once_and_then_used(read: Read) -> None:
    with pytest.raises(NeedsVariables) as asked:
        read(_LEGACY / "module_level.py")
    assert asked.value.names == ["legacy_audience", "legacy_settings"]


def test_variables_have_their_values_or_the_default_of_the_file(read: Read) -> None:
    path = _LEGACY / "module_level.py"
    [(dag, pipeline)] = read(path, legacy_settings='{"greeting": "hi"}', legacy_audience=None)
    assert pipeline.components[0].exec_properties["words"] == "hi world"
    assert dag.config["doc_md"] == "Greets at **six**."
    assert legacy.live(dag.config["start_date"]).tzinfo.key == "Europe/Amsterdam"


def test_a_variable_that_airflow_does_not_have_is_told_with_the_cure_or_caught(
    read: Read, tmp_path: Path
) -> None:
    path = write(tmp_path, "from airflow.models import Variable\nVariable.get('a_b')\n")
    with pytest.raises(UnsupportedNodeError) as caught:
        read(path, a_b=None)
    assert "line 4: Airflow has no Variable 'a_b'; create it with 'airflow variables set a_b VALUE'." in str(
        caught.value
    )
    text = "try:\n    Variable.get('a_b')\nexcept KeyError:\n    AirflowDagRunner().run(small.write_and_read())\n"
    path = write(tmp_path, f"from airflow.models import Variable\n{text}", "other.py")
    assert len(read(path, a_b=None)) == 1


def test_a_template_in_a_property_becomes_a_parameter_that_no_run_chooses(
    read: Read, roots: dict[str, str]
) -> None:
    [(dag, pipeline)] = read(_LEGACY / "module_level.py", legacy_settings=None, legacy_audience=None)
    assert dag.templates == {"Greet.day": "{{ ds }}"}
    manifest, _ = ir.compile_pipeline(pipeline, "m.py", "", roots, {})
    assert [parameter.name for parameter in manifest(()).runtime_parameters] == ["Greet.day"]


def test_modules_beside_the_file_are_found(read: Read) -> None:
    [(dag, pipeline)] = read(_LEGACY / "with_helpers" / "reporting.py")
    assert pipeline.components[0].exec_properties["words"] == "from a package beside the file"
    callback = legacy.live(dag.config["default_args"])["on_failure_callback"]
    path = str(_LEGACY / "with_helpers" / "team_alerts.py")
    assert callback == legacy.Function("team_alerts:tell_the_team", path)


def test_two_dags_in_one_file(read: Read) -> None:
    assert [dag.dag_id for dag, _ in read(_LEGACY / "two_dags.py")] == ["legacy_north", "legacy_south"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("external_input", "line 6: 'tfx.utils.dsl_utils' is dropped by TFX"),
        ("external_input", "CsvExampleGen(input_base='/data')"),
        (
            "resolver_node",
            "line 3: 'ResolverNode' is dropped by TFX: 'tfx.dsl.components.common.resolver.Resolver'",
        ),
        (
            "model_validator",
            "'ModelValidator' of 'old': 'ModelValidator' is dropped by TFX: 'tfx.components.Evaluator'",
        ),
        ("other_tasks", "line 15: airflow.operators.bash_operator.BashOperator of Airflow is not known"),
    ],
)
def test_old_files_are_refused_with_what_to_write_instead(read: Read, name: str, sentence: str) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(_LEGACY / "old" / f"{name}.py")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it makes no DAG"),
        (
            "if __name__ == '__main__':\n    AirflowDagRunner().run(small.write_and_read())\n",
            "under 'if __name__",
        ),
        (
            "for _ in range(2):\n    AirflowDagRunner().run(small.write_and_read())\n",
            "DAG of the id 'write_and_read'",
        ),
        (
            "from airflow import DAG\nDAG('mine')\n",
            "line 4: DAG(...) of Airflow makes a DAG without a TFX pipeline",
        ),
        (
            "import airflow\nairflow.configuration.conf\n",
            "line 4: airflow.configuration of Airflow is not known",
        ),
        (
            "from airflow.models import Variable\nVariable.set('a', 1)\n",
            "line 4: a DAG file that is being read",
        ),
        ("AirflowDagRunner().run('taxi')\n", "line 3: AirflowDagRunner.run() was given 'taxi'"),
        (
            "AirflowDagRunner().run(small.write_and_read()).tasks\n",
            "line 3: DAG.tasks of Airflow is not known",
        ),
        (
            "from tfx.components import StatisticsGen\nStatisticsGen(stats=1)\n",
            "line 4: the argument 'stats' is dropped by TFX: it is 'statistics' now",
        ),
    ],
)
def test_what_has_no_meaning_here_is_refused_where_it_is(
    read: Read, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "def make():\n    return AirflowDagRunner().run(small.write_and_read())\n",
            "'make' in line 3 would",
        ),
        ("# Nothing.\n", "If others import it, adopt those"),
        ("from .steps import make\n", "line 3: it makes no DAG: it imports relatively"),
    ],
)
def test_a_file_without_a_dag_is_a_kind_of_its_own(
    read: Read, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(NoDagError) as caught:
        read(write(tmp_path, text))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "dags"),
    [
        ("import flows_of_north\n", []),
        ("from flows_of_north import DAG\n", [("north", 0)]),
        (
            "import flows_of_north\nAirflowDagRunner().run(small.write_and_read(name='south'))\n",
            [("south", 4)],
        ),
    ],
)
def test_a_dag_of_an_imported_module_is_the_files_own_where_it_has_a_name_for_it(
    read: Read, tmp_path: Path, text: str, dags: list[tuple[str, int]]
) -> None:
    made = "DAG = AirflowDagRunner().run(small.write_and_read(name='north'))\n"
    write(tmp_path, made, "flows_of_north.py")
    path = write(tmp_path, text)
    if dags:
        assert [(dag.dag_id, dag.line) for dag, _ in read(path)] == dags
    else:
        with pytest.raises(NoDagError):
            read(path)


def test_a_dag_that_a_helper_makes_for_the_file_is_the_files_own(read: Read, tmp_path: Path) -> None:
    write(
        tmp_path, "def make(name):\n    AirflowDagRunner().run(small.write_and_read(name=name))\n", "maker.py"
    )
    [(dag, _)] = read(write(tmp_path, "import maker\nmaker.make('east')\n"))
    assert (dag.dag_id, dag.line) == ("east", 4)


@pytest.mark.parametrize(
    "text",
    [
        "from airflow.operators.python import BranchPythonOperator, PythonOperator\n",
        "from airflow.operators import python\nimport airflow.hooks.base as hooks\n",
        "from airflow.models import BaseOperator\ndef f(a: BaseOperator | None) -> BaseOperator: ...\n",
        "from airflow.decorators import (\n    dag,\n    task,\n)\n",
    ],
)
def test_what_is_imported_from_airflow_and_not_used_does_no_harm(
    read: Read, tmp_path: Path, text: str
) -> None:
    [(dag, _)] = read(write(tmp_path, f"{text}AirflowDagRunner().run(small.write_and_read())\n"))
    assert dag.dag_id == "write_and_read"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from airflow.operators.python import PythonOperator as P\nP(task_id='a')\n", "operators.python."),
        ("from airflow.models import BaseOperator\nclass Mine(BaseOperator):\n    pass\n", "models.BaseOp"),
        ("from airflow.configuration import conf\nconf.get('core', 'x')\n", "configuration.conf"),
        ("from airflow.decorators import task\nf = task(print)\n", "decorators.task"),
        ("from airflow.models import BaseOperator\nisinstance(1, BaseOperator)\n", "models.BaseOperator"),
        ("from airflow.utils.weight_rule import WeightRule\nWeightRule.ABSOLUTE\n", "weight_rule.WeightRule"),
        ("import airflow.operators.python\nairflow.operators.python.PythonOperator()\n", "operators.python."),
    ],
)
def test_what_is_used_of_airflow_is_refused_where_it_is_used(
    read: Read, tmp_path: Path, text: str, name: str
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "line 4: airflow." in str(caught.value)
    assert name in str(caught.value) and "of Airflow is not known" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        (
            "from airflow.operators.bash import BashOperator\nBashOperator()\n",
            "[dag] = adopt(...), then dag.get",
        ),
        (
            "AirflowDagRunner().run(small.write_and_read()).get_task('Write')\n",
            "[dag] = adopt(...), then dag.get",
        ),
        (
            "from airflow.hooks.base import BaseHook\nBaseHook.get_connection('a')\n",
            "environment={...} of adopt",
        ),
        ("from airflow.configuration import conf\nconf.get('a', 'b')\n", "environment={...} of adopt"),
        ("from airflow.models import Connection\nConnection('a')\n", "environment={...} of adopt"),
        ("from airflow.models.param import Param\nParam(1)\n", "'airflow_dag_config': {...}"),
    ],
)
def test_the_cure_is_that_of_the_name(read: Read, tmp_path: Path, text: str, cure: str) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert cure in str(caught.value)


def test_of_names_that_a_file_tries_it_gets_the_last_one(read: Read, tmp_path: Path) -> None:
    text = (
        "try:\n    from airflow.operators.bash import BashOperator\n"
        "except (ImportError, KeyError):\n    BashOperator = None\n"
        "assert BashOperator is None\n"
        "AirflowDagRunner().run(small.write_and_read())\n"
    )
    assert len(read(write(tmp_path, text))) == 1


def test_trigger_rules_have_their_names(read: Read, tmp_path: Path) -> None:
    text = (
        "from airflow.utils.trigger_rule import TriggerRule\n"
        "defaults = {'trigger_rule': TriggerRule.ALL_DONE}\n"
        "AirflowDagRunner({'default_args': defaults}).run(small.write_and_read())\n"
    )
    [(dag, _)] = read(write(tmp_path, text))
    assert dag.config["default_args"] == {"trigger_rule": "all_done"}


def test_a_file_that_tries_names_of_several_versions_goes_on(read: Read, tmp_path: Path) -> None:
    text = (
        "try:\n    from airflow.sdk import DAG\nexcept ImportError:\n    from airflow.models.dag import DAG\n"
        "dag: DAG = AirflowDagRunner().run(small.write_and_read())\n"
    )
    assert len(read(write(tmp_path, text))) == 1


def test_an_error_of_the_file_itself_is_told_with_the_lines_of_the_users(read: Read, tmp_path: Path) -> None:
    (tmp_path / "rates.py").write_text("import json\ndef of(text):\n    return json.loads(text)\n")
    with pytest.raises(FailedError) as caught:
        read(write(tmp_path, "import rates\nrates.of('no json')\n"))
    assert caught.value.place == "rates.py, line 3: "
    # Newer versions of Python mark the part of a line that failed.
    lines = [line for line in caught.value.lines.splitlines() if line.strip(" ~^")]
    assert [line.strip() for line in lines if "File " not in line][1:3] == [
        "rates.of('no json')",
        "return json.loads(text)",
    ]
    # Of the library there is the line that failed, and no other.
    assert [line.count("/json/") for line in lines if "File " in line] == [0, 0, 1]
    assert lines[-1].startswith("json.decoder.JSONDecodeError: ")


def test_what_an_error_comes_from_is_told_too(read: Read, tmp_path: Path) -> None:
    text = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('no rate') from error\n"
    with pytest.raises(FailedError) as caught:
        read(write(tmp_path, text))
    assert caught.value.place == "line 6: "
    assert (
        "ZeroDivisionError: division by zero\n\nThe above exception was the direct cause"
        in caught.value.lines
    )


def test_all_dropped_names_of_a_file_are_in_one_error(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx import components\n"
        "from tfx.orchestration import pipeline as p\n"
        "gen = components.CsvExampleGen(input_base='/srv/data')\n"
        "statistics = components.StatisticsGen(\n    input_data=gen.outputs.examples)\n"
        "schema = components.SchemaGen(stats=statistics.outputs.output)\n"
        "pusher = components.Pusher(model_export=1, push_destination=2)\n"
        "p.PipelineDecorator()\n"
    )
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    places = [one.partition(" is dropped")[0] for one in str(caught.value).partition(": ")[2].split(" Also ")]
    assert places == [
        "line 7: '.outputs.examples'",
        "line 6: the argument 'input_data'",
        "line 8: '.outputs.output'",
        "line 8: the argument 'stats'",
        "line 9: the argument 'model_export'",
        "line 10: 'PipelineDecorator'",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "from tfx.orchestration.pipeline import PipelineDecorator\n",
            "line 3: 'PipelineDecorator' is dropped",
        ),
        ("from tfx.runtimes.tfx_airflow import PipelineRunner\n", "line 3: 'tfx.runtimes' is dropped"),
        (
            "from tfx.dsl.components.common.resolver import Resolver\nResolver(instance_name='a')\n",
            "line 4: the argument 'instance_name' is dropped by TFX: write .with_id('...')",
        ),
        (
            "import tensorflow_model_analysis as tfma\ntfma.config.MetricThreshold()\n",
            "line 4: 'tensorflow_model_analysis.config' is dropped: its classes are in",
        ),
        (
            "from tfx.components.trainer.executor import Executor\n"
            "from tfx.dsl.components.base import executor_spec\n"
            "executor_spec.ExecutorClassSpec(Executor)\n",
            "line 5: 'tfx.components.trainer.executor.Executor' is dropped by TFX: it trained Estimators",
        ),
    ],
)
def test_what_tfx_has_dropped_is_explained(read: Read, tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert sentence in str(caught.value)


def test_a_dropped_name_that_many_files_import_does_no_harm_unless_it_is_used(
    read: Read, tmp_path: Path
) -> None:
    text = (
        "from tfx.components.trainer.executor import Executor, GenericExecutor\n"
        "AirflowDagRunner().run(small.write_and_read())\n"
    )
    assert len(read(write(tmp_path, text))) == 1


def test_tfx_has_the_dropped_name_only_while_a_file_is_read() -> None:
    from tfx.components.trainer import executor

    assert not hasattr(executor, "Executor")


def test_an_argument_of_the_users_own_function_is_not_tfxs(read: Read, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="train_steps"):
        read(write(tmp_path, "def f(): ...\nf(train_steps=1)\n"))


def test_an_error_in_a_helper_names_the_helper(read: Read, tmp_path: Path) -> None:
    (tmp_path / "helper_steps.py").write_text("import os\nfrom tfx.components import ResolverNode\n")
    with pytest.raises(UnsupportedNodeError, match=r"helper_steps\.py, line 2: 'ResolverNode' is dropped"):
        read(write(tmp_path, "import helper_steps\n"))


def test_a_module_that_is_not_found_is_told_with_the_cure(read: Read, tmp_path: Path) -> None:
    (tmp_path / "team_steps.py").write_text("")
    deep = tmp_path / "dags" / "taxi"
    deep.mkdir(parents=True)
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(deep, "import team_steps\n"))
    assert "line 3: No module named 'team_steps', neither in" in str(caught.value)
    assert f"There is one in {str(tmp_path)!r}: adopt(..., folders=[{str(tmp_path)!r}])." in str(caught.value)
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(deep, "import team_tools.steps\n", "other.py"))
    assert "adopt(..., folders=[...]); if it is a package, install it in that interpreter" in str(
        caught.value
    )


def test_folders_that_the_file_adds_are_told_for_its_nodes(read: Read, tmp_path: Path) -> None:
    for name in ("front", "back", "dags"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"steps_in_{name}.py").write_text("")
    text = (
        "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n"
        "sys.path.insert(0, here)\n"
        "sys.path.insert(0, os.path.join(here, '..', 'front'))\n"
        "sys.path.append(here.replace('dags', 'back'))\n"
        "sys.path.append('/nowhere')\n"
        "import steps_in_front, steps_in_back, steps_in_dags\n"
        "AirflowDagRunner().run(small.write_and_read())\n"
    )
    [(dag, _)] = read(write(tmp_path / "dags", text))
    assert dag.first == (str(tmp_path / "front"), str(tmp_path / "dags"))
    assert dag.folders == (str(tmp_path / "back"),)


def test_a_file_may_have_the_name_of_the_package_that_it_is_in(tmp_path: Path) -> None:
    folder = tmp_path / "dag_makers"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "steps.py").write_text("from tests.pipelines import small\n")
    path = write(
        folder, "import dag_makers.steps\nAirflowDagRunner().run(small.write_and_read())\n", "dag_makers.py"
    )
    file = LegacyFile(str(path), (str(tmp_path), str(folder)))
    placed = StandIns(file)
    try:
        assert len(read_file.read(file, placed)) == 1
    finally:
        placed.remove()


def test_in_a_node_these_folders_are_where_the_file_puts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/srv/bundle")
    front, back = str(tmp_path / "front"), str(tmp_path / "back")
    before = list(sys.path)
    placed = StandIns(LegacyFile(str(tmp_path / "flow.py"), (back,), first=(front,)))
    assert sys.path == [front, *before, back]
    assert os.environ["PYTHONPATH"] == f"{front}:/srv/bundle:{back}"
    placed.remove()
    assert sys.path == before


def test_code_in_folders_that_the_file_adds_is_in_the_cache_key(tmp_path: Path) -> None:
    for folder in ("front", "own"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "team_steps.py").write_text(f"WHERE = {folder!r}\n")
    file = LegacyFile(
        str(tmp_path / "own" / "flow.py"), (str(tmp_path / "own"),), first=(str(tmp_path / "front"),)
    )
    spec = executable_spec_pb2.PythonClassExecutableSpec(class_path="team_steps.Executor")
    code = user_code.prepare(pipeline_pb2.PipelineNode(), spec, [str(tmp_path)], file)
    assert code and list(code.modules) == [tmp_path / "front" / "team_steps.py"]


def test_a_module_file_in_the_bundle_keeps_its_siblings(
    tmp_path: Path, roots: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    folder = tmp_path / "bundle" / "legacy" / "modules"
    folder.mkdir(parents=True)
    (folder / "taxi_model.py").write_text("import taxi_features\n")
    (folder / "taxi_features.py").write_text("KEYS = []\n")
    trainer = Trainer(
        module_file=str(folder / "taxi_model.py"), examples=Channel(type=standard_artifacts.Examples)
    )
    flow = pipeline_lib.Pipeline("taxi", pipeline_root="/srv/x", components=[trainer])
    file = LegacyFile(str(tmp_path / "bundle" / "legacy" / "flow.py"), (str(folder.parent),))
    _, text = ir.compile_pipeline(flow, "flow.py", "", roots, {}, file)
    [entry] = ir.read_ir(text, roots).nodes
    spec = executable_spec_pb2.PythonClassExecutableSpec(class_path="tfx.components.trainer.executor.X")
    code = user_code.prepare(entry.pipeline_node, spec, [roots["BUNDLE_ROOT"]], file)
    assert entry.pipeline_node.parameters.parameters["module_path"].field_value.string_value == "taxi_model"
    assert code and {path.name for path in code.modules} == {"taxi_model.py", "taxi_features.py"}
    assert str(folder) in sys.path


_RELATIVE = """
import os
from tfx.components import CsvExampleGen, Pusher
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import data_types, pipeline
from tfx.proto import pusher_pb2
from tfx.types.standard_artifacts import Model

names = open("names.txt").read().split()
model = Importer(source_uri="model", artifact_type=Model)
root = data_types.RuntimeParameter("root", str, "./data")
folder = pusher_pb2.PushDestination.Filesystem(base_directory="serving/" + names[0])
AirflowDagRunner().run(pipeline.Pipeline("relative", pipeline_root="./out", components=[
    CsvExampleGen(input_base="data"), CsvExampleGen(input_base=root).with_id("Other"), model,
    Pusher(model=model.outputs["result"], push_destination=pusher_pb2.PushDestination(filesystem=folder))]))
"""


def test_relative_paths_are_meant_from_the_working_folder(
    read: Read, tmp_path: Path, roots: dict[str, str], address: dict[str, Any]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "names.txt").write_text("taxi")
    before = os.getcwd()
    path = write(tmp_path, _RELATIVE)
    [(_, pipeline)] = read(path, working_folder=work)
    file = LegacyFile(str(path), (str(tmp_path),), working_folder=str(work))
    _, text = ir.compile_pipeline(pipeline, "flow.py", "", roots, {}, file)
    assert f'"{work}/out"' in text and f'"stringValue": "{work}/data"' in text
    assert f"{work}/serving/taxi" in text and f'"{work}/model"' in text
    compiled = ir.read_ir(text, roots)
    request = NodeRequest(
        ir="",
        node_id="Other",
        run="a:b",
        task={},
        parameters={"root": "./data"},
        mlmd=address,
        roots=roots,
        legacy=dataclasses.asdict(file),
    )
    binding.bind(compiled, request)
    [other] = [e.pipeline_node for e in compiled.nodes if e.pipeline_node.node_info.id == "Other"]
    assert other.parameters.parameters["input_base"].field_value.string_value == f"{work}/data"
    assert os.getcwd() == str(work) != before


def test_a_file_that_changes_the_working_directory_says_so(read: Read, tmp_path: Path) -> None:
    text = f"import os\nos.chdir({str(tmp_path)!r})\nAirflowDagRunner().run(small.write_and_read())\n"
    [(dag, _)] = read(write(tmp_path, text))
    [note] = dag.notes
    assert f"adopt(..., working_folder={str(tmp_path)!r})" in note


def test_without_a_working_folder_the_error_names_it(
    read: Read, tmp_path: Path, roots: dict[str, str]
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, _RELATIVE))
    assert "line 11: there is no 'names.txt', which is meant from the working directory" in str(caught.value)
    path = write(tmp_path, _RELATIVE.replace('open("names.txt").read().split()', '["a"]'), "other.py")
    [(_, pipeline)] = read(path)
    with pytest.raises(UnsupportedNodeError, match=r"relative path './out'.*working_folder='/srv/airflow'"):
        ir.compile_pipeline(pipeline, "flow.py", "", roots, {}, LegacyFile(str(path), ()))


@pytest.mark.parametrize("name", ["tfx_pipeline", "pipeline"])
def test_a_runner_takes_the_pipeline_by_either_name(read: Read, tmp_path: Path, name: str) -> None:
    [(dag, _)] = read(write(tmp_path, f"AirflowDagRunner().run({name}=small.write_and_read())\n"))
    assert dag.dag_id == "write_and_read"


def test_component_launchers_are_refused_by_name(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx.orchestration.config.base_component_config import BaseComponentConfig\n"
        "class Mine(BaseComponentConfig):\n    pass\n"
        "config = AirflowPipelineConfig({}, component_config_overrides={'Write': Mine()})\n"
        "AirflowDagRunner(config).run(small.write_and_read())\n"
    )
    [(dag, _)] = read(write(tmp_path, text))
    assert list(dag.refused) == ["component_config_overrides"]


def test_arguments_of_older_pipelines_are_honoured_or_noted_without_their_values(
    read: Read, tmp_path: Path
) -> None:
    text = (
        "from tfx.orchestration import pipeline\n"
        "more = {'logger_args': {'token': 'hunter22'}, 'beam_pipeline_args': ['--direct_num_workers=2']}\n"
        "AirflowDagRunner({}).run(pipeline.Pipeline(pipeline_name='old', pipeline_root='/srv/old', "
        "components=[small.Write(message='a')], metadata_db_root='/srv/hunter23', "
        "beam_pipeline_args=['--direct_num_workers=1'], additional_pipeline_args=more))\n"
    )
    [(dag, pipeline)] = read(write(tmp_path, text))
    assert pipeline.beam_pipeline_args == ["--direct_num_workers=2"]
    assert [note.partition(" of the pipeline")[0] for note in dag.notes] == [
        "additional_pipeline_args",
        "metadata_db_root",
    ]
    assert "logger_args" in dag.notes[0] and "hunter" not in "".join(dag.notes)


def test_empty_arguments_of_older_pipelines_need_no_note(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx.orchestration.pipeline import Pipeline\n"
        "class Mine(Pipeline):\n    def __init__(self, **keywords):\n        super().__init__(**keywords)\n"
        "AirflowDagRunner().run(Mine(pipeline_name='old', pipeline_root='/srv/old', additional_pipeline_args={}, "
        "metadata_db_root=None))\n"
    )
    [(dag, _)] = read(write(tmp_path, text))
    assert not dag.notes


def test_pipelines_take_no_old_arguments_once_the_file_was_read() -> None:
    with pytest.raises(TypeError, match="additional_pipeline_args"):
        pipeline_lib.Pipeline(pipeline_name="new", additional_pipeline_args={})


def test_the_store_is_named_without_its_password(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx.orchestration import metadata\n"
        "p = small.write_and_read()\n"
        "p.metadata_connection_config = metadata.mysql_metadata_connection_config("
        "host='db', port=3307, database='mlmd', username='u', password='secret')\n"
        "AirflowDagRunner().run(p)\n"
    )
    [(dag, _)] = read(write(tmp_path, text))
    assert dag.store == "mysql://db:3307/mlmd"


@pytest.mark.parametrize(
    ("path", "store"),
    [
        ("/srv/a.db", "sqlite:////srv/a.db"),
        ("/srv/of@team/a.db", "sqlite:////srv/of@team/a.db"),
        ("/srv/a.db?key=hunter22", "sqlite:////srv/a.db"),
        ("mysql://u:hunt/er@22@db:3306/m", "sqlite:///mysql://db:3306/m"),
        ("mysql://u:hunter22://@db/m?ssl=hunter22", "sqlite:///mysql://db/m"),
    ],
)
def test_a_path_of_a_store_shows_no_password(path: str, store: str) -> None:
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = path
    assert store_address.of(config) == store


def test_a_host_of_a_store_shows_no_password() -> None:
    config = metadata_store_pb2.ConnectionConfig()
    config.mysql.host, config.mysql.database = "u:hunter22@db", "mlmd"
    assert store_address.of(config) == "mysql://db/mlmd"


def test_a_class_inside_a_function_is_refused_with_its_place(
    read: Read, tmp_path: Path, roots: dict[str, str]
) -> None:
    text = """
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.orchestration import pipeline

def make():
    class Tell(base_executor.BaseExecutor):
        def Do(self, *arguments): ...
    class Spec(types.ComponentSpec):
        PARAMETERS, INPUTS, OUTPUTS = {}, {}, {}
    class Teller(base_component.BaseComponent):
        SPEC_CLASS = Spec
        EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Tell)
    return pipeline.Pipeline("tell", pipeline_root="/srv/x", components=[Teller(spec=Spec())])

AirflowDagRunner().run(make())
"""
    [(_, flow)] = read(write(tmp_path, text))
    with pytest.raises(UnsupportedNodeError) as caught:
        ir.compile_pipeline(flow, "flow.py", "", roots, {})
    assert "the executor of 'Teller', 'Tell', is a class inside the function 'make'" in str(caught.value)


@pytest.mark.parametrize("name", ["OF_THE_TEAM", "AIRFLOW_OF_THE_TEAM"])
def test_a_variable_that_is_not_set_is_told_with_the_cure(read: Read, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, f"import os\nos.environ[{name!r}]\n"))
    assert f"line 4: there is no environment variable {name!r}" in str(caught.value)
    assert f"environment={{{name!r}: ...}}" in str(caught.value)
    assert ("begin with AIRFLOW" in str(caught.value)) == name.startswith("AIRFLOW")
    with pytest.raises(FailedError):
        read(write(tmp_path, f"{{}}[{name!r}]\n", "other.py"))


def test_a_variable_that_is_not_set_is_told_where_it_is_used_as_a_text(read: Read, tmp_path: Path) -> None:
    text = "import os\nroot = os.environ.get('OF_THE_TEAM')\nos.environ.get('HOME')\nos.path.join(root, 'data')\n"
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "line 6: TypeError: " in str(caught.value) and "'HOME'" not in str(caught.value)
    assert "there is no environment variable 'OF_THE_TEAM' where the file is executed" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "from tensorflow.contrib import lookup\n",
            "'tensorflow.contrib' is dropped by TensorFlow: it went with",
        ),
        (
            "import tensorflow as tf\ntf.contrib\n",
            "'tensorflow.contrib' is dropped by TensorFlow: it went with",
        ),
        (
            "import tensorflow as tf\ntf.estimator.Estimator\n",
            "Estimators went with TensorFlow 2.16; write a Keras",
        ),
        ("import tensorflow as tf\ntf.Session()\n", "It is 'tf.compat.v1.Session' now."),
        (
            "from tensorflow.keras.wrappers.scikit_learn import KerasClassifier\n",
            "'tensorflow.keras.wrappers.scikit_learn' is dropped by TensorFlow: the package 'scikeras' is its heir.",
        ),
        ("import tensorflow as tf\ntf.keras.experimental\n", "environment={'TF_USE_LEGACY_KERAS': '1'}"),
        (
            "import tensorflow_model_analysis as tfma\ntfma.SlicingSpecs()\n",
            "has no 'tensorflow_model_analysis.SlicingSpecs'; the file is written for another version. It has "
            "'tensorflow_model_analysis.SlicingSpec'.",
        ),
        (
            "import tensorflow_data_validation as tfdv\ntfdv.validate_everything()\n",
            "has no 'tensorflow_data_validation.validate_everything'; the file is written for another version. Write",
        ),
        (
            "from tfx.utils.io import io_utils\n",
            "has no 'tfx.utils.io'; the file is written for another version.",
        ),
        ("from tfx.utils import channel_utils\n", "It has 'tfx.types.channel_utils'."),
        (
            "import wsgiref\nwsgiref.handlers\n",
            "is a module, and not imported: write 'import wsgiref.handlers'",
        ),
    ],
)
def test_a_name_that_an_installed_package_lacks_is_told_with_its_heir(
    read: Read, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert f"line {2 + text.count(chr(10))}: " in str(caught.value) and sentence in str(caught.value)
    assert "adopt(..., folders=" not in str(caught.value)


def test_old_paths_that_tfx_still_has_are_taken(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx.components.base import base_component, base_driver, base_executor, executor_spec\n"
        "class Tell(base_executor.BaseExecutor):\n    def Do(self, *arguments): ...\n"
        "executor_spec.ExecutorClassSpec(Tell)\n"
        "AirflowDagRunner().run(small.write_and_read())\n"
    )
    assert len(read(write(tmp_path, text))) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "print 'taxi'\n",
            "cannot read \"print 'taxi'\", which is Python 2: rewrite the file, as 2to3 does.",
        ),
        ("if True:\n", ": expected an indented block after 'if' statement on line 3."),
        ("import urllib2\n", "'urllib2' is a module of Python 2: it is 'urllib.request' now."),
        ("unicode('taxi')\n", "'unicode' is a name of Python 2: write 'str'."),
        ("{}.iteritems()\n", "'.iteritems()' is a method of Python 2: write '.items()'."),
    ],
)
def test_what_python_cannot_read_or_has_dropped_is_told_with_its_line(
    read: Read, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert ": line 3: " in str(caught.value) and sentence in str(caught.value)
    write(tmp_path, text, "old_steps.py")
    with pytest.raises(UnsupportedNodeError, match=r"old_steps\.py, line 3: "):
        read(write(tmp_path, "import old_steps\n", "other.py"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("open('names.txt')\n", "there is no 'names.txt', which is meant from the working directory"),
        (
            "from tfx.dsl.io import fileio\nfileio.open('names.txt').read()\n",
            "there is no 'names.txt', which is meant from",
        ),
        ("open('/nowhere/names.txt')\n", "copy it to the machine of Airflow's DAG processor"),
        ("import subprocess\nsubprocess.run(['taxi-names'])\n", "there is no program 'taxi-names'"),
    ],
)
def test_a_file_that_is_not_there_is_told_with_the_cure(
    read: Read, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert f"line {2 + text.count(chr(10))}: " in str(caught.value) and sentence in str(caught.value)


def test_a_file_that_is_not_in_the_working_folder_is_told_with_it(read: Read, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, "open('names.txt')\n"), working_folder=tmp_path)
    assert f"line 3: there is no 'names.txt' in the working folder {str(tmp_path)!r}" in str(caught.value)


def test_a_file_that_ends_the_process_is_told_with_the_line(read: Read, tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedNodeError, match=r"line 4: it ends the process that reads it \(SystemExit: 2\)"
    ):
        read(write(tmp_path, "import sys\nsys.exit(2)\n"))


def test_no_folder_is_made_for_a_store_that_is_not_used(read: Read, tmp_path: Path) -> None:
    path = str(tmp_path / "store" / "metadata.db")
    text = (
        "from tfx import v1 as tfx\nfrom tfx.orchestration import metadata\n"
        f"metadata.sqlite_metadata_connection_config({path!r})\n"
        f"tfx.orchestration.metadata.sqlite_metadata_connection_config({path!r})\n"
        "AirflowDagRunner().run(small.write_and_read())\n"
    )
    read(write(tmp_path, text))
    assert not (tmp_path / "store").exists()


def test_nothing_is_left_beside_the_file(read: Read, tmp_path: Path) -> None:
    read(write(tmp_path, "AirflowDagRunner().run(small.write_and_read())\n", "a-b.c.py"))
    assert [path.name for path in tmp_path.iterdir()] == ["a-b.c.py"]


def test_secret_values_are_found_and_masked() -> None:
    values = {
        "api_key": "s3cr3t-\u00fc",
        "db_secret": '{"user": "ann", "password": "hunter22"}',
        "short_token": "abc",
    }
    assert secret_values.find_in(["a", "x hunter22 y"], values) == "db_secret"
    assert secret_values.find_in(["s3cr3t-\\u00fc"], values) == "api_key"
    assert secret_values.find_in(["abc ann"], values) == ""
    assert secret_values.masked("not hunter22!", values) == "not ***!"
    # Of `Variable.get(..., deserialize_json=True)`.
    assert secret_values.find_in(["x hunter33 y"], {"api_key": '"hunter33"'}) == "api_key"


@pytest.mark.parametrize("secret", ["plain-42", "gr\u00fcn-42", 'gr"een-42', "gr\\een-42"])
def test_a_secret_is_found_however_often_it_is_in_json(secret: str) -> None:
    # As TFX has a dict: its JSON is a text in the pipeline's JSON.
    custom_config = json.dumps({"password": secret})
    text = json.dumps({"stringValue": custom_config})
    assert secret_values.find_in([text], {"db_password": secret}) == "db_password"
    assert "42" not in secret_values.masked(text, {"db_password": secret})


def test_a_component_of_two_pipelines_is_refused(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx.components import CsvExampleGen\nfrom tfx.orchestration.pipeline import Pipeline\n"
        "gen = CsvExampleGen(input_base='/srv/data')\n"
        "for name in ('north', 'south'):\n"
        "    AirflowDagRunner().run(Pipeline(name, pipeline_root='/srv', components=[gen]))\n"
    )
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "'CsvExampleGen' is one object in the pipelines 'north' and 'south'" in str(caught.value)
    assert "make it in a function that is called for each of them" in str(caught.value)


def test_a_file_that_a_helper_of_its_own_imports_back_makes_its_dags_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "of_the_flow.py").write_text("import flow_of_all\n")
    text = "import of_the_flow\nAirflowDagRunner().run(small.write_and_read())\n"
    [(dag, _)] = read(write(tmp_path, text, "flow_of_all.py"))
    assert (dag.dag_id, dag.line) == ("write_and_read", 4)


def test_log_root_of_an_old_pipeline_is_told_with_its_line(read: Read, tmp_path: Path) -> None:
    text = (
        "from tfx.orchestration.pipeline import Pipeline\n"
        "Pipeline('old', pipeline_root='/srv/old', log_root='/var/tmp')\n"
    )
    with pytest.raises(UnsupportedNodeError) as caught:
        read(write(tmp_path, text))
    assert "line 4: the argument 'log_root' is dropped by TFX: leave it out" in str(caught.value)
