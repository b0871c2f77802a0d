"""From a compiled pipeline to a DAG: tasks, edges, options, parameters; no TFX and no interpreter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.importers.python_importer import PythonDagImporter
from airflow.sdk import DAG, BaseOperator, Param, task_group

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig, NodeConfig, TfxNodeOperator
from include.tfx_airflow.contract.errors import ConfigError, SettingsError
from include.tfx_airflow.contract.manifest import MANIFEST_FILE, Manifest, Node, RuntimeParameter
from include.tfx_airflow.settings import Settings

REFERENCE = "flows.taxi:create"
MANIFEST = Manifest(
    pipeline_name="taxi.v1",
    reference=REFERENCE,
    nodes=(
        Node(
            id="Gen",
            kind="CsvExampleGen",
            type="tfx.CsvExampleGen",
            parameters=("span",),
            beam=("--direct_num_workers=1",),
        ),
        Node(id="Train", kind="Trainer", type="tfx.Trainer", upstream=("Gen",), retries=4, doc="Trains."),
        Node(id="Push", kind="Pusher", type="tfx.Pusher", upstream=("Gen", "Train"), retries=0),
        Node(
            id="Clean",
            kind="Cleaner",
            type="flows.Cleaner",
            upstream=("Push",),
            trigger_rule="all_done",
            timeout_seconds=90,
        ),
    ),
    runtime_parameters=(RuntimeParameter("span", "integer", 0), RuntimeParameter("steps", "integer", 5)),
    files=(),
    environment={"tfx": "1.16.0", "python": "python3.10"},
    doc="Trains a model.\n\nIn some detail.",
)


@pytest.fixture(autouse=True)
def compiled_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_entry: Callable[..., Path]
) -> Path:
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path))
    return write_entry(Settings(home=str(tmp_path)), MANIFEST)


def _runner(dag_config: dict[str, object] | None = None, **config: object) -> AirflowDagRunner:
    return AirflowDagRunner(AirflowPipelineConfig(airflow_dag_config=dag_config or {}, **config))  # type: ignore[arg-type]


def test_each_node_is_a_task_after_its_upstream_nodes(compiled_folder: Path) -> None:
    dag = AirflowDagRunner().run(REFERENCE)
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "Gen": set(),
        "Train": {"Gen"},
        "Push": {"Gen", "Train"},
        "Clean": {"Push"},
    }
    assert {type(task) for task in dag.tasks} == {TfxNodeOperator}
    assert {task.compiled.folder for task in dag.tasks} == {compiled_folder}


def test_dag_is_named_and_described_by_the_pipeline() -> None:
    dag = AirflowDagRunner().run(REFERENCE)
    assert (dag.dag_id, dag.doc_md, dag.catchup) == ("taxi.v1", MANIFEST.doc, False)


def test_dag_config_wins() -> None:
    config = {
        "dag_id": "mine",
        "doc_md": "Mine.",
        "catchup": True,
        "schedule": "@daily",
        "start_date": datetime(2014, 1, 1),
    }
    dag = _runner(config).run(REFERENCE)
    assert (dag.dag_id, dag.doc_md, dag.catchup, dag.schedule) == ("mine", "Mine.", True, "@daily")


def test_options_of_the_pipelines_nodes_are_options_of_tasks() -> None:
    dag = _runner({"default_args": {"retries": 2}}).run(REFERENCE)
    clean, train = dag.get_task("Clean"), dag.get_task("Train")
    assert (clean.trigger_rule, clean.execution_timeout, clean.retries) == (
        "all_done",
        timedelta(seconds=90),
        2,
    )
    assert (train.trigger_rule, train.execution_timeout, train.retries) == ("all_success", None, 4)
    assert train.doc == "Trains."
    assert dag.get_task("Push").retries == 0


def test_a_trigger_rule_of_default_args_holds_for_nodes_without_a_strategy(compiled_folder: Path) -> None:
    nodes = tuple(
        dataclasses.replace(node, trigger_rule="none_failed") if node.id == "Push" else node
        for node in MANIFEST.nodes
    )
    (compiled_folder / MANIFEST_FILE).write_text(dataclasses.replace(MANIFEST, nodes=nodes).to_json())
    own = {"Gen": NodeConfig(trigger_rule="one_success")}
    for rule, expected, given in (
        (
            "none_skipped",
            ["one_success", "none_skipped", "none_skipped", "all_done"],
            [True, True, True, False],
        ),
        (
            "all_success",
            ["one_success", "all_success", "none_failed", "all_done"],
            [True, False, False, False],
        ),
    ):
        with DAG("outer", default_args={"trigger_rule": rule}) as outer:
            _runner(node_configs=own).task_group(REFERENCE, group_id="g")
        for tasks in (
            _runner({"default_args": {"trigger_rule": rule}}, node_configs=own).run(REFERENCE).tasks,
            outer.tasks,
        ):
            assert [task.trigger_rule for task in tasks] == expected
            assert [task.rule_is_given for task in tasks] == given


def test_a_doc_of_default_args_is_that_of_nodes_without_one() -> None:
    dag = _runner({"default_args": {"doc": "Ask Ana."}}).run(REFERENCE)
    assert [task.doc for task in dag.tasks] == ["Ask Ana.", "Trains.", "Ask Ana.", "Ask Ana."]


def test_node_config_wins_over_the_pipeline() -> None:
    config = NodeConfig(
        retries=0, trigger_rule="none_failed", pool="gpu", operator_args={"depends_on_past": True}
    )
    dag = _runner(node_configs={"Train": config}).run(REFERENCE)
    train = dag.get_task("Train")
    assert (train.retries, train.trigger_rule, train.pool, train.depends_on_past) == (
        0,
        "none_failed",
        "gpu",
        True,
    )
    assert dag.get_task("Push").pool == "default_pool"


def test_tasks_show_their_component_as_operator_name() -> None:
    dag = AirflowDagRunner().run(REFERENCE)
    assert [task.operator_name for task in dag.tasks] == ["CsvExampleGen", "Trainer", "Pusher", "Cleaner"]


def test_runtime_parameters_are_params_beside_the_dags_own() -> None:
    own = {"steps": Param(9, type="integer", maximum=10), "colour": "red"}
    dag = _runner({"params": own}, runtime_parameters={"span": 3}).run(REFERENCE)
    assert dict(dag.params) == {"span": 3, "steps": 9, "colour": "red"}
    assert set(dag.get_task("Gen").runtime_parameters) == {"span"}
    assert dag.get_task("Train").runtime_parameters == {}


def test_runtime_parameters_are_a_template_field() -> None:
    dag = _runner(runtime_parameters={"span": "{{ run_number }}"}).run(REFERENCE)
    task = dag.get_task("Gen")
    task.render_template_fields({"params": {"span": None}, "run_number": 12})
    assert task.runtime_parameters == {"span": "12"}


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"node_configs": {"Trian": NodeConfig()}}, ["node_configs", "['Trian']", "'Train'", "'taxi.v1'"]),
        ({"runtime_parameters": {"step": 1}}, ["runtime_parameters", "['step']", "'steps'", "'taxi.v1'"]),
    ],
    ids=["node", "parameter"],
)
@pytest.mark.parametrize("grouped", [False, True], ids=["dag", "group"])
def test_unknown_name_is_refused_with_what_there_is(
    config: dict[str, object], parts: list[str], grouped: bool
) -> None:
    runner = _runner(**config)
    with DAG("outer"), pytest.raises(ConfigError) as caught:
        (runner.task_group if grouped else runner.run)(REFERENCE)
    for part in parts:
        assert part in str(caught.value)


def test_arguments_are_part_of_what_is_looked_for() -> None:
    with pytest.raises(SettingsError, match="no TFX interpreter"):
        AirflowDagRunner().run(REFERENCE, steps=3)


def test_task_group_stands_between_other_tasks() -> None:
    with DAG("outer") as dag:
        before, after = BaseOperator(task_id="before"), BaseOperator(task_id="after")
        group = _runner(runtime_parameters={"span": 3}).task_group(REFERENCE, group_id="model")
        before >> group >> after
    assert group.group_id == "model"
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "before": set(),
        "model.Gen": {"before"},
        "model.Train": {"model.Gen"},
        "model.Push": {"model.Gen", "model.Train"},
        "model.Clean": {"model.Push"},
        "after": {"model.Clean"},
    }
    assert dict(dag.params) == {"span": 3, "steps": 5}
    assert dag.get_task("model.Train").tfx_node.id == "Train"


def test_task_group_is_named_by_the_pipeline_and_leaves_the_dags_params() -> None:
    with DAG("outer", params={"span": 8}) as dag:
        group = AirflowDagRunner().task_group(REFERENCE)
    assert group.group_id == "taxi_v1"
    assert group.tooltip == "Trains a model."
    assert dag.params["span"] == 8


def test_two_groups_in_one_dag() -> None:
    with DAG("outer") as dag:
        first = AirflowDagRunner().task_group(REFERENCE, group_id="first")
        second = AirflowDagRunner().task_group(REFERENCE, group_id="second")
        first >> second
    assert dag.get_task("second.Gen").upstream_task_ids == {"first.Clean"}


def test_two_groups_that_want_another_default_for_one_param_are_refused() -> None:
    with DAG("outer"), pytest.raises(ConfigError) as caught:
        _runner(runtime_parameters={"span": 1}).task_group(REFERENCE, group_id="first")
        _runner(runtime_parameters={"span": 2}).task_group(REFERENCE, group_id="second")
    for part in (
        "'span'",
        "'first'",
        "'second'",
        "['Gen']",
        "1 (integer)",
        "2 (integer)",
        "computed_parameters",
    ):
        assert part in str(caught.value)


def test_two_groups_may_want_the_same_or_the_dag_says_which() -> None:
    for own, second in (({}, {"span": 1}), ({"span": 9}, {"span": 2})):
        with DAG("outer", params=own) as dag:
            _runner(runtime_parameters={"span": 1}).task_group(REFERENCE, group_id="first")
            _runner(runtime_parameters=second).task_group(REFERENCE, group_id="second")
        assert dag.params["span"] == own.get("span", 1)


def test_groups_with_values_of_their_own_share_no_param() -> None:
    with DAG("outer") as dag:
        for region in (1, 2):
            _runner(computed_parameters={"span": region}).task_group(REFERENCE, group_id=f"region{region}")
    assert dict(dag.params) == {"steps": 5}
    task = dag.get_task("region2.Gen")
    task.render_template_fields({"params": {}})
    assert task.runtime_parameters == {"span": 2}


def test_config_may_be_dicts() -> None:
    config = {"airflow_dag_config": {"dag_id": "mine"}, "node_configs": {"Train": {"retries": 7}}}
    dag = AirflowDagRunner(config).run(REFERENCE)
    assert (dag.dag_id, dag.get_task("Train").retries) == ("mine", 7)
    nodes = {"Train": {"pool": "gpu"}, "Push": NodeConfig(retries=3)}
    dag = AirflowDagRunner(AirflowPipelineConfig(node_configs=nodes)).run(REFERENCE)
    assert (dag.get_task("Train").pool, dag.get_task("Push").retries) == ("gpu", 3)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"schedule": "@daily"}, ["['schedule']", "AirflowPipelineConfig", "airflow_dag_config"]),
        (
            {"node_configs": {"Train": {"retrys": 2}}},
            ["node_configs['Train']", "['retrys']", "operator_args"],
        ),
        ({"node_configs": {"Train": 2}}, ["node_configs['Train']", "NodeConfig", "2"]),
        ({"node_configs": [NodeConfig()]}, ["node_configs", "dict"]),
        ({"runtime_parameters": "span"}, ["runtime_parameters", "'span'"]),
        ({"compiled_from": "/srv/x"}, ["compiled_from", "'/srv/x'", "list"]),
        ({"compiled_from": ["conf/x.yaml"]}, ["compiled_from", "['conf/x.yaml']", "${BUNDLE_ROOT}/"]),
        ({"node_configs": {"Train": NodeConfig({"retries": 2})}}, ["node_configs['Train'].retries", "**"]),
        (AirflowPipelineConfig({"node_configs": {}}), ["airflow_dag_config contains ['node_configs']"]),
        (REFERENCE, ["AirflowPipelineConfig", repr(REFERENCE)]),
        (5, ["AirflowPipelineConfig", "5"]),
    ],
)
def test_config_of_another_kind_is_refused_by_name(config: object, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        AirflowDagRunner(config)  # type: ignore[arg-type]
    for part in parts:
        assert part in str(caught.value)


def test_argument_of_the_pipeline_may_be_named_pipeline(
    compiled_folder: Path, write_entry: Callable[..., Path], tmp_path: Path
) -> None:
    entry = write_entry(Settings(home=str(tmp_path)), MANIFEST, pipeline="taxi")
    dag = AirflowDagRunner().run(REFERENCE, pipeline="taxi")
    assert {task.compiled.folder for task in dag.tasks} == {entry} != {compiled_folder}
    with DAG("outer") as outer:
        AirflowDagRunner().task_group(REFERENCE, group_id="g", pipeline="taxi")
    assert {task.compiled.folder for task in outer.tasks} == {entry}


def test_task_group_takes_no_dag_config() -> None:
    with (
        DAG("outer"),
        pytest.raises(ConfigError, match=r"does not take airflow_dag_config \(\['schedule'\]\)"),
    ):
        _runner({"schedule": "@daily"}).task_group(REFERENCE)


def test_task_group_outside_a_dag_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be called inside 'with DAG"):
        AirflowDagRunner().task_group(REFERENCE)


def test_tasks_know_the_tasks_of_their_own_copy_of_the_pipeline() -> None:
    with DAG("two") as dag:
        for group in ("eu", "us"):
            AirflowDagRunner().task_group(REFERENCE, group_id=group)
    for group in ("eu", "us"):
        task = dag.get_task(f"{group}.Train")
        assert task.node_tasks == {name: f"{group}.{name}" for name in ("Gen", "Train", "Push", "Clean")}


def _mapped(dag_id: str, **config: object) -> DAG:
    with DAG(dag_id) as dag:

        @task_group
        def each(region):  # type: ignore[no-untyped-def]
            found = {name: region if value == "ITEM" else value for name, value in config.items()}
            if found.get("computed_parameters"):
                found["computed_parameters"] = {"span": region}
            AirflowDagRunner(AirflowPipelineConfig(**found)).task_group(REFERENCE, group_id="train")

        each.expand(region=["eu", "us"])
    return dag


@pytest.fixture
def looks_back(compiled_folder: Path) -> None:
    """The pipeline's Train reads what earlier runs made."""
    nodes = tuple(dataclasses.replace(node, history=node.id == "Train") for node in MANIFEST.nodes)
    manifest = dataclasses.replace(MANIFEST, nodes=nodes)
    (compiled_folder / MANIFEST_FILE).write_text(manifest.to_json())


