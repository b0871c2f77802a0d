"""The cache key of user code, and user modules that lie outside the bundle."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.node import user_code

FILES = {
    "flows/__init__.py": "",
    "flows/model.py": "import numpy\nfrom flows import features\nfrom . import layers\n",
    "flows/features.py": "def f():\n    from .deep.names import KEYS\n    return KEYS\n",
    "flows/layers.py": "from .. import impossible\n",
    "flows/deep/__init__.py": "from ..constants import LIMIT\n",
    "flows/deep/names.py": "KEYS = []\n",
    "flows/constants.py": "LIMIT = 1\n",
    "flows/other.py": "import flows.model\n",
    "lonely.py": "",
}
USED = ("flows/model.py", "flows/features.py", "flows/layers.py", "flows/deep/names.py", "flows/constants.py")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "bundle"


def _key(bundle: Path, *names: str) -> str:
    return user_code.read(list(names or ("flows.model",)), [str(bundle)], []).key


def _executor(class_path: str) -> executable_spec_pb2.PythonClassExecutableSpec:
    return executable_spec_pb2.PythonClassExecutableSpec(class_path=class_path)


def _node(**parameters: str) -> pipeline_pb2.PipelineNode:
    node = pipeline_pb2.PipelineNode()
    for name, value in parameters.items():
        node.parameters.parameters[name].field_value.string_value = value
    return node


def _key_of(node: pipeline_pb2.PipelineNode) -> str:
    parameters = node.parameters.parameters
    name = user_code.FINGERPRINT_PROPERTY
    return parameters[name].field_value.string_value if name in parameters else ""


@pytest.mark.parametrize("name", [*USED, "flows/__init__.py", "flows/deep/__init__.py"])
def test_key_changes_with_whatever_the_module_imports(bundle: Path, name: str) -> None:
    before = _key(bundle)
    assert len(before) == 16
    path = bundle / name
    path.write_text(path.read_text() + "# edited\n")
    assert _key(bundle) != before
    path.write_text(FILES[name])
    assert _key(bundle) == before


def test_key_is_that_of_earlier_versions(bundle: Path) -> None:
    """Else every node would run again once, where its outputs are in the cache."""
    assert _key(bundle) == "e9225a36422bd82f"


def test_package_of_a_module_that_imports_nothing_counts(bundle: Path) -> None:
    before = _key(bundle, "flows.constants")
    (bundle / "flows" / "__init__.py").write_text("import os\n")
    assert _key(bundle, "flows.constants") != before


@pytest.mark.parametrize("name", ["flows/other.py", "lonely.py"])
def test_key_does_not_change_with_files_that_are_not_imported(bundle: Path, name: str) -> None:
    before = _key(bundle)
    (bundle / name).write_text("# edited\n")
    (bundle / "flows" / "new.py").write_text("")
    assert _key(bundle) == before


def test_key_is_the_same_wherever_the_bundle_lies(bundle: Path, tmp_path: Path) -> None:
    before = _key(bundle)
    assert before == _key(bundle.rename(tmp_path / "elsewhere"))


def test_modules_that_are_not_the_users_have_no_key(bundle: Path) -> None:
    assert _key(bundle, "numpy", "tfx.components.trainer.executor", "") == ""


def test_module_with_a_syntax_error_still_has_a_key(bundle: Path) -> None:
    before = _key(bundle)
    (bundle / "flows" / "features.py").write_text("def (")
    assert _key(bundle) not in ("", before)


@pytest.mark.parametrize(
    "parameters",
    [{"module_path": "flows.model"}, {"run_fn": "flows.model.run_fn"}, {"preprocessing_fn": "flows.model.f"}],
    ids=["module_path", "run_fn", "preprocessing_fn"],
)
def test_prepare_adds_the_key_of_the_modules_a_node_names(bundle: Path, parameters: dict[str, str]) -> None:
    node = _node(other="text", **parameters)
    user_code.prepare(node, _executor("tfx.components.trainer.executor.GenericExecutor"), [str(bundle)])
    assert _key_of(node) == _key(bundle)


def test_prepare_adds_the_key_of_a_custom_executor(bundle: Path) -> None:
    python, beam = _node(), _node()
    user_code.prepare(python, _executor("flows.model.Executor"), [str(bundle)])
    spec = executable_spec_pb2.BeamExecutableSpec(python_executor_spec=_executor("flows.model.Executor"))
    user_code.prepare(beam, spec, [str(bundle)])
    assert _key_of(python) == _key_of(beam) == _key(bundle)


def test_file_that_a_property_names_is_part_of_the_key_by_content(bundle: Path, tmp_path: Path) -> None:
    keys = []
    for folder, text in (("a", "feature {}"), ("b", "feature {}"), ("b", "feature { name: 'x' }")):
        path = tmp_path / folder / "schema.pbtxt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        node = _node(schema_file=str(path), other=str(tmp_path / "missing.pbtxt"))
        user_code.prepare(
            node, _executor("tfx.components.schema_gen.import_schema_gen.executor.X"), [str(bundle)]
        )
        keys.append(_key_of(node))
    assert keys[0] and keys[0] == keys[1] != keys[2]


def test_file_beside_the_users_code_counts_and_one_that_the_node_may_write_does_not(
    bundle: Path, tmp_path: Path
) -> None:
    keys = {}
    for path in (bundle / "policy.json", tmp_path / "written.txt"):
        for text in ("a", "b"):
            path.write_text(text)
            node = _node(path=str(path))
            user_code.prepare(node, _executor("tfx.components.x.Executor"), [str(bundle)])
            keys[path.name, text] = _key_of(node)
    assert keys["policy.json", "a"] != keys["policy.json", "b"] != ""
    assert keys["written.txt", "a"] == keys["written.txt", "b"] == ""


def test_a_file_that_is_named_inside_a_json_property_counts(bundle: Path) -> None:
    keys = []
    for text in ("a", "b"):
        (bundle / "policy.json").write_text(text)
        inside = json.dumps({"again": json.dumps([str(bundle / "policy.json")])})
        node = _node(custom_config=json.dumps({"policy": inside}))
        user_code.prepare(node, _executor("tfx.components.x.Executor"), [str(bundle)])
        keys.append(_key_of(node))
    assert keys[0] != keys[1] != ""


def test_prepare_leaves_nodes_without_user_code_alone(bundle: Path) -> None:
    plain, system = _node(input_base="/srv"), _node(input_base="/srv")
    pusher = _executor("tfx.components.pusher.executor.Executor")
    assert user_code.prepare(plain, pusher, [str(bundle)]) is None
    assert user_code.prepare(system, None, [str(bundle)]) is None
    assert plain == system == _node(input_base="/srv")


def test_module_outside_the_bundle_becomes_importable(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "outside_model.py").write_text("from outside_names import KEYS\n")
    (outside / "outside_names.py").write_text("KEYS = ['a']\n")
    keys = []
    for _ in range(2):
        node = _node(module_file=str(outside / "outside_model.py"))
        user_code.prepare(node, _executor("tfx.components.trainer.executor.GenericExecutor"), [str(bundle)])
        keys.append(_key_of(node))
        assert "module_file" not in node.parameters.parameters
        assert node.parameters.parameters["module_path"].field_value.string_value == "outside_model"
        if len(keys) == 1:
            assert importlib.import_module("outside_model").KEYS == ["a"]
            (outside / "outside_names.py").write_text("KEYS = ['b']\n")
    assert keys[0] and keys[1] and keys[0] != keys[1]


def test_import_roots_are_the_bundle_and_pythonpath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/srv/bundle:/srv/x::/srv/y")
    assert user_code.folders_of({"BUNDLE_ROOT": "/srv/bundle"}) == ["/srv/bundle", "/srv/x", "/srv/y"]


@pytest.mark.parametrize("module", ["mine.metric", "taxi_metric"])
def test_a_module_named_inside_a_json_property_counts(tmp_path: Path, module: str) -> None:
    metric = tmp_path / f"{module.replace('.', '/')}.py"
    metric.parent.mkdir(exist_ok=True)
    metric.write_text("BOUND = 1\n")

    def key() -> str:
        node = pipeline_pb2.PipelineNode()
        node.parameters.parameters["eval_config"].field_value.string_value = json.dumps(
            {"metrics": [{"class_name": "Mine", "module": module}]}
        )
        user_code.prepare(
            node, executable_spec_pb2.PythonClassExecutableSpec(class_path="a.B"), [str(tmp_path)]
        )
        return node.parameters.parameters[user_code.FINGERPRINT_PROPERTY].field_value.string_value

    before = key()
    metric.write_text("BOUND = 2\n")
    assert len(before) == 16 and key() != before


def test_a_module_that_has_another_name_than_its_file_is_followed_too(bundle: Path) -> None:
    file = bundle / "taxi-2.py"
    file.write_text("import flows.model\n")
    modules = {"dag_file_taxi_2": file}

    def read() -> user_code.UserCode:
        return user_code.read(["dag_file_taxi_2.Executor"], [str(bundle)], [], modules)

    before = read()
    assert {file, bundle / "flows" / "features.py"} <= set(before.modules)
    (bundle / "flows" / "features.py").write_text("CHANGED = 1\n")
    assert read().key != before.key


def test_a_module_file_comes_before_its_namesake_beside_a_legacy_dag_file(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("home", "legacy"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "taxi_utils.py").write_text(f"WHERE = {folder!r}\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    file = LegacyFile(str(tmp_path / "legacy" / "flow.py"), (str(tmp_path / "legacy"),))
    node = _node(module_file=str(tmp_path / "home" / "taxi_utils.py"))
    spec = _executor("tfx.components.trainer.executor.GenericExecutor")
    code = user_code.prepare(node, spec, [str(bundle)], file)
    assert code and list(code.modules) == [tmp_path / "home" / "taxi_utils.py"]
