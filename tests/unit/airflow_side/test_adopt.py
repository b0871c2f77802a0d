"""`adopt` makes DAGs of what was compiled, without TFX."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
from airflow.configuration import AIRFLOW_HOME
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization

from include.tfx_airflow.airflow_side import adopt, legacy_environment, legacy_imports, legacy_loading
from include.tfx_airflow.airflow_side.legacy_folder import LegacyFiles
from include.tfx_airflow.commands import adopt as command
from include.tfx_airflow.contract import fingerprint, legacy
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import (
    CompileError,
    ConfigError,
    NoDagError,
    SettingsError,
    StillCompilingError,
)
from include.tfx_airflow.contract.legacy import LegacyDag, LegacyFile
from include.tfx_airflow.contract.manifest import (
    FAILED_FILE,
    FORMAT,
    IR_FILE,
    MANIFEST_FILE,
    NO_DAG,
    Manifest,
    Node,
    RuntimeParameter,
)
from include.tfx_airflow.settings import read_settings

_ENVIRONMENT = {"tfx": "1.16.0", "python": "python3.10"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path / "home"))
    path = tmp_path / "legacy" / "taxi.py"
    path.parent.mkdir()
    path.write_text("# tfx.orchestration.airflow\n")
    return path


def _dag(dag_id: str, **config: Any) -> LegacyDag:
    plain = {"schedule_interval": None, "catchup": False, **config}
    return LegacyDag(dag_id, 7, {name: legacy.plain(value) for name, value in plain.items()})


def _content(path: Path) -> str:
    content = fingerprint.content_key([str(path)], read_settings().roots(), _ENVIRONMENT)
    assert content
    return content


def _place(
    path: Path,
    folders: tuple[Path, ...],
    environment: dict[str, str] | None = None,
    working_folder: Path | None = None,
) -> Path:
    """Where it is kept what was compiled from a file."""
    arguments: dict[str, Any] = {
        "folders": [str(folder) for folder in dict.fromkeys((*folders, path.parent))],
        "environment": environment or {},
    }
    if working_folder:
        arguments["working_folder"] = fingerprint.abstract(str(working_folder), read_settings().roots())
    key = fingerprint.arguments_key(str(path), arguments, FORMAT)
    return read_settings().compiled / f"{LegacyFile(str(path), ()).module}-{key}"


def _without_dag(path: Path, *folders: Path) -> None:
    """Writes what the TFX interpreter would have said of a file that makes no DAG; long ago."""
    failure = {
        "kind": NO_DAG,
        "message": "it makes no DAG: ...",
        "traceback": "",
        "files": [str(path)],
        "installed": [],
        "variables": [],
        "airflow_variables": [],
        "environment": _ENVIRONMENT,
        "content": _content(path),
        "time": 0,
    }
    place = _place(path, folders)
    place.mkdir(parents=True)
    (place / FAILED_FILE).write_text(json.dumps(failure))


def _compiled(
    path: Path,
    *dags: LegacyDag,
    environment: dict[str, str] | None = None,
    folders: tuple[Path, ...] = (),
    working_folder: Path | None = None,
) -> Path:
    """Writes what the TFX interpreter would have made of a file."""
    entry = _place(path, folders, environment, working_folder) / _content(path)
    nodes = (
        Node(id="Gen", kind="Gen", type="Gen"),
        Node(id="Use", kind="Use", type="Use", upstream=("Gen",)),
    )
    for number, dag in enumerate(dags):
        manifest = Manifest(
            dag.dag_id,
            str(path),
            nodes,
            tuple(RuntimeParameter(name, "string", "") for name in dag.templates),
            (str(path),),
            _ENVIRONMENT,
            legacy=dag,
            others=0 if number else len(dags) - 1,
        )
        folder = entry / str(number) if number else entry
        folder.mkdir(parents=True)
        (folder / MANIFEST_FILE).write_text(manifest.to_json())
        (folder / IR_FILE).write_text("{}\n")
    return entry


def test_all_dags_of_a_file_are_made_from_what_is_compiled(file: Path) -> None:
    start = datetime.datetime(2021, 1, 1, tzinfo=datetime.timezone.utc)
    entry = _compiled(file, _dag("north", start_date=start, tags=["a"]), _dag("south", max_active_runs=1))
    north, south = adopt.adopt(file)
    assert isinstance(north, DAG) and (north.dag_id, south.dag_id) == ("north", "south")
    assert north.start_date == start and north.tags == {"a"} and south.max_active_runs == 1
    assert north.task_dict["Use"].upstream_task_ids == {"Gen"}
    assert str(south.task_dict["Gen"].compiled.ir) == str(entry / "1" / IR_FILE)
    # What the nodes get: AIRFLOW_HOME, and nothing else of Airflow's.
    assert south.task_dict["Gen"].compiled.source.environment == {"AIRFLOW_HOME": AIRFLOW_HOME}


def _with_variables(file: Path) -> LegacyDag:
    """A DAG whose file sets environment variables, as it is told of."""
    file.write_text("import os\nos.environ['DEVICES'] = '-1'\nos.environ['TOKEN'] = 'hunter22'\n")
    variables = {"DEVICES": str(file), "TOKEN": str(file), "COMPUTED": "", "PYTHONPATH": ""}
    return dataclasses.replace(_dag("taxi"), variables=variables)


def test_nodes_have_the_variables_that_the_file_sets_to_literal_texts(file: Path) -> None:
    _compiled(file, _with_variables(file))
    [dag] = adopt.adopt(file)
    environment = dag.task_dict["Gen"].compiled.source.environment
    assert environment == {"AIRFLOW_HOME": AIRFLOW_HOME, "DEVICES": "-1", "TOKEN": "hunter22"}
    assert "hunter22" not in repr(dag.task_dict["Gen"].compiled)


def test_the_variables_of_the_owner_come_before_those_of_the_file(file: Path) -> None:
    given = {"DEVICES": "0", "COMPUTED": "1"}
    dag = _with_variables(file)
    _compiled(file, dag, environment=given)
    [found] = adopt.adopt(file, environment=given)
    environment = found.task_dict["Gen"].compiled.source.environment
    assert environment == {"AIRFLOW_HOME": AIRFLOW_HOME, **given, "TOKEN": "hunter22"}
    assert not any("COMPUTED" in note for note in legacy_environment.notes(dag, (), given))


def test_variables_that_nodes_or_the_file_do_not_have_are_noted_by_name(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_DATA", "/srv/data")
    read = ("AIRFLOW_HOME", "AIRFLOW_DATA", "AIRFLOW_ABSENT", "HOME")
    folders, computed, hidden = legacy_environment.notes(_with_variables(file), read, ())
    assert "the file sets PYTHONPATH, which its nodes do not get" in folders
    assert "the environment variables COMPUTED by values" in computed and "environment={...}" in computed
    assert "reads the environment variables AIRFLOW_DATA;" in hidden
    assert not any("hunter22" in note for note in (folders, computed, hidden))


def test_nodes_import_from_the_folders_that_the_file_adds(file: Path) -> None:
    dag = dataclasses.replace(_dag("taxi"), first=("/srv/a",), folders=("/srv/b", str(file.parent)))
    _compiled(file, dag)
    [found] = adopt.adopt(file)
    source = found.task_dict["Gen"].compiled.source
    assert source.file and source.file.first == ("/srv/a",)
    assert source.file.folders == (str(file.parent), "/srv/b")


def test_other_tasks_are_added_to_the_dag_that_adopt_returns(file: Path) -> None:
    _compiled(file, _dag("taxi"))
    [dag] = adopt.adopt(file)
    before = BaseOperator(task_id="sync_data", dag=dag)
    after = BaseOperator(task_id="sync_model", dag=dag)
    before >> dag.get_task("Gen")
    dag.get_task("Use") >> after
    assert dag.task_dict["Gen"].upstream_task_ids == {"sync_data"}
    assert after.upstream_task_ids == {"Use"}
    assert list(DagSerialization.from_dict(DagSerialization.to_dict(dag)).task_dict) == list(dag.task_dict)


def test_a_template_of_a_property_is_computed_and_no_param(file: Path) -> None:
    dag = LegacyDag("taxi", 7, {"schedule_interval": None}, {"Gen.input_base": "/data/{{ ds }}"})
    _compiled(file, dag)
    [found] = adopt.adopt(file)
    assert not dict(found.params)
    assert found.task_dict["Gen"].computed_parameters == ("Gen.input_base",)


def test_the_owner_may_add_and_replace(file: Path) -> None:
    _compiled(
        file,
        _dag("taxi", max_active_runs=1, default_args={"sla": datetime.timedelta(1)}),
        environment={"TF_USE_LEGACY_KERAS": "1"},
    )
    [dag] = adopt.adopt(
        file,
        configs={
            "taxi": {"airflow_dag_config": {"max_active_runs": 4}, "node_configs": {"Gen": {"retries": 3}}}
        },
        environment={"TF_USE_LEGACY_KERAS": "1"},
        ignore=["sla"],
    )
    assert dag.max_active_runs == 4 and dag.task_dict["Gen"].retries == 3
    source = dag.task_dict["Gen"].compiled.source
    assert source.environment["TF_USE_LEGACY_KERAS"] == "1"
    assert source.file and source.file.path == str(file)


def test_a_callback_of_the_owner_for_the_dag_leaves_that_of_the_files_tasks(file: Path) -> None:
    _compiled(file, _dag("taxi", default_args={"on_failure_callback": legacy.plain}))
    [dag] = adopt.adopt(file, configs={"taxi": {"airflow_dag_config": {"on_failure_callback": legacy.live}}})
    assert dag.on_failure_callback is legacy.live
    [callback] = dag.task_dict["Gen"].on_failure_callback
    assert callback.__wrapped__ is legacy.plain


def test_all_that_is_refused_is_in_one_error_with_the_cure(file: Path) -> None:
    _compiled(file, _dag("taxi", retires=3, default_args={"sla": datetime.timedelta(1)}))
    with pytest.raises(ConfigError) as caught:
        adopt.adopt(file)
    text = str(caught.value)
    assert "line 7, DAG 'taxi'" in text and "retires = 3" in text and "default_args['sla']" in text
    assert "ignore=['retires', 'sla']" in text
    assert len(adopt.adopt(file, ignore=["retires", "sla"])) == 1


def test_what_airflow_does_not_take_is_told_with_the_dag_and_the_cure(file: Path) -> None:
    _compiled(file, _dag("taxi", max_active_runs="many"))
    with pytest.raises(ConfigError) as caught:
        adopt.adopt(file)
    assert "line 7, DAG 'taxi' gives Airflow what it does not take: TypeError" in str(caught.value)
    configs = {"taxi": {"airflow_dag_config": {"max_active_runs": 1}}}
    assert "configs={'taxi': {'airflow_dag_config'" in str(caught.value)
    assert len(adopt.adopt(file, configs=configs)) == 1


def _beside(file: Path, name: str) -> Path:
    """Another file, in the same folder or a folder in it."""
    path = file.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(file.read_text())
    return path


def _failing(monkeypatch: pytest.MonkeyPatch, errors: dict[Path, CompileError]) -> list[str]:
    """Makes some files end in an error when they are compiled; returns the files that were asked for, as it grows."""
    original, asked = legacy_loading.load_file, list[str]()

    def load_file(file: LegacyFile, *arguments: Any, **keywords: Any) -> Any:
        asked.append(file.path)
        if error := errors.get(Path(file.path)):
            raise error
        return original(file, *arguments, **keywords)

    monkeypatch.setattr(legacy_loading, "load_file", load_file)
    return asked


def test_of_a_folder_all_files_that_cannot_be_adopted_are_in_one_error(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, slow, good = (_beside(file, name) for name in ("broken.py", "slow.py", "north.py"))
    _compiled(file, _dag("taxi", retires=3))
    _compiled(slow, _dag("slow", sla=datetime.timedelta(1), default_args={"sla": datetime.timedelta(1)}))
    _compiled(good, _dag("north"))
    _failing(monkeypatch, {broken: CompileError(f"'{broken}': line 3: 'ResolverNode' is dropped by TFX.")})
    with pytest.raises(ConfigError) as caught:
        adopt.adopt(file.parent, configs={"of_the_broken_one": {}})
    text = str(caught.value)
    assert "  Pipeline did not compile: '" in text and "line 3: 'ResolverNode' is dropped" in text
    assert "DAG 'slow' asks for" in text and "DAG 'taxi' asks for" in text and "retires = 3" in text
    last = text.splitlines()[-1]
    assert last.startswith(f"Mend {broken}, {slow}, {file}; or give each file its own DAG file")
    assert last.endswith(f"python -m include.tfx_airflow adopt {file.parent}")
    assert str(good) not in text
    assert len(adopt.adopt(good, folders=[file.parent])) == 1


def test_of_a_folder_no_more_files_are_compiled_when_the_time_of_a_dag_file_is_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = _beside(file, "north.py"), _beside(file, "west.py")
    monkeypatch.setattr(legacy_loading, "parse_seconds", lambda: 1e-9)
    asked = _failing(monkeypatch, {first: StillCompilingError(f"'{first}' is still being compiled.")})
    with pytest.raises(ConfigError) as caught:
        adopt.adopt(file.parent)
    assert asked == [str(first)]
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        f"Pipeline did not compile: '{first}' is still being compiled.",
        *(f"'{one}' is not read yet; a later parse does so." for one in (file, last)),
    ]


def test_what_an_editor_leaves_in_a_folder_is_no_file(file: Path) -> None:
    (file.parent / ".#taxi.py").symlink_to("ann@machine.42")
    (file.parent / "package.py").mkdir()
    _compiled(file, _dag("taxi"))
    assert [dag.dag_id for dag in adopt.adopt(file.parent)] == ["taxi"]


def test_two_files_with_a_dag_of_one_id_are_refused_by_name(file: Path) -> None:
    other = _beside(file, "taxi_v2.py")
    _compiled(file, _dag("taxi"), _dag("north"))
    _compiled(other, _dag("south"), _dag("taxi", start_date=datetime.datetime(2021, 1, 1)))
    with pytest.raises(ConfigError) as caught:
        adopt.adopt(file.parent)
    assert f"DAG 'taxi' is made by {file} and by {other}; Airflow would keep only one" in str(caught.value)
    configs = {"taxi": {"airflow_dag_config": {"dag_id": "taxi_v2"}}}
    dags = adopt.adopt(file) + adopt.adopt(other, configs=configs)
    assert [dag.dag_id for dag in dags] == ["taxi", "north", "south", "taxi_v2"]


def test_the_report_says_that_two_files_have_a_dag_of_one_id(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _compiled(file, _dag("taxi"))
    _compiled(_beside(file, "taxi_v2.py"), _dag("taxi"))
    _compiled(_beside(file, "north.py"), _dag("north"))
    assert command.main(str(file.parent)) == 1
    text = capsys.readouterr().out
    assert text.count("  NO    DAG 'taxi' is made by ") == 2
    assert "1 of 3 files can be adopted." in text and text.count("Write dags/") == 1


@pytest.mark.parametrize(
    "config", [{"max_active_runs": "many"}, {"params": {"when": datetime.datetime(2021, 1, 1)}}]
)
def test_the_report_says_that_airflow_does_not_take_what_a_file_gives(
    file: Path, capsys: pytest.CaptureFixture[str], config: dict[str, Any]
) -> None:
    _compiled(file, _dag("taxi", sla=1, **config))
    assert command.main(str(file)) == 1
    text = capsys.readouterr().out
    assert "line 7, DAG 'taxi' gives Airflow what it does not take: " in text
    assert (
        text.count("  NO    ") == 2 and "0 of 1 files can be adopted." in text and "Write dags/" not in text
    )
    with pytest.raises(ConfigError, match="gives Airflow what it does not take"):
        adopt.adopt(file, ignore=["sla"])


def test_the_report_has_no_value_that_airflow_masks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2-secret"
    config = {
        "params": {"db_password": secret},
        "default_args": {
            "mysql_password": secret,
            "params": {"api_key": secret},
            "executor_config": {"env": {"AWS_SECRET_ACCESS_KEY": secret, "REGION": "eu"}},
        },
    }
    _compiled(file, _dag("taxi", **config))
    assert command.main(str(file)) == 0
    text = capsys.readouterr().out
    assert secret not in text
    for line in (
        "  ok    params = {'db_password': '***'}",
        "  ok    default_args['params'] = {'api_key': '***'}",
        "  ok    default_args['executor_config'] = {'env': {'AWS_SECRET_ACCESS_KEY': '***', 'REGION': 'eu'}}",
        "  note  default_args['mysql_password'] = '***' has no effect",
    ):
        assert line in text


def test_a_config_for_a_dag_that_is_not_there_is_refused(file: Path) -> None:
    _compiled(file, _dag("taxi"))
    with pytest.raises(ConfigError, match=r"names \['tax'\]; the DAGs there are \['taxi'\]"):
        adopt.adopt(file, configs={"tax": {}})


def test_a_file_that_is_not_compiled_needs_the_interpreter(file: Path) -> None:
    with pytest.raises(SettingsError, match="no TFX interpreter"):
        adopt.adopt(file)


def test_a_path_is_below_the_bundle_or_absolute_and_must_exist(tmp_path: Path) -> None:
    [found] = LegacyFiles("tests/legacy/two_dags.py")
    assert found.path == str(BUNDLE_ROOT / "tests/legacy/two_dags.py")
    with pytest.raises(ConfigError, match="there is no '.*/nowhere.py'"):
        LegacyFiles("nowhere.py")
    with pytest.raises(ConfigError, match="no file below '.*' uses AirflowDagRunner"):
        LegacyFiles(tmp_path)


def test_of_a_folder_the_files_that_use_the_runner_are_taken(file: Path) -> None:
    deep = file.parent / "more" / "flow.py"
    deep.parent.mkdir()
    deep.write_text("from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner\n")
    (file.parent / "helpers.py").write_text("X = 1\n")
    found = list(LegacyFiles(file.parent))
    assert [one.path for one in found] == [str(deep), str(file)]
    assert found[0].folders == (str(file.parent), str(deep.parent))


@pytest.mark.parametrize(
    ("syntax", "pattern"), [("glob", "old*/\ndraft_*.py"), ("regexp", "old.*/.*\ndraft_.*")]
)
def test_of_a_folder_the_files_that_airflow_ignores_are_left_out(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, syntax: str, pattern: str
) -> None:
    old = _beside(file, "old_ones/flow.py")
    _beside(file, "draft_flow.py")
    (file.parent / ".airflowignore").write_text(f"# drafts\n{pattern}\n")
    monkeypatch.setenv("AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX", syntax)
    _compiled(file, _dag("taxi"))
    assert [dag.dag_id for dag in adopt.adopt(file.parent)] == ["taxi"]
    assert command.main(str(file.parent)) == 0
    text = capsys.readouterr().out
    assert f".airflowignore is read in the syntax {syntax!r}, as [core] dag_ignore_file_syntax says" in text
    assert f"It leaves out {file.parent / 'draft_flow.py'}, {old}." in text
    [one] = LegacyFiles(old)  # by its own name it is taken
    assert one.path == str(old)


def test_a_folder_of_which_airflow_ignores_all_files_is_refused_with_the_reason(file: Path) -> None:
    (file.parent / ".airflowignore").write_text("*\n")
    with pytest.raises(
        ConfigError, match=r"no file below '.*' uses AirflowDagRunner. .airflowignore is read in"
    ):
        LegacyFiles(file.parent)


def test_what_keeps_airflow_from_reading_its_ignore_files_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file.parent / ".airflowignore").write_text("draft_*.py\n")
    with monkeypatch.context() as patched:
        patched.setenv("AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX", "regex")
        with pytest.raises(ConfigError, match="cannot be followed: .*regex"):
            LegacyFiles(file.parent)
    (file.parent / "loop").symlink_to(file.parent)
    with pytest.raises(ConfigError, match="cannot be followed: Detected recursive loop"):
        LegacyFiles(file.parent)


def _factory(file: Path) -> tuple[Path, Path]:
    """A package beside the file that calls the runner in a function, and a file that makes its DAG with it."""
    factory = _beside(file, "factory/dags.py")
    package = _beside(file, "factory/__init__.py")
    package.write_text("from .dags import create_dag\n")
    shop = _beside(file, "shop.py")
    shop.write_text("from factory import (\n    create_dag,  # the team's\n)\nDAG = create_dag('shop')\n")
    for name in ("test_shop.py", "conftest.py"):
        _beside(file, name).write_text("from factory import create_dag\n")
    _beside(file, "other.py").write_text("import factory_of_others\n# as in factory\n")
    for helper in (factory, package):
        _without_dag(helper, file.parent)
    return factory, shop


def test_of_a_folder_a_file_that_makes_its_dag_with_a_helper_is_taken_too(file: Path) -> None:
    _, shop = _factory(file)
    _compiled(file, _dag("taxi"))
    _compiled(shop, _dag("shop"))
    assert [dag.dag_id for dag in adopt.adopt(file.parent)] == ["taxi", "shop"]


def test_the_report_notes_helpers_and_counts_the_others(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, shop = _factory(file)
    _compiled(file, _dag("taxi"))
    _compiled(shop, _dag("shop"))
    original = command.load_file
    monkeypatch.setattr(command, "load_file", lambda *found, force: original(*found))
    assert command.main(str(file.parent)) == 0
    text = capsys.readouterr().out
    assert text.count("  note  Legacy DAG file") == 2
    assert "2 of 2 files can be adopted." in text and text.count("Write dags/") == 2


def test_a_folder_in_which_no_file_makes_a_dag_is_refused_with_their_names(file: Path) -> None:
    _without_dag(file)
    with pytest.raises(ConfigError) as caught:
        adopt.adopt(file.parent)
    assert "none of the files there that use AirflowDagRunner makes a DAG:" in str(caught.value)
    assert f"'{file}': it makes no DAG" in str(caught.value)
    with pytest.raises(NoDagError, match="it makes no DAG"):
        adopt.adopt(file)


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a.b", True),
        ("import os, a.b as c", True),
        ("  from a.b import c", True),
        ("from a import b", True),
        ("from a import (\n  x,\n  b as c,\n)", True),
        ("from . import b", False),
        ("import a", False),
        ("# from a import b", False),
        ("from a.b.c import d", False),
    ],
)
def test_an_import_of_a_module_is_found_in_the_text(tmp_path: Path, text: str, imports: bool) -> None:
    module, other = tmp_path / "a" / "b.py", tmp_path / "deep" / "flow.py"
    found = legacy_imports.importers(module, {other: text.encode()}, [tmp_path])
    assert found == ([other] if imports else [])


def test_a_relative_import_is_found_from_its_own_folder(tmp_path: Path) -> None:
    module = tmp_path / "a" / "b.py"
    sources = {
        tmp_path / "a" / "flow.py": b"from . import b\n",
        tmp_path / "a" / "other.py": b"from .b import c\n",
        tmp_path / "a" / "deep" / "flow.py": b"from ..b import c\n",
        tmp_path / "flow.py": b"from .b import c\n",
    }
    assert legacy_imports.importers(module, sources, []) == list(sources)[:3]


def test_a_file_may_import_from_more_folders(file: Path) -> None:
    deep = _beside(file, "more/flow.py")
    _compiled(deep, _dag("flow"), folders=(file.parent,))
    [dag] = adopt.adopt(deep, folders=[file.parent])
    source = dag.task_dict["Gen"].compiled.source
    assert source.file and source.file.folders == (str(file.parent), str(deep.parent))
    [_, second] = LegacyFiles(file.parent, [deep.parent, file.parent])
    assert second.folders == (str(file.parent), str(deep.parent))


def test_a_working_folder_is_for_the_file_and_its_nodes(file: Path, tmp_path: Path) -> None:
    _compiled(file, _dag("taxi"))
    with pytest.raises(SettingsError, match="no TFX interpreter"):  # compiled again in another folder
        adopt.adopt(file, working_folder=tmp_path)
    [found] = LegacyFiles(file, working_folder="tests")
    assert found.working_folder == str(BUNDLE_ROOT / "tests")
    with pytest.raises(ConfigError, match="working_folder is 'nowhere', and there is no such folder"):
        adopt.adopt(file, working_folder="nowhere")


def test_a_folder_that_is_not_there_is_refused_by_name(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"folders names \['.*/legcay'\], and there is no such folder"):
        LegacyFiles(file, [file.parent, "legcay"])
    with pytest.raises(ConfigError, match="folders must be a list of folders, not 'legacy'"):
        LegacyFiles(file, "legacy")


def _written(text: str) -> dict[str, list[DAG]]:
    """DAGs of each DAG file that a report says to write."""
    found = {}
    for part in text.split("Write ")[1:]:
        name, _, body = part.partition(":\n")
        values: dict[str, Any] = {}
        exec(textwrap.dedent(body), values)
        assert name not in found
        found[name] = values["dags"]
    return found


def test_the_dag_files_to_write_adopt_what_was_compiled_and_have_names_of_their_own(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bundle" / "dags").mkdir(parents=True)
    for name in ("taxi", "report", "adopted_report"):
        (tmp_path / "bundle" / "dags" / f"{name}.py").touch()
    monkeypatch.setattr(command, "BUNDLE_ROOT", tmp_path / "bundle")
    _compiled(file, _dag("taxi", sla=1))
    for name, dag_id in (
        ("eu/flow.py", "eu"),
        ("us/flow.py", "us"),
        ("us/report.py", "report"),
        ("us/north.py", "north"),
    ):
        _compiled(_beside(file, name), _dag(dag_id), folders=(file.parent,))
    assert command.main(str(file.parent)) == 0
    written = _written(capsys.readouterr().out)
    assert {name: [dag.dag_id for dag in dags] for name, dags in written.items()} == {
        "dags/adopted_taxi.py": ["taxi"],
        "dags/eu_flow.py": ["eu"],
        "dags/us_flow.py": ["us"],
        "dags/adopted_report_2.py": ["report"],
        "dags/north.py": ["north"],
    }


def test_the_dag_file_to_write_has_the_working_folder_of_the_command(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = tmp_path / "airflow 2"
    work.mkdir()
    monkeypatch.chdir(tmp_path)
    for folder, shown in ((work, str(work)), (BUNDLE_ROOT / "tests", "tests"), (BUNDLE_ROOT, ".")):
        _compiled(file, _dag("taxi"), working_folder=folder)
        assert command.main("legacy/taxi.py", os.path.relpath(folder)) == 0
        text = capsys.readouterr().out
        assert f'working_folder="{shown}")' in text
        [[dag]] = _written(text).values()
        source = dag.task_dict["Gen"].compiled.source
        assert source.file and source.file.working_folder == str(folder)


def test_a_working_folder_that_is_not_there_is_refused_by_the_command(file: Path) -> None:
    with pytest.raises(
        ConfigError, match=f"working_folder is '{BUNDLE_ROOT}.*nowhere', and there is no such"
    ):
        command.main(str(file), str(BUNDLE_ROOT / "nowhere"))