@pytest.mark.usefixtures("looks_back")
def test_items_of_a_mapped_group_are_named_by_their_argument() -> None:
    for config in ({"copy": "ITEM"}, {"computed_parameters": True}):
        task = _mapped("mapped", **config).get_task("each.train.Train")
        assert [type(value).__name__ for value in task.copy.values()] == ["MappedArgument"]


@pytest.mark.usefixtures("looks_back")
def test_mapped_copies_that_look_back_and_have_no_name_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"'each'.*\['Train'\] read what earlier runs made, but nothing says for which item"
    ):
        _mapped("mapped")
    with pytest.raises(
        ConfigError, match="copy = 'eu' is the same for all items of the mapped task group 'each'"
    ):
        _mapped("mapped", copy="eu")
    assert _mapped("mapped", copy="{{ ti.map_index }}").get_task("each.train.Train").copy == {
        "copy": "{{ ti.map_index }}"
    }


def test_mapped_copies_that_do_not_look_back_need_no_name() -> None:
    assert _mapped("mapped").get_task("each.train.Train").copy == {}


def test_copies_of_a_dag_may_be_named_by_a_param() -> None:
    dag = _runner({"params": {"region": "eu"}}, copy="{{ params.region }}").run(REFERENCE)
    assert dag.get_task("Train").copy == {"copy": "{{ params.region }}"}


def test_a_nodes_beam_runner_overrides_the_pipelines_and_nodes_without_beam_have_none() -> None:
    assert {task.beam_runner for task in _runner().run(REFERENCE).tasks} == {""}
    dag = _runner(beam_runner="in_memory").run(REFERENCE)
    assert {task.task_id: task.beam_runner for task in dag.tasks} == {
        "Gen": "in_memory",
        "Train": "",
        "Push": "",
        "Clean": "",
    }
    own = _runner(beam_runner="in_memory", node_configs={"Gen": NodeConfig(beam_runner="flink")}).run(
        REFERENCE
    )
    assert own.get_task("Gen").beam_runner == "flink"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {"beam_runner": "flnik"},
            "AirflowPipelineConfig.beam_runner is 'flnik', which is not a Beam runner; .*'flink'",
        ),
        ({"node_configs": {"Gen": NodeConfig(beam_runner="x")}}, r"node_configs\['Gen'\].beam_runner is 'x'"),
        (
            {"node_configs": {"Train": NodeConfig(beam_runner="flink")}},
            "Trainer 'Train' runs no Beam pipeline",
        ),
        ({"beam_runner": "processes"}, r"beam_pipeline_args give 'Gen' \['--direct_num_workers=1'\]"),
    ],
)
def test_a_beam_runner_that_cannot_be_honoured_is_refused_at_the_parse(
    config: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        _runner(**config).run(REFERENCE)


def test_a_pipeline_on_an_object_store_needs_a_connection(
    write_entry: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = dataclasses.replace(
        MANIFEST, reference="flows.far:create", addresses={"pipeline_root": "s3://bucket/x"}
    )
    write_entry(Settings(home=str(tmp_path)), manifest)
    with pytest.raises(ConfigError, match="pipeline_root is 's3://bucket/x', and .* names no Connection"):
        AirflowDagRunner().run("flows.far:create")


def _parsed(path: Path, text: str) -> tuple[list[str], str]:
    """Ids of the DAGs that Airflow finds in a DAG file, and its import error."""
    path.write_text(f"from include.tfx_airflow import AirflowDagRunner\nfrom airflow.sdk import DAG\n{text}")
    result = PythonDagImporter().import_file(path, bundle_path=path.parent)
    return sorted(dag.dag_id for dag in result.dags), "".join(error.message for error in result.errors)


@pytest.mark.parametrize(
    "second",
    [
        f"AirflowDagRunner().run({REFERENCE!r}, data_root='/eu')",
        f"AirflowDagRunner({{'airflow_dag_config': {{'schedule': '@daily'}}}}).run({REFERENCE!r})",
    ],
    ids=["argument", "config"],
)
@pytest.mark.parametrize("first", [f"AirflowDagRunner().run({REFERENCE!r})", "with DAG('taxi.v1'): pass"])
def test_a_second_dag_of_an_id_in_one_dag_file_is_refused(
    first: str, second: str, write_entry: Callable[..., Path], tmp_path: Path
) -> None:
    write_entry(Settings(home=str(tmp_path)), MANIFEST, data_root="/eu")
    assert _parsed(tmp_path / "eu.py", second) == (["taxi.v1"], "")
    found, error = _parsed(tmp_path / "both.py", f"{first}\n{second}\n")
    assert found == []
    assert f"{REFERENCE!r} becomes the DAG 'taxi.v1', but this DAG file has made a DAG of that id" in error
    assert error.endswith("give airflow_dag_config a dag_id.")


def test_dags_of_other_files_and_parses_and_dags_that_airflow_does_not_take_are_no_second_ones(
    tmp_path: Path,
) -> None:
    text = (
        "with DAG('outer'):\n"
        f"    AirflowDagRunner().task_group({REFERENCE!r}, group_id='one')\n"
        f"    AirflowDagRunner().task_group({REFERENCE!r}, group_id='two')\n"
        f"AirflowDagRunner({{'airflow_dag_config': {{'dag_id': 'mine'}}}}).run({REFERENCE!r})\n"
        f"AirflowDagRunner({{'airflow_dag_config': {{'auto_register': False}}}}).run({REFERENCE!r})\n"
    )
    for _ in range(2):
        for name in ("a.py", "b.py"):
            assert _parsed(tmp_path / name, f"{text}AirflowDagRunner().run({REFERENCE!r})\n") == (
                ["mine", "outer", "taxi.v1"],
                "",
            )
    assert _parsed(tmp_path / "broken.py", f"AirflowDagRunner().run({REFERENCE!r})\n1 / 0\n")[0] == []
    for _ in range(2):  # no parse
        AirflowDagRunner().run(REFERENCE)
